"""Our model of how IOS takes configuration lines in. Pure data structure; used for comparing and for proving."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.dialects.indented_rules import (
    PHYSICAL,
    comparable_text,
    group_of,
    numbered,
    removed_as_one,
    shown_when_absent,
    slot_of,
    volatile,
)
from drivers.dialects.tree import Node

_NUMBER: Final = re.compile(r"([0-9]{1,10}) (.+)", re.DOTALL)
_PREFIX_LIST: Final = re.compile(
    r"((?:ip|ipv6) prefix-list \S+) (?:seq ([0-9]{1,10}) )?((?:permit|deny|description) .+)", re.IGNORECASE
)


@dataclass(slots=True)
class Entry:
    """One line that the device holds, as it came. `number` orders the lines of a list."""

    text: str
    slot: str | None
    number: int
    below: Section


@dataclass(slots=True)
class Section:
    """What a device holds below one line, `parent` (empty at the top), by what makes a line the same line."""

    parent: str
    entries: dict[str, Entry] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    highest: int = 0

    @classmethod
    def of(cls, nodes: Sequence[Node], parent: str = "") -> Section:
        """The state after `nodes` were entered into an empty section."""
        section = cls(parent)
        for node in nodes:
            section.enter(node)
        return section

    def nodes(self) -> tuple[Node, ...]:
        """The state as statements, lists in the order of their numbers."""
        entries: Iterable[Entry] = self.entries.values()
        if numbered(self.parent):
            entries = sorted(entries, key=lambda entry: entry.number)
        return tuple(Node(entry.text, entry.below.nodes()) for entry in entries)

    def enter(self, node: Node) -> None:
        """What the device does with one line and the lines below it."""
        word, _, rest = node.text.partition(" ")
        if volatile(self.parent, node.text):
            if word == "no" and self.parent:
                self._remove(rest)
        elif word == "no":
            if not self._remove(rest) and shown_when_absent(rest):
                self._state(node.text, None, ())
        elif word == "default":
            self._default(rest)
        else:
            self._state(*self._split_number(node.text), node.children)

    def _split_number(self, text: str) -> tuple[str, int | None]:
        found = _NUMBER.fullmatch(text) if numbered(self.parent) else None
        return (found[2], int(found[1])) if found else (text, None)

    def _state(self, text: str, number: int | None, children: Sequence[Node]) -> None:
        if not self.parent:
            text = self._with_sequence(text)
        key, slot = comparable_text(text), slot_of(text)
        for denial in _denials(key):
            self._drop(denial)
        entry = self.entries.get(key)
        if entry is None:
            if slot in self.slots:
                self._drop(self.slots[slot])
            if number is not None:
                for taken in [k for k, e in self.entries.items() if e.number == number]:
                    self._drop(taken)
            entry = self.entries[key] = Entry(
                text, slot, self.highest + 10 if number is None else number, Section(text)
            )
            self.highest = max(self.highest, entry.number)
            if slot is not None:
                self.slots[slot] = key
        entry.text = text
        for child in children:
            entry.below.enter(child)

    def _drop(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is not None and entry.slot is not None:
            self.slots.pop(entry.slot, None)

    def _with_sequence(self, text: str) -> str:
        """A prefix list without `seq` is numbered by the device in steps of 5."""
        found = _PREFIX_LIST.fullmatch(text)
        if not found or found[2] or found[3].lower().startswith("description"):
            return text
        others = (_PREFIX_LIST.fullmatch(entry.text) for entry in self.entries.values())
        used = [int(other[2]) for other in others if other and other[2] and other[1].lower() == found[1].lower()]
        return f"{found[1]} seq {max(used, default=0) // 5 * 5 + 5} {found[3]}"

    def _remove(self, target: str) -> bool:
        """Whether `no target` removed something: that very line, else what the target sets or begins with."""
        text, number = self._split_number(target)
        if numbered(self.parent) and re.fullmatch("[0-9]{1,10}", target):
            number = int(target)
        key, slot = comparable_text(text), target.lower()
        group = None if self.parent else group_of("", f"{target} ")
        if group is not None and removed_as_one(group):
            gone = [k for k, entry in self.entries.items() if group_of("", entry.text) == group]
        elif key in self.entries:
            gone = [key]
        else:
            gone = [
                k
                for k, entry in self.entries.items()
                if entry.slot == slot or k.startswith(f"{key} ") or (number is not None and entry.number == number)
            ]
        for each in gone:
            self._drop(each)
        return bool(gone)

    def _default(self, target: str) -> None:
        if not self.parent and PHYSICAL.fullmatch(target):
            if target in self.entries:
                self.entries[target].below = Section(target)
        elif not self._remove(target):
            self._drop(f"no {target}")


def _denials(key: str) -> Iterator[str]:
    """The `no` forms of a line, and of what it sets: a device that holds one of them gives it up for the line."""
    words = key.split(" ")
    for count in range(1, len(words) + 1):
        yield f"no {' '.join(words[:count])}"
