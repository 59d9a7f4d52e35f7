"""The slots of a link: of its interface, or of the interfaces of its group summed slot by slot (§3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.store import slotdays, traffic
from controller.store.database import Tx
from controller.store.slotdays import KeptDay
from inventory.links import Link, Member
from inventory.reportseries import in_service
from inventory.slotday import DAY_MS, window
from inventory.timeslots import SLOT_MS, SlotSeries, sum_series

KeptPorts = Sequence[tuple[Member, Sequence[KeptDay]]]
"""Slot-days of each interface of a link."""


@dataclass(frozen=True, slots=True)
class LinkSeries:
    """Both directions of a link as its device counts, and where the readings came from."""

    into: SlotSeries
    out: SlotSeries
    origins: tuple[str, ...]


async def kept_ports(tx: Tx, link: Link, start_ms: int, end_ms: int) -> KeptPorts:
    """Slot-days of a link's interfaces that overlap [start_ms, end_ms)."""
    ids: Mapping[tuple[int, str], int] = await traffic.interface_ids(
        tx, [(link.entry_id, port.interface) for port in link.ports]
    )
    found = []
    for port in link.ports:
        kept = await slotdays.days_between(tx, ids.get((link.entry_id, port.interface), 0), start_ms, end_ms)
        found.append((port, list(kept.values())))
    return found


def series_of(ports: KeptPorts, start_ms: int, end_ms: int) -> LinkSeries:
    """The series of [start_ms, end_ms), which lie on the grid."""
    into = sum_series([(window((k.day.into for k in kept), start_ms, end_ms), p.port_speed_bps) for p, kept in ports])
    out = sum_series([(window((k.day.out for k in kept), start_ms, end_ms), p.port_speed_bps) for p, kept in ports])
    origins = tuple(sorted({origin for _, kept in ports for k in kept for origin in k.day.origins}))
    return LinkSeries(into, out, origins)


async def first_slot_day(tx: Tx, link: Link) -> int | None:
    """UTC midnight of the oldest slot-day of a link's interfaces."""
    ids = await traffic.interface_ids(tx, [(link.entry_id, port.interface) for port in link.ports])
    begun = [await slotdays.first_day(tx, number) for number in ids.values()]
    return min((one for one in begun if one is not None), default=None)


def metered(series: LinkSeries, first_ms: int | None, until_ms: int) -> LinkSeries:
    """The slots in which the link was in metered service (§3.1): from the first that any reading ever touched, gaps
    included, as far as the slots have passed at `until_ms`. `first_ms`: see `first_slot_day`.
    """
    into, out = series.into, series.out
    end = min(len(into.known), max(0, (until_ms - into.start_ms) // SLOT_MS))
    begin = 0
    if first_ms is None or first_ms + DAY_MS > into.start_ms:
        free = zip(into.untouched_ms[:end], out.untouched_ms[:end], strict=True)
        begin = next((i for i, (a, b) in enumerate(free) if min(a, b) < SLOT_MS), end)
    return LinkSeries(in_service(into, begin, end), in_service(out, begin, end), series.origins)


async def link_series(tx: Tx, link: Link, start_ms: int, end_ms: int) -> LinkSeries:
    """Both of the above, for short spans; long ones compute `series_of` in a thread."""
    return series_of(await kept_ports(tx, link, start_ms, end_ms), start_ms, end_ms)
