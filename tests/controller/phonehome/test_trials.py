"""Last proven config: a new startup is on trial until a boot confirms, or it is given up (architecture §4, end)."""

from __future__ import annotations

import pytest

from controller.keyring import Keyring
from controller.settings import ArmsSettings
from controller.store import configs, entries, slots, startups
from controller.store.database import Database
from controller.store.scope import By
from controller.store.startups import Proof
from drivers.arms.parameters import ConfigSolicitationAnswer
from inventory.errors import NotFound
from inventory.incidents import IncidentKind
from inventory.plans import ConfigText
from inventory.startups import Trial
from tests.controller.phonehome.site import Site, Unit
from tests.controller.phonehome.test_boots import start
from tests.controller.store.fleet import ALL, BY, Fleet

GOOD, BAD, BETTER = "hostname: good\n", "hostname: bad\n", "hostname: better\n"
KIND = IncidentKind.UNPROVEN_CONFIG


async def got(site: Site, unit: Unit, trigger: str = "retry is over") -> str:
    """Text that a pull brings."""
    _, message = await site.pull(unit, trigger=trigger)
    assert message is not None
    assert isinstance(message.parameters, ConfigSolicitationAnswer)
    text = message.parameters.configs[0].content
    assert isinstance(text, str)
    return text


async def trial(site: Site, unit: Unit) -> Trial:
    await site.home.ledger.flush()
    assert unit.entry_id is not None
    async with site.database.read() as tx:
        found = await startups.trial(tx, ALL, unit.entry_id)
    assert found is not None
    return found


async def proven(site: Site) -> tuple[Unit, int]:
    """A unit whose startup config is proven by its boot; the number of the version."""
    unit = await site.unit(startup=None)
    version = await site.release(unit, GOOD)
    assert (await trial(site, unit)).standing == "on-trial"
    device = await start(site, unit)
    await device.cut()
    found = await trial(site, unit)
    assert (found.standing, found.proven_by) == ("proven", f"boot of {unit.serial}")
    return unit, version


async def test_after_three_failed_checks_the_last_proven_config_is_served_and_one_incident_says_why(
    site: Site,
) -> None:
    unit, good = await proven(site)
    bad = await site.release(unit, BAD)

    assert await got(site, unit, "Pull requested by RS") == BAD
    assert await got(site, unit) == BAD
    assert "failed its connection check once" in (await site.explained(unit)).summary
    assert await got(site, unit, "no push method") == BAD
    assert await site.incidents(KIND) == []
    assert await got(site, unit, "boot failed") == GOOD

    found = await trial(site, unit)
    assert (found.standing, found.failures, found.instead_id) == ("given-up", 3, good)
    (incident,) = await site.incidents(KIND)
    assert incident.state == "open"
    assert (incident.facts["version"], incident.facts["served"], incident.facts["failures"]) == (bad, good, 3)
    assert "boot failed" in str(incident.facts["last"])

    device = await start(site, unit, trigger="retry is over", ask_ls=False)
    told = await site.explained(unit)
    assert told.word == "fell back"
    assert f"the proven version {good} is served in its place" in told.summary
    boot = (await site.boots(unit))[0]
    assert (boot.version_id, boot.instead_of) == (good, bad)
    assert (await trial(site, unit)).standing == "given-up", "the old text confirming says nothing of the new one"
    assert len(await site.incidents(KIND)) == 1
    await device.cut()


async def test_a_new_startup_config_ends_that_state_and_gets_a_trial_of_its_own(site: Site) -> None:
    unit, _ = await proven(site)
    await site.release(unit, BAD)
    for _ in range(4):
        await got(site, unit)
    better = await site.release(unit, BETTER)

    (incident,) = await site.incidents(KIND)
    assert (incident.state, incident.closed_why) == ("closed", "a new startup config was released")
    assert await got(site, unit, "Pull requested by RS") == BETTER
    assert (await trial(site, unit)).failures == 0
    device = await start(site, unit, ask_ls=False)
    assert ((await trial(site, unit)).version_id, (await trial(site, unit)).standing) == (better, "proven")
    assert (await site.explained(unit)).word != "fell back"
    await device.cut()


async def test_a_config_that_confirms_after_all_is_proven_and_what_was_held_against_it_is_gone(site: Site) -> None:
    unit = await site.unit(startup=None)
    await site.release(unit, BAD)
    for _ in range(4):
        assert await got(site, unit) == BAD, "there is no proven one to go back to"
    found = await trial(site, unit)
    assert found.standing == "failing"
    (incident,) = await site.incidents(KIND)
    assert "none before it is proven" in incident.title
    assert "no proven version to go back to" in (await site.explained(unit)).summary

    device = await start(site, unit, ask_ls=False)
    assert (await trial(site, unit)).standing == "proven"
    (incident,) = await site.incidents(KIND)
    assert (incident.state, "after all" in (incident.closed_why or "")) == ("closed", True)
    await device.cut()


async def test_a_proven_config_is_never_given_up_whatever_the_line_does(site: Site) -> None:
    unit, _ = await proven(site)
    for _ in range(6):
        assert await got(site, unit) == GOOD
    assert (await trial(site, unit)).failures == 0
    assert await site.incidents(KIND) == []


async def test_the_text_that_is_proven_at_its_place_needs_no_proof_again(site: Site) -> None:
    unit, good = await proven(site)
    await site.release(unit, BAD)
    again = await site.release(unit, GOOD)
    assert again != good
    assert (await trial(site, unit)).standing == "proven"


async def test_pulls_that_say_nothing_of_the_config_do_not_count(site: Site) -> None:
    unit, _ = await proven(site)
    await site.release(unit, BAD)
    for trigger in ("power on boot", "Pull requested by RS", "rollback failure", "module sync failed", "of its own"):
        for _ in range(2):
            assert await got(site, unit, trigger) == BAD
    assert (await trial(site, unit)).failures == 0


async def test_what_we_refused_is_not_held_against_the_config(site: Site) -> None:
    unit, _ = await proven(site)
    await site.release(unit, BAD)
    for _ in range(5):
        assert await got(site, unit) == BAD
        _, message = await site.ask(unit, "push-method-query", "<push-method>carrier-pigeon</push-method>")
        assert message is not None
        assert message.result_code == 301
    assert (await trial(site, unit)).failures == 0
    assert any("not held against its config" in (boot.ended or "") for boot in await site.boots(unit))


async def test_a_restart_of_the_node_forgets_no_failure_and_invents_none(
    site: Site, arms_settings: ArmsSettings
) -> None:
    unit, _ = await proven(site)
    await site.release(unit, BAD)
    for _ in range(3):
        await got(site, unit)
    assert (await trial(site, unit)).failures == 2
    again = Site(site.database, site.keyring, site.folder, arms_settings, site.clock.pace)
    await again.home.start()
    try:
        assert await got(again, unit) == BAD, "this node was away: the boot before is no evidence"
        assert (await trial(again, unit)).failures == 2
        assert await got(again, unit) == GOOD
    finally:
        await again.home.stop()


class TestPatience:
    """A pace at which two minutes are short."""

    @pytest.fixture
    def pace(self) -> float:
        return 100.0

    async def test_power_cycles_in_vain_count_when_there_was_time_to_confirm(self, site: Site) -> None:
        unit, _ = await proven(site)
        await site.release(unit, BAD)
        assert await got(site, unit, "power on boot") == BAD
        await site.clock.wait(125)
        assert await got(site, unit, "power on boot") == BAD
        assert (await trial(site, unit)).failures == 1


async def test_a_trial_on_both_databases(database: Database, keyring: Keyring) -> None:
    fleet = Fleet(database, keyring)
    north = await fleet.contractor()
    unit = await fleet.adapter(north)
    osaka = await fleet.management(north)
    async with database.write() as tx:
        await slots.assign(tx, ALL, BY, unit.id, management_id=osaka.id, kind="entry")
        place = (await entries.page(tx, ALL, occupied=True))[0].id

        async def release(text: str) -> int:
            made = await configs.put(
                tx,
                ALL,
                keyring,
                place,
                kind="startup",
                config=ConfigText.single(text),
                digest=text,
                author="a",
                reason="",
                at_ms=BY.at_ms,
            )
            return made.id

        async def fail(version: int) -> Trial | None:
            return await startups.failed(
                tx, BY, version, why="retry is over", adapter_id=unit.id, serial="SN", at_most=2
            )

        assert await startups.served(tx, keyring, place) is None
        good = await release(GOOD)
        served = await startups.served(tx, keyring, place)
        assert served is not None
        assert (served.text.text(), served.version_id, served.proven) == (GOOD, good, False)
        await startups.proved(tx, [Proof(good, 5, "boot of SN"), Proof(good, 6, "a later one")])
        assert (await startups.trials(tx, [place]))[place].proven_ms == 5
        bad = await release(BAD)
        assert await fail(good) is None, "it is not the newest any more"
        assert [found.failures for _ in range(2) if (found := await fail(bad)) is not None] == [1, 2]
        assert await fail(bad) is None, "it is given up already"
        served = await startups.served(tx, keyring, place)
        assert served is not None
        assert (served.text.text(), served.version_id, served.instead_of) == (GOOD, good, bad)
        with pytest.raises(NotFound):
            await startups.trial(tx, ALL.of(north.id + 1), place)


async def test_a_proven_config_in_the_language_of_another_model_is_never_served(site: Site) -> None:
    unit, _ = await proven(site)
    other = await site.unit(model="SEIL BPV4", seat="none", contractor_of=unit)
    async with site.database.write() as tx:
        by = By("test", site.clock.now_ms())
        await slots.release(tx, ALL, by, unit.adapter_id)
        await slots.assign(tx, ALL, by, other.adapter_id, entry_id=unit.entry_id)
    other.entry_id = unit.entry_id
    await site.release(other, 'hostname "bad"\n')
    for _ in range(5):
        assert await got(site, other) == 'hostname "bad"\n'
    assert (await trial(site, other)).standing == "failing"
