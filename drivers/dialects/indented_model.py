"""Our model of how IOS takes configuration lines in. Pure data structure; used for comparing and for proving."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

_NUMBER: Final = re.compile(r"(\d+) (.+)", re.DOTALL)
_PREFIX_LIST: Final = re.compile(
    r"((?:ip|ipv6) prefix-list \S+) (?:seq (\d+) )?((?:permit|deny|description) .+)", re.IGNORECASE
)


@dataclass(slots=True)
class Entry:
    """One line that the device holds. `number` orders the lines of a list, `key` is what makes it the same line."""

    text: str
    key: str
    slot: str | None
    number: int | None
    below: Section


@dataclass(slots=True)
class Section:
    """What a device holds below one line, `parent` (empty at the top)."""

    parent: str
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, nodes: Sequence[Node], parent: str = "") -> Section:
        """The state after `nodes` were entered into an empty section."""
        section = cls(parent)
        for node in nodes:
            section.enter(node)
        return section

    def nodes(self) -> tuple[Node, ...]:
        """The state as statements, lists in the order of their numbers."""
        return tuple(Node(entry.text, entry.below.nodes()) for entry in self.entries)

    def enter(self, node: Node) -> None:
        """What the device does with one line and the lines below it."""
        text = node.text
        word, _, rest = text.partition(" ")
        if volatile(self.parent, text):
            if word == "no" and self.parent:
                self._remove(rest)
            return
        if word == "no":
            if not self._remove(rest) and shown_when_absent(rest):
                self._state(text, None, ())
        elif word == "default":
            self._default(rest)
        else:
            self._state(*self._split_number(text), node.children)

    def _split_number(self, text: str) -> tuple[str, int | None]:
        found = _NUMBER.fullmatch(text) if numbered(self.parent) else None
        return (found[2], int(found[1])) if found else (text, None)

    def _state(self, text: str, number: int | None, children: Sequence[Node]) -> None:
        if not self.parent:
            text = self._with_sequence(text)
        key = comparable_text(text)
        slot = slot_of(text)
        self.entries = [e for e in self.entries if not _denies(e.key, key)]
        entry = next((e for e in self.entries if e.key == key), None)
        if entry is None and slot is not None:
            entry = next((e for e in self.entries if e.slot == slot), None)
        if entry is None and number is not None:
            entry = next((e for e in self.entries if e.number == number), None)
        if entry is None:
            entry = Entry(text, key, slot, self._number(number), Section(text))
            place = len(self.entries)
            if entry.number is not None:
                place = next((i for i, e in enumerate(self.entries) if (e.number or 0) > entry.number), place)
            self.entries.insert(place, entry)
        entry.text, entry.key = text, key
        for child in children:
            entry.below.enter(child)

    def _number(self, given: int | None) -> int | None:
        if not numbered(self.parent):
            return None
        return given if given is not None else max((e.number or 0 for e in self.entries), default=0) + 10

    def _with_sequence(self, text: str) -> str:
        """A prefix list without `seq` is numbered by the device in steps of 5."""
        found = _PREFIX_LIST.fullmatch(text)
        if not found or found[2] or found[3].lower().startswith("description"):
            return text
        others = (_PREFIX_LIST.fullmatch(e.text) for e in self.entries)
        used = [int(other[2]) for other in others if other and other[2] and other[1].lower() == found[1].lower()]
        return f"{found[1]} seq {max(used, default=0) // 5 * 5 + 5} {found[3]}"

    def _remove(self, target: str) -> bool:
        """Whether `no target` removed something: that very line, else what the target sets or begins with."""
        before = len(self.entries)
        group = None if self.parent else group_of("", f"{target} ")
        if group is not None and removed_as_one(group):
            self.entries = [e for e in self.entries if group_of("", e.text) != group]
            return len(self.entries) != before
        text, number = self._split_number(target)
        if numbered(self.parent) and target.isdecimal():
            number = int(target)
        key, slot = comparable_text(text), target.lower()
        if any(e.key == key for e in self.entries):
            self.entries = [e for e in self.entries if e.key != key]
            return True
        self.entries = [
            e
            for e in self.entries
            if not (e.slot == slot or e.key.startswith(f"{key} ") or (number is not None and e.number == number))
        ]
        return len(self.entries) != before

    def _default(self, target: str) -> None:
        if not self.parent and PHYSICAL.fullmatch(target):
            for entry in self.entries:
                if entry.key == target:
                    entry.below = Section(entry.text)
            return
        if not self._remove(target):
            self.entries = [e for e in self.entries if e.key != f"no {target}"]


def _denies(key: str, positive: str) -> bool:
    """Whether the held line `key` is the `no` form of the line `positive`, or of what it sets."""
    target = key.removeprefix("no ")
    return target != key and (positive == target or positive.startswith(f"{target} "))
