"""The simulated IOS device's own configuration tree: parse, print, find, compare.

Deliberately not the controller's dialect, so that a mistake there is not made here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from inventory.errors import ConfigSyntax

Path = tuple[str, ...]

BANNER = re.compile(r"banner (?:motd|login|exec|incoming|slip-ppp|prompt-timeout) (?P<rest>\S.*)$", re.DOTALL)
PRINTED_ALWAYS = re.compile(r"exit-address-family$")
"""Lines that IOS prints itself at the end of a section; they are no configuration."""
VOLATILE = re.compile(r"(Building configuration\.\.\.|Current configuration : |Using \d+ out of )")


@dataclass(slots=True)
class IosNode:
    """One line and what stands below it. A banner or certificate is one line with line ends in it."""

    text: str
    children: list[IosNode] = field(default_factory=list)

    def child(self, text: str) -> IosNode | None:
        return next((child for child in self.children if child.text == text), None)

    def copy(self) -> IosNode:
        return IosNode(self.text, [child.copy() for child in self.children])

    def find(self, path: Path) -> IosNode | None:
        node: IosNode | None = self
        for text in path:
            if node is None:
                return None
            node = node.child(text)
        return node


def parse(text: str) -> IosNode:
    """The tree of a configuration text; comments, `end` and the lines above `version` are left out.

    Raises ConfigSyntax at an indented line with nothing above it, or a banner without its end.
    """
    root = IosNode("")
    open_nodes: list[tuple[int, IosNode]] = [(-1, root)]
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        raw = lines[number]
        number += 1
        line = raw.strip()
        if not line or line.startswith("!") or PRINTED_ALWAYS.match(line) or VOLATILE.match(line):
            continue
        if line == "end" and raw[0] != " ":
            break
        line, number = _with_continuation(line, lines, number)
        depth = len(raw) - len(raw.lstrip(" "))
        while open_nodes[-1][0] >= depth:
            open_nodes.pop()
        node = open_nodes[-1][1].child(line)
        if node is None:
            node = IosNode(line)
            open_nodes[-1][1].children.append(node)
        open_nodes.append((depth, node))
    return root


def _with_continuation(line: str, lines: list[str], number: int) -> tuple[str, int]:
    """A banner or certificate with the lines up to its end, and the number of the line after it."""
    banner = BANNER.match(line)
    if banner:
        kind = " ".join(line.split()[:2])
        mark = banner_mark(banner["rest"])
        body = banner["rest"][len(mark) :]
        started = number
        while mark not in body:
            if number >= len(lines):
                raise ConfigSyntax(f"this banner has no closing {mark!r}", line=started, column=1)
            body += "\n" + lines[number]
            number += 1
        return f"{kind} ^C{body[: body.index(mark)]}^C", number
    if re.match(r"certificate (self-signed|ca)?\s*[0-9A-F]+$", line):
        started = number
        while number < len(lines) and lines[number].strip() != "quit":
            line += "\n" + lines[number].strip()
            number += 1
        if number >= len(lines):
            raise ConfigSyntax("this certificate has no `quit`", line=started, column=1)
        return line, number + 1
    return line, number


def banner_mark(rest: str) -> str:
    """What ends a banner that begins so: `^C` as printed, else its first character."""
    return "^C" if rest.startswith("^C") else rest[0]


def render(root: IosNode) -> str:
    """The body of a running configuration, `version` first and `end` last; equal trees, equal texts."""
    lines: list[str] = []
    for node in root.children:
        if node.children or node.text.startswith(("interface ", "router ")):
            if lines and lines[-1] != "!":
                lines.append("!")
            lines += [*_printed(node, 0), "!"]
        else:
            if lines and lines[-1] != "!" and _family(lines[-1]) != _family(node.text):
                lines.append("!")
            lines += _printed(node, 0)
    if lines and lines[-1] != "!":
        lines.append("!")
    return "\n".join([*lines, "end", ""])


def _family(text: str) -> str:
    words = text.removeprefix("no ").split()
    return words[0] if words else ""


def _printed(node: IosNode, depth: int) -> Iterator[str]:
    if node.text.startswith("certificate ") and "\n" in node.text:
        head, *body = node.text.split("\n")
        yield " " * depth + head
        yield from (f"  {line}" for line in body)
        yield "  \tquit"
        return
    yield " " * depth + node.text
    for child in node.children:
        yield from _printed(child, depth + 1)
    if node.text.startswith("address-family") and depth:
        yield " " * depth + "exit-address-family"


def differences(old: IosNode, new: IosNode) -> list[str]:
    """What `show archive config differences` prints: `-` lines only in `old`, `+` lines only in `new`."""
    lines: list[str] = []
    _compare(old, new, 0, lines)
    return lines


def _compare(old: IosNode, new: IosNode, depth: int, lines: list[str]) -> None:
    for node in old.children:
        twin = new.child(node.text)
        if twin is None:
            lines += [f"-{line}" for line in _printed(node, depth)]
            continue
        below: list[str] = []
        _compare(node, twin, depth + 1, below)
        if below:
            lines += [" " * (depth + 1) + node.text, *below]
    lines += [f"+{line}" for node in new.children if old.child(node.text) is None for line in _printed(node, depth)]


def is_whole(text: str) -> bool:
    """Whether `configure replace` accepts a file: `version` first (after comments), `end` last."""
    lines = [line.strip() for line in text.replace("\r", "").split("\n")]
    kept = [line for line in lines if line and not line.startswith("!") and not VOLATILE.match(line)]
    return bool(kept) and kept[0].startswith("version ") and kept[-1] == "end"
