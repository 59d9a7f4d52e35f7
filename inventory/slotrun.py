"""The usual case of ingestion at a fraction of the cost: exact octets without a hole, straight into kept slot-days.

A *run* is what consecutive readings of one interface tell when every pair of them is `measured`. Where it begins at or
after all that a slot-day holds, adding it changes a few counts, the last span and the marks, so the blob is changed and
not made anew. Everything else goes through `slotday.add`; what both do is the same, byte for byte.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final

from inventory.counters import Flag
from inventory.slotday import (
    DAY_MS,
    HEAD_BYTES,
    SLOTS,
    SlotDay,
    bit_of,
    encode,
    layout_of,
    packed_counts,
    tail_text,
    unpacked_counts,
)
from inventory.timeslots import SLOT_MS

_MEASURED: Final = bit_of(Flag.MEASURED)
_COUNT: Final = {4: Struct("<I"), 8: Struct("<Q")}

Octets = list[int]
"""In and out."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Difference of one measured pair: in and out; where the device tells them packets, and drops beside those out."""

    t0_ms: int
    t1_ms: int
    in_octets: int
    out_octets: int
    packets: int | None = None
    """Those that left."""
    drops: int | None = None
    in_packets: int | None = None
    faultless: bool = False
    """Whether the device tells frames with errors, and there was none in either direction."""


@dataclass(slots=True)
class Run:
    """Exact octets of [begin_ms, end_ms), which pairs cover without a hole."""

    begin_ms: int
    end_ms: int
    octets: dict[int, Octets] = field(default_factory=dict)
    """By number of the slot since the epoch."""
    in_packets: dict[int, int] = field(default_factory=dict)
    packets: dict[int, int] = field(default_factory=dict)
    """Those that left. Only of slots in which a pair told them, as for the others."""
    drops: dict[int, int] = field(default_factory=dict)
    faultless: set[int] = field(default_factory=set)
    """Days, by number since the epoch, of which errors are told: there were none."""

    @property
    def days(self) -> range:
        """UTC midnights of the days that it touches."""
        return range(self.begin_ms - self.begin_ms % DAY_MS, self.end_ms, DAY_MS)


def run_of(pairs: Sequence[Counted]) -> Run:
    """The run of measured pairs, each of which begins where the one before ended; spread evenly (§2.4)."""
    found = Run(pairs[0].t0_ms, pairs[-1].t1_ms)
    octets = found.octets
    for pair in pairs:
        first, last = pair.t0_ms // SLOT_MS, (pair.t1_ms - 1) // SLOT_MS
        if first == last:
            into = octets.get(first)
            if into is None:
                octets[first] = [pair.in_octets, pair.out_octets]
            else:
                into[0] += pair.in_octets
                into[1] += pair.out_octets
        else:
            _spread(octets, pair, first, last)
        if pair.packets is not None or pair.in_packets is not None:
            _spread_packets(found, pair, first, last)
        if pair.faultless:
            found.faultless |= {pair.t0_ms // DAY_MS, (pair.t1_ms - 1) // DAY_MS}
    return found


def _spread(octets: dict[int, Octets], pair: Counted, first: int, last: int) -> None:
    """By running totals: no octet is lost or made."""
    length_ms = pair.t1_ms - pair.t0_ms
    given_in = given_out = 0
    for slot in range(first, last + 1):
        passed_ms = min(pair.t1_ms, (slot + 1) * SLOT_MS) - pair.t0_ms
        total_in, total_out = pair.in_octets * passed_ms // length_ms, pair.out_octets * passed_ms // length_ms
        into = octets.setdefault(slot, [0, 0])
        into[0] += total_in - given_in
        into[1] += total_out - given_out
        given_in, given_out = total_in, total_out


def _spread_packets(run: Run, pair: Counted, first: int, last: int) -> None:
    """Packets are evidence, not money: they are spread by length and rounded down."""
    drops = None if pair.packets is None else pair.drops
    length_ms = pair.t1_ms - pair.t0_ms
    for slot in range(first, last + 1):
        inside_ms = min(pair.t1_ms, (slot + 1) * SLOT_MS) - max(pair.t0_ms, slot * SLOT_MS)
        for found, told in ((run.in_packets, pair.in_packets), (run.packets, pair.packets), (run.drops, drops)):
            if told is not None:
                found[slot] = found.get(slot, 0) + told * inside_ms // length_ms


def lengthened(blob: bytes | None, start_ms: int, run: Run, source: str) -> bytes | None:
    """The slot-day with the run's part in it; None where that is not the usual case, and `slotday.add` must do it.

    `blob` None: nothing is kept of the day that begins at `start_ms`, a UTC midnight. Raises ValueError for a blob of a
    format that this version does not know.
    """
    blob = blob or _EMPTY
    width = layout_of(blob)
    counts_end = HEAD_BYTES + 2 * SLOTS * width
    tail = json.loads(blob[counts_end:])
    into, out = tail["directions"]
    begin, end = max(run.begin_ms - start_ms, 0), min(run.end_ms - start_ms, DAY_MS)
    if not (_open(into, begin, run.begin_ms) and _open(out, begin, run.begin_ms)):
        return None
    counts = bytearray(blob[:counts_end])
    if not _counted(counts, run.octets, start_ms // SLOT_MS, _COUNT[width]):
        return None
    alike = into["spans"] == out["spans"] and into["marks"] == out["marks"]
    spans, marks = into["spans"], into["marks"]
    into["spans"], into["marks"] = _longer(spans, begin, end), _marked(marks, begin // SLOT_MS, (end - 1) // SLOT_MS)
    if alike:
        out["spans"], out["marks"] = into["spans"], into["marks"]
    else:
        out["spans"] = _longer(out["spans"], begin, end)
        out["marks"] = _marked(out["marks"], begin // SLOT_MS, (end - 1) // SLOT_MS)
    _packets(into, run.in_packets, start_ms // SLOT_MS)
    _packets(out, run.packets, start_ms // SLOT_MS)
    _drops(out, run.drops, start_ms // SLOT_MS)
    if start_ms // DAY_MS in run.faultless:
        for direction in (into, out):
            direction.setdefault("errors", [[0, SLOTS]])
    if source not in tail["origins"]:
        tail["origins"] = sorted([*tail["origins"], source])
    return bytes(counts) + tail_text(tail)


def _open(direction: Mapping[str, Any], begin: int, begin_ms: int) -> bool:
    """Whether nothing that the direction holds reaches beyond the begin of the run."""
    spans = direction["spans"]
    return (not spans or spans[-1][1] <= begin) and all(pending[1] <= begin_ms for pending in direction["pending"])


def _counted(counts: bytearray, octets: Mapping[int, Octets], first: int, count: Struct) -> bool:
    """Add octets to the counts of both directions; false where one grows too wide."""
    largest, half = (1 << 8 * count.size) - 1, SLOTS * count.size
    for slot, amounts in octets.items():
        if not 0 <= slot - first < SLOTS:
            continue
        at = HEAD_BYTES + (slot - first) * count.size
        for offset, amount in ((at, amounts[0]), (at + half, amounts[1])):
            total = count.unpack_from(counts, offset)[0] + amount
            if total > largest:
                return False
            count.pack_into(counts, offset, total)
    return True


def _longer(spans: Sequence[Sequence[int]], begin: int, end: int) -> list[Sequence[int]]:
    if spans and spans[-1][1] == begin:
        return [*spans[:-1], [spans[-1][0], end]]
    return [*spans, [begin, end]]


def _marked(runs: Iterable[Sequence[int]], first: int, last: int) -> list[list[int]]:
    """Run lengths with the flag `measured` on the slots first to last."""
    found: list[list[int]] = []
    at = 0
    for bits, count in runs:
        after = at + count
        if after <= first or at > last or bits & _MEASURED:
            _extend(found, bits, count)
        else:
            _extend(found, bits, max(first - at, 0))
            _extend(found, bits | _MEASURED, min(after, last + 1) - max(at, first))
            _extend(found, bits, max(after - last - 1, 0))
        at = after
    return found


def _extend(runs: list[list[int]], value: int, count: int) -> None:
    if not count:
        return
    if runs and runs[-1][0] == value:
        runs[-1][1] += count
    else:
        runs.append([value, count])


def _packets(direction: dict[str, Any], packets: Mapping[int, int], first: int) -> None:
    inside = [(slot - first, passed) for slot, passed in packets.items() if 0 <= slot - first < SLOTS]
    if not inside:
        return
    kept = direction.get("packets") or _NO_PACKETS
    if isinstance(kept, str):
        count, counts = _COUNT[4 if kept[0] == "I" else 8], bytearray(a2b_base64(kept[1:]))
        if _all_added(counts, inside, count):
            direction["packets"] = kept[0] + b2a_base64(counts, newline=False).decode()
            return
    values = unpacked_counts(kept)
    for index, passed in inside:
        values[index] += passed
    direction["packets"] = packed_counts(values)


def _all_added(counts: bytearray, amounts: Iterable[tuple[int, int]], count: Struct) -> bool:
    """Whether each count has room for what was added to it; where one has not, some were added."""
    largest = (1 << 8 * count.size) - 1
    for index, amount in amounts:
        total = count.unpack_from(counts, index * count.size)[0] + amount
        if total > largest:
            return False
        count.pack_into(counts, index * count.size, total)
    return True


def _drops(out: dict[str, Any], thrown: Mapping[int, int], first: int) -> None:
    inside = {slot - first: amount for slot, amount in thrown.items() if 0 <= slot - first < SLOTS}
    if not inside:
        return
    if not any(inside.values()):
        out.setdefault("drops", [[0, SLOTS]])
        return
    drops = [value for value, count in out.get("drops", ((0, SLOTS),)) for _ in range(count)]
    for index, amount in inside.items():
        drops[index] += amount
    runs: list[list[int]] = []
    for value in drops:
        _extend(runs, value, 1)
    out["drops"] = runs


_NO_PACKETS: Final = packed_counts([0] * SLOTS)
_EMPTY: Final = encode(SlotDay.empty(0))
"""A day without any reading; where it begins does not show in it."""
