"""A client that is caught in a loop is slowed down and flagged; it is let go when it has calmed down."""

from __future__ import annotations

import pytest

from controller.phonehome import loops
from controller.settings import ArmsSettings
from drivers.arms.messages import Response
from inventory.incidents import IncidentKind
from tests.controller.phonehome.site import Device, Site, Unit

KIND = IncidentKind.CLIENT_LOOP
LIMIT = 10


@pytest.fixture
def arms_settings() -> ArmsSettings:
    return ArmsSettings(
        ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, loop_requests=LIMIT, loop_window_s=3600
    )


@pytest.fixture
def pace() -> float:
    return 100.0


def code(answer: tuple[int, Response | None]) -> int:
    assert answer[1] is not None
    return answer[1].result_code


async def caught(site: Site) -> Unit:
    """A unit that has just asked once too often."""
    unit = await site.unit()
    for _ in range(LIMIT):
        assert code(await site.pull(unit, trigger="received 502 Push failed")) == 100
    return unit


async def test_a_client_that_pulls_too_often_is_held_then_told_301_and_flagged(site: Site) -> None:
    unit = await caught(site)
    for ask in (site.pull, site.locate, site.query):
        began_ms = site.clock.monotonic_ms()
        assert code(await ask(unit)) == 301
        held_s = (site.clock.monotonic_ms() - began_ms) * site.clock.pace / 1000
        assert held_s >= 19.9
    assert await Device(site, unit).open() == 503

    (incident,) = await site.incidents(KIND)
    assert (incident.state, incident.adapter_id, incident.count) == ("open", unit.adapter_id, 1)
    assert f"asked {LIMIT + 1} times" in incident.title
    told = await site.explained(unit)
    assert told.word == "looping"
    assert "answered slowly" in told.summary + "".join(fact.text for fact in told.facts)
    assert (await site.contact(unit)).refusal_code == 503


async def test_others_are_served_while_one_loops(site: Site) -> None:
    await caught(site)
    other = await site.unit()
    assert code(await site.pull(other)) == 100


async def test_a_deliberate_shut_out_is_still_the_answer_to_one_that_loops(site: Site) -> None:
    unit = await caught(site)
    await site.shut_out(unit)
    assert code(await site.pull(unit)) == 501


class TestCalm:
    """Shorter times, so that the story is short."""

    @pytest.fixture(autouse=True)
    def _times(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loops, "SLOW_S", 40.0)
        monkeypatch.setattr(loops, "CALM_S", 120.0)

    async def test_a_client_that_has_calmed_down_is_let_in_and_the_incident_settles_by_itself(self, site: Site) -> None:
        unit = await caught(site)
        assert code(await site.pull(unit)) == 301
        await site.clock.wait(loops.SLOW_S)
        assert code(await site.pull(unit)) == 100
        await site.home.context.loops.look()
        assert (await site.explained(unit)).word == "looping", "it is watched for a while"

        await site.clock.wait(loops.CALM_S - loops.SLOW_S)
        await site.home.context.loops.look()
        (incident,) = await site.incidents(KIND)
        assert (incident.state, incident.closed_why) == ("closed", "it keeps its pace again")
        assert (await site.explained(unit)).word != "looping"

    async def test_a_client_that_goes_on_is_caught_again_and_it_is_the_same_incident(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loops, "CALM_S", 36_000.0)  # whatever the pulls take, they lie within it
        unit = await caught(site)
        assert code(await site.pull(unit)) == 301
        await site.clock.wait(loops.SLOW_S)
        assert [code(await site.pull(unit)) for _ in range(LIMIT + 1)] == [100] * LIMIT + [301]
        (incident,) = await site.incidents(KIND)
        assert (incident.state, incident.count) == ("open", 2)

    async def test_after_a_restart_of_the_node_the_incident_settles_too(
        self, site: Site, arms_settings: ArmsSettings
    ) -> None:
        unit = await caught(site)
        assert code(await site.pull(unit)) == 301
        again = Site(site.database, site.keyring, site.folder, arms_settings, site.clock.pace)
        again.startups = site.startups
        await again.home.start()
        try:
            assert code(await again.pull(unit)) == 100
            await again.clock.wait(loops.CALM_S)
            await again.home.context.loops.look()
            (incident,) = await again.incidents(KIND)
            assert incident.state == "closed"
        finally:
            await again.home.stop()
