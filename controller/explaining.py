"""Gathers what the explanations of `inventory.explain` rest on: a few queries, however many things are explained."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol

from controller import counter_notes, hearing, key_notes
from controller.clock import Clock
from controller.keyring import Keyring
from controller.settings import ArmsSettings
from controller.store import (
    boots,
    checklist,
    configs,
    entitlement,
    incidents,
    levels,
    managements,
    modules,
    occupancy,
    operations,
    phonehome,
    proposals,
    pushes,
    ssh,
    startups,
)
from controller.store import (
    links as link_rows,
)
from controller.store.database import Tx
from controller.store.levels import LinkLevel
from controller.store.scope import Scope
from controller.store.traffic import TrafficDatabase
from inventory import explain, explainwork, onboarding
from inventory.adapters import Adapter, Life
from inventory.boots import Boot, stages
from inventory.calendar import tokyo_day
from inventory.contacts import ContactRecord
from inventory.entitlement import Stop
from inventory.explain import AdapterFacts, ConfigState, Contact, Explanation, Fact, Hearing, LinkFacts, Seat
from inventory.incidents import Incident, IncidentKind
from inventory.links import USED_PERCENT, Capacity, CapacityKind, Direction, Link
from inventory.modules import Reported, WantedModule, differences
from inventory.operations import Operation, OperationState, OperationStep
from inventory.plans import ConfigVersion, JournalRow, Phase, Plan, PlanStanding, Push, PushState
from inventory.proposals import ORDERED_DAYS
from inventory.slots import Placement
from inventory.startups import Trial

STALE_DAYS = 5
"""Days without a valid one after which a level is stale (metering §5.3)."""


class Daemon(Protocol):
    """What is needed of the daemon."""

    @property
    def clock(self) -> Clock:
        """Its clock."""
        ...

    @property
    def keyring(self) -> Keyring:
        """Opens what is sealed: the keys that are being rotated."""
        ...

    @property
    def arms_settings(self) -> ArmsSettings:
        """What the ARMS listeners accept."""
        ...

    @property
    def started_ms(self) -> int:
        """When it started."""
        ...

    @property
    def traffic(self) -> TrafficDatabase | None:
        """Where statistics are; None where no metering runs."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows of the adapters asked for, by number of the adapter, seat or entry."""

    seats: Mapping[int, Placement]
    arms: Mapping[int, ContactRecord]
    shells: Mapping[int, ssh.SshContact]
    suspended: Mapping[int, str | None]
    unentitled: Mapping[int, Stop]
    lines: Mapping[int, tuple[str, ...]]
    provided: Mapping[int, set[onboarding.ChecklistItem]]
    held: Collection[int]
    operations: Mapping[int, Operation]
    configs: Mapping[tuple[int, configs.Kind], ConfigVersion]
    heard: Mapping[int, Hearing]
    boots: Mapping[int, Boot]
    incidents: Mapping[int, Sequence[Incident]]
    trials: Mapping[int, Trial]
    wanted: Mapping[int, tuple[WantedModule, ...]]
    reported: Mapping[int, Reported]


async def adapters(tx: Tx, daemon: Daemon, wanted: Sequence[Adapter]) -> list[Explanation]:
    """Explanations of adapters, in their order. The caller has checked their scope."""
    known = await _look(tx, daemon, wanted)
    now_ms = daemon.clock.now_ms()
    phoning = [one for one in known.arms.values() if one.adapter_id in {each.id for each in wanted}]
    noted = await key_notes.of_adapters(tx, daemon.keyring, daemon.arms_settings, phoning, now_ms)
    counted = await counter_notes.of_adapters(tx, [one.id for one in wanted], now_ms)
    return [
        explain.explain_adapter(
            replace(
                _facts(known, one, daemon.clock.pace),
                notes=(*noted.get(one.id, ()), *counted.get(one.id, ())),
            ),
            now_ms,
        )
        for one in wanted
    ]


async def _look(tx: Tx, daemon: Daemon, wanted: Sequence[Adapter]) -> _Known:
    numbers = [one.id for one in wanted]
    seats = await occupancy.seats(tx, numbers)
    owners = await occupancy.management_ids(tx, list(seats.values()))
    places = [one.slot_id for one in seats.values() if one.slot_kind == "entry"]
    everything = Scope.everything()
    reasons = {number: (await managements.get(tx, everything, number)).suspended for number in set(owners.values())}
    return _Known(
        seats=seats,
        arms={one.adapter_id: one for one in await phonehome.contacts(tx, numbers)},
        shells=await ssh.contacts(tx, numbers),
        suspended={seat: reasons[management] for seat, management in owners.items()},
        unentitled=await entitlement.stops(tx, numbers),
        lines=await entitlement.lines(tx, numbers),
        provided=await checklist.provided(tx, [one.id for one in wanted if one.life in (Life.ORDERED, Life.DELIVERED)]),
        held=await pushes.held(tx, numbers),
        heard=await hearing.of_adapters(
            tx, daemon.traffic, daemon.clock.now_ms(), [one.id for one in wanted if one.path == "arms"]
        ),
        operations=await operations.open_of(tx, numbers),
        configs=await configs.newest(tx, places),
        boots=await boots.latest(tx, numbers),
        incidents=await incidents.open_of_adapters(tx, numbers),
        trials=await startups.trials(tx, places),
        wanted=await modules.wanted_of(tx, places),
        reported=await modules.reported(tx, numbers),
    )


def _facts(known: _Known, adapter: Adapter, pace: float) -> AdapterFacts:
    seat, arms, shell = known.seats.get(adapter.id), known.arms.get(adapter.id), known.shells.get(adapter.id)
    kind = Seat.NONE if seat is None else Seat(seat.slot_kind)
    missing: tuple[str, ...] = ()
    if adapter.id in known.provided:
        missing = onboarding.missing(adapter.device_class, known.provided[adapter.id])
    contact, at_ms, proven_ms, refusal, quarantine, quarantine_ms = _contact(adapter, arms, shell)
    if kind is Seat.STANDBY and arms is not None and arms.refusal_code is not None and contact is Contact.REFUSED:
        # To a standby the refusal is the answer it should get; its retries are its sign of life.
        contact, refusal = Contact.READY, None
    config, config_ms = _config(known, adapter, seat)
    place = seat.slot_id if seat is not None and seat.slot_kind == "entry" else 0
    trial = known.trials.get(place) if adapter.path == "arms" else None
    boot = known.boots.get(adapter.id)
    standing = {one.kind: one for one in known.incidents.get(adapter.id, ())}
    loop, doubt = standing.get(IncidentKind.CLIENT_LOOP), standing.get(IncidentKind.QUARANTINED_PUSH)
    reported = known.reported.get(adapter.id)
    unlike = ""
    if reported is not None:
        unlike = differences(known.wanted.get(place, ()), {one.id: one.version for one in reported.modules})
    asked = known.operations.get(adapter.id)
    return AdapterFacts(
        serial=adapter.serial.shown,
        life=adapter.life.value,
        life_at_ms=adapter.life_at_ms,
        seat=kind,
        seat_key=None if seat is None else seat.slot_key,
        seat_at_ms=adapter.registered_ms if seat is None else seat.from_ms,
        contact=contact,
        contact_at_ms=at_ms,
        config=config,
        config_at_ms=config_ms,
        path=adapter.path,
        missing=missing,
        suspended=None if seat is None else known.suspended[seat.id],
        unentitled=known.unentitled.get(adapter.id),
        lines=known.lines[adapter.id],
        refusal=refusal,
        quarantine=quarantine,
        quarantine_at_ms=quarantine_ms,
        proven_at_ms=proven_ms,
        heartbeat_at_ms=None if arms is None else arms.last_heartbeat_ms,
        boot=() if boot is None else _boot(boot),
        loop=None if loop is None else str(loop.facts.get("asked", loop.title)),
        loop_at_ms=None if loop is None else loop.last_ms,
        trial=None if trial is None else trial.words,
        trial_at_ms=None if trial is None else trial.failed_ms,
        fell_back=trial is not None and trial.standing == "given-up",
        modules=unlike or None,
        modules_at_ms=None if reported is None else reported.at_ms,
        doubt=None if doubt is None else f"{doubt.title} (incident {doubt.id})",
        doubt_at_ms=None if doubt is None else doubt.last_ms,
        operation=None if asked is None else explainwork.operation_words(_key(asked), asked.state),
        operation_at_ms=None if asked is None else asked.sent_ms or asked.created_ms,
        push_endpoint=None if arms is None else arms.push_endpoint,
        pace=pace,
        heard=known.heard.get(adapter.id, Hearing()),
    )


def _boot(boot: Boot) -> tuple[Fact, ...]:
    """The stages of a boot as facts; one that was skipped says why."""
    return tuple(
        Fact(
            one.at_ms if one.at_ms is not None else boot.rs_ms,
            f"last boot, {one.stage.value.replace('-', ' ')}" + (f": {one.note}" if one.note else ""),
            "phone-home",
        )
        for one in stages(boot)
        if one.at_ms is not None or one.note
    )


def _contact(
    adapter: Adapter, arms: ContactRecord | None, shell: ssh.SshContact | None
) -> tuple[Contact, int | None, int | None, str | None, str | None, int | None]:
    """Stage, its instant, when the serial was proven, refusal, quarantine, its instant."""
    if adapter.path == "arms" and arms is not None:
        refusal = None
        # A refusal after the last stage may have been of somebody in its name, who moves no stage: it is told too.
        told = arms.stage is Contact.REFUSED or (arms.refusal_ms or 0) > (arms.stage_ms or 0)
        if arms.refusal_reason is not None and told:
            refusal = arms.refusal
        at_ms = arms.stage_ms or arms.last_seen_ms
        return arms.stage, at_ms, arms.proven_ms, refusal, arms.quarantine, arms.quarantine_ms
    if shell is not None:
        refusal = shell.refusal if shell.stage is not Contact.READY else None
        return shell.stage, shell.stage_ms, shell.proven_ms, refusal, shell.quarantine, shell.quarantine_ms
    return Contact.NEVER_SEEN, None, None, None, None, None


def _config(known: _Known, adapter: Adapter, seat: Placement | None) -> tuple[ConfigState, int | None]:
    """The config axis: truth of the place, read from this adapter, against what the place wants."""
    if seat is None or seat.slot_kind != "entry":
        return ConfigState.NONE, None
    if adapter.id in known.held:
        return ConfigState.PUSHING, None
    wanted = known.configs.get((seat.slot_id, "startup" if adapter.path == "arms" else "running"))
    truth = known.configs.get((seat.slot_id, "truth"))
    if wanted is None and truth is None:
        return ConfigState.NONE, None
    if truth is None or truth.seen_ms < seat.from_ms:
        return ConfigState.UNKNOWN, None
    if wanted is not None and wanted.digest != truth.digest:
        return ConfigState.DIFFERS, truth.seen_ms
    working = known.configs.get((seat.slot_id, "working"))
    newer = working is not None and (wanted is None or working.at_ms > wanted.at_ms)
    if working is not None and newer and working.digest != truth.digest:
        return ConfigState.UNPUSHED, working.at_ms
    return ConfigState.IN_SYNC, truth.seen_ms


def plan(found: Plan, standing: PlanStanding, moved: str) -> Explanation:
    """Explanation of a plan: who made it, what speaks against it, who has approved it."""
    facts = [Fact(found.created_ms, f"made by {found.created_by} for {found.serial}", "plan")]
    facts += [Fact(found.created_ms, f"two people must approve: {doubt}", "plan") for doubt in found.doubts]
    touched = [*found.management_path, *found.lasting]
    facts += [Fact(found.created_ms, f"`{one.line}`: {one.reason}", "plan") for one in touched]
    facts += [Fact(one.at_ms, f"approved by {one.actor}", "plan approval") for one in found.approvals]
    return explainwork.explain_plan(
        f"plan {found.id} for E-{found.entry_id}",
        standing,
        since_ms=max(one.at_ms for one in facts),
        reason=moved,
        facts=tuple(facts),
    )


def push(found: Push, journal: Sequence[JournalRow], moved: str = "", guard: str = "") -> Explanation:
    """Explanation of a push from its journal; `moved` is what has changed under its plan while it waits, `guard` the
    guard of the device, `none` without one. Without the journal a push under way is taken to have only begun its state.
    """
    under_way = found.finished_ms is None
    facts = tuple(
        Fact(
            row.at_ms,
            f"{row.state.value}: " + ("intended" if row.phase is Phase.INTENTION else (row.said or str(row.verdict))),
            "push journal",
        )
        for row in journal
    )
    since_ms = journal[-1].at_ms if journal else found.created_ms
    reason = found.said
    if found.state is PushState.PLANNED and found.due_ms > found.created_ms:
        reason = f"due at {datetime.fromtimestamp(found.due_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}; {reason}".rstrip("; ")
    return explainwork.explain_push(
        f"push {found.id} to E-{found.entry_id}",
        found.state,
        since_ms=since_ms,
        plan=f"plan {found.plan_id}",
        begun=under_way and (not journal or journal[-1].phase is Phase.INTENTION),
        guarded=guard != "none",
        stopped_by=(found.cancelled_by or "") if under_way else "",
        reason=reason,
        moved=moved,
        journal=facts,
    )


def operation(found: Operation, journal: Sequence[OperationStep]) -> Explanation:
    """Explanation of an operation from its journal."""
    facts = tuple(Fact(step.at_ms, f"{step.state.value}: {step.said}", "operation journal") for step in journal)
    since_ms = journal[-1].at_ms if journal else found.created_ms
    reason = found.said
    if found.due_ms is not None and found.state is OperationState.WAITING:
        due = datetime.fromtimestamp(found.due_ms / 1000, UTC)
        reason = reason or f"it begins not before {due:%Y-%m-%dT%H:%M:%SZ}"
    return explainwork.explain_operation(
        f"{_key(found)} on {found.serial}", found.state, since_ms=since_ms, reason=reason, journal=facts
    )


def _key(found: Operation) -> str:
    return f"operation {found.id} ({found.kind})"


async def link(tx: Tx, daemon: Daemon, scope: Scope, found: Link) -> Explanation:
    """Explanation of one link. The caller has checked its scope; a contractor is told of no draft."""
    return explain.explain_link(await _link_facts(tx, daemon, scope, found))


async def _link_facts(tx: Tx, daemon: Daemon, scope: Scope, found: Link) -> LinkFacts:
    today = tokyo_day(daemon.clock.now_ms())
    states = await levels.of_link(tx, found.id)
    worst = max(states, key=lambda one: one.level, default=None)
    known = [
        one
        for one in await link_rows.known_capacities(tx, found)
        if _in_force(one, today) and (one.down_bps or one.up_bps or one.packets_per_s)
    ]
    if found.speed_bps:
        of_port = Capacity(CapacityKind.PORT, found.speed_bps, found.speed_bps, date.min)
        # The device's figure first: it is named only where the device is what was judged.
        known = sorted([of_port, *known], key=lambda one: one.kind is not CapacityKind.MODEL)
    judged_by = next((one for one in reversed(known) if worst is not None and one.kind is worst.capacity_kind), None)
    capacity = judged_by or (known[-1] if known else None)
    open_ones = [
        one
        for state in ("draft", "sent")
        for one in await proposals.page(tx, scope, state=state, entry_id=found.entry_id)
    ]
    valid_day = worst.valid_day if worst else None
    return LinkFacts(
        key=f"E-{found.entry_id} {found.interface}",
        level=int(worst.level) if worst else 0,
        level_at_ms=worst.made_ms if worst else daemon.started_ms,
        valid_days=worst.valid_days if worst else 0,
        stale=valid_day is None or (today - valid_day).days > STALE_DAYS,
        capacity_kind=None if capacity is None else capacity.kind.value,
        capacity="" if capacity is None else _rate(capacity),
        busy=""
        if worst is None
        else f"direction {worst.direction.value} since {worst.since_day.isoformat()}{_why(worst)}",
        proposal=str(open_ones[0].id) if open_ones else None,
        ordered=None if open_ones else await _ordered(tx, scope, found, capacity, today),
        for_contractor=scope.contractor_id is not None,
        notes=(
            *await counter_notes.of_link(tx, found, daemon.clock.now_ms()),
            *await counter_notes.why_silent(tx, scope, found),
        ),
    )


async def _ordered(tx: Tx, scope: Scope, found: Link, capacity: Capacity | None, today: date) -> str | None:
    """The newest accepted proposal of a link whose capacity is still the one that it was about (metering §7.5)."""
    accepted = [
        one
        for one in await proposals.page(tx, scope, state="accepted", entry_id=found.entry_id)
        if one.link_id == found.id and (today - tokyo_day(one.decided_ms or 0)).days <= ORDERED_DAYS
    ]
    if not accepted or capacity is None:
        return None
    newest = max(accepted, key=lambda one: one.decided_ms or 0)
    before = newest.evidence["capacity"]
    rate = capacity.up_bps if newest.evidence["direction"] == Direction.UP else capacity.down_bps
    same = (before["kind"], before["nominal_bps"]) == (capacity.kind.value, rate or 0)
    return str(newest.id) if same else None


def _why(state: LinkLevel) -> str:
    """The causes of a level, in words."""
    return f", by {', '.join(one.cause.value for one in state.causes)}" if state.causes else ""


def _in_force(capacity: Capacity, today: date) -> bool:
    return capacity.valid_from <= today and (capacity.valid_to is None or today < capacity.valid_to)


def _rate(capacity: Capacity) -> str:
    if capacity.kind is CapacityKind.MODEL:
        figures = [f"{capacity.down_bps / 1e6:g} Mbit/s"] if capacity.down_bps else []
        figures += [f"{capacity.packets_per_s:,} packets/s"] if capacity.packets_per_s else []
        return f"{USED_PERCENT[CapacityKind.MODEL]} % of {' and of '.join(figures)}, in and out together"
    down, up = (f"{rate / 1e6:g} Mbit/s" if rate else "unknown" for rate in (capacity.down_bps, capacity.up_bps))
    return f"{down} down, {up} up"
