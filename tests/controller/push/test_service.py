"""Plans and pushes as an operator meets them, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller import explaining
from controller.engine.dbos_engine import DbosEngine
from controller.keyring import Keyring
from controller.push.learning import ShapeLearner
from controller.push.reconcile import GUARD_MARGIN_S
from controller.push.service import LONGEST_AHEAD_MS
from controller.push.texts import TextPlanner
from controller.store import audit, configs, endpoints, events, links, plans, pushes, shapes, ssh
from controller.store.scope import By, Scope
from drivers.cutoff import Way
from drivers.push import Device, PushJob, Step
from drivers.sessions.contract import Endpoint
from inventory.calendar import tokyo_day
from inventory.errors import BadInput, Conflict, NotFound, StalePlan, Unreachable
from inventory.links import Capacity, CapacityKind, LinkRole
from inventory.plans import BlastRadius, Outcome, PlanStanding, PushState, Rarity
from inventory.secrets import Secret
from tests.controller.push.house import ALL, House, furnished
from tests.controller.push.leap import LeapClock, WallClock
from tests.controller.push.place import ADAPTER_ID, ENTRY_ID, SERIAL, STANDBY_ID, promote, work
from tests.controller.push.program import BASE, INTENT, FakeDevice, FakePlanner, Killed, Program
from tests.controller.waiting import until


@pytest.fixture
async def house_in_time(database_url: str, keyring: Keyring) -> AsyncIterator[House]:
    """As `house`, on the wall clock."""
    async with furnished(database_url, keyring, Program(WallClock())) as made:
        yield made


@contextlib.asynccontextmanager
async def dispatching(house: House, engine: DbosEngine) -> AsyncIterator[None]:
    loop = asyncio.create_task(house.service.run(engine))
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def test_a_plan_reads_the_device_first_and_shows_no_secret(house: House) -> None:
    plan = await house.plan()
    assert (plan.entry_id, plan.adapter_id, plan.serial, plan.generation) == (1, 1, SERIAL, 2)
    assert plan.remediation == ("(shown)",)
    assert plan.diff == f"-{BASE}+{INTENT}"
    assert plan.base_digest != plan.intent_digest
    assert plan.valid_until_ms == house.clock.now_ms() + 86_400_000
    assert plan.approvals_needed == 1
    assert plan.expected_s == 16
    assert await house.config("truth") == BASE
    assert house.program.log == []


async def test_a_plan_needs_a_working_config_something_to_change_and_a_free_device(house: House) -> None:
    await work(house.database, house.keyring, BASE)
    with pytest.raises(Conflict, match="runs what is wanted already"):
        await house.plan()
    await work(house.database, house.keyring, INTENT)
    push_id = await house.start()
    async with house.database.write() as tx:
        push = await pushes.get(tx, ALL, push_id)
        assert await pushes.claim(tx, push, attempt=1, now_ms=0)
    with pytest.raises(Conflict, match=f"push {push_id} is under way"):
        await house.plan()


async def test_another_contractors_plan_is_not_found(house: House) -> None:
    push_id = await house.start()
    others = Scope.of(2)
    for forbidden in (
        house.service.make_plan(others, ENTRY_ID, "eve"),
        house.service.approve(others, 1, "eve"),
        house.service.start(others, 1, "eve"),
        house.service.cancel(others, push_id, "eve"),
        house.service.journal(others, push_id),
        house.service.status(others, push_id),
    ):
        with pytest.raises(NotFound):
            await forbidden
    async with house.database.read() as tx:
        assert await configs.versions(tx, others, ENTRY_ID) == []
        assert len(await configs.versions(tx, Scope.of(1), ENTRY_ID)) == 2


async def test_an_unproven_plan_needs_two_different_people(house: House) -> None:
    house.planner = FakePlanner(proven=False)
    await house.restart()
    plan = await house.plan()
    assert plan.approvals_needed == 2
    with pytest.raises(Conflict, match="lacks 2 of 2 approvals"):
        await house.service.start(ALL, plan.id, "ann")
    await house.service.approve(ALL, plan.id, "bob")
    with pytest.raises(Conflict, match="bob has approved"):
        await house.service.approve(ALL, plan.id, "bob")
    with pytest.raises(Conflict, match="lacks 1 of 2 approvals"):
        await house.service.start(ALL, plan.id, "ann")
    approved = await house.service.approve(ALL, plan.id, "carol")
    assert [approval.actor for approval in approved.approvals] == ["bob", "carol"]
    assert await house.service.start(ALL, plan.id, "ann") == 1


async def test_the_second_approval_is_never_the_authors(house: House) -> None:
    house.planner = FakePlanner(touches=True)
    await house.restart()
    plan = await house.plan()
    assert plan.doubts == ("it touches our own way to the device",)
    await house.service.approve(ALL, plan.id, "bob")
    with pytest.raises(Conflict, match="ann made plan 1, and its second approval is another person's"):
        await house.service.approve(ALL, plan.id, "ann")
    with pytest.raises(Conflict, match="lacks 1 of 2 approvals: it touches our own way"):
        await house.service.start(ALL, plan.id, "ann")
    await house.service.approve(ALL, plan.id, "carol")
    assert await house.service.start(ALL, plan.id, "ann") == 1

    other = await house.plan()
    await house.service.approve(ALL, other.id, "ann")
    assert (await house.service.standings(ALL, [other])) == [("waits for approval", "")]
    with pytest.raises(Conflict, match="approved plan 2 already"):
        await house.service.approve(ALL, other.id, "ann")
    approved = await house.service.approve(ALL, other.id, "bob")
    assert (await house.service.standings(ALL, [approved])) == [("approved", "")]


async def test_what_is_known_of_our_way_goes_into_the_plan(house: House) -> None:
    async with house.database.write() as tx:
        reached = Endpoint("192.0.2.8", 2222, "ops", Secret("pw"))
        await endpoints.put(tx, ALL, By("ann", 0), ADAPTER_ID, endpoint=reached, keyring=house.keyring)
    await house.plan()
    assert house.planner.way == Way("ssh", "192.0.2.8", 2222, user="ops")


async def test_a_plan_says_what_stands_behind_the_place(house: House) -> None:
    assert (await house.plan()).blast == BlastRadius(1, 1, None, 1)
    async with house.database.write() as tx:
        by = By("ann", 0)
        made = await links.add(tx, ALL, by, links.NewLink(ENTRY_ID, "wan1", LinkRole.WAN, None, None, "", ""))
        day = tokyo_day(house.clock.now_ms())
        for kind, bps in ((CapacityKind.LINE, 100_000_000), (CapacityKind.MODEL, 600_000_000)):
            await links.set_capacity(
                tx, ALL, by, made.id, Capacity(kind, bps, 50_000_000, day, None, "ann", "contract")
            )
        await ssh.reached(tx, STANDBY_ID + 1, serial="SN-2", firmware="", at_ms=house.clock.now_ms())
    assert (await house.plan()).blast == BlastRadius(1, 1, 100_000_000, 0)


async def test_each_line_says_on_how_many_adapters_of_its_model_its_shape_stands(house: House) -> None:
    house.planner.shapes = (None, 7, 8)
    assert (await house.plan()).rarity == ()
    async with house.database.write() as tx:
        (reading,) = await shapes.unlearnt(tx, house.keyring, 20)
        assert reading.text.text() == BASE
        await shapes.learn(tx, reading.version_id, {7, 2**64 - 1})
        assert await shapes.unlearnt(tx, house.keyring, 20) == []
    assert (await house.plan()).rarity == (None, Rarity(1, 1), Rarity(0, 1))


async def test_a_reading_that_does_not_parse_is_not_learnt_again_and_again(house: House) -> None:
    house.program.running = "banner motd ^C\nnever closed\n"
    await house.plan()
    learner = ShapeLearner(house.database, house.keyring, house.clock, TextPlanner())
    assert await learner.look() == 1
    assert await learner.look() == 0
    house.program.running = "this: parses\n"
    await house.plan()
    assert await learner.look() == 1
    async with house.database.read() as tx:
        assert (await shapes.standing(tx, ADAPTER_ID, [1]))[1] == 1


async def test_a_stale_plan_is_recomputed_and_never_forced(house: House) -> None:
    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    house.program.running = "hostname tokyo\nmtu 1280\n"
    again = await house.service.recompute(ALL, plan.id, "ann")
    assert (again.base_digest != plan.base_digest, again.intent_digest) == (True, plan.intent_digest)
    assert again.approvals == ()
    moved = "the device has changed since the plan was made"
    assert await house.service.standings(ALL, [plan, again]) == [("stale", moved), ("waits for approval", "")]
    with pytest.raises(StalePlan, match=moved):
        await house.service.start(ALL, plan.id, "ann")
    with pytest.raises(StalePlan, match=moved):
        await house.service.approve(ALL, plan.id, "carol")


async def test_a_push_that_waits_for_its_time_is_cancelled_and_nothing_is_sent(house: House) -> None:
    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    push_id = await house.service.start(ALL, plan.id, "ann", house.clock.now_ms() + 86_400_000)
    waiting = explaining.push(await house.service.status(ALL, push_id), await house.journal(push_id))
    assert "due at " in waiting.summary
    await house.service.cancel(ALL, push_id, "bob")
    push = await house.carry_out(push_id)
    assert (push.state, push.said) == (PushState.NOT_DONE, "cancelled by bob before anything was sent")
    assert house.program.log == []


@pytest.mark.rule("SMF-12.1", "MPC-18.1")
async def test_nothing_is_changed_without_an_author_and_an_approver_and_both_stay_on_record(house: House) -> None:
    plan = await house.plan()
    assert plan.created_by == "ann"
    with pytest.raises(Conflict) as refused:
        await house.service.start(ALL, plan.id, "ann")
    assert refused.value.rule == "SMF-12.1"
    await house.service.approve(ALL, plan.id, "bob")
    await house.carry_out(await house.service.start(ALL, plan.id, "carol"))
    async with house.database.read() as tx:
        carried = await configs.versions(tx, ALL, ENTRY_ID)
        again = await plans.get(tx, ALL, plan.id)
    assert [approval.actor for approval in again.approvals] == ["bob"]
    assert {one.author for one in carried if one.kind in ("running", "startup")} == {"carol"}
    assert all(one.author and one.reason for one in carried)


async def test_a_plan_is_carried_out_once_within_its_validity_and_at_most_a_month_ahead(house: House) -> None:
    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    with pytest.raises(BadInput, match="31 days") as refused:
        await house.service.start(ALL, plan.id, "ann", house.clock.now_ms() + LONGEST_AHEAD_MS + 1)
    assert (refused.value.field, refused.value.rule) == ("not_before", "schedule.one-month")
    await house.service.start(ALL, plan.id, "ann", house.clock.now_ms() + LONGEST_AHEAD_MS)
    with pytest.raises(Conflict, match="started already"):
        await house.service.start(ALL, plan.id, "ann")
    late = await house.plan()
    house.clock.leap(86_401)
    with pytest.raises(StalePlan, match="no longer valid"):
        await house.service.approve(ALL, late.id, "bob")


async def test_a_device_that_somebody_changed_makes_the_plan_stale(house: House) -> None:
    push_id = await house.start()
    house.program.running = "hostname tokyo\nmtu 1280\n"
    push = await house.carry_out(push_id)
    assert push.state is PushState.NOT_DONE
    assert push.said == "the device has changed; nothing was sent"
    assert house.program.log == []

    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    house.program.running = BASE
    await house.plan()
    with pytest.raises(StalePlan, match="has changed since"):
        await house.service.start(ALL, plan.id, "ann")


async def test_a_promotion_ends_queued_pushes_of_the_former_adapter(house: House) -> None:
    push_id = await house.start()
    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    await promote(house.database)
    push = await house.carry_out(push_id)
    assert push.state is PushState.NOT_DONE
    assert push.said == "the adapter that the plan was made for has left the place"
    assert push.outcome is Outcome.NOT_DONE
    with pytest.raises(StalePlan, match="has left the place"):
        await house.service.start(ALL, plan.id, "ann")
    assert house.program.log == []


async def test_a_promotion_in_the_middle_takes_the_change_back_and_startup_stays(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    await promote(house.database)
    push = await house.carry_out(push_id)
    assert (push.state, push.said) == (
        PushState.REVERTED,
        "the adapter that the plan was made for has left the place",
    )
    assert house.program.running == BASE
    assert await house.config("startup") is None


async def test_a_promotion_after_the_confirmation_never_gives_the_new_adapter_the_change(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    await promote(house.database)
    push = await house.carry_out(push_id)
    assert push.state is PushState.QUARANTINED
    assert "new adapter" in push.said
    assert await house.config("startup") is None


async def test_cancelled_in_time_the_device_is_as_before(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    assert (await house.service.cancel(ALL, push_id, "bob")).cancelled_by == "bob"
    push = await house.carry_out(push_id)
    assert (push.state, push.said) == (PushState.REVERTED, "cancelled by bob")
    assert house.program.log == ["change", "reverted"]
    with pytest.raises(Conflict, match="is over"):
        await house.service.cancel(ALL, push_id, "bob")


async def test_cancelled_too_late_it_is_refused(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    with pytest.raises(Conflict, match="can no longer be stopped: confirmed; the device was told to keep the change"):
        await house.service.cancel(ALL, push_id, "bob")


async def test_a_plan_that_was_carried_out_is_not_said_to_have_lost_its_device_to_somebody(house: House) -> None:
    push_id = await house.start()
    async with house.database.read() as tx:
        plan = await plans.get(tx, ALL, 1)
    assert (await house.carry_out(push_id)).state is PushState.DONE
    ((standing, moved),) = await house.service.standings(ALL, [plan])
    assert (standing, moved) == (PlanStanding.STARTED, "")


async def test_a_device_that_falls_silent_while_it_is_read_for_a_plan_leaves_nothing_in_doubt(house: House) -> None:
    house.program.faults[2] = "lose before"
    with pytest.raises(Unreachable, match="it was only read") as lost:
        await house.plan()
    assert "nothing was changed" in lost.value.next_step


async def test_a_plan_back_leads_to_the_config_before(house: House) -> None:
    push = await house.carry_out(await house.start())
    back = await house.service.make_plan_back(ALL, push.id, "ann")
    await house.service.approve(ALL, back.id, "bob")
    undone = await house.carry_out(await house.service.start(ALL, back.id, "ann"))
    assert undone.state is PushState.DONE
    assert house.program.running == BASE
    assert await house.config("startup") == BASE


async def test_a_device_that_is_neither_is_left_to_a_person_with_both_differences(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    house.program.faults[house.program.commands + 1] = "lose before"
    house.program.running = "hostname tokyo\nmtu 576\n"
    push = await house.carry_out(push_id)
    assert push.state is PushState.QUARANTINED
    assert push.outcome is Outcome.UNKNOWN
    last = (await house.journal(push_id))[-1]
    assert "from the former config:\n-hostname tokyo\nmtu 1500" in last.detail
    assert "from the wanted config:\n-hostname tokyo\nmtu 1400" in last.detail
    assert await house.config("truth") == "hostname tokyo\nmtu 576\n"


async def test_a_device_in_the_middle_of_going_back_is_not_taken_for_a_stranger(house: House) -> None:
    """The guard has fired and the device is still undoing: the first reading shows a mixture."""

    class Undoing(FakeDevice):
        readings = 0

        async def read(self):  # type: ignore[no-untyped-def] # as the base
            found = await super().read()
            Undoing.readings += 1
            if Undoing.readings == 1:
                house.program.running = BASE
            return found

    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    house.program.undo("guard fired")
    house.program.running = "hostname tokyo\nmtu 1400\n!half undone\n"

    async def device_for(adapter_id: int, *_told: object) -> Device:
        return Undoing(house.program)

    await house.restart()
    house.service._reach.device_for = device_for  # type: ignore[method-assign] # the test's own reach
    push = await house.carry_out(push_id)
    assert push.state is PushState.REVERTED


async def test_a_family_that_must_not_be_spoken_to_is_left_alone_until_its_guard_has_fired(
    sqlite_url: str, keyring: Keyring
) -> None:
    house = House(sqlite_url, keyring, Program(LeapClock(), "cfg-save revert"))
    await house.open()
    await house.furnish()
    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    died_ms = house.clock.now_ms()
    await house.restart(down_s=30)
    push = await house.carry_out(push_id)
    assert push.state is PushState.REVERTED
    assert house.program.violations == []
    assert house.clock.now_ms() - died_ms >= (120 + GUARD_MARGIN_S) * 1000
    await house.close()


async def test_the_intention_is_on_disk_before_the_device_sees_the_command(house: House) -> None:
    seen: list[tuple[PushState, PushState]] = []

    class Watching(FakeDevice):
        async def enter(self, state: PushState, job: PushJob) -> Step:
            async with house.database.read() as tx:
                seen.append((state, (await pushes.rows(tx, int(job.push_id)))[-1].state))
            return await super().enter(state, job)

    async def device_for(adapter_id: int, *_told: object) -> Device:
        return Watching(house.program)

    push_id = await house.start()
    house.service._reach.device_for = device_for  # type: ignore[method-assign] # the test's own reach
    await house.carry_out(push_id)
    assert len(seen) == 9
    assert all(entered is journalled for entered, journalled in seen)


async def test_a_start_response_is_journalled_with_its_transaction(sqlite_url: str, keyring: Keyring) -> None:
    house = House(sqlite_url, keyring, Program(LeapClock(), "client rollback"))
    await house.open()
    await house.furnish()
    push = await house.carry_out(await house.start())
    rows = await house.journal(push.id)
    assert [(row.state, row.transaction_id) for row in rows if row.transaction_id] == [(PushState.APPLYING, 1000)]
    await house.close()


async def test_no_config_stands_in_the_clear_in_the_database(house: House, tmp_path: Path) -> None:
    await house.carry_out(await house.start())
    async with house.database.read() as tx:
        for table in ("config_versions", "plans", "pushes", "push_journal", "events", "audit"):
            for row in (await tx.exec_driver_sql(f"SELECT * FROM {table}")).all():
                cells = [bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in row]
                shown = table == "plans"  # its diff is made to be shown, and this dialect has no secrets
                assert not any(b"mtu 1400" in cell for cell in cells) or shown


async def test_a_moved_sealed_config_does_not_open(house: House) -> None:
    await house.carry_out(await house.start())
    async with house.database.write() as tx:
        await tx.exec_driver_sql("UPDATE config_versions SET entry_id = 1, kind = 'startup' WHERE kind = 'truth'")
    with pytest.raises(Conflict, match="does not belong"):
        await house.config("startup")


@pytest.mark.slow
async def test_the_dispatcher_starts_what_is_due_one_push_for_each_device(house_in_time: House, tmp_path: Path) -> None:
    house = house_in_time
    first = await house.start()
    plan = await house.plan()
    await house.service.approve(ALL, plan.id, "bob")
    second = await house.service.start(ALL, plan.id, "ann")
    later = await house.plan()
    await house.service.approve(ALL, later.id, "bob")
    third = await house.service.start(ALL, later.id, "ann", house.clock.now_ms() + 30 * 86_400_000)
    engine = await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=house.service.go_on)

    async def over() -> bool:
        states = [(await house.service.status(ALL, push_id)).finished_ms is not None for push_id in (first, second)]
        return all(states)

    try:
        async with dispatching(house, engine):
            await until(over)
    finally:
        await engine.close()
    assert (await house.service.status(ALL, first)).state is PushState.DONE
    assert (await house.service.status(ALL, second)).state is PushState.NOT_DONE
    assert house.program.changes == 1
    waiting = await house.service.status(ALL, third)
    assert (waiting.state, waiting.attempt) == (PushState.PLANNED, 0)
    async with house.database.read() as tx:
        assert await pushes.holder(tx, ADAPTER_ID) is None


@pytest.mark.slow
async def test_after_a_restart_the_engine_goes_on_with_the_push(house_in_time: House, tmp_path: Path) -> None:
    house = house_in_time
    url = f"sqlite:///{tmp_path}/engine.db"
    push_id = await house.start()
    held = asyncio.Event()

    class Holding(FakeDevice):
        async def enter(self, state: PushState, job: PushJob) -> Step:
            step = await super().enter(state, job)
            if state is PushState.APPLIED:
                held.set()
                await asyncio.Event().wait()
            return step

    async def device_for(adapter_id: int, *_told: object) -> Device:
        return Holding(house.program)

    house.service._reach.device_for = device_for  # type: ignore[method-assign] # the test's own reach
    engine = await DbosEngine.open(url, node_id="n1", advance=house.service.go_on)
    async with dispatching(house, engine):
        await asyncio.wait_for(held.wait(), 20)
    assert not await house.service.stop(deadline_s=0.05)
    await engine.close()

    await house.restart()
    engine = await DbosEngine.open(url, node_id="n1", advance=house.service.go_on)

    async def done() -> bool:
        return (await house.service.status(ALL, push_id)).finished_ms is not None

    try:
        async with dispatching(house, engine):
            await until(done)
    finally:
        await engine.close()
    push = await house.service.status(ALL, push_id)
    assert (push.state, push.attempt) == (PushState.DONE, 1)
    assert house.program.changes == 1


@pytest.mark.slow
async def test_a_defect_of_ours_does_not_loop_for_ever(house_in_time: House, tmp_path: Path) -> None:
    house = house_in_time

    class Broken(FakeDevice):
        async def enter(self, state: PushState, job: PushJob) -> Step:
            raise ZeroDivisionError

    async def device_for(adapter_id: int, *_told: object) -> Device:
        return Broken(house.program)

    push_id = await house.start()
    house.service._reach.device_for = device_for  # type: ignore[method-assign] # the test's own reach
    engine = await DbosEngine.open(f"sqlite:///{tmp_path}/engine.db", node_id="n1", advance=house.service.go_on)

    async def over() -> bool:
        return (await house.service.status(ALL, push_id)).finished_ms is not None

    try:
        async with dispatching(house, engine):
            await until(over)
    finally:
        await engine.close()
    push = await house.service.status(ALL, push_id)
    assert push.state is PushState.NOT_DONE
    assert "defects" in push.said
    assert house.program.log == []


async def test_a_stop_lets_a_transition_reach_its_outcome(house: House) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    class Slow(FakeDevice):
        async def enter(self, state: PushState, job: PushJob) -> Step:
            if state is PushState.APPLYING:
                entered.set()
                await go.wait()
            return await super().enter(state, job)

    async def device_for(adapter_id: int, *_told: object) -> Device:
        return Slow(house.program)

    push_id = await house.start()
    house.service._reach.device_for = device_for  # type: ignore[method-assign] # the test's own reach
    work_on = asyncio.create_task(house.carry_out(push_id))
    await entered.wait()
    stopped = asyncio.create_task(house.service.stop(deadline_s=20))
    await asyncio.sleep(0)
    assert not stopped.done()
    go.set()
    assert await stopped
    last = (await house.journal(push_id))[-1]
    assert (last.state, last.verdict) == (PushState.APPLYING, "ok")
    work_on.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work_on
    await house.restart()
    assert (await house.carry_out(push_id)).state is PushState.DONE
    assert house.program.changes == 1


async def test_events_and_audit_tell_the_story_of_a_push(house: House) -> None:
    push = await house.carry_out(await house.start())
    async with house.database.write() as tx:
        told = [event.kind for event in await events.publish(tx) if event.kind.startswith(("plan.", "push."))]
    assert told == ["plan.make", "plan.approve", "push.start", "push.done"]
    async with house.database.read() as tx:
        await audit.verify(tx)
        rows = [row for row in await audit.page(tx, ALL) if row.action.startswith("push.")]
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("ann", "push.start", "E-1"),
        ("ann", "push.done", "E-1"),
    ]
    assert rows[-1].after["push"] == push.id


def test_a_kill_is_no_error_that_anybody_catches() -> None:
    assert not issubclass(Killed, Exception)
