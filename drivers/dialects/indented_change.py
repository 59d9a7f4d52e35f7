"""From one IOS config to another by commands: removals, changes, additions, in an order that devices accept."""

from __future__ import annotations

from drivers.dialects.indented_model import Section
from drivers.dialects.indented_rules import (
    ADDED_FIRST,
    ADDRESS,
    CLEARS_ADDRESSES,
    OPENS_SECTION,
    PHYSICAL,
    REMOVED_LAST,
    comparable_text,
    group_of,
    negation,
    removed_as_one,
    slot_of,
)
from drivers.dialects.tree import Node, Tree


def apply(tree: Tree, lines: Tree) -> Tree:
    """What the model holds after `lines` were entered where `tree` was held."""
    state = Section.of(tree.nodes)
    for node in lines.nodes:
        state.enter(node)
    return Tree(state.nodes())


def remediate(base: Tree, intent: Tree) -> tuple[str, ...]:
    """Commands from `base` to `intent`; each section that is entered is left again by `exit`.

    In a section: removals, then changes and additions in the order of the intent. At the top: what others refer to is
    removed last, and routes are added before old ones go.
    """
    commands = _change("", Section.of(base.nodes).nodes(), Section.of(intent.nodes).nodes())
    lines: list[str] = []
    for command in commands:
        _print(command, 0, lines)
    return tuple(lines)


def _print(node: Node, depth: int, lines: list[str]) -> None:
    lines.append(" " * depth + _sendable(node.text))
    for child in node.children:
        _print(child, depth + 1, lines)
    if not node.text.startswith(("no ", "default ")) and (node.children or OPENS_SECTION.match(node.text)):
        lines.append(" " * (depth + 1) + "exit")


def _sendable(text: str) -> str:
    """A banner gets a delimiter that no terminal takes for a key: ETX, which `^C` stands for, would interrupt."""
    canonical = comparable_text(text)
    if not canonical.startswith("banner ") or "^C" not in canonical:
        return text
    head, _, rest = canonical.partition("^C")
    said = rest.removesuffix("^C")
    mark = next((c for c in "#@~|%$&*+=/" if c not in said), "\x03")
    return f"{head}{mark}{said}{mark}"


def _change(parent: str, base: tuple[Node, ...], intent: tuple[Node, ...]) -> list[Node]:
    """Commands for one section; those of the sections below are their children."""
    held = {comparable_text(node.text): node for node in base}
    wanted = {comparable_text(node.text): node for node in intent}
    first, rebuilt = _reordered(parent, held, wanted)
    last: list[Node] = []
    slots = {slot_of(key) for key in wanted}
    new = {_kind_and_name(key) for key in wanted if key not in held}
    for key, node in reversed(held.items()):
        if key in wanted or group_of(parent, node.text):
            continue
        command = _removal(parent, node, wanted, slots)
        if command is not None:
            late = ADDED_FIRST.match(key) or (REMOVED_LAST.match(key) and _kind_and_name(key) not in new)
            (last if late and not parent else first).append(Node(command))
    # A primary address cannot be removed while secondary ones are there.
    first.sort(key=lambda node: not node.text.endswith(" secondary"))
    forward: list[Node] = []
    for key, node in wanted.items():
        if key not in held or key in rebuilt:
            forward.append(node)
        elif changes := _change(node.text, held[key].children, node.children):
            forward.append(Node(node.text, tuple(changes)))
    if any(CLEARS_ADDRESSES.match(node.text) for node in (*first, *forward)):
        forward += [node for node in intent if ADDRESS.match(node.text) and node not in forward]
    return [*first, *forward, *last]


def _kind_and_name(key: str) -> tuple[str, str]:
    words = key.split(" ")
    return words[0], words[-1]


def _removal(parent: str, node: Node, wanted: dict[str, Node], slots: set[str | None]) -> str | None:
    """Command that makes `node` go; None if what is wanted pushes it out by itself."""
    if node.text.startswith("no "):
        target = node.text[3:]
        replaced = any(key == target or key.startswith(f"{target} ") for key in wanted)
        return None if replaced else f"default {target}"
    slot = slot_of(node.text)
    if slot is not None and slot in slots:
        return None
    if not parent and PHYSICAL.fullmatch(node.text):
        return f"default {node.text}"
    return negation(node.text)


def _reordered(parent: str, held: dict[str, Node], wanted: dict[str, Node]) -> tuple[list[Node], set[str]]:
    """Removals in lists whose order has a meaning, and the keys that must be entered again after them.

    A list is kept up to the first difference; the rest goes and is entered anew. Where the device can only remove the
    list as a whole, a list that merely grows at its end is kept.
    """
    removals: list[Node] = []
    again: set[str] = set()
    wanted_groups = _grouped(parent, wanted)
    for group, old in _grouped(parent, held).items():
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


def _grouped(parent: str, nodes: dict[str, Node]) -> dict[str, list[str]]:
    """Keys of the statements whose order has a meaning, by the group within which it has."""
    groups: dict[str, list[str]] = {}
    for key, node in nodes.items():
        group = group_of(parent, node.text)
        if group is not None:
            groups.setdefault(group, []).append(key)
    return groups
