"""From one FortiOS config to another: first create and modify, referenced tables before their users, then delete.

A reference to what is not there, or the deletion of what is still used, is refused by the device (§B.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from drivers.dialects.block_model import INTERFACES, MAKERS, Table, held_by, volatile
from drivers.dialects.block_order import Step, deleted_in_order, in_order, sections
from drivers.dialects.block_words import quoted, value, words
from drivers.dialects.order import longest_ascending
from drivers.dialects.tree import Node, Tree

_SCOPES: Final = frozenset({"vdom", "global"})
"""Tables that hold the tables of a virtual domain: the order of tables counts in each of them."""

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
    return Tree(tuple(_scope(base.once(held_by), intent.once(held_by))))


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


def _scope(old: Table, new: Table) -> list[Node]:
    """Changes of the tables of one scope: everything that creates or modifies first, then all that deletes."""
    paths = sorted(dict.fromkeys((*new.tables, *old.tables)), key=_rank)
    was_made, made = old.made(), new.made()
    scopes: list[Node] = []
    steps: list[Step] = []
    gone: dict[tuple[str, str], tuple[Node, ...]] = {}
    for path in paths:
        before, after = old.tables.get(path, Table(path)), new.tables.get(path, Table(path))
        if path in _SCOPES:
            scopes += _nested_scope(before, after)
            continue
        if path == INTERFACES:
            before = before.without_made(was_made)
            after = after.without_made(made, kept=before.entries)
        steps += _steps(before, after, made if path == INTERFACES else frozenset())
        # An interface that a unit made goes with its tunnel, and cannot be deleted by itself.
        going = (key for key in before.entries if key not in after.entries)
        gone |= {(path, key): before.entries[key].nodes() for key in going if path != INTERFACES or key not in was_made}
    kept = [path for path in paths if new.tables.get(path, Table(path)).ordered]
    build = sections(in_order(steps, kept=kept))
    return [*_settings(old, new), *build, *scopes, *sections(deleted_in_order(gone))]


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


def _nested_scope(old: Table, new: Table) -> list[Node]:
    """`config vdom`: each domain is a scope of its own. `config global` holds its tables directly."""
    inner = _scope(old, new)
    for key in new.entries:
        children = _scope(old.entries.get(key, Table()), new.entries[key])
        if children or key not in old.entries:
            inner.append(Node(f"edit {quoted(key)}", tuple(children)))
    return _section(f"config {new.path}", [*inner, *_deletions(old, new)])


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
