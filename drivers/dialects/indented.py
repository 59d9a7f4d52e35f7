"""Cisco IOS and IOS-XE: sections by indentation, with the few commands whose text spans lines.

Sources: devices-ios-fortios §A.3 (banners, certificates), §A.7 (what is compared).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from drivers.dialects.indented_canonical import canonical
from drivers.dialects.indented_change import apply, remediate
from drivers.dialects.indented_rules import DELIMITED, HASHED, NOT_REVERTIBLE, OPENS_BLOCK, STAYS
from drivers.dialects.indented_secrets import redact
from drivers.dialects.secrets import sendable
from drivers.dialects.tree import MAX_DEPTH, Growing, Node, Tree, config_lines
from inventory.errors import ConfigSyntax

_HEX_LINE: Final = re.compile(r"[0-9A-Fa-f]{2,8}(?:[ \t]+[0-9A-Fa-f]{1,8})*$")
_MACRO: Final = re.compile(r"macro[ ]+name[ ]+\S+", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"(?:macro[ ]+auto[ ]+execute|shell[ ]+function)[ ]+\S+[ ]*\{", re.IGNORECASE)
_MAY_SPAN: Final = re.compile(
    r"banner|menu|aaa[ ]+auth|ip[ ]+(?:admission|auth)|certificate|key-string|macro|shell|-----BEGIN", re.IGNORECASE
)
"""How every statement begins that may span lines; few do, so that most lines need no closer look."""
_BLANKS: Final = " \t"


class Indented:
    """Dialect `indented`. A comment belongs to the section its indentation names and never closes one."""

    name = "indented"
    whole_text = False

    def parse(self, text: str) -> Tree:
        """Sections by depth of indentation. Refuses an open banner, an open certificate, nesting beyond MAX_DEPTH."""
        return _Reader(config_lines(text)).tree()

    def render(self, tree: Tree) -> str:
        """One blank per level, LF line ends, texts over several lines as they stood."""
        lines: list[str] = []
        for node in tree.nodes:
            _write(node, 0, lines)
        return "".join(f"{line}\n" for line in lines)

    def canonical(self, tree: Tree) -> Tree:
        """See `indented_canonical`."""
        return canonical(tree)

    def remediate(self, base: Tree, intent: Tree) -> tuple[str, ...]:
        """See `indented_change`."""
        return sendable(remediate(base, intent))

    def apply(self, tree: Tree, lines: Sequence[str]) -> Tree:
        """See `indented_change`. Lines say by their indentation to which section they belong."""
        return apply(tree, self.parse("\n".join(lines)))

    def caveat(self, base: Tree, lines: Sequence[str]) -> str:
        """Lines that a rollback does not bring back, or that survive it (§A.3.3), and hardware that had to go."""
        for line in lines:
            for pattern, reason in _CAVEATS:
                if pattern.match(line.lstrip(_BLANKS)):
                    return f"{reason}: {redact(line.partition(chr(10))[0]).strip(_BLANKS)!r}"
        return ""

    def redact(self, text: str) -> str:
        """See `indented_secrets`."""
        return redact(text)


_CAVEATS: Final = (
    (NOT_REVERTIBLE, "not revertible"),
    (STAYS, "hardware stays, and what it shows"),
    (HASHED, "the device shows a hash of it, so it would be taken back; write the hash itself"),
)
_NO_STATEMENT: Final = re.compile(r"%|<|--\s*More\s*--|\^$")
"""What devices say between lines of a configuration, or in place of one: `% Invalid input detected at '^' marker.`"""
_TYPED: Final = re.compile(
    r"(?P<prompt>[\w.@/:+-]{1,63}+(?:\([\w.@/:+ -]{1,40}\))?[#>])"
    r"|(?P<command>(?:do|show)[ ]|conf(?:igure)?[ ]+t(?:erminal)?\b|wr(?:ite)?(?:[ ]+mem(?:ory)?)?$|copy[ ]+run)"
    r"|(?P<range>interface[ ]+range[ ])",
    re.IGNORECASE,
)
"""What people paste along with a configuration, and what no device ever prints in one."""
_TYPED_IS: Final = {
    "prompt": "a prompt of a terminal; leave it out, with what was typed behind it",
    "command": "this is typed at a terminal and stands in no configuration",
    "range": "devices print each interface by itself; write a section for each",
}


def _write(node: Node, depth: int, lines: list[str]) -> None:
    lines.append(" " * depth + node.text)
    for child in node.children:
        _write(child, depth + 1, lines)


def _gather(siblings: list[Growing]) -> None:
    """Old releases print what is in an address family at its own depth: it belongs below it all the same."""
    at = next((i for i in reversed(range(len(siblings))) if siblings[i].text.startswith("address-family ")), None)
    if at is not None and not siblings[at].children:
        siblings[at].children, siblings[at + 1 :] = siblings[at + 1 :], []


class _Reader:
    """One pass over the lines with the stack of sections that are open."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._root = Growing("")
        self._open: list[tuple[int, Growing]] = [(-1, self._root)]

    def tree(self) -> Tree:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            start = line.lstrip(_BLANKS)
            if start.rstrip(_BLANKS) in {"", "!"}:
                self._at += 1
                continue
            indent = len(line) - len(start)
            depth = indent if line[:1] != "\t" and "\t" not in line[:indent] else len(line[:indent].expandtabs())
            if len(self._open) > MAX_DEPTH and depth > self._open[-1][0]:
                raise ConfigSyntax(f"nested deeper than {MAX_DEPTH} levels", line=self._at + 1, column=indent + 1)
            at_top = len(self._open) < 2 or self._open[1][0] >= depth
            self._place(depth, self._statement(start, indent, at_top=at_top))
        return Tree(self._root.freeze().children)

    def _place(self, indent: int, text: str) -> None:
        if text.startswith("!"):
            section = next(node for depth, node in reversed(self._open) if depth < indent)
            section.children.append(Growing(text))
            return
        while self._open[-1][0] >= indent:
            self._open.pop()
        if text == "exit-address-family":
            _gather(self._open[-1][1].children)
        node = Growing(text)
        self._open[-1][1].children.append(node)
        self._open.append((indent, node))

    def _statement(self, start: str, indent: int, *, at_top: bool) -> str:
        """The whole statement that begins at the present line; steps over it."""
        text = start.rstrip(_BLANKS)
        if _NO_STATEMENT.match(text):
            reason = "no command begins so; it is an answer of a terminal, or a web page"
            raise ConfigSyntax(reason, line=self._at + 1, column=indent + 1)
        typed = _TYPED.match(text) if at_top else None
        if typed:
            raise ConfigSyntax(_TYPED_IS[typed.lastgroup or ""], line=self._at + 1, column=indent + 1)
        if not _MAY_SPAN.match(start):
            self._at += 1
            return text
        last: int | None = self._at
        opener = DELIMITED.match(start)
        if opener:
            last = self._end_of_delimited(start[opener.end() :])
            reason = "the text that begins here is never closed by its delimiter"
        elif OPENS_BLOCK.fullmatch(text):
            last = self._end_of_hex()
            reason = "the hexadecimal block that follows is not closed by quit"
        elif _MACRO.fullmatch(text):
            last = self._next(lambda line: line.rstrip(_BLANKS) == "@")
            reason = "the macro is not closed by a line with @"
        elif _SCRIPT.fullmatch(text):
            last = self._next(lambda line: line.rstrip(_BLANKS) == "}")
            reason = "the script is not closed by a line with }"
        elif text.startswith("-----BEGIN "):
            last = self._next(lambda line: line.lstrip(_BLANKS).startswith("-----END "))
            reason = "the PEM text that begins here is not closed by its END line"
        else:
            reason = ""
        if last is None:
            column = indent + 1 + (opener.end() if opener else 0)
            raise ConfigSyntax(reason, line=self._at + 1, column=column)
        body = self._lines[self._at + 1 : last + 1]
        self._at = last + 1
        # Blanks at the end of a banner's first line are part of the banner.
        return "\n".join([start if opener else text, *body]).rstrip(_BLANKS)

    def _next(self, closes: Callable[[str], bool]) -> int | None:
        """Index of the next line, after the present one, that closes a text."""
        return next((i for i in range(self._at + 1, len(self._lines)) if closes(self._lines[i])), None)

    def _end_of_delimited(self, rest: str) -> int | None:
        """Index of the line with the closing delimiter: `^C` as devices print it, a real ETX, or any character."""
        for mark in ("^C", rest[0]):
            if rest.startswith(mark):
                if mark in rest[len(mark) :]:
                    return self._at
                for last in range(self._at + 1, len(self._lines)):
                    if mark in self._lines[last]:
                        return last
        return None

    def _end_of_hex(self) -> int | None:
        """Index of the closing `quit`; the opener's own index if no hexadecimal line follows it."""
        digits = False
        for i in range(self._at + 1, len(self._lines)):
            line = self._lines[i].strip(_BLANKS)
            if digits and line in {"quit", "exit"}:
                return i
            if _HEX_LINE.match(line):
                digits = True
            elif line and not line.startswith("!"):
                break
        return None if digits else self._at


INDENTED: Final = Indented()
