"""`kajitori conformance dialect NAME FILES…`: is every file read without loss, or refused at a place?

The check does not rely on the parser: it counts the words (lines for `indented`) of the file and of what was rendered
from its tree, and compares.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from controller.cli.conformance_case import CaseResult
from drivers.dialects import Dialect, dialect
from inventory.errors import BadInput, ConfigSyntax

_UNSEEN = re.compile(r"[ \t]+")


def run_dialect(name: str, files: Sequence[Path]) -> Iterator[CaseResult]:
    """A case a file: how many statements it has, or where it is refused. All files are read before the first case.

    Raises BadInput for an unknown dialect and for a file that cannot be read.
    """
    spoken = dialect(name)
    texts = [(path, _read(path)) for path in files]
    return (_case(spoken, path, text) for path, text in texts)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadInput(f"{path}: {reason}", field="files", next_step="Name files that can be read.") from error


def _case(d: Dialect, path: Path, text: str) -> CaseResult:
    try:
        tree = d.parse(text)
    except ConfigSyntax as refusal:
        place = f"line {refusal.line}, column {refusal.column}"
        return CaseResult(_named(path), True, f"refused at {place}: {refusal.reason}")
    rendered = d.render(tree)
    try:
        again = d.parse(rendered)
    except ConfigSyntax as refusal:
        return CaseResult(_named(path), False, f"expected its rendering to parse got {refusal.message}")
    if again != tree:
        return CaseResult(_named(path), False, f"expected {tree.count()} statements again got {again.count()} others")
    given, printed = significant(d.name, text), significant(d.name, rendered)
    if given != printed:
        lost, added = sum((given - printed).values()), sum((printed - given).values())
        first = next(iter((given - printed) or (printed - given)))
        return CaseResult(
            _named(path), False, f"expected every word again got {lost} lost, {added} added, first {d.redact(first)!r}"
        )
    return CaseResult(_named(path), True, f"{tree.count()} statements")


def _named(path: Path) -> str:
    """The file's name as it can be printed: octets that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def significant(name: str, text: str) -> Counter[str]:
    """What must not be lost: lines without their indentation for `indented`, words for the others.

    Not counted: blank lines, lone comment marks, byte order marks, and `next` and `end` of `block`, which close what is
    open and may be left out by hand.
    """
    lines = [line.strip(" \t") for line in re.split(r"[\r\n]+", text.replace("\ufeff", ""))]
    lines = [line for line in lines if line not in {"", "!"}]
    if name == "indented":
        return Counter(lines)
    words = Counter(word for line in lines for word in _UNSEEN.split(line))
    if name == "block":
        del words["next"], words["end"]
    return words
