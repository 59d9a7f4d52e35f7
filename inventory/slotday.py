"""A slot-day: the 288 slots of one interface and UTC day, both directions, as they are kept (§2.4, §3.3).

Adding is idempotent: time that exact increments back already is not backed again, so the same readings
imported twice change nothing. Exact increments narrow the uncertain ones they fall into.
"""

from __future__ import annotations

import hashlib
import json
import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from inventory.counters import Flag, Increment
from inventory.timeslots import SLOT_MS, Group, SlotSeries, octets_between, overlaps, window_slots

DAY_MS = 86_400_000
SLOTS = DAY_MS // SLOT_MS
FORMAT = 1
HEAD_BYTES = 2
"""Format and width, before the counts of both directions."""
_FLAGS = tuple(Flag)
_BIT = {flag: 1 << number for number, flag in enumerate(_FLAGS)}
_TAIL = json.JSONEncoder(separators=(",", ":"), sort_keys=True)

Stretch = tuple[int, int]
"""Begin and end of a stretch of time, in milliseconds UTC."""


@dataclass(slots=True)
class DirectionDay:
    """One direction of a slot-day while it is being filled."""

    start_ms: int
    known: list[int] = field(default_factory=lambda: [0] * SLOTS)
    spans: list[Stretch] = field(default_factory=list)
    """Time backed by exact increments: in order, apart from each other, inside the day."""
    pending: list[Increment] = field(default_factory=list)
    """Uncertain increments that touch the day and say more than the port speed does; not cut at midnight."""
    marks: list[int] = field(default_factory=lambda: [0] * SLOTS)
    """Flags of each slot, as bits."""
    packets: list[int] = field(default_factory=list)
    """Packets in this direction, by slot; empty where no source tells them."""
    drops: list[int] = field(default_factory=list)
    """Packets thrown away on their way out, by slot; empty where no source tells them."""
    errors: list[int] = field(default_factory=list)
    """Frames with an error, by slot; empty where no source tells them."""

    @property
    def end_ms(self) -> int:
        return self.start_ms + DAY_MS

    def mark(self, increment: Increment) -> bool:
        """Set the increment's flags on the slots it touches; whether anything changed."""
        bits = _BIT[increment.flag]
        for flag in increment.marks:
            bits |= _BIT[flag]
        changed = False
        for index, _, _ in overlaps(increment.t0_ms, increment.t1_ms, self.start_ms, SLOTS):
            changed |= self.marks[index] | bits != self.marks[index]
            self.marks[index] |= bits
        return changed

    def free(self, t0_ms: int, t1_ms: int) -> list[Stretch]:
        """Parts of a stretch of time inside the day that no exact increment backs."""
        return subtract((max(t0_ms, self.start_ms), min(t1_ms, self.end_ms)), self.spans)

    def back(self, increment: Increment, pieces: Iterable[Stretch]) -> None:
        """Add an exact increment's octets over pieces of time that were free."""
        for begin, end in pieces:
            for index, a, b in overlaps(begin, end, self.start_ms, SLOTS):
                self.known[index] += octets_between(increment, a, b)
                self._count_packets(increment, index, b - a)
                self._count_errors(increment, index, b - a)
            self.spans = joined([*self.spans, (begin, end)])

    def holds(self, increment: Increment) -> bool:
        """Whether an exact increment may be in here: its time is backed, and its slots hold as many octets."""
        backed = not self.free(increment.t0_ms, increment.t1_ms)
        return backed and all(
            self.known[index] >= octets_between(increment, a, b)
            for index, a, b in overlaps(increment.t0_ms, increment.t1_ms, self.start_ms, SLOTS)
        )

    def take_back(self, increment: Increment) -> None:
        """Undo `back` of all of an increment's time in this day."""
        for index, a, b in overlaps(increment.t0_ms, increment.t1_ms, self.start_ms, SLOTS):
            self.known[index] -= octets_between(increment, a, b)
            for counts, told in (
                (self.packets, increment.packets),
                (self.drops, increment.drops),
                (self.errors, increment.errors),
            ):
                if counts and told:
                    counts[index] = max(0, counts[index] - told * (b - a) // increment.length_ms)
        piece = (max(increment.t0_ms, self.start_ms), min(increment.t1_ms, self.end_ms))
        self.spans = [left for span in self.spans for left in subtract(span, [piece])]

    def forget(self, increment: Increment) -> bool:
        """Drop an uncertain increment that is pending as it was added; whether it was."""
        same = [
            p
            for p in self.pending
            if (p.t0_ms, p.t1_ms, p.octets_min, p.octets_max)
            == (increment.t0_ms, increment.t1_ms, increment.octets_min, increment.octets_max)
        ]
        self.pending = [p for p in self.pending if p not in same]
        return bool(same)

    def _count_packets(self, increment: Increment, index: int, length_ms: int) -> None:
        """Packets are evidence, not money: they are spread by length and rounded down."""
        if increment.packets is None:
            return
        self.packets = self.packets or [0] * SLOTS
        self.packets[index] += increment.packets * length_ms // increment.length_ms
        if increment.drops is not None:
            self.drops = self.drops or [0] * SLOTS
            self.drops[index] += increment.drops * length_ms // increment.length_ms

    def _count_errors(self, increment: Increment, index: int, length_ms: int) -> None:
        if increment.errors is None:
            return
        if not self.errors:
            self.errors = [0] * SLOTS
        self.errors[index] += increment.errors * length_ms // increment.length_ms


@dataclass(slots=True)
class SlotDay:
    """Both directions of one interface and UTC day, and where the readings came from."""

    start_ms: int
    into: DirectionDay
    out: DirectionDay
    origins: set[str] = field(default_factory=set)

    @classmethod
    def empty(cls, start_ms: int) -> SlotDay:
        """A day without any reading. `start_ms` is a UTC midnight."""
        return cls(start_ms, DirectionDay(start_ms), DirectionDay(start_ms))


def day_start(t_ms: int) -> int:
    """UTC midnight at or before an instant."""
    return t_ms - t_ms % DAY_MS


def joined(spans: Iterable[Stretch]) -> list[Stretch]:
    """The same time in order, with touching stretches made one."""
    found: list[Stretch] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def subtract(stretch: Stretch, spans: Sequence[Stretch]) -> list[Stretch]:
    """What is left of a stretch after ordered, separate spans are taken out."""
    begin, end = stretch
    left = []
    for a, b in spans:
        if b <= begin:
            continue
        if a >= end:
            break
        if a > begin:
            left.append((begin, a))
        begin = max(begin, b)
    if begin < end:
        left.append((begin, end))
    return left


def add(days: dict[int, DirectionDay], increments: Sequence[Increment], speed_bps: int | None) -> set[int]:
    """Add increments of one direction to its days (by UTC midnight); the midnights of days that changed.

    `days` must hold every day that the increments touch, and the neighbours that share a pending increment.
    Exact increments go first, so that the order of arrival matters as little as it can.
    """
    changed: set[int] = set()
    for increment in sorted(increments, key=lambda i: not i.exact):
        touched = [days[start] for start in days_touched(increment)]
        if increment.exact:
            for day in touched:
                pieces = day.free(increment.t0_ms, increment.t1_ms)
                if increment.again:
                    pieces = [(max(increment.t0_ms, day.start_ms), min(increment.t1_ms, day.end_ms))]
                if pieces:
                    day.mark(increment)
                    day.back(increment, pieces)
                    changed.add(day.start_ms)
                    changed |= _narrow(days, increment, pieces)
        else:
            changed |= _add_pending(touched, increment, speed_bps)
    return changed


def retract(days: dict[int, DirectionDay], increment: Increment) -> set[int]:
    """Take an increment back out of its days: a reading in the middle of its pair has come; the midnights changed.

    Nothing is taken back where not all of it is there as it was added. Flags stay: slots were told of that way once.
    """
    touched = [days[start] for start in days_touched(increment) if start in days]
    if len(touched) != len(days_touched(increment)):
        return set()
    if not increment.exact:
        return {day.start_ms for day in touched if day.forget(increment)}
    if not all(day.holds(increment) for day in touched):
        return set()
    for day in touched:
        day.take_back(increment)
    _widen(days, increment)
    return {day.start_ms for day in touched}


def _widen(days: dict[int, DirectionDay], exact: Increment) -> None:
    """Put octets back into the pending increments that they were taken out of; one at nought may have held fewer."""
    for day in days.values():
        for number, pending in enumerate(day.pending):
            a, b = max(exact.t0_ms, pending.t0_ms), min(exact.t1_ms, pending.t1_ms)
            if a < b:
                octets, high = octets_between(exact, a, b), pending.octets_max
                day.pending[number] = replace(
                    pending,
                    octets_min=pending.octets_min + octets if pending.octets_min else 0,
                    octets_max=None if high is None else high + octets,
                )


def days_touched(increment: Increment) -> range:
    """UTC midnights of the days that an increment touches."""
    return range(day_start(increment.t0_ms), increment.t1_ms, DAY_MS)


def _narrow(days: dict[int, DirectionDay], exact: Increment, pieces: Sequence[Stretch]) -> set[int]:
    """Take exact octets out of the pending increments around them, in every day that shares those."""
    changed = set()
    for begin, end in pieces:
        for day in days.values():
            for number, pending in enumerate(day.pending):
                a, b = max(begin, pending.t0_ms), min(end, pending.t1_ms)
                if a < b:
                    octets = octets_between(exact, a, b)
                    high = pending.octets_max
                    day.pending[number] = replace(
                        pending,
                        octets_min=max(0, pending.octets_min - octets),
                        octets_max=None if high is None else max(0, high - octets),
                    )
                    changed.add(day.start_ms)
    return changed


def _add_pending(touched: Sequence[DirectionDay], increment: Increment, speed_bps: int | None) -> set[int]:
    """Keep an uncertain increment if it says something and its time is not spoken for already."""
    free_ms = sum(b - a for day in touched for a, b in day.free(increment.t0_ms, increment.t1_ms))
    overlapped = any(p.t0_ms < increment.t1_ms and increment.t0_ms < p.t1_ms for day in touched for p in day.pending)
    if not free_ms:
        return set()
    changed = {day.start_ms for day in touched if day.mark(increment)}
    if overlapped or not _telling(increment, speed_bps):
        return changed
    if free_ms < increment.length_ms:
        increment = _less_known(touched, increment)
    for day in touched:
        day.pending.append(increment)
    return changed | {day.start_ms for day in touched}


def _telling(increment: Increment, speed_bps: int | None) -> bool:
    """Whether the bounds say more than "between nothing and all that the port can carry"."""
    if increment.octets_min > 0:
        return True
    if increment.octets_max is None:
        return False
    return speed_bps is None or increment.octets_max < speed_bps * increment.length_ms // 8_000


def _less_known(touched: Sequence[DirectionDay], increment: Increment) -> Increment:
    """Bounds for the free part of an increment, part of whose time exact octets back already.

    What passed inside is known only slot by slot: at least the slots wholly inside, at most all it touches.
    """
    inside = around = 0
    for day in touched:
        for index, begin, end in overlaps(increment.t0_ms, increment.t1_ms, day.start_ms, SLOTS):
            around += day.known[index]
            inside += day.known[index] if end - begin == SLOT_MS else 0
    high = increment.octets_max
    return replace(
        increment,
        octets_min=max(0, increment.octets_min - around),
        octets_max=None if high is None else max(0, high - inside),
    )


def window(days: Iterable[DirectionDay], start_ms: int, end_ms: int) -> SlotSeries:
    """Slots of [start_ms, end_ms), on the grid, from the days at hand; a day that is missing is untouched time."""
    n = window_slots(start_ms, end_ms)
    known, covered = [0] * n, [0] * n
    flags: list[frozenset[Flag]] = [frozenset()] * n
    days = list(days)
    packets = [0] * (n if any(day.packets for day in days) else 0)
    drops = [0] * (n if any(day.drops for day in days) else 0)
    errors = [0] * (n if any(day.errors for day in days) else 0)
    spans: list[Stretch] = []
    pending: dict[Stretch, Increment] = {}
    for day in sorted(days, key=lambda d: d.start_ms):
        shift = (day.start_ms - start_ms) // SLOT_MS
        for index in range(max(0, -shift), min(SLOTS, n - shift)):
            known[shift + index] = day.known[index]
            if day.packets:
                packets[shift + index] = day.packets[index]
            if day.drops:
                drops[shift + index] = day.drops[index]
            if day.errors:
                errors[shift + index] = day.errors[index]
            if day.marks[index]:
                flags[shift + index] = flags_of(day.marks[index])
        spans = joined([*spans, *day.spans])
        pending.update({(p.t0_ms, p.t1_ms): p for p in day.pending})
    for a, b in spans:
        for index, begin, end in overlaps(a, b, start_ms, n):
            covered[index] += end - begin
    untouched = [SLOT_MS - ms for ms in covered]
    groups = []
    for increment in pending.values():
        group = group_of(increment, spans, start_ms, n)
        if group:
            groups.append(group)
            for index, ms in zip(group.slots, group.overlap_ms, strict=True):
                untouched[index] -= ms
    return SlotSeries(
        start_ms,
        tuple(known),
        tuple(covered),
        tuple(untouched),
        tuple(flags),
        tuple(groups),
        tuple(packets),
        tuple(drops),
        tuple(errors),
    )


def group_of(increment: Increment, spans: Sequence[Stretch], start_ms: int, n: int) -> Group | None:
    """The group of a pending increment over its time that is not backed; None if none of that is inside."""
    free = subtract((increment.t0_ms, increment.t1_ms), spans)
    overlap: dict[int, int] = {}
    for a, b in free:
        for index, begin, end in overlaps(a, b, start_ms, n):
            overlap[index] = overlap.get(index, 0) + end - begin
    if not overlap:
        return None
    slots = tuple(sorted(overlap))
    inside = tuple(overlap[index] for index in slots)
    outside_ms = sum(b - a for a, b in free) - sum(inside)
    return Group(slots, inside, increment.octets_min, increment.octets_max, outside_ms)


def flags_of(bits: int) -> frozenset[Flag]:
    """Flags of a slot from its bits."""
    return frozenset(flag for flag in _FLAGS if bits & _BIT[flag])


def encode(day: SlotDay) -> bytes:
    """The day as kept: counts as 32-bit numbers, 64-bit where one needs it, then the rest as JSON."""
    directions = (day.into, day.out)
    counts = [*day.into.known, *day.out.known]
    width = "I" if max(counts) < 1 << 32 else "Q"
    rest = {
        "origins": sorted(day.origins),
        "directions": [
            {
                "spans": [(a - day.start_ms, b - day.start_ms) for a, b in d.spans],
                "pending": [
                    [p.t0_ms, p.t1_ms, p.octets_min, p.octets_max, p.flag.value, sorted(p.marks)] for p in d.pending
                ],
                "marks": _runs(d.marks),
                **({"packets": packed_counts(d.packets)} if d.packets else {}),
                **({"drops": _runs(d.drops)} if d.drops else {}),
                **({"errors": _runs(d.errors)} if d.errors else {}),
            }
            for d in directions
        ],
    }
    return struct.pack("<Bc", FORMAT, width.encode()) + struct.pack(f"<{2 * SLOTS}{width}", *counts) + tail_text(rest)


def packed_counts(values: Sequence[int]) -> str:
    """A count for each slot in few characters: its width (`I` 32, `Q` 64 bit), then base64. It is read often."""
    width = "I" if max(values) < 1 << 32 else "Q"
    return width + b2a_base64(struct.pack(f"<{SLOTS}{width}", *values), newline=False).decode()


def unpacked_counts(kept: str | Sequence[int]) -> list[int]:
    """The counts again; days that older versions wrote hold them as numbers."""
    if not isinstance(kept, str):
        return list(kept)
    return list(struct.unpack(f"<{SLOTS}{kept[0]}", a2b_base64(kept[1:])))


def tail_text(rest: Mapping[str, object]) -> bytes:
    """What stands behind the counts of a blob, always written alike."""
    return _TAIL.encode(rest).encode()


def bit_of(flag: Flag) -> int:
    """The bit of a flag in the marks of a slot."""
    return _BIT[flag]


def layout_of(blob: bytes) -> int:
    """Bytes of each count in a blob made by `encode`. Raises ValueError for a format that is not known."""
    version, width = struct.unpack_from("<Bc", blob)
    if version != FORMAT or width not in (b"I", b"Q"):
        raise ValueError(f"slot-day format {version} with width {width!r} is not known")
    return 4 if width == b"I" else 8


def part_digest(start_ms: int, blob: bytes, begin_ms: int, end_ms: int) -> bytes:
    """Digest of all that a kept day says of [begin_ms, end_ms), on the grid: what comes after it changes nothing of it.

    Equal digests mean equal figures of that stretch. Raises ValueError for an unknown format.
    """
    width = layout_of(blob)
    first, after = max(0, (begin_ms - start_ms) // SLOT_MS), min(SLOTS, (end_ms - start_ms) // SLOT_MS)
    told = json.loads(blob[HEAD_BYTES + 2 * SLOTS * width :])
    found = hashlib.blake2b(repr((width, first, after, told["origins"])).encode(), digest_size=16)
    begin, end = first * SLOT_MS, after * SLOT_MS
    for number, one in enumerate(told["directions"]):
        at = HEAD_BYTES + number * SLOTS * width
        found.update(blob[at + first * width : at + after * width])
        pending = [p for p in one["pending"] if p[0] < start_ms + end and start_ms + begin < p[1]]
        # What is uncertain reaches out of the stretch: how much of its time is backed there counts, too.
        lower = min([begin, *(p[0] - start_ms for p in pending)])
        upper = max([end, *(p[1] - start_ms for p in pending)])
        spans = [(max(a, lower), min(b, upper)) for a, b in one["spans"] if a < upper and lower < b]
        marks, drops = (_slice(one.get(name, ()), first, after) for name in ("marks", "drops"))
        packets = unpacked_counts(one.get("packets", ()))[first:after]
        found.update(repr((spans, pending, marks, drops, packets)).encode())
        if "errors" in one:
            found.update(repr(_slice(one["errors"], first, after)).encode())
    return found.digest()


def _slice(runs: Iterable[Sequence[int]], first: int, after: int) -> list[list[int]]:
    """Run lengths of the slots [first, after)."""
    found: list[list[int]] = []
    at = 0
    for value, count in runs:
        inside = min(at + count, after) - max(at, first)
        if inside > 0:
            found.append([value, inside])
        at += count
    return found


def decode(start_ms: int, blob: bytes) -> SlotDay:
    """The day of a blob made by `encode`. Raises ValueError for a format that this version does not know."""
    layout = struct.Struct(f"<{2 * SLOTS}{'I' if layout_of(blob) == 4 else 'Q'}")
    counts = layout.unpack_from(blob, HEAD_BYTES)
    rest = json.loads(blob[HEAD_BYTES + layout.size :])
    into, out = (
        DirectionDay(
            start_ms,
            list(counts[number * SLOTS : (number + 1) * SLOTS]),
            [(start_ms + a, start_ms + b) for a, b in kept["spans"]],
            [
                Increment(t0, t1, low, high, Flag(flag), frozenset(map(Flag, marks)))
                for t0, t1, low, high, flag, marks in kept["pending"]
            ],
            [bits for bits, count in kept["marks"] for _ in range(count)],
            unpacked_counts(kept.get("packets", ())),
            [drops for drops, count in kept.get("drops", ()) for _ in range(count)],
            [errors for errors, count in kept.get("errors", ()) for _ in range(count)],
        )
        for number, kept in enumerate(rest["directions"])
    )
    return SlotDay(start_ms, into, out, set(rest["origins"]))


def _runs(values: Sequence[int]) -> list[list[int]]:
    """Run lengths: [value, count] …"""
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return found
