"""Each link in numbers: what `/metrics/links` shows. The figures are those of REST, read from the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.store import alarms, telemetry
from controller.store.telemetry import LastDay, NamedLink
from controller.telemetry.exposition import Metric, Sample
from inventory.links import Direction
from inventory.periods import TOKYO, day_of

if TYPE_CHECKING:
    from controller.main import Daemon

DAYS: Final = 5
"""A link whose newest day is older has no figures of a day any more."""


async def of_links(daemon: Daemon) -> list[Metric]:
    """Level, saturation alarm, capacity and the figures of the newest judged day of each link and direction."""
    since = day_of(daemon.clock.now_ms(), TOKYO) - timedelta(days=DAYS)
    async with daemon.db.read() as tx:
        links = {link.id: link for link in await telemetry.named_links(tx)}
        levels = await telemetry.levels(tx)
        saturated = sorted((await alarms.known(tx)).items())
    async with daemon.traffic.read() as tx:
        days = [day for day in await telemetry.last_days(tx, since) if day.link_id in links]
    judged = [(key, level) for key, level in sorted(levels.items()) if key[0] in links]
    return [
        Metric(
            "kajitori_link_level",
            "gauge",
            "Level as judged last: 0 calm, 1 watch, 2 congested, 3 critical.",
            tuple(Sample(int(level), labels(links[link_id], direction)) for (link_id, direction), level in judged),
        ),
        Metric(
            "kajitori_link_saturated",
            "gauge",
            "1 while the alarm of a saturated link stands, 0 when it was cleared.",
            tuple(
                Sample(int(stands), labels(links[number], direction))
                for (number, direction), stands in saturated
                if number in links
            ),
        ),
        Metric(
            "kajitori_link_capacity_bps",
            "gauge",
            "Capacity that the newest day was judged by.",
            tuple(
                Sample(day.capacity.used_bps, {**labels(links[day.link_id], day.direction), "kind": day.capacity.kind})
                for day in days
                if day.capacity is not None and day.capacity.nominal_bps
            ),
        ),
        _of_days("busy_hour_ratio", "Busiest hour of the newest day by capacity.", links, days, lambda d: d.busy_util),
        _of_days(
            "hot_slots",
            "Slots of the newest day at 90 % or more.",
            links,
            days,
            # Without a capacity no slot is at any share of it.
            lambda d: None if d.capacity is None or not d.capacity.nominal_bps else d.hot90,
        ),
        _of_days("unknown_slots", "Slots of the newest day not known.", links, days, lambda d: d.unknown_slots),
        _of_days(
            "coverage_ratio",
            "Share of the newest day that was measured.",
            links,
            days,
            lambda d: d.covered_ms / (d.slots * 300_000) if d.slots else 0,
        ),
        _of_days("day_octets_low", "Octets of the newest day, at least.", links, days, lambda d: d.octets_low),
        _of_days("day_octets_high", "Octets of the newest day, at most.", links, days, lambda d: d.octets_high),
    ]


def _of_days(
    name: str,
    meaning: str,
    links: dict[int, NamedLink],
    days: Sequence[LastDay],
    figure: Callable[[LastDay], float | None],
) -> Metric:
    """A figure of the newest day; where there is none, there is no sample: never a zero."""
    found = ((day, figure(day)) for day in days)
    return Metric(
        f"kajitori_link_{name}",
        "gauge",
        meaning,
        tuple(Sample(value, labels(links[day.link_id], day.direction)) for day, value in found if value is not None),
    )


def labels(link: NamedLink, direction: Direction) -> dict[str, str]:
    """Which link and direction a value is of."""
    return {
        "link": str(link.id),
        "entry": link.entry,
        "place": link.place,
        "interface": link.interface,
        "direction": direction.value,
    }
