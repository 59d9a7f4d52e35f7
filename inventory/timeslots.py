"""Increments become 5-minute slots, and slots become bounds (metering specification §2.4).

Octets are conserved: exact increments are spread by running totals. What is not exact becomes a group:
the slots it touches share its octets, and nobody says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inventory.counters import Flag, Increment, physical_octets
from inventory.errors import BadInput

SLOT_MS = 300_000
OPEN_OCTETS = 1 << 48
"""Stands for "no bound known" in sums; a result of this size or more is shown as None."""


@dataclass(frozen=True, slots=True)
class Group:
    """Uncertain octets of one increment, shared by the slots it touches inside a window.

    `slots` are indices into the window, `overlap_ms` the time inside each; `outside_ms` is how much of the
    increment lies outside the window.
    """

    slots: tuple[int, ...]
    overlap_ms: tuple[int, ...]
    octets_min: int
    octets_max: int | None
    outside_ms: int = 0

    @property
    def clipped(self) -> bool:
        return self.outside_ms > 0


@dataclass(frozen=True, slots=True)
class SlotSeries:
    """One direction of one interface over the slots of a window, one entry per slot in each tuple."""

    start_ms: int
    known: tuple[int, ...]
    """Octets that are certain."""
    covered_ms: tuple[int, ...]
    """Time backed by exact increments, 0 to 300,000."""
    untouched_ms: tuple[int, ...]
    """Time that no increment touches."""
    flags: tuple[frozenset[Flag], ...]
    groups: tuple[Group, ...]
    packets: tuple[int, ...] = ()
    """Packets in this direction, where a source tells them; else empty."""
    drops: tuple[int, ...] = ()
    """Packets that the device threw away on their way out, where a source tells them; else empty."""
    errors: tuple[int, ...] = ()
    """Frames with an error in this direction, where a source tells them; else empty."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A group as the percentile needs it: octets u[i] in [0, room[i]], with tmin ≤ Σ u ≤ tmax."""

    slots: tuple[int, ...]
    room: tuple[int, ...]
    tmin: int
    tmax: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the slots of a window can hold at least and at most.

    `high` is None where no bound is known. `groups` share no slot, in order of their first slot.
    """

    known: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int | None, ...]
    groups: tuple[Uncertain, ...]


def window_slots(start_ms: int, end_ms: int) -> int:
    """Number of slots in [start_ms, end_ms). Raises BadInput unless both lie on the grid, in order."""
    if start_ms % SLOT_MS or end_ms % SLOT_MS or end_ms < start_ms:
        raise BadInput(
            f"the window {start_ms}–{end_ms} does not begin and end on the 5-minute grid",
            next_step="Use multiples of 300,000 ms since the Unix epoch.",
            field="window",
        )
    return (end_ms - start_ms) // SLOT_MS


def slot(increments: Iterable[Increment], start_ms: int, end_ms: int) -> SlotSeries:
    """Slots of the window [start_ms, end_ms), which must lie on the grid (BadInput otherwise).

    Time covered twice, as after a clock step, counts once for coverage while its octets are added.
    """
    n = window_slots(start_ms, end_ms)
    draft = _Draft(start_ms, n)
    for increment in sorted(increments, key=lambda i: (i.t0_ms, i.t1_ms)):
        if increment.t1_ms <= start_ms or increment.t0_ms >= end_ms or increment.length_ms <= 0:
            continue
        draft.touch(increment)
        if increment.exact:
            draft.spread(increment)
        else:
            draft.groups.append(group_of(increment, start_ms, n))
    return SlotSeries(
        start_ms,
        tuple(draft.known),
        tuple(draft.covered_ms),
        tuple(SLOT_MS - touched for touched in draft.touched_ms),
        tuple(frozenset(flags) for flags in draft.flags),
        tuple(draft.groups),
    )


def group_of(increment: Increment, start_ms: int, n: int) -> Group:
    """The group an uncertain increment makes in a window of n slots; it must touch the window."""
    pieces = list(overlaps(increment.t0_ms, increment.t1_ms, start_ms, n))
    inside_ms = sum(end - begin for _, begin, end in pieces)
    return Group(
        tuple(index for index, _, _ in pieces),
        tuple(end - begin for _, begin, end in pieces),
        increment.octets_min,
        increment.octets_max,
        increment.length_ms - inside_ms,
    )


def overlaps(t0_ms: int, t1_ms: int, start_ms: int, n: int) -> Iterable[tuple[int, int, int]]:
    """Slot index, begin and end of each piece of [t0_ms, t1_ms) inside a window of n slots."""
    begin, end = max(t0_ms, start_ms), min(t1_ms, start_ms + n * SLOT_MS)
    while begin < end:
        index = (begin - start_ms) // SLOT_MS
        piece_end = min(end, start_ms + (index + 1) * SLOT_MS)
        yield index, begin, piece_end
        begin = piece_end


def octets_between(increment: Increment, begin_ms: int, end_ms: int) -> int:
    """Octets of an exact increment in [begin_ms, end_ms): the difference of two running totals."""
    before = increment.octets_min * (begin_ms - increment.t0_ms) // increment.length_ms
    return increment.octets_min * (end_ms - increment.t0_ms) // increment.length_ms - before


@dataclass(slots=True)
class _Draft:
    """Slots being filled from increments that come in order of time."""

    start_ms: int
    n: int
    known: list[int] = field(init=False)
    covered_ms: list[int] = field(init=False)
    touched_ms: list[int] = field(init=False)
    flags: list[set[Flag]] = field(init=False)
    groups: list[Group] = field(init=False, default_factory=list)
    touched_to_ms: int = 0
    covered_to_ms: int = 0

    def __post_init__(self) -> None:
        self.known = [0] * self.n
        self.covered_ms = [0] * self.n
        self.touched_ms = [0] * self.n
        self.flags = [set() for _ in range(self.n)]

    def touch(self, increment: Increment) -> None:
        for index, begin, end in overlaps(increment.t0_ms, increment.t1_ms, self.start_ms, self.n):
            self.flags[index] |= {increment.flag, *increment.marks}
            self.touched_ms[index] += max(0, end - max(begin, self.touched_to_ms))
        self.touched_to_ms = max(self.touched_to_ms, increment.t1_ms)

    def spread(self, increment: Increment) -> None:
        for index, begin, end in overlaps(increment.t0_ms, increment.t1_ms, self.start_ms, self.n):
            self.known[index] += octets_between(increment, begin, end)
            self.covered_ms[index] += max(0, end - max(begin, self.covered_to_ms))
        self.covered_to_ms = max(self.covered_to_ms, increment.t1_ms)


def sum_series(parts: Sequence[tuple[SlotSeries, int | None]]) -> SlotSeries:
    """One series of several interfaces (each with its port speed), to be bounded by the sum of their speeds (§3.1).

    Sound, not always tight. A slot is covered as far as all of them are. Uncertain time of one interface is scaled by
    its share of the summed speed, so that its room stays that of its own port.
    """
    first = parts[0][0]
    if len(parts) == 1:
        return first
    n = len(first.known)
    speeds = [speed for _, speed in parts]
    total = None if None in speeds else sum(speed or 0 for speed in speeds)
    untouched = [min(series.untouched_ms[i] for series, _ in parts) for i in range(n)]
    groups: list[Group] = []
    for series, speed in parts:
        groups += [_scaled(group, speed, total) for group in series.groups]
        for i, ms in enumerate(series.untouched_ms):
            if ms > untouched[i]:
                groups.append(_scaled(Group((i,), (ms - untouched[i],), 0, None), speed, total))
    told = [series for series, _ in parts if series.packets]
    thrown = [series for series, _ in parts if series.drops]
    faults = [series for series, _ in parts if series.errors]
    return SlotSeries(
        first.start_ms,
        tuple(sum(series.known[i] for series, _ in parts) for i in range(n)),
        tuple(min(series.covered_ms[i] for series, _ in parts) for i in range(n)),
        tuple(untouched),
        tuple(frozenset().union(*(series.flags[i] for series, _ in parts)) for i in range(n)),
        tuple(groups),
        tuple(sum(series.packets[i] for series in told) for i in range(n)) if told else (),
        tuple(sum(series.drops[i] for series in thrown) for i in range(n)) if thrown else (),
        tuple(sum(series.errors[i] for series in faults) for i in range(n)) if faults else (),
    )


def _scaled(group: Group, speed: int | None, total: int | None) -> Group:
    """The same group with times in which the summed speed carries what its own port carries in the true ones."""
    if not speed or not total:
        return group
    scaled = tuple(-(-ms * speed // total) for ms in group.overlap_ms)
    return Group(group.slots, scaled, group.octets_min, group.octets_max, -(-group.outside_ms * speed // total))


def bounds(series: SlotSeries, speed_bps: int | None) -> Bounds:
    """Lowest and highest octets of each slot, and the merged groups for the percentile (§2.4, rules 1–6).

    `speed_bps` is the port speed, never the line rate: an upper bound must be a physical one.
    """
    groups = [uncertain(group, speed_bps) for group in series.groups]
    for index, untouched_ms in enumerate(series.untouched_ms):
        if untouched_ms > 0:
            room = physical_octets(speed_bps, untouched_ms)
            room = OPEN_OCTETS if room is None else room
            groups.append(Uncertain((index,), (room,), 0, room))
    low, high = list(series.known), list(series.known)
    for group in groups:
        total = sum(group.room)
        for index, room in zip(group.slots, group.room, strict=True):
            low[index] += max(0, group.tmin - (total - room))
            high[index] += min(room, group.tmax)
    return Bounds(series.known, tuple(low), tuple(shown(octets) for octets in high), merge(groups))


def shown(octets: int) -> int | None:
    """A computed bound as it is shown: None where it rests on no known bound."""
    return None if octets >= OPEN_OCTETS else octets


def uncertain(group: Group, speed_bps: int | None) -> Uncertain:
    """A group as the percentile needs it (§2.4, rules 1, 2 and 4)."""
    if speed_bps is None:
        room = [OPEN_OCTETS if group.octets_max is None else group.octets_max] * len(group.slots)
        tmin = 0 if group.clipped else group.octets_min
    else:
        room = [speed_bps * overlap // 8_000 for overlap in group.overlap_ms]
        tmin = max(0, group.octets_min - speed_bps * group.outside_ms // 8_000)
    if tmin > sum(room):
        # Possible inside the 15 s allowance of the pair rules: the octets are certain, so they must fit.
        inside_ms = sum(group.overlap_ms)
        room = [max(r, -(-tmin * overlap // inside_ms)) for r, overlap in zip(room, group.overlap_ms, strict=True)]
    total = sum(room)
    tmax = total if group.octets_max is None else min(group.octets_max, total)
    return Uncertain(group.slots, tuple(room), tmin, tmax)


def merge(groups: Sequence[Uncertain]) -> tuple[Uncertain, ...]:
    """Groups that share a slot become one: rooms, tmin and tmax added. Sound, no longer tight (§2.4, 6)."""
    owner: dict[int, int] = {}
    members: dict[int, list[Uncertain]] = {}
    for number, group in enumerate(groups):
        joined = [group]
        for other in {owner[index] for index in group.slots if index in owner}:
            joined = members.pop(other) + joined
        members[number] = joined
        for one in joined:
            owner.update(dict.fromkeys(one.slots, number))
    return tuple(sorted((_add(joined) for joined in members.values()), key=lambda g: g.slots[0]))


def _add(groups: Sequence[Uncertain]) -> Uncertain:
    room: dict[int, int] = {}
    for group in groups:
        for index, octets in zip(group.slots, group.room, strict=True):
            room[index] = room.get(index, 0) + octets
    slots = tuple(sorted(room))
    return Uncertain(
        slots,
        tuple(room[index] for index in slots),
        sum(group.tmin for group in groups),
        sum(group.tmax for group in groups),
    )
