"""Whenever the daemon dies or the line breaks: the change is sent at most once, and what is reported is true."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.keyring import KEY_BYTES, Keyring
from controller.store import incidents
from drivers.push import Guard
from inventory.incidents import IncidentKind
from inventory.plans import ARMS_ORDER, SSH_ORDER, Outcome, Phase, Push, PushState
from tests.controller.push.house import ALL, House
from tests.controller.push.leap import LeapClock
from tests.controller.push.program import BASE, INTENT, FaultKind, Killed, Program

GUARDS: tuple[Guard, ...] = ("revert timer", "cfg-save revert", "client rollback", "none")
FAULTS: tuple[FaultKind, ...] = (
    "kill before",
    "kill after",
    "lose before",
    "lose after",
    "reject",
    "locked out",
    "half, then lost",
)


Started = dict[Guard, Path]
KEYRING = Keyring(bytes(range(KEY_BYTES)))
PUSH_ID = 1


@pytest.fixture(scope="module")
def started(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Started:
    """For each guard a database in which push 1 was started and has not moved yet."""

    async def prepare(guard: Guard, path: Path) -> None:
        tokyo = House(f"sqlite:///{path}", KEYRING, Program(LeapClock(), guard))
        await tokyo.open()
        await tokyo.furnish()
        assert await tokyo.start() == PUSH_ID
        await tokyo.close()

    folder = tmp_path_factory.mktemp("started")
    made: Started = {}
    for guard in GUARDS:
        made[guard] = folder / f"{guard}.db"
        shutil.copyfile(sqlite_template, made[guard])
        asyncio.run(prepare(guard, made[guard]))
    return made


@asynccontextmanager
async def house(started: Started, guard: Guard) -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(started[guard], Path(folder) / "kajitori.db")
        made = House(f"sqlite:///{folder}/kajitori.db", KEYRING, Program(LeapClock(), guard))
        await made.open()
        try:
            yield made
        finally:
            await made.close()


async def true_state(house: House, push: Push) -> None:
    """The word of the journal against the device's own record, now and after every guard has had its time; and what
    is left to a person has called one."""
    async with house.database.read() as tx:
        called = [one.facts["push"] for one in await incidents.page(tx, ALL, kind=IncidentKind.QUARANTINED_PUSH)]
    assert called == ([push.id] if push.outcome is Outcome.UNKNOWN else [])
    program = house.program
    assert program.changes <= 1, program.log
    assert program.violations == []
    for _ in range(2):
        program.tick()
        match push.outcome:
            case Outcome.DONE:
                assert program.running == INTENT
                assert await house.config("running") == await house.config("startup") == INTENT
                assert program.saved == INTENT
            case Outcome.NOT_DONE:
                assert program.running == BASE
                assert await house.config("startup") is None
            case Outcome.UNKNOWN:
                # Left to a person only for a reason: it could not be saved, nobody may log in, or it is neither.
                unsaved = program.running == INTENT and "save" in push.said
                assert unsaved or push.said == "refused" or program.running not in (BASE, INTENT), push.said
            case None:
                raise AssertionError("a push that ended has an outcome")
        house.clock.leap(3600)


async def test_the_straight_way_of_each_family(started: Started) -> None:
    for guard in GUARDS:
        async with house(started, guard) as tokyo:
            push = await tokyo.carry_out(PUSH_ID)
            assert push.state is PushState.DONE
            await true_state(tokyo, push)
            order = ARMS_ORDER if guard == "client rollback" else SSH_ORDER
            rows = await tokyo.journal(push.id)
            assert [row.state for row in rows if row.phase is Phase.OUTCOME] == list(order)
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            assert await tokyo.config("truth") == INTENT


@pytest.mark.slow
@pytest.mark.parametrize("down_s", [0.0, 1000.0], ids=["at once", "after the guard"])
@pytest.mark.parametrize("guard", GUARDS)
async def test_killed_at_every_journalled_point(started: Started, guard: Guard, down_s: float) -> None:
    """Once after each intention, once after each act, once after each outcome."""
    async with house(started, guard) as rehearsal:
        push = await rehearsal.carry_out(PUSH_ID)
        commands = rehearsal.program.commands
        transitions = len(await rehearsal.journal(push.id))
    faults: tuple[FaultKind, ...] = ("kill after",) if down_s else ("kill before", "kill after")
    for fault in faults:
        for command in range(1, commands + 1):
            async with house(started, guard) as tokyo:
                tokyo.program.faults[command] = fault
                push = await tokyo.carry_out(PUSH_ID, down_s=down_s)
                assert tokyo.kills == 1
                assert push.state is not PushState.QUARANTINED
                await true_state(tokyo, push)
    for transition in range(1, transitions // 2 if not down_s else 0):
        async with house(started, guard) as tokyo:
            for _ in range(transition):
                await tokyo.service.advance(PUSH_ID)
            await tokyo.restart(down_s)
            push = await tokyo.carry_out(PUSH_ID)
            assert push.state is not PushState.QUARANTINED
            await true_state(tokyo, push)


async def test_a_reading_that_is_refused_after_the_save_leaves_nothing_to_a_person(started: Started) -> None:
    for guard in GUARDS:
        async with house(started, guard) as rehearsal:
            await rehearsal.carry_out(PUSH_ID)
            last = rehearsal.program.commands
        async with house(started, guard) as tokyo:
            tokyo.program.faults.update({last: "kill before", last + 1: "reject"})
            push = await tokyo.carry_out(PUSH_ID)
            assert (tokyo.kills, push.state) == (1, PushState.DONE)
            await true_state(tokyo, push)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    guard=st.sampled_from(GUARDS),
    faults=st.dictionaries(st.integers(1, 40), st.sampled_from(FAULTS), max_size=6),
    down_s=st.sampled_from([0.0, 5.0, 60.0, 200.0, 5000.0]),
    away=st.one_of(st.none(), st.tuples(st.integers(1, 8), st.integers(1, 2000))),
)
def test_any_mixture_of_kills_losses_and_refusals(
    started: Started,
    guard: Guard,
    faults: dict[int, FaultKind],
    down_s: float,
    away: tuple[int, int] | None,
) -> None:
    async def story() -> None:
        async with house(started, guard) as tokyo:
            tokyo.program.faults.update(faults)
            if away is not None:
                transitions, seconds = away
                for _ in range(transitions):
                    try:
                        await tokyo.service.advance(PUSH_ID)
                    except Killed:
                        await tokyo.restart(down_s)
                tokyo.program.down_until_ms = tokyo.clock.now_ms() + seconds * 1000
            push = await tokyo.carry_out(PUSH_ID, down_s=down_s)
            await true_state(tokyo, push)

    asyncio.run(story())
