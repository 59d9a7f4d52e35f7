"""Puts secrets back into a text that was shown with masks and has been edited since.

Texts leave us masked, so what an operator edits is masked. A masked line gets the secret of the line that looked the
same, in the same section, in the text the device was last read with; where there is no such line, or more than one, it
is refused by its number and nothing is guessed.
"""

from __future__ import annotations

from drivers.dialects import Dialect
from inventory.errors import ConfigSyntax
from inventory.secrets import MASK

Place = tuple[str, ...]
"""Sections that a line stands in, outermost first, and the line itself; all masked."""


def unmask(dialect: Dialect, edited: str, known: str) -> str:
    """`edited` with each masked line replaced by its original in `known`; unchanged if nothing is masked.

    Raises ConfigSyntax with the line whose secret is not known.
    """
    if MASK not in edited:
        return edited
    originals = _originals(dialect, known)
    lines = edited.splitlines(keepends=True)
    for number, (place, line) in enumerate(_places(edited), 1):
        if MASK in line:
            found = originals.get(place, set())
            if len(found) != 1:
                raise ConfigSyntax(
                    "this secret is masked, and the device's own text does not tell which one is meant",
                    line=number,
                    column=line.index(MASK) + 1,
                    next_step="Write the secret itself in place of the mask.",
                )
            end = lines[number - 1][len(lines[number - 1].rstrip("\r\n")) :]
            lines[number - 1] = next(iter(found)) + end
    return "".join(lines)


def _originals(dialect: Dialect, known: str) -> dict[Place, set[str]]:
    """Originals of the lines that hold a secret, by the place of their masked form."""
    masked = dialect.redact(known)
    if masked.count("\n") != known.count("\n"):  # a secret over several lines is shown as one: none of them can be told
        return {}
    found: dict[Place, set[str]] = {}
    for (place, line), original in zip(_places(masked), known.splitlines(), strict=True):
        if MASK in line:
            found.setdefault(place, set()).add(original)
    return found


def _places(text: str) -> list[tuple[Place, str]]:
    """Each line with its place; sections are told by indentation, as every printed configuration has it."""
    above: list[tuple[int, str]] = []
    found = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        if line.strip():
            while above and above[-1][0] >= depth:
                above.pop()
        found.append(((*(section for _, section in above), line.strip()), line))
        if line.strip():
            above.append((depth, line.strip()))
    return found
