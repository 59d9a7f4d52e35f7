"""From one FortiOS config to another: first create and modify, referenced tables before their users, then delete.

A reference to what is not there, or the deletion of what is still used, is refused by the device (§B.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.dialects.block_model import DOMAINS, GLOBAL, INTERFACES, MAKERS, Table, held_by, volatile
from drivers.dialects.block_order import Step, deleted_in_order, in_order, references, sections
from drivers.dialects.block_words import quoted, value, words
from drivers.dialects.order import longest_ascending
from drivers.dialects.tree import Node, Tree

_RANKS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"system (?:global|settings|accprofile|replacemsg.*)",
        r"system (?:interface|switch-interface|virtual-switch)|wireless-controller.*",
        r"vpn certificate.*|certificate.*",
        r"system zone|user (?:local|radius|ldap|tacacs\+|peer)",
        r"user group|firewall (?:address6?|multicast-address6?|wildcard-fqdn.*|internet-service.*)",
        r"firewall addrgrp6?|firewall service category",
        r"firewall service custom",
        r"firewall service group|firewall schedule (?:onetime|recurring)",
        r"firewall schedule group|firewall shaper.*|firewall (?:vip6?|ippool6?)|.*profile.*|.*sensor",
        r"firewall vipgrp6?|vpn ipsec phase1.*",
        r"vpn ipsec phase2.*",
        r"router (?:access-list6?|prefix-list6?|aspath-list|community-list)",
        r"router route-map",
    )
)
"""Tables from the referenced to the referrers; those not named here are the users of all."""


_FIXED: Final = frozenset({"type", "vdom", "vlanid"})


def changes(base: Tree, intent: Tree) -> Tree:
    """Statements that turn a device that holds `base` into one that holds `intent`."""
    old, new = base.once(held_by), intent.once(held_by)
    divided = not {GLOBAL, DOMAINS}.isdisjoint((*old.tables, *new.tables))
    return Tree(tuple(_domains(old, new) if divided else _scope(old, new)))


def unchangeable(base: Table, nodes: Sequence[Node]) -> str:
    """The first statement that changes type, domain or VLAN of an interface that `base` holds, or nothing."""
    for node in nodes:
        keyword, *rest = words(node.text)
        path = " ".join(quoted(value(word)) for word in rest)
        inside = base.entries.get(value(rest[0]) if rest else "") if keyword == "edit" else base.tables.get(path)
        if inside is None:
            continue
        if path != "system interface":
            found = unchangeable(inside, node.children)
        else:
            found = next((text for edit in node.children for text in _fixed_settings(inside, edit)), "")
        if found:
            return found
    return ""


def _fixed_settings(interfaces: Table, edit: Node) -> Iterator[str]:
    keyword, *key = words(edit.text)
    if keyword == "edit" and value(key[0]) in interfaces.entries:
        for node in edit.children:
            if not _FIXED.isdisjoint(words(node.text)[1:2]):
                yield f"a device refuses to change an interface so: {edit.text}, {node.text}"


@dataclass(frozen=True, slots=True)
class _Parts:
    """Changes of one scope: what creates and modifies, what of that refers to the unit's own work, what deletes."""

    build: list[Node]
    late: list[Node]
    delete: list[Node]

    @classmethod
    def between(
        cls, old: Table, new: Table, was_made: frozenset[str], made: frozenset[str], later: frozenset[str] = frozenset()
    ) -> _Parts:
        """`made` are the interfaces that come and go with their tunnels, `later` those whose tunnel comes elsewhere."""
        paths = sorted(dict.fromkeys((*new.tables, *old.tables)), key=_rank)
        steps: list[Step] = []
        gone: dict[tuple[str, str], tuple[Node, ...]] = {}
        for path in paths:
            before, after = old.tables.get(path, Table(path)), new.tables.get(path, Table(path))
            if path == INTERFACES:
                before = before.without_made(was_made)
                after = after.without_made(made, kept=before.entries)
            steps += _steps(before, after, made if path == INTERFACES else frozenset())
            # An interface that a unit made goes with its tunnel, and cannot be deleted by itself.
            going = (key for key in before.entries if key not in after.entries)
            gone |= {
                (path, key): before.entries[key].nodes() for key in going if path != INTERFACES or key not in was_made
            }
        kept = [path for path in paths if new.tables.get(path, Table(path)).ordered]
        waits = [bool(later) and (step.key in later or not later.isdisjoint(references(step.nodes))) for step in steps]
        early = in_order([step for step, late in zip(steps, waits, strict=True) if not late], kept=kept)
        late = in_order([step for step, late in zip(steps, waits, strict=True) if late], kept=kept)
        return cls([*_settings(old, new), *sections(early)], sections(late), sections(deleted_in_order(gone)))


def _scope(old: Table, new: Table) -> list[Node]:
    """Changes of the tables of one scope: everything that creates or modifies first, then all that deletes."""
    parts = _Parts.between(old, new, old.made(), new.made())
    return [*parts.build, *parts.delete]


def _domains(old: Table, new: Table) -> list[Node]:
    """The same with virtual domains, where what is in a domain refers to interfaces that stand in `config global`:
    those come before it and go after it, but for the interfaces of its tunnels."""
    whole, wholly = old.tables.get(GLOBAL, Table(GLOBAL)), new.tables.get(GLOBAL, Table(GLOBAL))
    before, after = old.tables.get(DOMAINS, Table(DOMAINS)), new.tables.get(DOMAINS, Table(DOMAINS))
    was_made, made = old.made_for_domains(), new.made_for_domains()
    above = _Parts.between(whole, wholly, was_made, made, later=made - was_made)
    inside = {
        key: _Parts.between(was := before.entries.get(key, Table()), entry, was.made(), entry.made())
        for key, entry in after.entries.items()
    }
    entered = [Node(f"edit {quoted(key)}") for key in after.entries if key not in before.entries]
    rest = _Parts.between(_outside(old), _outside(new), old.made(), new.made())
    return [
        *rest.build,
        *_section(f"config {DOMAINS}", [*_of_table(before, after), *entered]),
        *_section(f"config {GLOBAL}", [*above.build, *_edited(dict(_edits(whole, wholly)))]),
        *_section(f"config {DOMAINS}", _edited({key: [*one.build, *one.late] for key, one in inside.items()})),
        *_section(f"config {GLOBAL}", above.late),
        *_section(f"config {DOMAINS}", _edited({key: one.delete for key, one in inside.items()})),
        *_section(f"config {GLOBAL}", [*above.delete, *_deletions(whole, wholly)]),
        *_section(f"config {DOMAINS}", _deletions(before, after)),
        *rest.delete,
    ]


def _outside(table: Table) -> Table:
    """What stands beside `config global` and `config vdom`."""
    apart = table.copy()
    apart.tables = {path: one for path, one in table.tables.items() if path not in {GLOBAL, DOMAINS}}
    return apart


def _edited(inside: dict[str, list[Node]]) -> list[Node]:
    return [Node(f"edit {quoted(key)}", tuple(nodes)) for key, nodes in inside.items() if nodes]


def _steps(old: Table, new: Table, made: frozenset[str]) -> Iterator[Step]:
    """What creates and modifies in one table: the table itself, its entries, and their order."""
    yield from _step(old.path, _of_table(old, new))
    for key, inside in _edits(old, new):
        needs = MAKERS if key in made else ()
        yield Step(new.path, key, tuple(inside), key not in old.entries and key not in made, needs)
    yield from _step(old.path, _moves(old, new))


def _step(path: str, nodes: list[Node]) -> Iterator[Step]:
    if nodes:
        yield Step(path, None, tuple(nodes))


def _rank(path: str) -> int:
    return next((i for i, pattern in enumerate(_RANKS) if pattern.fullmatch(path)), len(_RANKS))


def _section(text: str, children: list[Node]) -> list[Node]:
    return [Node(text, tuple(children))] if children else []


def _settings(old: Table, new: Table) -> list[Node]:
    """What is set anew or differently, then what returns to its default."""
    done = [
        Node(" ".join(("set", quoted(name), *each.raw)))
        for name, each in new.settings.items()
        if not volatile(name, each) and _differs(old, name, new)
    ]
    done += [
        Node(f"unset {quoted(name)}")
        for name, each in old.settings.items()
        if not volatile(name, each) and (name not in new.settings or volatile(name, new.settings[name]))
    ]
    return done


def _modify(old: Table, new: Table) -> list[Node]:
    """Settings, child tables and entries that are new or differ; child entries that go are deleted here."""
    edits = [Node(f"edit {quoted(key)}", tuple(inside)) for key, inside in _edits(old, new)]
    return [*_of_table(old, new), *edits]


def _edits(old: Table, new: Table) -> Iterator[tuple[str, list[Node]]]:
    """Entries that are new or differ, each with what is to be entered in it."""
    for key, entry in new.entries.items():
        inside = _modify(old.entries.get(key, Table()), entry)
        if inside or key not in old.entries:
            yield key, inside


def _of_table(old: Table, new: Table) -> list[Node]:
    done = _settings(old, new)
    for path in dict.fromkeys((*old.tables, *new.tables)):
        before, after = old.tables.get(path, Table(path)), new.tables.get(path, Table(path))
        inner = [*_deletions(before, after), *_modify(before, after), *_moves(before, after)]
        done += _section(f"config {path}", inner)
    return done


def _differs(old: Table, name: str, new: Table) -> bool:
    """Whether the setting is to be sent: also a secret in clear text where the device shows only its encoded form."""
    before, after = old.settings.get(name), new.settings[name]
    if before is None or before.comparable(name) != after.comparable(name):
        return True
    return after.clear_secret(name) and before.values != after.values


def _deletions(old: Table, new: Table) -> list[Node]:
    return [Node(f"delete {quoted(key)}") for key in reversed(old.entries) if key not in new.entries]


def _moves(old: Table, new: Table) -> list[Node]:
    """Moves that bring the entries of an ordered table into their order; new ones were appended at the end."""
    if not new.ordered:
        return []
    order = [
        *(key for key in old.entries if key in new.entries),
        *(key for key in new.entries if key not in old.entries),
    ]
    wanted = list(new.entries)
    if order == wanted:
        return []
    place = {key: at for at, key in enumerate(order)}
    staying = {wanted[at] for at, _ in longest_ascending([(at, place[key]) for at, key in enumerate(wanted)])}
    moves: list[Node] = []
    follower: str | None = None
    for key in reversed(wanted):
        if key not in staying:
            where = f"after {quoted(order[-1])}" if follower is None else f"before {quoted(follower)}"
            moves.append(Node(f"move {quoted(key)} {where}"))
        follower = key
    return moves
