"""Use of mobile accesses and packet share groups, from the counters of the links that their SIM sat behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from controller.metering.series import KeptPorts, kept_ports, series_of
from controller.store import contracts, mobile
from controller.store.contracts import Standing
from controller.store.database import Database, Tx
from controller.store.mobile import Sitting
from controller.store.traffic import TrafficDatabase
from inventory import mobileusage
from inventory.calendar import Month, day_end_ms, tokyo_day
from inventory.contracts import allowed
from inventory.links import Link
from inventory.mobilechanges import PossibleChange, packs_changes, plan_changes
from inventory.mobileusage import DAY_MS, NOTHING, Pace, RunOut, Usage, added, allowance_gb, runs_out
from inventory.timeslots import SLOT_MS

FINAL_AFTER_MS = 900_000
"""A slot is final so long after its end: until then nothing is said of it (metering §2.4)."""


@dataclass(frozen=True, slots=True)
class MobileUse:
    """What one mobile access, or one group, used in a month, and what follows."""

    standing: Standing
    month: Month
    plan: str
    """`packet-share` for a group."""
    allowance_gb: int | None
    members: tuple[int, ...]
    """Accesses of a group, by line; empty for an access."""
    usage: Usage
    as_of_ms: int
    pace: Pace | None
    run_out: RunOut
    next_month: RunOut | None
    """Of the present month only; None too where the line ends before."""
    changes: tuple[PossibleChange, ...]
    linked: bool
    """Whether its SIM sat behind a link of the line type `mobile` at any time of the month."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of time behind a link, with what is kept of it."""

    link: Link
    ports: KeptPorts
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class _Access:
    """An access with its pieces and the stretches in service that no link counted; the month before, then the month."""

    pieces: tuple[tuple[_Piece, ...], tuple[_Piece, ...]]
    bare: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


async def use_of(
    database: Database, traffic: TrafficDatabase, ids: Sequence[int], month: Month, now_ms: int
) -> list[MobileUse]:
    """Use of these lines in a month that has begun, by their order; those not applied for by then are left out.

    The caller has checked the scope.
    """
    start_ms = day_end_ms(month.first) - DAY_MS
    as_of_ms = max(start_ms, min(day_end_ms(month.last), (now_ms - FINAL_AFTER_MS) // SLOT_MS * SLOT_MS))
    today = min(tokyo_day(now_ms), month.last)
    before_ms = day_end_ms(month.plus(-1).first) - DAY_MS
    async with database.read() as tx:
        wanted, every = await _standing(tx, ids, today)
        members = {one.line.id: _members(one, every) for one in wanted}
        needed = {one.line.id: one for found in members.values() for one in found}
        on_lines = {one.line.on_line_id for one in needed.values() if one.line.on_line_id is not None}
        sat = await mobile.sittings(tx, on_lines, before_ms)
    async with traffic.read() as tx:
        accesses = {
            number: await _read(tx, one, sat.get(one.line.on_line_id or 0, []), (before_ms, start_ms, as_of_ms))
            for number, one in needed.items()
        }

    def compute() -> list[MobileUse]:
        counted = {number: (_usage(one, 0), _usage(one, 1)) for number, one in accesses.items()}
        return [_use(one, members[one.line.id], counted, accesses, month, as_of_ms, now_ms) for one in wanted]

    return await asyncio.to_thread(compute)


async def _standing(tx: Tx, ids: Sequence[int], day: date) -> tuple[list[Standing], list[Standing]]:
    """The lines wanted, and every mobile access of their contractors: any of them may be a member."""
    wanted = await contracts.by_number(tx, ids)
    every = []
    for owner in sorted({one.contractor_id for one in wanted}):
        every += [one for one in await contracts.lines_of(tx, owner) if one.kind == "mobile-access"]
    standing = await contracts.standing(tx, wanted, day)
    groups = any(one.line.kind == "packet-share-group" for one in standing)
    return standing, await contracts.standing(tx, every, day) if groups else []


def _members(one: Standing, every: Iterable[Standing]) -> list[Standing]:
    if one.line.kind == "mobile-access":
        return [one]
    return [other for other in every if other.group_line_id == one.line.id]


async def _read(tx: Tx, access: Standing, sat: Sequence[Sitting], bounds: tuple[int, int, int]) -> _Access:
    """What is kept of an access in two spans, cut to its time in service."""
    contract = access.contract
    pieces: list[tuple[_Piece, ...]] = []
    bare: list[tuple[tuple[int, int], ...]] = []
    for start_ms, end_ms in pairwise(bounds):
        first = contract.billing_start if contract.started else None
        begin = end_ms if first is None else max(start_ms, day_end_ms(first) - DAY_MS)
        end = end_ms if contract.effective is None else min(end_ms, day_end_ms(contract.effective))
        found, free_from, free = [], begin, []
        for one in sat:
            a, b = max(begin, one.from_ms), min(end, end if one.to_ms is None else one.to_ms)
            if a >= b or not one.links:
                continue
            if a > free_from:
                free.append((free_from, a))
            free_from = max(free_from, b)
            whole = (a // SLOT_MS * SLOT_MS, -(-b // SLOT_MS) * SLOT_MS)
            found += [_Piece(link, await kept_ports(tx, link, *whole), a, b) for link in one.links]
        if free_from < end:
            free.append((free_from, end))
        pieces.append(tuple(found))
        bare.append(tuple(free))
    return _Access((pieces[0], pieces[1]), (bare[0], bare[1]))


def _usage(access: _Access, span: int) -> Usage:
    """Everything of one span together."""
    parts = [part for piece in access.pieces[span] for part in _counted(piece)]
    return added([*parts, *(mobileusage.unmeasured(*stretch) for stretch in access.bare[span])])


def _counted(piece: _Piece) -> Iterable[Usage]:
    """A piece slot by slot: whole slots are the SIM's, of the two at its ends only a part may be."""
    first, last = -(-piece.begin_ms // SLOT_MS) * SLOT_MS, piece.end_ms // SLOT_MS * SLOT_MS
    if piece.begin_ms < first:
        edge = _measured(piece, first - SLOT_MS, first)
        yield mobileusage.shared(edge, piece.begin_ms, min(first, piece.end_ms))
    if first < last:
        yield _measured(piece, first, last)
    if first <= last < piece.end_ms:
        yield mobileusage.shared(_measured(piece, last, last + SLOT_MS), last, piece.end_ms)


def _measured(piece: _Piece, start_ms: int, end_ms: int) -> Usage:
    series = series_of(piece.ports, start_ms, end_ms)
    return mobileusage.measured(series.into, series.out, piece.link.speed_bps)


def _use(
    one: Standing,
    members: Sequence[Standing],
    counted: Mapping[int, tuple[Usage, Usage]],
    accesses: Mapping[int, _Access],
    month: Month,
    as_of_ms: int,
    now_ms: int,
) -> MobileUse:
    before, usage = (added(counted[m.line.id][span] for m in members) for span in (0, 1))
    today = tokyo_day(now_ms)
    known = mobileusage.pace({**before.days, **usage.days}, tokyo_day(as_of_ms))
    group = one.line.kind == "packet-share-group"
    plan = "packet-share" if group else str(one.contract.values.get("plan", ""))
    limit = allowance_gb(plan, _packs(one.contract.values.get("packs-gb")))
    now = runs_out(limit, month, usage, known, as_of_ms)
    later, changes = None, tuple[PossibleChange, ...]()
    following, ends = month.plus(1), one.contract.effective
    if month == Month.of(today):
        if ends is None or ends >= following.first:
            later = runs_out(_next_limit(one, limit, following.first), following, NOTHING, known, as_of_ms)
        if "change-option" in allowed(one.contract):
            out = now.day or (later.day if later else None)
            octets = None if known is None else known.expected(following.days) + known.band(following.days)
            if group:
                packs = _packs(one.contract.values.get("packs-gb")) or 0
                changes = packs_changes(packs, today, run_out=out, month_octets=octets, ends=ends)
            else:
                changes = plan_changes(plan, today, run_out=out, month_octets=octets, ends=ends)
    linked = any(accesses[m.line.id].pieces[1] for m in members)
    ids = tuple(m.line.id for m in members) if group else ()
    return MobileUse(one, month, plan, limit, ids, usage, as_of_ms, known, now, later, changes, linked)


def _next_limit(one: Standing, limit: int | None, first: date) -> int | None:
    """The allowance of the month that begins on `first`: a change that waits for it counts."""
    for change in one.contract.pending:
        if change.first_day <= first and change.what in {"plan", "packs-gb"}:
            packs = change.what == "packs-gb"
            limit = allowance_gb(
                "packet-share" if packs else str(change.value), _packs(change.value) if packs else None
            )
    return limit


def _packs(value: str | int | None) -> int | None:
    return None if value is None else int(value)
