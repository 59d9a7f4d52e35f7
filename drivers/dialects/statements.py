"""SEIL legacy (X1, X2, B1, BPV4, x86 Fuji): one statement per line, words split by blanks (devices-seil §3.3, §3.4).

The unit of change is the whole text; only the printed form is canonical, so we compare in a normal form of our own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from drivers.dialects.secrets import mask_common, sendable
from drivers.dialects.tree import Node, Tree, config_lines
from inventory.errors import ConfigSyntax
from inventory.secrets import MASK

_PIECE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^ \t"]+)')
_WORD: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^ \t"])+')
_CLOSED: Final = re.compile(r'(?:[^"]++|"(?:[^"\\]|\\.)*+")*+')
"""A line in which every quote is closed."""
_NEEDS_NO_QUOTES: Final = re.compile(r'[^ \t"\\!#]+')
_SPECIAL: Final = re.compile(r'["\\!#]')


class Statements:
    """Dialect `statements`. A flat list; lines that begin with `!` or `#` are comments, kept but never sent."""

    name = "statements"
    whole_text = True

    def parse(self, text: str) -> Tree:
        """Refuses an open quote."""
        nodes: list[Node] = []
        for number, line in enumerate(config_lines(text), start=1):
            start = line.strip(" \t")
            if start.startswith(("!", "#")):
                nodes.append(Node(start))
            elif start:
                if _NO_STATEMENT.match(start):
                    column = len(line) - len(line.lstrip(" \t")) + 1
                    raise ConfigSyntax("no statement begins so", line=number, column=column)
                nodes.append(Node(" ".join(_words_of_line(line, number))))
        return Tree(tuple(node for node in nodes if node.text != "!"))

    def render(self, tree: Tree) -> str:
        """One statement per line, one blank between words; words keep their spelling."""
        return "".join(f"{node.text}\n" for node in tree.nodes)

    def canonical(self, tree: Tree) -> Tree:
        """No comments, quotes only where needed, parameters in one order without defaults, host keys by their kind.

        Statements are sorted by what they configure; where the order has a meaning (filters, routes, NAT, CBQ, lists of
        servers) they keep it among themselves.
        """
        return tree.once(_canonical)

    def remediate(self, base: Tree, intent: Tree) -> tuple[str, ...]:
        """The lines of the whole intent, without comments, whatever `base` is."""
        return sendable([node.text for node in intent.nodes if not _comment(node.text)])

    def apply(self, tree: Tree, lines: Sequence[str]) -> Tree:
        """A whole text takes the place of all that was held."""
        return self.parse("\n".join(lines))

    def caveat(self, base: Tree, lines: Sequence[str]) -> str:
        """An empty text would leave the device without any configuration."""
        return "" if lines else "the whole text is empty"

    def redact(self, text: str) -> str:
        """Mask the secrets of devices-seil §5; a quoted word that is cut is masked to the end of its line."""
        return mask_common("\n".join([_masked(line) for line in text.split("\n")]))


_NO_STATEMENT: Final = re.compile(r"[%<{}\[]|--\s*More|\.$|(?:show|save-to)\b")
"""Answers of a terminal or of a web server (`% error`, `--More--`, `<html>`), and what is typed around a configuration:
a lone dot ends a text that is loaded, and all behind it would be taken for commands."""


def normal(tree: Tree) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Statements without comments, in their order: in one spelling, and the words that they mean; for `Tree.once`."""
    return tuple(_normal(node.text) for node in tree.nodes if not _comment(node.text))


def _canonical(tree: Tree) -> Tree:
    statements = dict.fromkeys(text for text, _ in tree.once(normal))
    return Tree(tuple(Node(text) for text in sorted(statements, key=_group)))


def _comment(text: str) -> bool:
    return text.startswith(("!", "#"))


def _words_of_line(line: str, number: int) -> list[str]:
    if '"' not in line:
        return [word for word in line.replace("\t", " ").split(" ") if word]
    if _CLOSED.fullmatch(line):
        return _WORD.findall(line)
    found: list[str] = []
    at = 0
    while at < len(line):
        if line[at] in " \t":
            at += 1
            continue
        word = _WORD.match(line, at)
        at_quote = word.end() if word else at
        if line.startswith('"', at_quote):
            raise ConfigSyntax("the quote is never closed on its line", line=number, column=at_quote + 1)
        found.append(line[at:at_quote])
        at = at_quote
    return found


def _value(word: str) -> str:
    if '"' not in word:
        return word
    return "".join(
        plain if double is None else re.sub(r"\\(.)", r"\1", double)
        for double, plain in ((piece[1], piece[2]) for piece in _PIECE.finditer(word))
    )


def _quoted(value: str) -> str:
    if _NEEDS_NO_QUOTES.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_FILTER_PARAMETERS: Final = (
    "interface", "direction", "action", "protocol", "icmp-type", "src", "srcport", "dst", "dstport",
    "ipopts", "exthdr", "state", "state-ttl", "keepalive", "logging", "label",
)  # fmt: skip
_FILTER_DEFAULTS: Final = {"state": ["disable"], "logging": ["off"]}
_PARAMETERS_AFTER: Final = {
    "filter": (["filter", "add"],),
    "filter6": (["filter6", "add"],),
    "ppp": (["ppp", "add"],),
    "ike": (["ike", "proposal", "add"],),
    "ipsec": (["ipsec", "security-association", "proposal", "add"],),
}
"""Statements whose parameters, after a name, may come in any order."""


def _normal(text: str) -> tuple[str, tuple[str, ...]]:
    """One spelling for statements that mean the same, and its words without quotes."""
    words = [_value(word) for word in _WORD.findall(text)] if '"' in text else text.split(" ")
    heads = _PARAMETERS_AFTER.get(words[0], ())
    head = next((head for head in heads if words[: len(head)] == head), [])
    rest = words[len(head) + 1 :]
    if head and words[0].startswith("filter"):
        words = _normal_filter(words)
    elif head and len(rest) % 2 == 0:
        pairs = sorted(zip(rest[::2], rest[1::2], strict=True))
        words = [*words[: len(head) + 1], *(word for pair in pairs for word in pair)]
    if words[:2] == ["sshd", "hostkey"] and len(words) > 3 and words[3] != "none":
        words = [*words[:3], "auto"]  # devices print the key that `auto` made
    return " ".join([_quoted(word) for word in words] if _SPECIAL.search(text) else words), tuple(words)


def _normal_filter(words: list[str]) -> list[str]:
    """Parameters in the printed order, without those that are the default; unknown forms stay as they are."""
    rest = words[3:]
    if words[2:3] in (["enable"], ["disable"]):
        return words  # no name: nothing says whether the word is one
    switch = rest.pop() if rest and rest[-1] in {"enable", "disable"} and rest[-2:-1] != ["state"] else "enable"
    found: dict[str, list[str]] = {}
    at = 0
    while at < len(rest):
        name = rest[at]
        taken = 2 if name == "action" and rest[at + 1 : at + 2] == ["forward"] and at + 2 < len(rest) else 1
        if name not in _FILTER_PARAMETERS or at + 1 == len(rest) or name in found:
            return words
        found[name] = rest[at + 1 : at + 1 + taken]
        at += 1 + taken
    kept = [(name, found[name]) for name in _FILTER_PARAMETERS if name in found]
    shown = [word for name, values in kept if values != _FILTER_DEFAULTS.get(name) for word in (name, *values)]
    return [*words[:3], *shown, switch]


_ORDER_COUNTS: Final = re.compile(
    r"filter6? add|route6? add|route dynamic route-filter|nat \S+ add|cbq (?:class|filter)|(?:mac)?filter|bridge filter"
    r"|dns forwarder add|resolver address|ntp server|dhcp interface \S+ (?:dns|ntp|server)|snmp trap add"
    r"|syslog (?:add|remote-server)"
)


def _group(text: str) -> str:
    """Sorting key: the same for statements whose order among each other has a meaning."""
    found = _ORDER_COUNTS.match(text)
    return found[0] if found else text


_QUOTED_OR_WORD: Final = r'(?:"(?:[^"\\\r\n]|\\.)*"?|[^ \t\r\n"]+)+'


def _secret(head: str) -> re.Pattern[str]:
    return re.compile(rf"((?<![\w-])(?:{head}):?[ \t]+){_QUOTED_OR_WORD}")


_SECRETS: Final = (
    _secret(r"encrypted-password(?:-\w+)*[ \t]+\S+"),
    _secret(rf"preshared-key[ \t]+add[ \t]+{_QUOTED_OR_WORD}"),
    _secret(r"(?<!authentication )(?:ipsec-)?preshared-key(?![ \t]+add\b)"),
    re.compile(r"((?<![\w-])hostkey[ \t]+\S+[ \t]+)(?!(?:none|auto)\b)[^\r\n]+"),
    _secret(r"community|(?:\w+-)*passphrase|(?:\w+-)*password(?!-\w)(?![ \t]+(?:on|off)\b)|(?:\w+-)*secret"),
    _secret(r"floatlink-key|authentication[ \t]+md5|private-key|auth-key[ \t]+\S+[ \t]+\S+[ \t]+password"),
    _secret(r"pin(?![ \t]+none\b)"),
)

_SECRET_WORDS: Final = ("word", "key", "community", "passphrase", "secret", "md5", "pin")
"""Most lines hold none of these, and so nothing that the rules look for."""


def _masked(line: str) -> str:
    if any(word in line for word in _SECRET_WORDS):
        for rule in _SECRETS:
            line = rule.sub(rf"\g<1>{MASK}", line)
    return line


STATEMENTS: Final = Statements()
