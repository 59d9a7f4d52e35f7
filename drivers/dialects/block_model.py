"""Our model of how FortiOS takes statements in: tables of settings, entries and child tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drivers.dialects.block_secrets import SECRET_NAME
from drivers.dialects.block_words import quoted, value, words
from drivers.dialects.order import moved
from drivers.dialects.tree import Node, Tree
from inventory.secrets import MASK

_VOLATILE: Final = re.compile(r"uuid|snmp-index|last-login|login-time")
_SETS: Final = re.compile(
    r"member|exclude-member|(?:src|dst)(?:addr6?|intf)|service|allowaccess|groups|users|internet-service(?:-src)?-name"
)
"""Settings whose values have no order."""

_ORDERED: Final = re.compile(r"firewall (?:.*-)?policy\d*|firewall (?:central-snat-map|acl6?)|router policy6?|rule")
"""Tables whose entries are evaluated in their order; they have `move`. `rule` is the one of router lists and maps."""


INTERFACES: Final = "system interface"
MAKERS: Final = (
    "vpn ipsec phase1-interface",
    "system gre-tunnel",
    "system ipip-tunnel",
    "system sit-tunnel",
)
"""Tables of tunnels: a unit makes an interface of the same name for each entry, and removes it with the entry."""
_MADE: Final = frozenset({"type", "vdom", "interface", "snmp-index"})
"""Settings that it gives such an interface by itself."""
GLOBAL: Final = "global"
DOMAINS: Final = "vdom"
"""With virtual domains these two hold all other tables: interfaces stand in the former, tunnels in the latter."""


@dataclass(slots=True)
class Setting:
    """A value as it was written (`raw`, to be sent) and what it means (`values`)."""

    raw: tuple[str, ...]
    values: tuple[str, ...]

    @classmethod
    def of(cls, raw: Sequence[str]) -> Setting:
        """From words as written."""
        return cls(tuple(raw), tuple([value(word) for word in raw]))

    def clear_secret(self, name: str) -> bool:
        """Whether this is a secret in clear text: nobody can tell whether the device holds it already."""
        return bool(SECRET_NAME.fullmatch(name)) and self.values[:1] != ("ENC",) and not self._encrypted_key()

    def comparable(self, name: str) -> tuple[str, ...]:
        """Values in which two settings are compared: secrets masked (they re-encode each time), sets sorted."""
        if self.values[:1] == ("ENC",) or SECRET_NAME.fullmatch(name) or self._encrypted_key():
            return ("ENC", MASK)
        return tuple(sorted(set(self.values))) if _SETS.fullmatch(name) else self.values

    def _encrypted_key(self) -> bool:
        return any("-----BEGIN ENCRYPTED" in each for each in self.values)


_TUNNEL: Final = Setting(("tunnel",), ("tunnel",))


def volatile(name: str, setting: Setting) -> bool:
    """Whether devices fill in or change this setting by themselves."""
    return (
        bool(_VOLATILE.fullmatch(name)) or setting.values[:1] == () or setting.values[0].startswith("Error (No order")
    )


@dataclass(slots=True)
class Table:
    """What stands below one `config` or `edit`. `path` is the words of the `config`; keys of dicts are meanings."""

    path: str = ""
    settings: dict[str, Setting] = field(default_factory=dict)
    entries: dict[str, Table] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    _shared: bool = field(default=False, compare=False)
    """Whether another table has the same entries and child tables, so that none of them may be changed in place."""
    _form: tuple[Node, ...] | None = field(default=None, compare=False)
    _given: int | None = field(default=None, compare=False)
    """The highest number, where the last entry got the one after it; None when it has to be looked for."""
    _named: int = field(default=0, compare=False)
    """The highest number that the statements being entered name themselves."""

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> Table:
        """The state after `nodes` were entered at the top of an empty device."""
        table = cls()
        table.enter(nodes)
        return table

    def copy(self) -> Table:
        """The same state, to be changed apart; entries and child tables are shared until they are changed."""
        return replace(
            self,
            settings=dict(self.settings),
            entries=dict(self.entries),
            tables=dict(self.tables),
            _shared=True,
            _form=None,
        )

    @property
    def ordered(self) -> bool:
        """Whether the order of the entries has a meaning."""
        return bool(_ORDERED.fullmatch(self.path))

    def enter(self, nodes: Sequence[Node]) -> None:
        """What the device does with statements. `abort` drops what was entered in this section."""
        if nodes and nodes[-1].text == "abort":
            return
        moves: list[list[str]] = []
        self._named = _highest_named(nodes)
        for node in nodes:
            raw = words(node.text)
            if raw[:1] == ["move"]:
                moves.append([value(word) for word in raw[1:]])
            elif raw and not node.text.startswith("#"):
                moves = self._moved(moves)
                self._statement(raw[0], raw[1:], node.children)
        self._moved(moves)

    def _moved(self, moves: list[list[str]]) -> list[list[str]]:
        """Carry out `move` statements that stand together; none are left."""
        if moves:
            order = moved(list(self.entries), moves)
            self.entries = {key: self.entries[key] for key in order}
        return []

    def _statement(self, keyword: str, raw: list[str], children: Sequence[Node]) -> None:
        arguments = [value(word) for word in raw]
        match keyword:
            case "config":
                path = " ".join(quoted(word) for word in arguments)
                tunnels = frozenset(self.tables[path].entries) if path in MAKERS and path in self.tables else None
                inner = self._tunnels_of_domains() if path == DOMAINS else frozenset()
                table = self._own(self.tables, path, path)
                table.enter(children)
                if tunnels:
                    self._drop_interfaces(tunnels - table.entries.keys())
                if inner and GLOBAL in self.tables:
                    gone = inner - self._tunnels_of_domains()
                    self._own(self.tables, GLOBAL, GLOBAL)._drop_interfaces(gone)
            case "edit":
                if children and children[-1].text == "abort":
                    return
                self._own(self.entries, self._free_key(arguments[0]), "").enter(children)
            case "set" | "unset" | "append" | "select" | "unselect":
                self._setting(keyword, arguments[0], Setting.of(raw[1:]))
            case "delete":
                self._given = None
                for key in arguments:
                    self.entries.pop(key, None)
            case "purge":
                self._given = None
                self.entries.clear()
            case "rename" | "clone":
                self._given = None
                if len(arguments) == 3:
                    self._rearrange(keyword, *arguments)
            case _:
                pass  # get and show only look

    def _tunnels(self) -> frozenset[str]:
        return frozenset(key for path in MAKERS if path in self.tables for key in self.tables[path].entries)

    def _tunnels_of_domains(self) -> frozenset[str]:
        domains = self.tables.get(DOMAINS, Table()).entries.values()
        return frozenset(name for domain in domains for name in domain._tunnels())

    def _drop_interfaces(self, names: Collection[str]) -> None:
        """What a unit does with the interfaces of tunnels that are gone."""
        if names and INTERFACES in self.tables:
            interfaces = self._own(self.tables, INTERFACES, INTERFACES).entries
            for name in names:
                interfaces.pop(name, None)

    def _own(self, held: dict[str, Table], key: str, path: str) -> Table:
        """What is held by a key, to be changed; new if nothing is."""
        found = held.get(key)
        if found is None:
            found = held[key] = Table(path)
        elif self._shared:
            found = held[key] = found.copy()
        return found

    def _free_key(self, key: str) -> str:
        """`edit 0` means the next free number; none that the same text gives to another entry further below."""
        if key != "0":
            self._given = None
            return key
        if self._given is None:
            numbers = [int(k) for k in self.entries if _is_number(k)]
            self._given = max(numbers, default=0)
            self._given = max(self._given, self._named)
        self._given += 1
        return str(self._given)

    def _setting(self, keyword: str, name: str, given: Setting) -> None:
        now = self.settings.get(name)
        if keyword == "unset":
            self.settings.pop(name, None)
        elif keyword in {"append", "unselect"} and now is not None:
            kept = list(zip(now.raw, now.values, strict=True))
            kept = [pair for pair in kept if pair[1] not in given.values]
            if keyword == "append":
                kept += zip(given.raw, given.values, strict=True)
            self.settings[name] = Setting(tuple(r for r, _ in kept), tuple(v for _, v in kept))
        elif keyword != "unselect":
            self.settings[name] = given

    def _rearrange(self, keyword: str, key: str, _to: str, other: str) -> None:
        if key not in self.entries or key == other:
            return
        if keyword == "clone" and other not in self.entries:
            self.entries[other] = Table()
            self.entries[other].enter(self.entries[key].nodes())
        elif keyword == "rename" and other not in self.entries:
            self.entries = {other if k == key else k: v for k, v in self.entries.items()}

    def made(self) -> frozenset[str]:
        """Interfaces of this scope that the unit makes by itself, because there are tunnels of these names."""
        return self._made(self._tunnels())

    def made_for_domains(self) -> frozenset[str]:
        """The same of `config global`, where the interfaces of all virtual domains stand."""
        whole = self.tables.get(GLOBAL, Table())
        return whole._made(whole._tunnels() | self._tunnels_of_domains())

    def _made(self, tunnels: Collection[str]) -> frozenset[str]:
        held = self.tables.get(INTERFACES, Table()).entries
        return frozenset(
            name
            for name in tunnels
            if name not in held or held[name].settings.get("type", _TUNNEL).values == _TUNNEL.values
        )

    def without_made(self, made: frozenset[str], kept: Collection[str] = ()) -> Table:
        """This table of interfaces without what a unit sets by itself where it makes them.

        An interface of which nothing else is told is left out, but for those `kept`: these are there, empty or not.
        """
        shown = self.copy()
        shown.entries |= {key: Table() for key in kept if key in made and key not in self.entries}
        for key in made & self.entries.keys():
            entry = shown.entries[key] = self.entries[key].copy()
            for name in _MADE & entry.settings.keys():
                del entry.settings[name]
            if key not in kept and not entry.canonical():
                del shown.entries[key]
        return shown

    def nodes(self) -> tuple[Node, ...]:
        """The state as statements, spelled as they came."""
        return (
            *(Node(" ".join(("set", quoted(name), *each.raw))) for name, each in self.settings.items()),
            *(Node(f"config {path}", table.nodes()) for path, table in self.tables.items()),
            *(Node(f"edit {quoted(key)}", entry.nodes()) for key, entry in self.entries.items()),
        )

    def canonical(self) -> tuple[Node, ...]:
        """The state in the form of comparison: sorted but for ordered tables, spelled one way, no empty tables.

        Made once, after the last statement was entered.
        """
        if self._form is None:
            self._form = self._canonical()
        return self._form

    def _canonical(self) -> tuple[Node, ...]:
        settings = sorted(
            " ".join(("set", quoted(name), *(quoted(v) for v in each.comparable(name))))
            for name, each in self.settings.items()
            if not volatile(name, each)
        )
        shown = dict(self.tables)
        if INTERFACES in shown and (made := self.made()):
            shown[INTERFACES] = shown[INTERFACES].without_made(made)
        if DOMAINS in shown and GLOBAL in shown and (made := self.made_for_domains()):
            whole = shown[GLOBAL] = shown[GLOBAL].copy()
            if INTERFACES in whole.tables:
                whole.tables[INTERFACES] = whole.tables[INTERFACES].without_made(made)
        tables = [Node(f"config {path}", table.canonical()) for path, table in sorted(shown.items())]
        keys = list(self.entries) if self.ordered else sorted(self.entries)
        return (
            *(Node(text) for text in settings),
            *(node for node in tables if node.children),
            *(Node(f"edit {quoted(key)}", self.entries[key].canonical()) for key in keys),
        )


def held_by(tree: Tree) -> Table:
    """The state after a configuration was entered into an empty device; for `Tree.once`."""
    return Table.of(tree.nodes)


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 20


def _highest_named(nodes: Sequence[Node]) -> int:
    """The highest number that an entry is given, if any entry takes the next free one; else 0."""
    if not any(node.text == "edit 0" for node in nodes):
        return 0
    keys = (value(node.text[5:].strip()) for node in nodes if node.text.startswith("edit "))
    return max((int(key) for key in keys if _is_number(key)), default=0)
