"""The order in which entries are created and deleted: what is referred to is there before whoever refers to it, and
goes after (devices-ios-fortios §B.5).

What a setting refers to is told by the names alone: a value that is the key of an entry which the same change creates,
whatever its table. That is more than the device looks for: some entries are later than they need be, and none earlier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Final

from drivers.dialects.block_words import quoted, value, words
from drivers.dialects.tree import Node

_FREE_TEXT: Final = re.compile(
    r"comments?|description|alias|name|label|hostname|uuid|color|.*(?:password|passwd|secret)"
)
_REFERRING: Final = frozenset({"set", "append", "select"})


@dataclass(frozen=True, slots=True)
class Step:
    """What is sent for one entry of a table, or, without a key, for the table itself.

    `creates` the entry; `needs` are the tables that must have had their steps for the same key before.
    """

    path: str
    key: str | None
    nodes: tuple[Node, ...]
    creates: bool = False
    needs: tuple[str, ...] = ()

    def node(self) -> tuple[Node, ...]:
        """The statements below the table."""
        return self.nodes if self.key is None else (Node(f"edit {quoted(self.key)}", self.nodes),)


def in_order(steps: Sequence[Step], *, kept: Iterable[str] = ()) -> list[Step]:
    """`steps` with each after those that create what it refers to, and otherwise as they stand.

    The steps of the tables `kept` stay in their order among each other. Of entries that refer to each other in a circle
    the first is created without the settings that close it, and gets them when the others are there.
    """
    return _Order(steps, frozenset(kept)).sorted()


class _Order:
    def __init__(self, steps: Sequence[Step], kept: frozenset[str]) -> None:
        self._steps = list(steps)
        self._creating: dict[str, list[int]] = {}
        self._named: dict[tuple[str, str], int] = {}
        for at, step in enumerate(steps):
            if step.key is not None and step.creates and not step.key.isdecimal():
                self._creating.setdefault(step.key, []).append(at)
            if step.key is not None:
                self._named.setdefault((step.path, step.key), at)
        self._waits: list[set[int]] = []
        last: dict[str, int] = {}
        for at, step in enumerate(steps):
            found = {one for name in references(step.nodes) for one in self._creating.get(name, ())}
            makers = ((path, step.key or "") for path in step.needs)
            found |= {self._named[maker] for maker in makers if maker in self._named}
            if step.path in kept and step.path in last:
                found.add(last[step.path])
            last[step.path] = at
            self._waits.append(found - {at})

    def sorted(self) -> list[Step]:
        followers: dict[int, list[int]] = {}
        for at, waits in enumerate(self._waits):
            for one in waits:
                followers.setdefault(one, []).append(at)
        ready = [at for at, waits in enumerate(self._waits) if not waits]
        left = {at for at, waits in enumerate(self._waits) if waits}
        heapify(ready)
        done: list[Step] = []
        while ready or left:
            if ready:
                at = heappop(ready)
            else:
                at = min(left)
                left.remove(at)
                self._halve(at, followers, left)
            done.append(self._steps[at])
            for later in followers.get(at, ()):
                self._waits[later].discard(at)
                if later in left and not self._waits[later]:
                    left.remove(later)
                    heappush(ready, later)
        return done

    def _halve(self, at: int, followers: dict[int, list[int]], left: set[int]) -> None:
        """Put off what of a step refers to those that it waits for."""
        step, waits = self._steps[at], self._waits[at]
        names = {self._steps[one].key for one in waits}
        later = tuple(node for node in step.nodes if not names.isdisjoint(references((node,))))
        self._steps[at] = replace(step, nodes=tuple(node for node in step.nodes if node not in later))
        if later:
            self._steps.append(Step(step.path, step.key, later))
            self._waits.append(set(waits))
            left.add(len(self._steps) - 1)
            for one in waits:
                followers.setdefault(one, []).append(len(self._steps) - 1)


def deleted_in_order(gone: Mapping[tuple[str, str], tuple[Node, ...]]) -> list[Step]:
    """Deletions of entries, given with what stands in them: who refers goes before what it refers to.

    Of entries that refer to each other in a circle the first gives the settings up that close it.
    """
    whole = [Step(path, key, nodes, creates=True) for (path, key), nodes in gone.items()]
    steps: list[Step] = []
    for step in reversed(in_order(whole)):
        if step.creates:
            steps.append(Step(step.path, None, (Node(f"delete {quoted(step.key or '')}"),)))
        else:
            unset = dict.fromkeys(words(node.text)[1] for node in step.nodes if node.text.startswith("set "))
            steps.append(Step(step.path, step.key, tuple(Node(f"unset {name}") for name in unset)))
    return steps


def sections(steps: Iterable[Step]) -> list[Node]:
    """The statements of steps, those that stand together and are of one table in one section."""
    done: list[tuple[str, list[Node]]] = []
    for step in steps:
        if not done or done[-1][0] != step.path:
            done.append((step.path, []))
        done[-1][1].extend(step.node())
    return [Node(f"config {path}", tuple(nodes)) for path, nodes in done if nodes]


def references(nodes: Iterable[Node]) -> Iterator[str]:
    """Values of settings that may be the name of another entry."""
    for node in nodes:
        said = words(node.text)
        if len(said) > 2 and said[0] in _REFERRING and not _FREE_TEXT.fullmatch(said[1]):
            yield from map(value, said[2:])
        yield from references(node.children)
