"""How good a day's measurements were: gaps, resets, ambiguous counters, outliers, clocks; by source and model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.counters import Flag
from inventory.reporthead import Json, ReportHead, envelope

COUNTED = (
    Flag.GAP,
    Flag.RESET,
    Flag.AMBIGUOUS,
    Flag.OUTLIER,
    Flag.CLOCK,
    Flag.STATE,
    Flag.DERIVED,
    Flag.MAINTENANCE,
    Flag.CORRECTED,
)
WORST = 50


@dataclass(frozen=True, slots=True)
class InterfaceQuality:
    """One interface over the day, both directions together."""

    link_id: int
    entry: str
    place: str
    interface: str
    source: str
    """Where the readings came from, such as `heartbeat`; empty: there were none."""
    model: str
    slots: int
    unknown: int
    """Slots whose octets are not known in one direction or the other."""
    flagged: Mapping[Flag, int]
    """Slots with each flag."""


def build(head: ReportHead, interfaces: Sequence[InterfaceQuality]) -> Json:
    """The report; a day without interfaces says so."""
    worst = sorted((one for one in interfaces if one.unknown), key=lambda one: (-one.unknown, one.link_id))[:WORST]
    changes: list[Json] = [
        {"what": "unmeasured", "entry": one.entry, "place": one.place, "interface": one.interface}
        for one in worst
        if one.unknown == one.slots
    ]
    return envelope(
        head,
        changes,
        interfaces=len(interfaces),
        groups=_groups(interfaces),
        worst=[
            {
                "link": one.link_id,
                "entry": one.entry,
                "place": one.place,
                "interface": one.interface,
                "source": one.source,
                "model": one.model,
                **_figures([one]),
            }
            for one in worst
        ],
    )


def _groups(interfaces: Sequence[InterfaceQuality]) -> list[Json]:
    groups: dict[tuple[str, str], list[InterfaceQuality]] = {}
    for one in interfaces:
        groups.setdefault((one.source, one.model), []).append(one)
    return [
        {"source": source, "model": model, "interfaces": len(mine), **_figures(mine)}
        for (source, model), mine in sorted(groups.items())
    ]


def _figures(interfaces: Sequence[InterfaceQuality]) -> Json:
    flagged: Counter[Flag] = Counter()
    for one in interfaces:
        flagged.update(one.flagged)
    return {
        "slots": sum(one.slots for one in interfaces),
        "unknown": sum(one.unknown for one in interfaces),
        **{flag.value: flagged[flag] for flag in COUNTED},
    }
