"""From the statistics of a heartbeat, as they were kept, to values that API and explanations show."""

from __future__ import annotations

from controller.store.beats import KeptStatistics
from drivers.arms import heartbeat
from inventory.vitals import Vital

_FIELDS = {layout.name: layout.fields[1:] for layout in heartbeat.LAYOUTS.values()}


def of(kept: KeptStatistics) -> tuple[Vital, ...]:
    """Everything it told, the first of each kind and index."""
    return tuple(
        Vital(one.name, one.index, dict(zip(_FIELDS[one.name], one.values, strict=True)))
        for one in heartbeat.statistics(kept.content)
    )
