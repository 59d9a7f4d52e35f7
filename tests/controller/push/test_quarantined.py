"""A push that is left to a person calls one: an incident, as long as nobody knows what the adapter runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from controller.keyring import Keyring
from controller.push.truth import TruthReader
from controller.store import configs, events, incidents, pushes, quarantines, slots, ssh, telemetry
from controller.store.configs import NewVersion
from controller.store.database import Database, Tx
from controller.store.scope import By, Scope
from controller.store.tables.push import plans as plan_rows
from controller.store.tables.push import pushes as push_rows
from inventory.incidents import Incident, IncidentKind, NewIncident
from inventory.plans import ConfigText, ConfigVersion, JournalRow, Phase, Push, PushState, Verdict
from tests.controller.push.house import ALL, House, furnished
from tests.controller.push.leap import LeapClock
from tests.controller.push.place import ADAPTER_ID, ENTRY_ID, SERIAL, STANDBY_ID, work
from tests.controller.push.program import BASE, INTENT, FakePlanner, FakeReach, Program
from tests.controller.store.fleet import BY, Fleet
from tests.controller.waiting import until

KIND = IncidentKind.QUARANTINED_PUSH
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
NEITHER = "hostname tokyo\nmtu 576\n"


@pytest.fixture
async def house_of_many(postgres_url: str, keyring: Keyring) -> AsyncIterator[House]:
    """As `house`, where several write at a time."""
    async with furnished(postgres_url, keyring, Program(LeapClock())) as made:
        yield made


async def in_doubt(house: House, found: str = NEITHER) -> Push:
    """A push whose adapter was told to keep the change, lost its contact, and shows something else afterwards."""
    push_id = await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    house.program.faults[house.program.commands + 1] = "lose before"
    house.program.running = found
    push = await house.carry_out(push_id)
    assert push.state is PushState.QUARANTINED
    return push


async def unsaved(house: House, push_id: int | None = None) -> Push:
    """A push whose change runs and could not be saved."""
    push_id = push_id or await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    house.program.faults[house.program.commands + 1] = "reject"
    push = await house.carry_out(push_id)
    assert push.said == "the device runs the change, not saved as far as was seen: % Invalid input"
    return push


async def saved_and_changed(house: House) -> Push:
    """A push whose change was saved, and whose adapter showed something else right afterwards."""
    push_id = await house.start()
    await house.until(push_id, PushState.SAVED)
    house.program.running = NEITHER
    push = await house.carry_out(push_id)
    assert push.said == "it was saved, and the device shows something else now"
    return push


async def known(house: House) -> list[Incident]:
    async with house.database.read() as tx:
        return await incidents.page(tx, ALL, kind=KIND)


async def the_one(house: House) -> Incident:
    (found,) = await known(house)
    return found


async def told(house: House) -> list[str]:
    async with house.database.write() as tx:
        await events.publish(tx)
        return [one.kind for one in await events.page(tx, ALL, kind="incident")]


async def read_by_the_daemon(house: House) -> None:
    """The adapter comes into contact anew, and is read."""
    house.clock.leap(90_000)
    async with house.database.write() as tx:
        await ssh.reached(tx, ADAPTER_ID, serial=SERIAL, firmware="1", at_ms=house.clock.now_ms())
    reader = TruthReader(house.database, house.keyring, house.clock, FakeReach(house.program), FakePlanner())
    assert await reader.look() == 1


async def test_a_push_in_doubt_is_an_incident_with_its_reason_its_last_words_and_what_to_do(house: House) -> None:
    push = await in_doubt(house)
    found = await the_one(house)
    assert (found.state, found.count, found.cause, found.opened_ms) == ("open", 1, "adapter 1", push.finished_ms)
    assert (found.adapter_id, found.entry_id) == (ADAPTER_ID, ENTRY_ID)
    assert found.title == f"push 1 to E-1 ended in doubt: {push.said}"
    assert found.facts == {
        "push": 1,
        "plan": 1,
        "reason": "the device is neither as before nor as wanted; saved: connection reset",
        "last_words": ["confirmed: confirmed entered", "saved: connection reset", "reconcile: found neither"],
    }
    assert "push explain" in found.kind.next_step
    assert await told(house) == ["incident.opened"]
    async with house.database.read() as tx:
        assert (await telemetry.counts(tx)).incidents == {"quarantined-push": 1}
        assert [one.id for one in await incidents.page(tx, Scope.of(1))] == [found.id]


async def test_pushes_that_end_otherwise_call_nobody(house: House) -> None:
    assert (await house.carry_out(await house.start())).state is PushState.DONE
    await work(house.database, house.keyring, BASE)
    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    await house.service.cancel(ALL, push_id, "bob")
    assert (await house.carry_out(push_id)).state is PushState.REVERTED
    assert (await known(house), await told(house)) == ([], [])


async def test_a_second_push_in_doubt_is_added_to_the_incident_of_its_adapter(house: House) -> None:
    await in_doubt(house)
    first = await the_one(house)
    async with house.database.write() as tx:
        await incidents.acknowledge(tx, ALL, BY, first.id, why="on my way")
    await in_doubt(house, "hostname tokyo\nmtu 68\n")
    again = await the_one(house)
    assert (again.id, again.state, again.count, again.facts["push"]) == (first.id, "acknowledged", 2, 2)
    assert await told(house) == ["incident.opened", "incident.acknowledged"]


async def test_a_push_that_is_done_ends_the_doubt(house: House) -> None:
    await in_doubt(house)
    house.clock.leap(60)
    done = await house.carry_out(await house.start())
    assert done.state is PushState.DONE
    found = await the_one(house)
    assert (found.state, found.closed_ms) == ("closed", done.finished_ms)
    assert (found.closed_by, found.closed_why) == ("ann", "push 2 is done: verified and saved")
    assert await told(house) == ["incident.opened", "incident.closed"]


async def test_a_push_taken_back_to_the_text_that_was_in_doubt_ends_nothing(house: House) -> None:
    await in_doubt(house)
    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    await house.service.cancel(ALL, push_id, "bob")
    assert (await house.carry_out(push_id)).state is PushState.REVERTED
    assert house.program.running == NEITHER
    assert (await the_one(house)).state == "open"


@pytest.mark.parametrize(
    ("doubtful", "runs", "why"),
    [
        (in_doubt, BASE, "it was read, and runs what it ran before the push"),
        (unsaved, BASE, "it was read, and runs what it ran before the push"),
        (saved_and_changed, INTENT, "it was read, and runs the startup config of its place"),
        (in_doubt, NEITHER, None),
        (unsaved, INTENT, None),  # what runs is wanted, and lost with the next restart
        (saved_and_changed, BASE, None),  # what it ran before is no longer what it should run
    ],
    ids=["as before", "unsaved, restarted", "saved", "neither", "not saved yet", "saved, and former"],
)
async def test_a_reading_ends_the_doubt_if_it_shows_what_the_adapter_should_run_and_keeps(
    house: House, doubtful: Callable[[House], Awaitable[Push]], runs: str, why: str | None
) -> None:
    await doubtful(house)
    house.program.running = runs
    await read_by_the_daemon(house)
    found = await the_one(house)
    assert (found.state, found.closed_why) == ("open" if why is None else "closed", why)


async def test_a_drifted_adapter_that_shows_the_record_again_unsaved_stays_in_doubt(house: House) -> None:
    assert (await house.carry_out(await house.start())).state is PushState.DONE
    house.program.running = house.program.saved = NEITHER  # somebody typed it in
    house.clock.leap(60)
    await unsaved(house)
    await read_by_the_daemon(house)
    assert house.program.running == INTENT
    assert (await the_one(house)).state == "open"
    house.program.running = NEITHER
    await read_by_the_daemon(house)
    assert (await the_one(house)).state == "closed"


async def test_a_reading_for_a_plan_ends_the_doubt_too(house: House) -> None:
    await in_doubt(house)
    house.program.running = BASE
    await house.plan()
    assert ((await the_one(house)).closed_by, (await the_one(house)).state) == ("ann", "closed")


async def test_what_two_pushes_left_in_doubt_is_measured_by_what_ran_before_the_first(house: House) -> None:
    await in_doubt(house)
    await in_doubt(house, "hostname tokyo\nmtu 68\n")
    house.program.running = NEITHER
    await read_by_the_daemon(house)
    assert (await the_one(house)).state == "open"
    house.program.running = BASE
    await read_by_the_daemon(house)
    assert (await the_one(house)).state == "closed"


async def test_a_reading_that_began_before_the_push_ended_ends_nothing(house: House) -> None:
    push = await in_doubt(house)
    assert push.finished_ms is not None
    digest = await house.planner.digest("fake", ConfigText.single(BASE))
    async with house.database.write() as tx:
        await quarantines.was_read(tx, BY, ADAPTER_ID, digest, began_ms=push.finished_ms - 1)
    assert (await the_one(house)).state == "open"


async def test_a_push_that_ends_in_doubt_while_a_reading_is_stored_is_not_closed_with_the_one_before(
    house_of_many: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_of_many
    push = await in_doubt(house)
    assert push.finished_ms is not None
    later = By("ann", push.finished_ms + 60_000)
    other = await Database.open(house.url, require_head=False)
    latest = configs.latest
    following: list[asyncio.Task[None]] = []

    async def again() -> None:
        async with other.write() as tx:
            await incidents.note(tx, later, NewIncident(KIND, "adapter 1", "push 2", adapter_id=1, entry_id=1))

    async def between(tx: Tx, *what: Any) -> ConfigVersion | None:
        """The next push ends when the reading was judged, and before its incident is closed."""
        following.append(asyncio.create_task(again()))

        async def over_or_waiting() -> bool:
            async with other.read() as looking:
                return following[0].done() or bool(await looking.scalar(sa.text(WAITING)))

        await until(over_or_waiting)
        return await latest(tx, *what)

    monkeypatch.setattr(configs, "latest", between)
    digest = await house.planner.digest("fake", ConfigText.single(BASE))
    try:
        async with house.database.write() as tx:
            await quarantines.was_read(tx, BY, ADAPTER_ID, digest, began_ms=push.finished_ms)
        await following[0]
    finally:
        await other.close()
    assert [(one.title, one.state) for one in await known(house)][-1] == ("push 2", "open")


async def release(house: House, text: str) -> None:
    """Somebody releases a startup config of the place."""
    digest = await house.planner.digest("fake", ConfigText.single(text))
    new = NewVersion(ENTRY_ID, "startup", ConfigText.single(text), digest, "ann", "another way", house.clock.now_ms())
    async with house.database.write() as tx:
        await configs.put_all(tx, house.keyring, [new])


async def test_an_adapter_that_runs_a_startup_config_released_since_is_in_order(house: House) -> None:
    await in_doubt(house)
    house.clock.leap(60)
    house.program.running = "hostname tokyo\nmtu 1280\n"
    await release(house, house.program.running)
    await read_by_the_daemon(house)
    assert (await the_one(house)).closed_why == "it was read, and runs the startup config of its place"


async def test_a_startup_config_released_while_the_push_waited_for_its_time_proves_nothing(house: House) -> None:
    push_id = await house.start()
    house.clock.leap(60)
    await release(house, INTENT)
    house.clock.leap(60)
    await unsaved(house, push_id)
    await read_by_the_daemon(house)
    assert (house.program.running, (await the_one(house)).state) == (INTENT, "open")


async def test_another_adapter_in_the_place_ends_the_doubt(house: House) -> None:
    await in_doubt(house)
    async with house.database.write() as tx:
        await slots.promote(tx, ALL, By("carol", BY.at_ms), entry_id=ENTRY_ID, standby_id=STANDBY_ID)
    found = await the_one(house)
    assert (found.state, found.closed_by, found.closed_why) == ("closed", "carol", "the adapter has left E-1")


async def test_a_move_of_another_adapter_ends_nothing(house: House) -> None:
    await in_doubt(house)
    async with house.database.write() as tx:
        await slots.release(tx, ALL, BY, ADAPTER_ID + 1)
    assert (await the_one(house)).state == "open"


async def test_an_adapter_that_left_before_its_push_ended_waits_for_a_person(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.CONFIRMED)
    async with house.database.write() as tx:
        await slots.promote(tx, ALL, BY, entry_id=ENTRY_ID, standby_id=STANDBY_ID)
    assert (await house.carry_out(push_id)).state is PushState.QUARANTINED
    found = await the_one(house)
    assert (found.state, found.adapter_id) == ("open", ADAPTER_ID)
    async with house.database.write() as tx:
        await incidents.close(tx, ALL, BY, found.id, why="it was wiped")
    assert (await the_one(house)).state == "closed"


async def test_what_a_person_has_closed_is_a_new_incident_when_it_happens_again(house: House) -> None:
    await in_doubt(house)
    async with house.database.write() as tx:
        await incidents.close(tx, ALL, BY, (await incidents.page(tx, ALL))[0].id, why="I have looked")
    house.program.running = BASE
    await in_doubt(house)
    assert [(one.state, one.count) for one in await known(house)] == [("closed", 1), ("open", 1)]


class PowerCutError(Exception):
    """The process is gone."""


class Statements:
    """What a transaction sends; after `at_most` of them the power fails."""

    def __init__(self, tx: Tx, at_most: int = 1_000) -> None:
        self.sent: list[str] = []
        self._at_most = at_most
        assert tx.sync_connection is not None
        sa.event.listen(tx.sync_connection, "before_cursor_execute", self._heard)

    def _heard(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if len(self.sent) == self._at_most:
            raise PowerCutError
        self.sent.append(statement)


async def test_a_quarantine_that_is_cut_off_at_any_statement_leaves_neither_it_nor_an_incident(house: House) -> None:
    push_id = await house.start()
    await house.until(push_id, PushState.APPLIED)
    seq = (await house.journal(push_id))[-1].seq + 1

    async def end(after: int) -> None:
        async with house.database.write() as tx:
            Statements(tx, after)
            await pushes.append(tx, push_id, final(seq, PushState.QUARANTINED))

    for after in range(100):
        try:
            await end(after)
        except PowerCutError:
            assert (await house.service.status(ALL, push_id)).state is PushState.APPLIED
            assert await known(house) == []
        else:
            assert after > 8, "the end of a push has several statements"
            assert (await the_one(house)).facts["push"] == push_id
            return
    pytest.fail("the push never came to its end")


def final(seq: int, state: PushState) -> JournalRow:
    return JournalRow(seq, 1, state, Phase.OUTCOME, BY.at_ms, Verdict.OK, str(state))


async def many(house: House, count: int) -> list[int]:
    """Pushes under way, each to an entry and an adapter of its own."""
    fleet = Fleet(house.database, house.keyring)
    owner = await fleet.contractor("South Foods")
    management = await fleet.management(owner, classes=("III",), entry_count=count, standby_count=0)
    made = []
    for number in range(count):
        unit = await fleet.adapter(owner, serial=f"SN-{owner.id}-{number}", device_class="III", model="Cisco IOS")
        seat = await fleet.assign(unit, management=management)
        made.append(await under_way(house, seat.slot_id, unit.id))
    return made


async def under_way(house: House, entry_id: int, adapter_id: int) -> int:
    of = {"entry_id": entry_id, "adapter_id": adapter_id, "generation": 2}
    plan = of | {"family": "fake", "created_ms": 0, "valid_until_ms": 0, "created_by": "ann", "guard": "none"}
    plan |= {"base_digest": "b", "intent_digest": "i", "guard_s": 0, "read_during_guard": 0, "expected_s": 0}
    async with house.database.write() as tx:
        inserted = sa.insert(plan_rows).values(**plan, job_sealed=b"", shown="{}").returning(plan_rows.c.id)
        plan_id = await tx.scalar(inserted)
        push = of | {"plan_id": plan_id, "state": "applied", "said": "", "attempt": 1, "due_ms": 0, "created_ms": 0}
        push_id = await tx.scalar(sa.insert(push_rows).values(**push, started_by="ann").returning(push_rows.c.id))
    assert isinstance(push_id, int)
    return push_id


async def statements_of(house: House, push_ids: list[int], state: PushState) -> list[str]:
    """What it takes to end these pushes in one transaction."""
    async with house.database.write() as tx:
        heard = Statements(tx)
        await pushes.append_all(tx, [(push_id, final(1, state)) for push_id in push_ids])
        return list(heard.sent)


async def test_pushes_that_are_done_cost_no_statement_more_and_many_in_doubt_no_more_than_one(house: House) -> None:
    done = await many(house, 6)
    for some in (done[:1], done[1:]):
        sent = await statements_of(house, some, PushState.DONE)
        assert len(sent) == 6
        assert not [one for one in sent if "INSERT INTO incidents" in one or "UPDATE incidents" in one]
    doubtful = await many(house, 6)
    one = await statements_of(house, doubtful[:1], PushState.QUARANTINED)
    rest = await statements_of(house, doubtful[1:], PushState.QUARANTINED)
    assert len(one) == len(rest) == 9
    assert {found.facts["push"] for found in await known(house)} == set(doubtful)
    async with house.database.read() as tx:
        again = [await pushes.get(tx, ALL, push_id) for push_id in doubtful]
    following = [await under_way(house, push.entry_id, push.adapter_id) for push in again]
    first = await statements_of(house, following[:1], PushState.DONE)
    others = await statements_of(house, following[1:], PushState.DONE)
    assert len(first) == len(others) == 9
    assert {found.state for found in await known(house)} == {"closed"}
    assert (await told(house)).count("incident.closed") == 6
