"""Gathers what heartbeats tell of adapters, for their explanations: a few queries, however many adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from controller import vitals
from controller.store import beats, heartbeats, incidents
from controller.store.beats import KeptStatistics
from controller.store.database import Tx
from controller.store.scope import Scope
from controller.store.traffic import TrafficDatabase
from inventory.contacts import RefusedBeats
from inventory.explain import Hearing
from inventory.incidents import Incident, IncidentKind
from inventory.vitals import troubles

REFUSED_SHOWN_MS: Final = 24 * 3_600_000
"""Refused heartbeats are told in explanations for a day; their numbers stay."""
STATISTICS_SHOWN_MS: Final = 900_000
"""Older statistics say nothing of now."""
REASONS: Final = {
    "wrong-key": "for a wrong key",
    "replay": "as replays",
    "truncated": "because they were cut short",
    "oversize": "because they were too long",
    "malformed": "because they were no heartbeats",
    "too-soon": "because they came too fast",
}


async def of_adapters(
    tx: Tx, traffic: TrafficDatabase | None, now_ms: int, adapter_ids: Sequence[int]
) -> dict[int, Hearing]:
    """What is to be told of each. The caller has checked their scope."""
    if not adapter_ids:
        return {}
    told: dict[int, KeptStatistics] = {}
    if traffic is not None:
        async with traffic.read() as traffic_tx:
            told = await beats.latest_statistics(traffic_tx, adapter_ids, now_ms - STATISTICS_SHOWN_MS)
    refused = await heartbeats.refused(tx, adapter_ids)
    found = await incidents.open_of_adapters(tx, adapter_ids)
    together = {adapter_id: one for one in await _silences(tx) for adapter_id in _members(one)}
    return {
        adapter_id: Hearing(
            clone=next((_clone(one) for one in found.get(adapter_id, ()) if one.kind is IncidentKind.CLONE), None),
            silence=_silence(together.get(adapter_id)),
            refused=tuple(_refused(refused.get(adapter_id, ()), now_ms - REFUSED_SHOWN_MS)),
            troubles=_troubles(told.get(adapter_id)),
        )
        for adapter_id in adapter_ids
    }


async def _silences(tx: Tx) -> list[Incident]:
    found: list[Incident] = []
    for state in ("open", "acknowledged"):
        found += await incidents.page(tx, Scope.everything(), limit=1000, state=state, kind=IncidentKind.SILENCE)
    return found


def _members(incident: Incident) -> Iterator[int]:
    ids = incident.facts.get("adapter_ids")
    if incident.adapter_id is None and isinstance(ids, list):
        yield from ids


def _silence(incident: Incident | None) -> tuple[int, str] | None:
    if incident is None:
        return None
    return incident.opened_ms, f"{incident.facts.get('guess')} (incident {incident.id})"


def _clone(incident: Incident) -> tuple[int, str]:
    evidence = incident.facts.get("evidence")
    why = "; ".join(str(one) for one in evidence) if isinstance(evidence, list) else ""
    return incident.opened_ms, f"{incident.title} ({why})"


def _refused(refused: Sequence[RefusedBeats], since_ms: int) -> Iterator[tuple[int, str]]:
    for one in refused:
        if one.last_ms >= since_ms:
            reason = REASONS.get(one.reason, f"as {one.reason}")
            said = f"heartbeats refused in its name {reason}: {one.count}, the last from {one.source}"
            yield one.last_ms, said


def _troubles(kept: KeptStatistics | None) -> tuple[tuple[int, str], ...]:
    if kept is None:
        return ()
    return tuple((kept.at_ms, said) for said in troubles(vitals.of(kept)))
