"""Letters that an adapter does not tell: in text mode each byte beyond ASCII reads `?` (arms-protocol §6.0).

The adapter holds the right bytes; only its report is poorer. What the line can only have been is put back from texts
that are known to have been sent there; what could be two lines stays as it was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from inventory.plans import ConfigText


def restored(reading: ConfigText, known: Sequence[ConfigText]) -> ConfigText:
    """The reading, each line with `?` as the one known line that reads so; unchanged where there is none, or two."""
    return ConfigText(
        tuple((module, _module(text, [each.text(module) for each in known])) for module, text in reading.modules)
    )


def _module(reading: str, known: Sequence[str]) -> str:
    if "?" not in reading or all(text.isascii() for text in known):
        return reading
    told: defaultdict[str, set[str]] = defaultdict(set)
    for text in known:
        for line in text.splitlines():
            told[_as_told(line)].add(line.strip())
    return "".join(_line(line, told) for line in reading.splitlines(keepends=True))


def _line(line: str, told: dict[str, set[str]]) -> str:
    candidates = told.get(_as_told(line), set()) if "?" in line else set()
    if len(candidates) != 1:
        return line
    (known,) = candidates
    body = line.strip()
    return line.replace(body, known, 1)


def _as_told(line: str) -> str:
    """A line as text mode tells it, without the quotes and blanks that an adapter writes its own way."""
    octets = line.strip().encode("utf-8", "surrogateescape")
    return bytes(octet if octet < 0x80 else 0x3F for octet in octets).decode("ascii").replace('"', "")
