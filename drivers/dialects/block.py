"""FortiOS: `config … end`, `edit … next`, and statements in them (devices-ios-fortios §B.4, §B.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drivers.dialects.block_change import changes, unchangeable
from drivers.dialects.block_model import held_by
from drivers.dialects.block_secrets import redact
from drivers.dialects.block_words import ON_ONE_LINE, WORD, words
from drivers.dialects.secrets import sendable
from drivers.dialects.tree import MAX_DEPTH, Growing, Node, Tree, config_lines
from inventory.errors import ConfigSyntax

_LEAVES: Final = frozenset(
    {
        "set",
        "unset",
        "append",
        "select",
        "unselect",
        "delete",
        "purge",
        "rename",
        "clone",
        "move",
        "abort",
        "get",
        "show",
    }
)
_BARE: Final = frozenset({"next", "end", "abort", "purge", "get", "show"})
_BETWEEN: Final = {"move": ("before", "after"), "rename": ("to",), "clone": ("to",)}
"""What stands between the two keys that a statement names."""
_AT_TOP: Final = frozenset({"config", "get", "show"})


class Block:
    """Dialect `block`. `config X` and `edit K` are sections; `next` and `end` are not statements but their closing."""

    name = "block"
    whole_text = False

    def parse(self, text: str) -> Tree:
        """Refuses unbalanced sections, open quotes, unknown keywords. `end` closes an `edit` without `next` too."""
        return _Reader("\n".join(config_lines(text))).tree()

    def render(self, tree: Tree) -> str:
        """Four blanks per level, as devices print; values keep their spelling."""
        return "".join(f"{line}\n" for line in _statements(tree))

    def canonical(self, tree: Tree) -> Tree:
        """What a device would print after it took `tree` in, without what changes by itself; see `block_model`."""
        return tree.once(_canonical)

    def remediate(self, base: Tree, intent: Tree) -> tuple[str, ...]:
        """See `block_change`."""
        return sendable(_statements(changes(base, intent)))

    def apply(self, tree: Tree, lines: Sequence[str]) -> Tree:
        """The tables after `lines` were entered at the top."""
        state = tree.once(held_by).copy()
        state.enter(self.parse("\n".join(lines)).nodes)
        return Tree(state.nodes()).knowing(held_by, state)

    def caveat(self, base: Tree, lines: Sequence[str]) -> str:
        """Settings that cannot be changed once an interface is there (§B.5)."""
        return unchangeable(base.once(held_by), self.parse("\n".join(lines)).nodes)

    def redact(self, text: str) -> str:
        """See `block_secrets`."""
        return redact(text)


def _canonical(tree: Tree) -> Tree:
    return Tree(tree.once(held_by).canonical())


def _statements(tree: Tree) -> list[str]:
    lines: list[str] = []
    for node in tree.nodes:
        _write(node, 0, lines)
    return lines


def _write(node: Node, depth: int, lines: list[str]) -> None:
    """Lines of one statement; what ended in `abort` needs no closing."""
    lines.append("    " * depth + node.text)
    for child in node.children:
        _write(child, depth + 1, lines)
    keyword = node.text.partition(" ")[0]
    if keyword in {"config", "edit"} and not _aborted(node):
        lines.append("    " * depth + ("end" if keyword == "config" else "next"))


def _aborted(node: Node) -> bool:
    """Whether the last thing in a section is `abort`, which leaves the table and the `edit` in it."""
    if not node.children:
        return False
    last = node.children[-1]
    return last.text == "abort" or (last.text.startswith("edit ") and _aborted(last))


class _Reader:
    """One pass over the text with the stack of open sections and where they were opened."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root = Growing("")
        self._open: list[tuple[str, Growing, int]] = [("", self._root, 0)]

    def tree(self) -> Tree:
        at = 0
        while at < len(self._text):
            if self._text[at] in " \t\n":
                at += 1
            elif self._text[at] == "#":
                end = self._text.find("\n", at)
                end = len(self._text) if end < 0 else end
                self._add(self._text[at:end].rstrip(" \t"))
                at = end
            else:
                end = self._end_of_statement(at)
                self._statement(words(self._text[at:end]), at)
                at = end
        keyword, _, opened = self._open[-1]
        if keyword:
            raise self._error(f"{keyword} is never closed", opened)
        return Tree(self._root.freeze().children)

    def _end_of_statement(self, start: int) -> int:
        simple = ON_ONE_LINE.match(self._text, start)
        if simple:
            return simple.end()
        at = start
        while at < len(self._text) and self._text[at] != "\n":
            if self._text[at] in " \t":
                at += 1
                continue
            word = WORD.match(self._text, at)
            end = word.end() if word else at
            if self._text.startswith(('"', "'"), end):
                raise self._error("the quote is never closed", end)
            if self._text.startswith("\\", end):
                raise self._error("nothing follows the backslash", end)
            at = end
        return at

    def _statement(self, found: list[str], at: int) -> None:
        keyword = found[0]
        if keyword not in _LEAVES and keyword not in {"config", "edit", "next", "end"}:
            # The word is not repeated: it may be the second line of a secret whose quote is missing.
            raise self._error("no statement begins with this word", at)
        inside = self._open[-1][0]
        if not inside and keyword not in _AT_TOP:
            raise self._error(f"{keyword} outside of any config", at)
        if keyword not in _BARE and len(found) < 2:
            raise self._error(f"{keyword} without a name", at)
        if keyword in {"next", "end", "abort", "purge"} and len(found) > 1:
            raise self._error(f"{keyword} stands alone", at)
        if keyword in _BETWEEN and (len(found) != 4 or found[2] not in _BETWEEN[keyword]):
            raise self._error(f"{keyword} takes a key, `{'` or `'.join(_BETWEEN[keyword])}`, and another key", at)
        match keyword:
            case "config":
                self._enter(keyword, found, at)
            case "edit":
                if inside == "edit":
                    raise self._error("edit inside an edit: next is missing", at)
                if len(found) != 2:
                    raise self._error("edit takes one key; quote a key with blanks", at)
                self._enter(keyword, found, at)
            case "next":
                if inside != "edit":
                    raise self._error("next without edit", at)
                self._open.pop()
            case "end":
                self._leave_table()
            case "abort":
                self._add("abort")
                self._leave_table()
            case _:
                self._add(" ".join(found))

    def _add(self, text: str) -> Growing:
        node = Growing(text)
        self._open[-1][1].children.append(node)
        return node

    def _enter(self, keyword: str, found: list[str], at: int) -> None:
        if len(self._open) > MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels", at)
        self._open.append((keyword, self._add(" ".join(found)), at))

    def _leave_table(self) -> None:
        if self._open[-1][0] == "edit":
            self._open.pop()
        self._open.pop()

    def _error(self, reason: str, at: int) -> ConfigSyntax:
        start = self._text.rfind("\n", 0, at) + 1
        return ConfigSyntax(reason, line=self._text.count("\n", 0, at) + 1, column=at - start + 1)


BLOCK: Final = Block()
