"""Plans and pushes as the rest of the daemon sees them, and the loop that starts what is due (architecture §4, §5)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.clock import Clock
from controller.engine.lease import NodeLease
from controller.engine.port import Engine, Run
from controller.keyring import Keyring
from controller.push.advance import Advance
from controller.push.afar import Afar
from controller.push.decide import LEFT, touched
from controller.push.planning import Planner
from controller.push.reach import Reach
from controller.push.surroundings import rarity, way_to
from controller.store import blast, configs, endpoints, entitlement, plans, pushes, quarantines
from controller.store.configs import NewVersion
from controller.store.database import Database, Tx
from controller.store.scope import By, Scope
from drivers.push import Device
from drivers.sessions.permission import NotPermittedError
from inventory.calendar import tokyo_day
from inventory.errors import BadInput, Conflict, NotFound, OutcomeUnknown, StalePlan, Unreachable
from inventory.plans import (
    Approval,
    BlastRadius,
    ConfigText,
    JournalRow,
    Phase,
    Plan,
    PlanStanding,
    Push,
    PushState,
    Verdict,
    approval_refused,
    doubts,
    expected_s,
    require_approvals,
    standing,
)

log: Final = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000
LONGEST_AHEAD_MS: Final = 31 * DAY_MS
AHEAD_RULE: Final = "schedule.one-month"
_READ_AGAIN: Final = "Look at its contact, then ask for the plan again: nothing was changed."
_ANEW: Final = "Have it recomputed: it is never forced."
_ANSWERED: Final = "the adapter is given the whole text at once, and takes back itself what fails"
_APPROVED: Final = "plan {} has its approvals"
"""More of them would only look like a part in it."""
_TICK_S: Final = 1.0
"""How often the outbox is looked through for what nobody tells it: a time that has come, work of another node."""
_ROUNDS_APART_S: Final = 0.05
"""Rounds begin so far apart, so that pushes that end at the same time are followed by others in one transaction."""
_BEGUN_A_ROUND: Final = 40
"""New pushes of a round. Hundreds that log in at the same instant go on in step: either all devices wait for us, or we
for all of them."""
_RESUMED_AT_ONCE: Final = 1000
"""Pushes of a round that were begun before, by another process or by an attempt that has ended."""
_SHORTEST_TICK_S: Final = 0.25
"""Real seconds, also where waits are accelerated: due times are true times, and an idle daemon costs nothing."""
_RECOVERY_MS: Final = 60_000
"""Time after which work that the engine calls under way, and that nobody advances, is started anew."""
_DEFECTS: Final = 5
"""Attempts that may end by a defect of ours before the push is left to a person."""
_KEEP_ENDED_MS: Final = 7 * DAY_MS
_PRUNE_EVERY_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits from settings. `guard_s` seconds until a device undoes by itself; `at_once` pushes in the fleet."""

    at_once: int = 32
    guard_s: int = 120
    client_rollback_s: int = 120
    """ARMS: time within which an adapter that is not answered has rolled back, (rs_retry_max + 1) × its interval."""
    plan_valid_s: int = 86_400
    source: str = ""
    """Our own address as devices on path ssh see it; empty if it is not known."""
    four_eyes_unproven: bool = True


class PushService:
    """Make a plan, approve it, start it, watch it, stop it.

    `run` is the outbox: it starts an attempt in the engine for each due row, repeatably, so that a row is enough to
    have a push carried out.
    """

    def __init__(
        self,
        *,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        reach: Reach,
        planner: Planner,
        policy: Policy | None = None,
        lease: NodeLease | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._reach = reach
        self._planner = planner
        self._policy = policy or Policy()
        permit = None if lease is None else lease.permit
        self._lease = lease
        self._node_id = None if lease is None else lease.node_id
        self._afar = Afar(database, keyring, clock, self._node_id)
        self._advance = Advance(database, keyring, clock, reach, planner, permit=permit, node=self._node_id)
        self._active: set[int] = set()
        self._waiting_since_ms: dict[int, int] = {}
        self._defects: defaultdict[int, int] = defaultdict(int)
        self._wake = asyncio.Event()
        self._prune_due_ms = 0

    async def advance(self, push_id: int) -> bool:
        """One transition of a push; see `controller.engine.port.Advance`."""
        return await self._advanced(push_id, self._advance)

    async def go_on(self, push_id: int) -> bool:
        """What the engine calls: as many transitions as follow each other at once."""
        return await self._advanced(push_id, self._advance.go_on)

    async def _advanced(self, push_id: int, advance: Callable[[int], Awaitable[bool]]) -> bool:
        self._active.add(push_id)
        finished = True
        try:
            finished = await advance(push_id)
        except NotPermittedError:
            raise  # no defect of the push: another node carries it out
        except Exception:
            self._defects[push_id] += 1
            log.exception("push %s met a defect of ours", push_id)
            raise
        finally:
            if finished:
                self._active.discard(push_id)
                self._wake.set()
        return finished

    async def make_plan(self, scope: Scope, entry_id: int, actor: str) -> Plan:
        """Read the device, compare with the working config, store what would be sent; sends no change.

        Raises NotFound, Conflict (no adapter in the place, no working config, a push under way, nothing to change),
        RuleViolation (a contract keeps it from being controlled), ConfigSyntax, DeviceError.
        """

        async def read(tx: Tx) -> tuple[ConfigText, _Place]:
            await configs.require_entry(tx, scope, entry_id)
            working = await configs.latest_text(tx, scope, self._keyring, entry_id, "working")
            if working is None:
                raise Conflict(
                    f"entry E-{entry_id} has no working config", next_step="Store a working config of the entry first."
                )
            return working, await _place(tx, entry_id)

        working, place = await self._database.look(read)
        return await self._plan_for(scope, entry_id, working, actor, place)

    async def make_plan_back(self, scope: Scope, push_id: int, actor: str, entry_id: int | None = None) -> Plan:
        """A plan that leads to the config before push `push_id`, as a push of its own.

        Errors as `make_plan`; NotFound too where the push is not one of `entry_id`.
        """
        async with self._database.read() as tx:
            push = await pushes.get(tx, scope, push_id)
            if entry_id not in (None, push.entry_id):
                raise NotFound(f"no push {push_id} of E-{entry_id}", next_step="List the pushes of the entry.")
            job = await plans.job(tx, self._keyring, push.plan_id, push_id)
        return await self._plan_for(scope, push.entry_id, job.base, actor)

    async def recompute(self, scope: Scope, plan_id: int, actor: str) -> Plan:
        """A new plan to the same intent from what the device runs now; approvals are not carried over.

        Errors as `make_plan`.
        """
        async with self._database.read() as tx:
            plan = await plans.get(tx, scope, plan_id)
            wanted = await plans.intent(tx, self._keyring, plan_id)
        return await self._plan_for(scope, plan.entry_id, wanted, actor)

    async def standings(self, scope: Scope, wanted: Sequence[Plan]) -> list[tuple[PlanStanding, str]]:
        """Where each of these plans stands, and what has changed under it (empty: nothing)."""
        now_ms = self._clock.now_ms()
        found = []
        async with self._database.read() as tx:
            started = await plans.started(tx, [one.id for one in wanted])
            waiting = await pushes.not_begun(tx, started.values())
            for plan in wanted:
                # What a push has begun with, it has found as planned; what it changed itself is no news.
                begun = plan.id in started and started[plan.id] not in waiting
                moved = "" if begun else await _moved(tx, plan)
                found.append((standing(plan, now_ms=now_ms, started=plan.id in started, moved=moved), moved))
        return found

    async def approve(self, scope: Scope, plan_id: int, actor: str) -> Plan:
        """Approve a plan. An unproven one, or one that touches our own way to the device, needs two people.

        Raises NotFound, Conflict when the person may not give this approval (`approval_refused`) or none is wanted any
        more, StalePlan after its validity or when what it was made for has moved.
        """
        by = By(actor, self._clock.now_ms())

        async def approve(tx: Tx) -> Plan:
            plan = await plans.get(tx, scope, plan_id)
            push = (await plans.started(tx, [plan_id])).get(plan_id)
            if push is not None:
                raise Conflict(_APPROVED.format(plan_id), next_step=f"Look at push {push}, which carries it out.")
            _require_valid(plan, by.at_ms)
            moved = await _moved(tx, plan)
            if moved:
                raise StalePlan(moved, next_step=_ANEW)
            if len(plan.approvals) >= plan.approvals_needed:
                raise Conflict(_APPROVED.format(plan_id), next_step="Start it.")
            refused = approval_refused(plan, actor)
            if refused:
                raise Conflict(
                    refused, next_step="Have another person approve it.", facts={"doubts": list(plan.doubts)}
                )
            await plans.approve(tx, plan, by)
            return replace(plan, approvals=(*plan.approvals, Approval(by.actor, by.at_ms)))

        return await self._database.change(approve)

    async def start(self, scope: Scope, plan_id: int, actor: str, not_before_ms: int | None = None) -> int:
        """Have an approved plan carried out, at once or from `not_before_ms` on (at most 31 days ahead).

        Returns the push id. Raises NotFound, StalePlan (validity over, place has a new adapter, device known to have
        changed), Conflict (approvals missing, started already, too far ahead), RuleViolation (its contract).
        """
        now_ms = self._clock.now_ms()
        due_ms = now_ms if not_before_ms is None else max(now_ms, not_before_ms)
        if due_ms - now_ms > LONGEST_AHEAD_MS:
            raise BadInput(
                "a push is scheduled at most 31 days ahead",
                field="not_before",
                rule=AHEAD_RULE,
                next_step="Choose an earlier time.",
                facts={"latest_ms": now_ms + LONGEST_AHEAD_MS},
            )

        async def start(tx: Tx) -> int:
            plan = await plans.get(tx, scope, plan_id)
            _require_valid(plan, now_ms)
            require_approvals(f"plan {plan_id}", len(plan.approvals), plan.approvals_needed, plan.doubts)
            await entitlement.require(tx, plan.adapter_id)
            moved = await _moved(tx, plan)
            if moved:
                raise StalePlan(moved, next_step=_ANEW)
            return await pushes.create(tx, plan, By(actor, now_ms), due_ms=due_ms)

        push_id = await self._database.change(start)
        self._wake.set()
        return push_id

    async def cancel(self, scope: Scope, push_id: int, actor: str) -> Push:
        """Ask a push to stop: before anything is sent it ends not done; before the confirmation it is taken back.

        Raises NotFound; Conflict when it is over, or too late to stop it.
        """
        async with self._database.write() as tx:
            push = await pushes.get(tx, scope, push_id)
            plan = await plans.get(tx, scope, push.plan_id)
            rows = await pushes.rows(tx, push_id)
            if push.finished_ms is not None:
                raise Conflict(f"push {push_id} is over: {push.state}", next_step="Make a plan back if it must go.")
            confirmed = any(row.state is PushState.CONFIRMED for row in rows)
            answered = plan.guard == "client rollback" and touched(rows)
            if (confirmed or answered) and push.state is not PushState.RECONCILE:
                why = "the device was told to keep the change" if confirmed else _ANSWERED
                raise Conflict(
                    f"push {push_id} can no longer be stopped: {push.state}; {why}",
                    next_step="Let it end; then make a plan back.",
                )
            await pushes.ask_to_stop(tx, push, By(actor, self._clock.now_ms()))
            asked = await pushes.get(tx, scope, push_id)
        self._advance.nudge(push_id)
        self._wake.set()
        return asked

    async def journal(self, scope: Scope, push_id: int) -> list[JournalRow]:
        """The journal of a push, oldest row first. Raises NotFound."""
        async with self._database.read() as tx:
            return await pushes.journal(tx, scope, push_id)

    async def status(self, scope: Scope, push_id: int) -> Push:
        """A push as it stands. Raises NotFound."""
        async with self._database.read() as tx:
            return await pushes.get(tx, scope, push_id)

    async def moved(self, push: Push) -> str:
        """What has changed under a push that waits for its time, so that it would send nothing; empty: nothing."""
        if push.state is not PushState.PLANNED:
            return ""
        async with self._database.read() as tx:
            return await _moved(tx, await plans.get(tx, Scope.everything(), push.plan_id))

    async def run(self, engine: Engine) -> None:
        """Start due pushes in the engine, for ever; cancelled at the end of the process."""
        while True:
            self._wake.clear()
            await self.dispatch(engine)
            await self._prune(engine)
            await self._next_tick()

    async def dispatch(self, engine: Engine) -> None:
        """One round of the outbox. Repeatable at any moment: what runs already is left alone.

        Raises NotPermittedError when another node has taken this one's place.
        """
        if self._lease is not None:
            await self._lease.permit()
        now_ms = self._clock.now_ms()
        for push_id in self._active & self._waiting_since_ms.keys():
            del self._waiting_since_ms[push_id]
        active = frozenset(self._active)

        async def find(tx: Tx) -> list[Push]:
            begun = await pushes.unfinished(tx, now_ms, _RESUMED_AT_ONCE, but=active, node_id=self._node_id)
            free = min(self._policy.at_once - await pushes.holding(tx), _BEGUN_A_ROUND)
            return begun + (await pushes.waiting(tx, now_ms, free, node_id=self._node_id) if free > 0 else [])

        due = [(push, await self._attempt_to_start(engine, push)) for push in await self._database.look(find)]
        wanted = [(push, attempt) for push, attempt in due if attempt is not None]
        if not wanted:
            return

        async def claim(tx: Tx) -> list[tuple[Push, int]]:
            return await pushes.claim_all(tx, wanted, now_ms=now_ms, node_id=self._node_id)

        claimed = await self._database.change(claim)
        await engine.start([(push.id, attempt) for push, attempt in claimed])
        if len(claimed) >= _BEGUN_A_ROUND:
            self._wake.set()  # there may be more

    async def stop(self, *, deadline_s: float) -> bool:
        """See `Advance.stop`; call it before the engine is closed, after `run` is cancelled."""
        return await self._advance.stop(deadline_s=deadline_s)

    async def _attempt_to_start(self, engine: Engine, push: Push) -> int | None:
        """Number of the attempt that must be started for a push which nobody advances; None to leave it alone."""
        if push.attempt == 0:
            return 1
        if self._defects[push.id] >= _DEFECTS:
            await self._give_up(push)
            return None
        match await engine.status(push.id, push.attempt):
            case Run.ABSENT:
                return push.attempt  # claimed, and the process ended before the engine knew
            case Run.ENDED:
                return push.attempt + 1
            case Run.STRANDED:
                log.warning("push %s was begun by another version or node; it is taken over and reconciled", push.id)
                await engine.cancel(push.id, push.attempt)
                return push.attempt + 1
            case Run.UNDER_WAY:
                since_ms = self._waiting_since_ms.setdefault(push.id, self._clock.monotonic_ms())
                if self._clock.monotonic_ms() - since_ms < _RECOVERY_MS:
                    return None
                log.warning("push %s was not recovered by the engine; it is started anew", push.id)
                self._waiting_since_ms.pop(push.id, None)
                await engine.cancel(push.id, push.attempt)
                return push.attempt + 1

    async def _give_up(self, push: Push) -> None:
        async with self._database.write() as tx:
            rows = await pushes.rows(tx, push.id)
            state = PushState.QUARANTINED if touched(rows) else PushState.NOT_DONE
            row = JournalRow(
                seq=rows[-1].seq + 1,
                attempt=push.attempt,
                state=state,
                phase=Phase.OUTCOME,
                at_ms=self._clock.now_ms(),
                verdict=Verdict.OK,
                said=f"given up after {_DEFECTS} defects of the controller; the log has them",
            )
            await pushes.append(tx, push.id, row)

    async def _truth(self, device: Device, adapter_id: int, entry_id: int) -> ConfigText:
        """What the device runs, read here or, where another node has or gets the way to it, by that node."""
        while True:
            truth = await self._afar.read(adapter_id, entry_id)
            if truth is not None:
                return truth
            here = asyncio.ensure_future(_read(device))
            elsewhere = asyncio.ensure_future(self._afar.comes(adapter_id))
            try:
                await asyncio.wait({here, elsewhere}, return_when=asyncio.FIRST_COMPLETED)
                if here.done():
                    return here.result()
                elsewhere.result()
            finally:
                for one in (here, elsewhere):
                    one.cancel()
                await asyncio.gather(here, elsewhere, return_exceptions=True)
            device = await self._reach.device_for(adapter_id)

    async def _plan_for(
        self, scope: Scope, entry_id: int, intent: ConfigText, actor: str, place: _Place | None = None
    ) -> Plan:
        if place is None:
            place = await self._database.look(lambda tx: _place(tx, entry_id))
        seat, adapter_id, endpoint = place
        device = await self._reach.device_for(adapter_id)
        began_ms = self._clock.now_ms()
        base = await self._truth(device, adapter_id, entry_id)
        way = way_to(device, endpoint, self._policy.source)
        computed = await self._planner.compute(device.family, base, intent, way)
        now_ms = self._clock.now_ms()
        two = self._policy.four_eyes_unproven and doubts(computed.proven, computed.management_path, computed.lasting)

        async def store(tx: Tx) -> Plan | None:
            reading = NewVersion(entry_id, "truth", base, computed.base_digest, actor, "read for a plan", now_ms)
            await configs.put_all(tx, self._keyring, [reading])
            await quarantines.was_read(tx, By(actor, now_ms), adapter_id, computed.base_digest, began_ms=began_ms)
            if computed.is_nothing and await _kept(tx, device, entry_id, computed.intent_digest):
                return None
            spare = await blast.has_ready_standby(tx, entry_id, now_ms)
            contracted_bps = await blast.contracted_bps(tx, entry_id, tokyo_day(now_ms))
            new = plans.NewPlan(
                entry_id=entry_id,
                adapter_id=adapter_id,
                generation=seat.generation,
                family=device.family,
                created_ms=now_ms,
                valid_until_ms=now_ms + self._policy.plan_valid_s * 1000,
                created_by=actor,
                base=base,
                intent=intent,
                computed=computed,
                rarity=await rarity(tx, adapter_id, computed),
                blast=BlastRadius(1, 1, contracted_bps, 0 if spare else 1),
                guard=device.guard,
                guard_s=self._policy.client_rollback_s if device.guard == "client rollback" else self._policy.guard_s,
                read_during_guard=device.read_during_guard,
                expected_s=expected_s(device.guard, sent=len(computed.remediation), text=len(base.text().splitlines())),
                approvals_needed=2 if two else 1,
            )
            return await plans.get(tx, scope, await plans.create(tx, self._keyring, new))

        plan = await self._database.change(store)
        if plan is None:
            raise Conflict(f"entry E-{entry_id} runs what is wanted already", next_step="Nothing to do.")
        return plan

    async def _prune(self, engine: Engine) -> None:
        now_ms = self._clock.now_ms()
        if now_ms >= self._prune_due_ms:
            self._prune_due_ms = now_ms + _PRUNE_EVERY_MS
            await engine.prune(now_ms - _KEEP_ENDED_MS)

    async def _next_tick(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(_SHORTEST_TICK_S, _TICK_S / self._clock.pace)):
                await self._wake.wait()
                await asyncio.sleep(_ROUNDS_APART_S)


_Place = tuple[pushes.Seat, int, endpoints.Reached | None]


async def _place(tx: Tx, entry_id: int) -> _Place:
    """Who sits in a place for which a plan may be made now, and where it is reached."""
    seat = await pushes.seat(tx, entry_id)
    if seat.adapter_id is None:
        raise Conflict(f"entry E-{entry_id} has no adapter", next_step="Assign one; a plan is made against its truth.")
    await entitlement.require(tx, seat.adapter_id)
    holder = await pushes.holder(tx, seat.adapter_id)
    if holder is not None:
        raise Conflict(
            f"push {holder} is under way on this adapter", next_step="Wait until it is over, then plan again."
        )
    return seat, seat.adapter_id, await endpoints.reached_at(tx, seat.adapter_id)


async def _read(device: Device) -> ConfigText:
    try:
        await device.identify()
        return await device.read()
    except OutcomeUnknown as lost:
        # Over a tunnel a lost answer leaves open what was done; here nothing was asked for but a reading.
        raise Unreachable(
            f"{lost.message}; it was only read", serial=lost.serial, step=lost.step, next_step=_READ_AGAIN
        ) from lost
    finally:
        await device.close()


def _require_valid(plan: Plan, now_ms: int) -> None:
    if now_ms > plan.valid_until_ms:
        raise StalePlan(f"plan {plan.id} is no longer valid", next_step=_ANEW)


async def _kept(tx: Tx, device: Device, entry_id: int, digest: str) -> bool:
    """Whether what a device runs is also what it was last proven to keep. It is not where a save has failed, or where
    somebody typed it in: a plan without a difference then has it verified and saved."""
    kind: configs.Kind = "startup" if device.guard == "client rollback" else "running"
    recorded = await configs.latest(tx, Scope.everything(), entry_id, kind)
    if recorded is not None:
        return recorded.digest == digest
    last = await pushes.find(tx, Scope.everything(), entry_id=entry_id, limit=1)
    return not last or last[0].state is not PushState.QUARANTINED


async def _moved(tx: Tx, plan: Plan) -> str:
    """What has changed since a plan was made, so that it must be made anew; empty if nothing is known to have."""
    if await pushes.seat(tx, plan.entry_id) != pushes.Seat(plan.generation, plan.adapter_id):
        return LEFT
    truth = await configs.latest(tx, Scope.everything(), plan.entry_id, "truth")
    if truth is not None and truth.digest != plan.base_digest:
        return "the device has changed since the plan was made"
    return ""
