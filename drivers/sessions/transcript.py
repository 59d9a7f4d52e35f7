"""What may be written down of a dialogue: secrets are masked by value and by the family's patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from inventory.secrets import MASK, Secret

Direction = Literal[">", "<"]
Transcript = Callable[[Direction, str], None]
Redact = Callable[[str], str]


def nowhere(_direction: Direction, _text: str) -> None:
    """A transcript that is not kept."""


def as_it_is(text: str) -> str:
    """Redaction of a family without secret patterns."""
    return text


class Mask:
    """Replaces secret values, and whatever `redact` finds, in any text that leaves the session."""

    def __init__(self, secrets: Iterable[Secret | None], redact: Redact = as_it_is) -> None:
        clear = {secret.reveal() for secret in secrets if secret}
        self._values = sorted(clear, key=len, reverse=True)
        self._redact = redact

    def __call__(self, text: str) -> str:
        """`text` with every secret replaced."""
        for value in self._values:
            text = text.replace(value, MASK)
        return self._redact(text)
