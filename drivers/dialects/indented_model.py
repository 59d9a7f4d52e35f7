"""Our model of how IOS takes configuration lines in. Pure data structure; used for comparing and for proving.

What a line means is found out once and kept with it. A configuration is taken in once (`held_by`); where lines are
entered on top of it, they are entered into a copy that shares whatever they do not touch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drivers.dialects.indented_lists import with_vlans
from drivers.dialects.indented_rules import (
    HARDWARE,
    NAMES_ITS_VALUE,
    NO_BLOCK,
    comparable_text,
    group_of,
    numbered,
    ordered,
    plain,
    removed_as_one,
    shown_when_absent,
    volatile,
)
from drivers.dialects.indented_slots import slot_of
from drivers.dialects.tree import Node, Tree

_NUMBER: Final = re.compile(r"([0-9]{1,10})[ \t]+(\S.*)", re.DOTALL)
_WORD: Final = re.compile(r"[^ \n]+")
_LONG: Final = 400
"""Characters that are looked at for the first two words of a line."""
_ONLY_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_PREFIX_LIST: Final = re.compile(
    r"((?:ip|ipv6) prefix-list \S+) (?:seq ([0-9]{1,10}) )?((?:permit|deny|description) .+)", re.IGNORECASE
)


@dataclass(slots=True)
class Entry:
    """One line that the device holds, as it came. `number` orders the lines of a list.

    `sequence` is the prefix list and the number in it, for a line of one.
    """

    text: str
    slot: str | None
    group: str | None
    sequence: tuple[str, int] | None
    number: int = 0
    inner: Section | None = None

    @property
    def below(self) -> Section:
        """What is below the line."""
        return self.inner or Section(self.text)

    def node(self) -> Node:
        """The line and what is below it, as a statement."""
        return Node(self.text, self.inner.nodes() if self.inner else ())


@dataclass(slots=True)
class Section:
    """What a device holds below one line, `parent` (empty at the top), by what makes a line the same line."""

    parent: str
    entries: dict[str, Entry] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    highest: int = 0
    numbered: bool = False
    ordered: bool = False
    """Whether the order of all that it holds has a meaning."""

    _denied: dict[str, int] = field(default_factory=dict)
    """How many of the entries begin with `no` and this word."""
    _numbers: dict[int, str] = field(default_factory=dict)
    """Keys by the numbers of a list that is numbered."""
    _lists: dict[str, dict[str, None]] = field(default_factory=dict)
    """Keys of the entries of each list that is removed as one."""
    _last: dict[str, int | None] = field(default_factory=dict)
    """Highest sequence number of each prefix list; None when it has to be looked for."""
    _heads: dict[str, dict[str, None]] | None = None
    """Keys by their first word, and by their first two; made when something is removed by its beginning."""
    _shared: bool = False
    """Whether another section has the same entries, so that none of them may be changed in place."""
    _form: tuple[Node, ...] | None = None

    @classmethod
    def of(cls, nodes: Sequence[Node], parent: str = "") -> Section:
        """The state after `nodes` were entered into an empty section."""
        section = cls(parent, numbered=numbered(parent), ordered=ordered(parent))
        for node in nodes:
            section.enter(node)
        return section

    def copy(self) -> Section:
        """The same state, to be changed apart; what is inside the lines is shared until it is changed."""
        return replace(
            self,
            entries=dict(self.entries),
            slots=dict(self.slots),
            _denied=dict(self._denied),
            _numbers=dict(self._numbers),
            _lists={group: dict(keys) for group, keys in self._lists.items()},
            _last=dict(self._last),
            _heads=None,
            _shared=True,
            _form=None,
        )

    def held(self) -> Iterable[tuple[str, Entry]]:
        """Entries by their keys, lists in the order of their numbers."""
        if self.numbered:
            return sorted(self.entries.items(), key=lambda pair: pair[1].number)
        return self.entries.items()

    def nodes(self) -> tuple[Node, ...]:
        """The state as statements."""
        return tuple(entry.node() for _, entry in self.held())

    def comparable(self) -> tuple[Node, ...]:
        """The state as statements in the spelling in which they are compared, in the device's order."""
        return tuple(Node(key, entry.inner.comparable() if entry.inner else ()) for key, entry in self.held())

    def form(self) -> tuple[Node, ...]:
        """The same, sorted except where the order has a meaning; made once, after the last line was entered."""
        if self._form is None:
            done = sorted(self.held(), key=lambda pair: pair[1].group or pair[0])
            self._form = tuple(Node(key, entry.inner.form() if entry.inner else ()) for key, entry in done)
        return self._form

    def enter(self, node: Node) -> None:
        """What the device does with one line and the lines below it."""
        text = plain(node.text)
        if volatile(self.parent, text):
            if self.parent and text.startswith("no "):
                self._remove(text[3:])
        elif text.startswith("no "):
            target = text[3:]
            if not self._remove(target) and not self.numbered and shown_when_absent(target):
                self._state(text, None, ())
        elif text.startswith("default "):
            self._default(text[8:])
        else:
            text, number = self._split_number(text) if self.numbered else (text, None)
            self._state(text, number, node.children)

    def _split_number(self, text: str) -> tuple[str, int | None]:
        found = _NUMBER.fullmatch(text) if self.numbered else None
        return (found[2], int(found[1])) if found else (text, None)

    def _state(self, text: str, number: int | None, children: Sequence[Node]) -> None:
        sequence = None
        slot = slot_of(text)
        if self.parent:
            text = with_vlans(self.entries[self.slots[slot]].text if slot in self.slots else "", text)
        else:
            text, sequence = self._with_sequence(text)
        key = comparable_text(text)
        if self._denied and key.partition(" ")[0] in self._denied:
            of_slot = [k for k in self.entries if k.startswith("no ") and slot_of(k[3:]) == slot] if slot else ()
            for denial in (*_denials(key), *of_slot):
                self._drop(denial)
        entry = self.entries.get(key)
        if entry is None:
            group = "*" if self.ordered else None if self.parent else group_of(text)
            entry = Entry(text, slot, group, sequence)
            self._add(key, entry, number)
        elif self._shared:
            entry = self.entries[key] = replace(entry)
            if entry.inner is not None and children:
                entry.inner = entry.inner.copy()
        entry.text = text
        if not children:
            return
        if entry.inner is None:
            entry.inner = Section.of(children, text)
            return
        for child in children:
            entry.inner.enter(child)

    def _add(self, key: str, entry: Entry, number: int | None) -> None:
        """Take in what is new; it pushes out what holds the same slot or the same number."""
        if entry.slot in self.slots:
            self._drop(self.slots[entry.slot])
        if number is None:
            number = self.highest + 10
        elif number in self._numbers:
            self._drop(self._numbers[number])
        entry.number, self.highest = number, max(self.highest, number)
        self.entries[key] = entry
        if self._heads is not None:
            for head in _heads_of(key):
                self._heads.setdefault(head, {})[key] = None
        if self.numbered:
            self._numbers[number] = key
        if entry.slot is not None:
            self.slots[entry.slot] = key
        if entry.group is not None and removed_as_one(entry.group):
            self._lists.setdefault(entry.group, {})[key] = None
        if entry.sequence is not None:
            name, own = entry.sequence
            self._last[name] = max(self._highest_of(name), own)
        if key.startswith("no "):
            word = _denied_word(key)
            self._denied[word] = self._denied.get(word, 0) + 1

    def _drop(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        if self._heads is not None:
            for head in _heads_of(key):
                del self._heads[head][key]
        if self.numbered:
            del self._numbers[entry.number]
        if entry.slot is not None:
            self.slots.pop(entry.slot, None)
        if entry.group is not None and removed_as_one(entry.group):
            del self._lists[entry.group][key]
        if entry.sequence is not None:
            self._last[entry.sequence[0]] = None
        if key.startswith("no "):
            word = _denied_word(key)
            self._denied[word] -= 1
            if not self._denied[word]:
                del self._denied[word]

    def _with_sequence(self, text: str) -> tuple[str, tuple[str, int] | None]:
        """A prefix list without `seq` is numbered by the device in steps of 5. Also the list and the number."""
        found = _PREFIX_LIST.fullmatch(text) if text[:1] in {"i", "I"} else None
        if not found or found[3].lower().startswith("description"):
            return text, None
        name = found[1].lower()
        if found[2]:
            return text, (name, int(found[2]))
        number = self._highest_of(name) // 5 * 5 + 5
        return f"{found[1]} seq {number} {found[3]}", (name, number)

    def _highest_of(self, name: str) -> int:
        highest = self._last.get(name, 0)
        if highest is None:
            numbers = (e.sequence[1] for e in self.entries.values() if e.sequence is not None and e.sequence[0] == name)
            highest = self._last[name] = max(numbers, default=0)
        return highest

    def _remove(self, target: str) -> bool:
        """Whether `no target` removed something: that very line, else what the target sets or begins with.

        Hardware stays, whatever is said.
        """
        if not self.parent and HARDWARE.fullmatch(target):
            return True
        text, number = self._split_number(target)
        if self.numbered and _ONLY_NUMBER.fullmatch(target):
            number = int(target)
        key = comparable_text(text)
        group = None if self.parent else group_of(f"{target} ")
        if group is not None and removed_as_one(group) and self._lists.get(group):
            gone = list(self._lists[group])
        elif key in self.entries:
            gone = [key]
        else:
            gone = self._what_begins_with(key, target, number)
        for each in gone:
            self._drop(each)
        return bool(gone)

    def _what_begins_with(self, key: str, target: str, number: int | None) -> list[str]:
        start = key.removesuffix(NO_BLOCK).rstrip(" ")
        starts = (f"{start} ", f"{start}\n")
        if self._heads is None:
            self._heads = {}
            for k in self.entries:
                for head in _heads_of(k):
                    self._heads.setdefault(head, {})[k] = None
        words = _WORD.findall(start, 0, _LONG)
        found = {k: None for k in self._heads.get(" ".join(words[:2]), ()) if k.startswith(starts)}
        also = (self.slots.get(target.lower()), None if number is None else self._numbers.get(number))
        gone = [*found, *(k for k in also if k is not None and k not in found)]
        if not gone and not NAMES_ITS_VALUE.match(target):
            other = self.slots.get(slot_of(target) or "")
            return [] if other is None else [other]
        return gone

    def _default(self, target: str) -> None:
        if not self.parent and HARDWARE.fullmatch(target):
            if target in self.entries:
                self.entries[target] = replace(self.entries[target], inner=None)
        elif (denial := comparable_text(f"no {target}")) in self.entries:
            self._drop(denial)
        else:
            self._remove(target)


def held_by(tree: Tree) -> Section:
    """The state after a configuration was entered into an empty device; for `Tree.once`."""
    return Section.of(tree.nodes)


def _heads_of(key: str) -> tuple[str, ...]:
    words = _WORD.findall(key, 0, _LONG)
    return tuple(dict.fromkeys((" ".join(words[:1]), " ".join(words[:2]))))


def _denied_word(key: str) -> str:
    return key[3:].partition(" ")[0]


def _denials(key: str) -> Iterator[str]:
    """The `no` forms of a line, and of what it sets: a device that holds one of them gives it up for the line."""
    words = key.split(" ")
    for count in range(1, len(words) + 1):
        yield f"no {' '.join(words[:count])}"
