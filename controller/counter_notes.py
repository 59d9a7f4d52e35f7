"""What `explain` says of an adapter's counters and of what stands over a link now, beside its level."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from controller.store import alarms, counteragents, equipment, links, maintenance, proposalfacts, proposals
from controller.store.counteragents import Source
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.countersources import SourceState
from inventory.explain import Fact
from inventory.links import CapacityKind, Link
from inventory.maintenance import AFTER_MS
from inventory.periods import day_of
from inventory.proposalreasons import words

UNSAID: Final = frozenset({"not-congested", "open-proposal"})
"""Reasons that the level and the open proposal themselves tell."""


async def of_adapters(tx: Tx, adapter_ids: Collection[int], now_ms: int) -> dict[int, list[Fact]]:
    """A fact for each adapter whose counters are polled: its own trouble, in words."""
    polled = await counteragents.with_agents(tx, adapter_ids)
    known = await counteragents.sources(tx, polled)
    return {number: [_source(known.get(number), now_ms)] for number in polled}


def _source(source: Source | None, now_ms: int) -> Fact:
    state = SourceState.NEVER if source is None else source.state
    words = f"counters {state.value}: {state.words}"
    if source is not None and source.reason:
        words += f" ({source.reason})"
    if state.next_step:
        words += f". {state.next_step}"
    return Fact(now_ms if source is None else source.since_ms, words, "counters", "MPC-19")


async def why_silent(tx: Tx, scope: Scope, link: Link) -> list[Fact]:
    """Why nothing is proposed though the link is busy, by its last daily look; a contractor is told of no draft."""
    found = await proposalfacts.check(tx, link.id)
    if found is None or found.proposed or found.reason in UNSAID:
        return []
    if scope.contractor_id is not None and await proposals.has_draft(tx, link.entry_id):
        return []
    return [Fact(found.made_ms, f"no proposal: {words(found.reason)}", "proposal check", "MPC-19")]


async def of_link(tx: Tx, link: Link, now_ms: int) -> list[Fact]:
    """Saturation alarms that stand, windows in force, a learned ceiling, and how the counters are read."""
    found = [
        Fact(one.since_ms, f"saturated in direction {one.direction.value} since then", "saturation alarm")
        for one in await alarms.of_links(tx, [link.id])
        if one.cleared_ms is None
    ]
    windows = (await maintenance.holding(tx, [link.entry_id], now_ms - AFTER_MS, now_ms + 1))[link.entry_id]
    found += [
        Fact(one.start_ms, f"{one.kind} window {one.id}: this time is left out of levels", "maintenance", "SMF-20")
        for one in windows
        if one.covers(now_ms, link.zone)
    ]
    today = day_of(now_ms, link.zone)
    for one in await links.capacities(tx, link.id):
        if one.kind is CapacityKind.LEARNED and one.holds_on(today):
            rates = (f"{bps / 1e6:g} Mbit/s {way}" for way, bps in (("down", one.down_bps), ("up", one.up_bps)) if bps)
            words = f"behaves as if limited near {', '.join(rates)}: enter the line rate"
            found.append(Fact(now_ms, words, "learned ceiling", "MPC-19"))
    seated = await equipment.seated(tx, link.entry_id)
    if seated is not None:
        found += (await of_adapters(tx, [seated.adapter_id], now_ms)).get(seated.adapter_id, [])
    return found
