"""From one IOS config to another by commands: removals, changes, additions, in an order that devices accept."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_letters, digits
from typing import Final

from drivers.dialects.indented_lists import adds_vlans, in_pieces
from drivers.dialects.indented_model import Entry, Section, held_by
from drivers.dialects.indented_rules import (
    ADDED_FIRST,
    ADDRESS,
    CLEARS_ADDRESSES,
    DELIMITED,
    HARDWARE,
    NEIGHBOUR,
    OF_A_KERNEL,
    REMOVED_LAST,
    negation,
    opens_section,
    removed_as_one,
)
from drivers.dialects.tree import Node, Tree

_DELIMITERS: Final = "#@~|%$&*+=/" + digits + ascii_letters
"""What closes a banner, in the order of our liking; the first that the text does not hold."""


def apply(tree: Tree, lines: Tree) -> Tree:
    """What the model holds after `lines` were entered where `tree` was held."""
    state = tree.once(held_by).copy()
    for node in lines.nodes:
        state.enter(node)
    return Tree(state.nodes()).knowing(held_by, state)


def remediate(base: Tree, intent: Tree) -> tuple[str, ...]:
    """Commands from `base` to `intent`; each section that is entered is left again by `exit`.

    In a section: removals, then changes and additions in the order of the intent. At the top: what others refer to is
    removed last, and routes are added before old ones go.
    """
    lines: list[str] = []
    for command in _change("", base.once(held_by), intent.once(held_by)):
        _print(command, "", 0, lines)
    return tuple(lines)


def _print(node: Node, parent: str, depth: int, lines: list[str]) -> None:
    lines.extend(" " * depth + piece for piece in in_pieces(_sendable(node.text)))
    for child in node.children:
        _print(child, node.text, depth + 1, lines)
    if not node.text.startswith(("no ", "default ")) and (node.children or opens_section(parent, node.text)):
        lines.append(" " * (depth + 1) + "exit")


def _sendable(text: str) -> str:
    """A banner gets a delimiter that no terminal takes for a key: ETX, which `^C` stands for, would interrupt."""
    found = DELIMITED.match(text)
    head, rest = (text[: found.end()], text[found.end() :]) if found else (text, "")
    for mark in ("^C", "\x03"):
        said, closed, _ = rest.removeprefix(mark).partition(mark)
        if rest.startswith(mark) and closed:
            printable = next((c for c in _DELIMITERS if c not in said), mark)
            return f"{head}{printable}{said}{printable}"
    return text


def _change(parent: str, base: Section, intent: Section) -> list[Node]:
    """Commands for one section; those of the sections below are their children."""
    held, wanted = dict(base.held()), dict(intent.held())
    first, again = _reordered(held, wanted)
    last: list[Node] = []
    slots = {entry.slot for entry in wanted.values() if entry.slot is not None and not adds_vlans(entry.text)}
    new = {_kind_and_name(key) for key in wanted if key not in held}
    for key, entry in reversed(held.items()):
        if key in wanted or entry.group is not None or entry.slot in slots:
            continue
        command = _removal(parent, entry, wanted)
        if command is None:
            continue
        late = ADDED_FIRST.match(key) or (REMOVED_LAST.match(key) and _kind_and_name(key) not in new)
        (last if late and not parent else first).append(command)
        if not key.startswith(target := command.text.removeprefix("no ") + " "):
            continue
        # The short form takes along what is to stay.
        again.update(each for each in wanted if each in held and each.startswith(target))
    # A primary address cannot be removed while secondary ones are there.
    first.sort(key=lambda node: not node.text.endswith(" secondary"))
    gone = _neighbours(node.text for node in first)
    gone -= _neighbours(wanted) if gone else set()
    early: list[Node] = []
    forward: list[Node] = []
    for key, entry in wanted.items():
        if key not in held or key in again:
            forward.append(entry.node())
        elif held[key].inner or entry.inner:
            changes = _change(entry.text, held[key].below, entry.below)
            leaving = [node for node in changes if gone and not gone.isdisjoint(_neighbours([node.text]))]
            early += _inside(entry, leaving)
            forward += _inside(entry, [node for node in changes if node not in leaving] if leaving else changes)
    if any(CLEARS_ADDRESSES.match(node.text) for node in (*first, *forward)):
        addresses = (entry.node() for entry in wanted.values() if ADDRESS.match(entry.text))
        forward += [node for node in addresses if node not in forward]
    return [*early, *first, *forward, *last]


def _inside(section: Entry, nodes: list[Node]) -> list[Node]:
    return [Node(section.text, tuple(nodes))] if nodes else []


def _neighbours(lines: Iterable[str]) -> set[str]:
    """Names of the neighbours that lines are about."""
    return {found[1] for line in lines if (found := NEIGHBOUR.match(line))}


def _kind_and_name(key: str) -> tuple[str, str]:
    words = key.split(" ")
    return words[0], words[-1]


def _removal(parent: str, entry: Entry, wanted: dict[str, Entry]) -> Node | None:
    """What makes a line go; None if what is wanted pushes it out by itself, or if nothing is below what stays."""
    if entry.text.startswith("no "):
        target = entry.text[3:]
        replaced = any(key == target or key.startswith(f"{target} ") for key in wanted)
        return None if replaced else Node(f"default {target}")
    if parent or not HARDWARE.fullmatch(entry.text):
        return Node(negation(entry.text))
    if entry.text.lower().startswith("interface ") and not OF_A_KERNEL.fullmatch(entry.text):
        return Node(f"default {entry.text}") if entry.below.entries else None
    inner = _change(entry.text, entry.below, Section(entry.text))
    return Node(entry.text, tuple(inner)) if inner else None


def _reordered(held: dict[str, Entry], wanted: dict[str, Entry]) -> tuple[list[Node], set[str]]:
    """Removals in lists whose order has a meaning, and the keys that must be entered again after them.

    A list is kept up to the first difference; the rest goes and is entered anew. Where the device can only remove the
    list as a whole, a list that merely grows at its end is kept.
    """
    removals: list[Node] = []
    again: set[str] = set()
    wanted_groups = _grouped(wanted)
    for group, old in _grouped(held).items():
        new = wanted_groups.get(group, [])
        kept = next(
            (i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
        )
        if kept == len(old):
            continue
        if removed_as_one(group):
            removals.append(Node(f"no {group}"))
            again.update(old)
        else:
            removals += [Node(negation(held[key].text)) for key in reversed(old[kept:])]
            again.update(old[kept:])
    return removals, again


def _grouped(entries: dict[str, Entry]) -> dict[str, list[str]]:
    """Keys of the statements whose order has a meaning, by the group within which it has."""
    groups: dict[str, list[str]] = {}
    for key, entry in entries.items():
        if entry.group is not None:
            groups.setdefault(entry.group, []).append(key)
    return groups
