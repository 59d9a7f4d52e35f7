"""What may be written down of a dialogue: secrets are masked by value and by the family's patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import SequenceMatcher
from typing import Final, Literal

from inventory.secrets import MASK, Secret

Direction = Literal[">", "<"]
Transcript = Callable[[Direction, str], None]
Redact = Callable[[str], str]
_HARMLESS: Final[dict[Redact, dict[str, str]]] = {}
"""Short texts in which a family's patterns have found nothing, each with itself, to be held once: a fleet is told the
same lines and gives the same answers."""
_SHORT: Final = 200
_MOST_HARMLESS: Final = 2000

_LEAST: Final = 4
"""A shorter value is masked by its place only; by value it would take half of every text with it."""


def _pairs(lines: list[str], shown: list[str]) -> Iterator[tuple[str, str]]:
    """Lines beside what is shown of them, where that differs; of a block that was masked as one nothing is shown."""
    if len(lines) == len(shown):
        yield from ((line, masked) for line, masked in zip(lines, shown, strict=True) if line != masked)
        return
    for kind, first, last, first_shown, last_shown in SequenceMatcher(None, lines, shown, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        some, masked = lines[first:last], shown[first_shown:last_shown]
        yield from zip(some, masked if len(some) == len(masked) else [""] * len(some), strict=True)


def _hidden(line: str, masked: str) -> str:
    """What of a line the masked one does not show."""
    before = _alike(line, masked)
    after = _alike(line[before:][::-1], masked[before:][::-1])
    return line[before : len(line) - after].strip(" \"'")


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def nowhere(_direction: Direction, _text: str) -> None:
    """A transcript that is not kept."""


def as_it_is(text: str) -> str:
    """Redaction of a family without secret patterns."""
    return text


class Words:
    """A transcript that is kept for people: what was typed (`>`) and said (`<`), a line each, masked by its session.

    Of a longer answer than `longest` signs only the length is kept: such are readings, which are stored as versions.
    Beyond `most` signs nothing more is kept until somebody takes them.
    """

    def __init__(self, *, longest: int = 2000, most: int = 200_000) -> None:
        self._longest = longest
        self._room = self._most = most
        self._kept: list[str] = []
        """Directions and texts in turns: most texts are the same for many devices, and are held once."""

    def __call__(self, direction: Direction, text: str) -> None:
        """Keep what was typed or said."""
        if self._room < 0:
            return
        self._room -= len(text)
        self._kept += (direction, text) if self._room >= 0 else ("…", "more was said, and is not kept")

    def brief(self, text: str) -> str:
        """What is kept of a text; to be asked before it is masked, which costs more the longer it is."""
        return text if len(text) <= self._longest else f"… {len(text)} signs in {text.count(chr(10)) + 1} lines …"

    def take(self) -> str:
        """What was kept since the last time, in its order."""
        kept, self._kept, self._room = self._kept, [], self._most
        return "\n".join(f"{direction} {text}" for direction, text in zip(kept[::2], kept[1::2], strict=True))


def brief(transcript: Transcript, text: str) -> str:
    """`text` as far as a transcript keeps it."""
    return transcript.brief(text) if isinstance(transcript, Words) else text


class Mask:
    """Replaces secret values, and whatever `redact` finds, in any text that leaves the session."""

    def __init__(self, secrets: Iterable[Secret | None], redact: Redact = as_it_is) -> None:
        clear = {secret.reveal() for secret in secrets if secret}
        self._values = sorted(clear, key=len, reverse=True)
        self._redact = redact
        self._redacted = ("", "")
        """The text that was redacted last, and what came of it: a line is learnt from and then shown."""
        self._harmless = _HARMLESS.setdefault(redact, {})

    def learn(self, text: str) -> None:
        """Mask from now on, wherever it stands, what the patterns find in `text`.

        A line alone may not tell that it holds a secret, and a device repeats in its answer what it refused.
        """
        if self._placed(text) == text:
            return
        found = {_hidden(line, masked) for line, masked in _pairs(text.splitlines(), self._placed(text).splitlines())}
        fresh = {value for value in found if len(value) >= _LEAST} - set(self._values)
        if fresh:
            self._values = sorted((*self._values, *fresh), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with every secret replaced."""
        for value in self._values:
            text = text.replace(value, MASK)
        return self._placed(text)

    def _placed(self, text: str) -> str:
        """`text` with every secret replaced that its place gives away."""
        harmless = self._harmless.get(text)
        if harmless is not None:
            return harmless
        if text != self._redacted[0]:
            self._redacted = text, self._redact(text)
            if self._redacted[1] == text and len(text) <= _SHORT:
                if len(self._harmless) >= _MOST_HARMLESS:
                    self._harmless.clear()
                self._harmless[text] = text
        return self._redacted[1]
