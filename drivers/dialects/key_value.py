"""Recipe (SEIL/X4, CA10, x86 Ayame, SA-W2): `key: value` lines without order (devices-seil §4.2, §4.5).

The unit of change is the whole text. A key can be a value and a prefix of others, so the tree is flat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from drivers.dialects.secrets import mask_common, sendable
from drivers.dialects.tree import Node, Tree, config_lines
from inventory.errors import ConfigSyntax
from inventory.secrets import MASK

_VARIABLE: Final = r"\$\{[^}\r\n]*\}"
_KEY: Final = re.compile(rf"(?:[a-z0-9-]|{_VARIABLE})+(?:\.(?:[a-z0-9-]|{_VARIABLE})+)*")
_ESCAPED: Final = re.compile(r'\\(["\\])')
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_PLAIN: Final = re.compile(r'[^ \t"\\]+')
_BARE_CR: Final = re.compile(r"\r(?!\r*\n|\Z)")
_SECRET_KEY: Final = re.compile(
    r"((?<![\w-])(?:[a-z0-9-]*-)?(?:password|passphrase|secret|key|psk|pin|token|hostkey|community|url)"
    r"\"?[ \t]*:[ \t]*)[^ \t\r\n][^\r\n]*"
)


class KeyValue:
    """Dialect `key-value`. Lines that begin with `#` are comments, kept but never sent."""

    name = "key-value"
    whole_text = True

    def parse(self, text: str) -> Tree:
        """Refuses a line that is not `key: value`, an open quote, a key with two values, and CR as a line end."""
        bare = _BARE_CR.search(text)
        if bare:
            before = text[: bare.start()]
            column = bare.start() - before.rfind("\n")
            reason = "a CR that is not followed by LF ends no line here"
            raise ConfigSyntax(reason, line=before.count("\n") + 1, column=column)
        nodes: list[Node] = []
        seen: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(config_lines(text), start=1):
            start = line.strip(" \t")
            if not start:
                continue
            if start.startswith("#"):
                nodes.append(Node(start))
                continue
            key, value = _split(line, number)
            known = seen.setdefault(key, (number, value))
            if _meaning(known[1]) != _meaning(value):
                reason = f"{key} has another value on line {known[0]} already"
                raise ConfigSyntax(reason, line=number, column=line.index(start) + 1)
            nodes.append(Node(f"{key}: {value}".rstrip(" ")))
        return Tree(tuple(nodes))

    def render(self, tree: Tree) -> str:
        """One pair per line, one blank after the colon; values keep their spelling."""
        return "".join(f"{node.text}\n" for node in tree.nodes)

    def canonical(self, tree: Tree) -> Tree:
        """Sorted by key, list indices as numbers, without comments; quotes only where needed."""
        return tree.once(_canonical)

    def remediate(self, base: Tree, intent: Tree) -> tuple[str, ...]:
        """The lines of the whole intent, without comments, whatever `base` is."""
        return sendable([node.text for node in intent.nodes if not node.text.startswith("#")])

    def apply(self, tree: Tree, lines: Sequence[str]) -> Tree:
        """A whole text takes the place of all that was held."""
        return self.parse("\n".join(lines))

    def caveat(self, base: Tree, lines: Sequence[str]) -> str:
        """An empty text would leave the device without any configuration."""
        return "" if lines else "the whole text is empty"

    def redact(self, text: str) -> str:
        """Mask values of the keys of devices-seil §5."""
        return mask_common(_SECRET_KEY.sub(rf"\g<1>{MASK}", text))


def _canonical(tree: Tree) -> Tree:
    pairs = {}
    for node in tree.nodes:
        if not node.text.startswith("#"):
            key, value = _pair(node.text)
            pairs[key] = _quoted(_meaning(value))
    return Tree(tuple(Node(f"{key}: {pairs[key]}") for key in sorted(pairs, key=_order)))


def _split(line: str, number: int) -> tuple[str, str]:
    """Key and value as written. Raises ConfigSyntax with the column of the fault."""
    begin = len(line) - len(line.lstrip(" \t"))
    key = _KEY.match(line, begin)
    at = key.end() if key else begin
    if key is None or not line.startswith(":", at):
        what = "a colon" if key else "a key of lower-case words, digits and hyphens, joined by dots"
        raise ConfigSyntax(f"expected {what} here", line=number, column=at + 1)
    rest = line[at + 1 :]
    value = rest.strip(" \t")
    if value and rest[0] not in " \t":
        raise ConfigSyntax("a blank belongs after the colon", line=number, column=at + 2)
    column = at + 2 + len(rest) - len(rest.lstrip(" \t"))
    if value.startswith('"'):
        quoted = _QUOTED.match(value)
        if quoted is None:
            raise ConfigSyntax("the quote is never closed on its line", line=number, column=column)
        if quoted.end() < len(value):
            raise ConfigSyntax("nothing may follow the closing quote", line=number, column=column + quoted.end())
    return key[0], value


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition(":")
    return key, value.lstrip(" \t")


def _meaning(value: str) -> str:
    r"""A value without its quotes; only `\"` and `\\` are escapes here, `\n` of a PEM text stays as it is."""
    if not value.startswith('"'):
        return value
    return _ESCAPED.sub(r"\1", value[1:-1]) if "\\" in value else value[1:-1]


def _quoted(meaning: str) -> str:
    if _PLAIN.fullmatch(meaning):
        return meaning
    escaped = meaning.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _order(key: str) -> tuple[tuple[int, int, str], ...]:
    """Natural order: `100` before `1000`, numbers before words."""
    return tuple(
        [
            (0, int(word), word) if "0" <= word[:1] <= "9" and word.isdecimal() and len(word) < 20 else (1, 0, word)
            for word in key.split(".")
        ]
    )


KEY_VALUE: Final = KeyValue()
