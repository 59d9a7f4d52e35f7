"""A push to a FortiGate, told from what the unit itself holds afterwards (devices-ios-fortios §B.3, D.4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from drivers import plan
from drivers.device import CommandLineDevice
from drivers.push import PushJob
from drivers.simulator.forti_cli import FortiDevice
from inventory.errors import CommandRejected, Conflict, IdentityMismatch, OutcomeUnknown, StalePlan, Truncated
from inventory.plans import ConfigText, PushState
from tests.configs import FORTIOS
from tests.drivers.pushing import FORTI_SERIAL, SENDING, Reach, enter, firewall, reaching, up_to

CHANGE = (
    "config firewall address",
    'edit "warehouse"',
    "set subnet 203.0.113.0 255.255.255.0",
    "next",
    "end",
)
BACK = ("config firewall address", 'delete "warehouse"', "end")
ADDED = """    edit "warehouse"
        set subnet 203.0.113.0 255.255.255.0
    next
"""


@pytest.fixture
async def unit() -> AsyncIterator[FortiDevice]:
    async with firewall("kobe-fw-01", FORTIOS) as made:
        yield made


@pytest.fixture
async def reach(unit: FortiDevice) -> AsyncIterator[Reach]:
    async with reaching(unit) as device:
        yield device


async def job_for(device: CommandLineDevice, change: tuple[str, ...] = CHANGE, guard_s: int = 6000) -> PushJob:
    """The change as a plan would hold it, computed from a reading."""
    base = await device.read()
    intent = re.sub(r"(?m)(^config firewall address\n(?:    .*\n)+)", rf"\g<1>{ADDED}", base.text())
    assert intent != base.text()
    return PushJob("P-9", FORTI_SERIAL, base, ConfigText.single(intent), change, BACK, guard_s)


async def test_a_push_is_verified_saved_and_leaves_the_unit_saving_by_itself(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)

    await enter(device, job, *SENDING)

    assert "warehouse" in unit.running_text()
    assert unit.saved_text() == unit.running_text()
    assert "cfg-save" not in unit.running_text()
    assert "cfg-revert-timeout" not in unit.running_text()
    assert unit.pending_undo() is None
    assert [revision.comment for revision in unit.revisions] == ["push P-9 before"]


async def test_a_question_mark_in_a_text_asks_for_no_help(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    said = '        set comment "who?\nwhy??"\n'
    job = await job_for(device, (*CHANGE[:2], f"        {said.strip()}", *CHANGE[2:]))
    whole = job.intent.text()
    at = whole.index('    edit "warehouse"\n') + len('    edit "warehouse"\n')
    job = replace(job, intent=ConfigText.single(whole[:at] + said + whole[at:]))

    await enter(device, job, *SENDING)

    assert "who?\nwhy??" in unit.running_text()


VPN = """config vpn ipsec phase1-interface
    edit "to-osaka"
        set interface "mgmt"
        set remote-gw 203.0.113.7
    next
end
config system zone
    edit "vpns"
        set interface "to-osaka"
    next
end
"""
ON_IT = """    edit "to-osaka"
        set vdom "root"
        set ip 192.0.2.129 255.255.255.255
        set type tunnel
        set interface "mgmt"
    next
"""


@pytest.mark.parametrize("told", [True, False], ids=["its-interface-is-written-down", "only-the-tunnel-is"])
async def test_a_tunnel_comes_with_the_interface_that_the_unit_makes_and_goes_with_it(
    reach: Reach, unit: FortiDevice, told: bool
) -> None:
    device = reach()
    before = await device.read()
    text = before.text().replace("config firewall address", VPN + "config firewall address")
    with_it = ConfigText.single(
        text.replace("    next\nend\nconfig", f"    next\n{ON_IT}end\nconfig", 1) if told else text
    )

    for number, (base, intent) in enumerate(((before, with_it), (with_it, before))):
        computed = plan.compute(device.driver, base, intent)
        assert computed.proven, computed.proof
        held = await device.read()
        job = PushJob(f"P-{number}", FORTI_SERIAL, held, intent, computed.remediation, computed.rollback, 6000)
        await enter(device, job, *SENDING)
        assert ('edit "to-osaka"' in unit.running_text()) is (intent is with_it)

    assert unit.saved_text() == unit.running_text()


async def test_who_answers_is_known(reach: Reach, unit: FortiDevice) -> None:
    identity = await reach().identify()

    assert (identity.serial, identity.model, identity.version) == (FORTI_SERIAL, "FortiGate-60F", "7.4.4")
    assert identity.hostname == "kobe-fw-01"


async def test_a_reading_is_the_whole_and_repeats_itself_although_secrets_are_salted_anew(
    reach: Reach, unit: FortiDevice
) -> None:
    device = reach()
    job = await job_for(device)

    await device.enter(PushState.PREFLIGHT, job)
    await device.enter(PushState.BASELINED, job)


async def test_a_refused_line_is_named_nothing_hits_another_table_and_the_unit_goes_back(
    reach: Reach, unit: FortiDevice
) -> None:
    device = reach()
    before = unit.running_text()
    wrong = (
        *CHANGE,
        "config firewall address",
        'edit "office"',
        "set subnet nonsense",
        "set comment lost",
        "next",
        "end",
    )
    job = await job_for(device, wrong)
    await enter(device, job, *up_to(PushState.ARMED))

    with pytest.raises(CommandRejected) as refused:
        await device.enter(PushState.APPLYING, job)
    step = await device.revert(job)

    assert refused.value.facts["line"] == 8
    assert "base again" in step.said
    assert unit.running_text() == before
    assert unit.saved_text() == before


async def test_somebody_elses_guard_stops_the_push(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)
    await device.enter(PushState.ARMED, job)

    with pytest.raises(Conflict, match="cfg-save"):
        await reach().enter(PushState.PREFLIGHT, job)


async def test_a_secondary_of_a_cluster_is_not_pushed_to(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)
    unit.ha_mode = "a-p, secondary"

    with pytest.raises(Conflict, match="secondary"):
        await device.enter(PushState.PREFLIGHT, job)


async def test_after_a_failover_the_other_member_gets_nothing(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))
    unit.throw(serial="FGT60FTK20000002")

    with pytest.raises(IdentityMismatch):
        await device.enter(PushState.REACHABLE, job)


async def test_a_moved_base_stops_the_push(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)

    with pytest.raises(StalePlan):
        await device.enter(PushState.BASELINED, replace(job, base=job.intent))


async def test_in_silence_the_unit_goes_back_and_is_then_taken_out_of_its_guard(
    reach: Reach, unit: FortiDevice
) -> None:
    device = reach()
    before = unit.running_text()
    job = await job_for(device, guard_s=1800)
    await enter(device, job, *up_to(PushState.APPLIED))
    await device.close()

    await unit.wait_for("reverted")

    again = reach()
    assert await again.guard_pending(job) is True
    await again.enter(PushState.BASELINED, job)
    await again.revert(job)
    assert await again.guard_pending(job) is False
    assert unit.running_text() == before
    assert unit.saved_text() == before


async def test_a_crash_after_the_confirmation_is_finished_by_another(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.CONFIRMED))
    await device.close()

    again = reach()
    assert await again.guard_pending(job) is True
    await enter(again, job, PushState.VERIFIED, PushState.CONFIRMED, PushState.SAVED)

    assert await again.guard_pending(job) is False
    assert unit.saved_text() == unit.running_text()
    assert "warehouse" in unit.saved_text()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_connection_cut_in_the_change_is_unknown_and_taken_back(
    reach: Reach, unit: FortiDevice, moment: str
) -> None:
    device = reach()
    before = unit.running_text()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.ARMED))
    unit.throw(strike_at="next", strike_when=moment)

    with pytest.raises(OutcomeUnknown):
        await device.enter(PushState.APPLYING, job)

    again = reach()
    assert ("warehouse" in (await again.read()).text()) is (moment == "after")
    await again.revert(job)
    assert unit.running_text() == before


async def test_where_the_inverse_lines_fail_the_saved_configuration_is_reloaded(
    reach: Reach, unit: FortiDevice
) -> None:
    device = reach()
    before = unit.running_text()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))
    unit.throw(unauthorised=("delete",))

    step = await device.revert(job)

    assert "reloaded" in step.said
    assert unit.running_text() == before


async def test_a_truncated_reading_is_discarded(reach: Reach, unit: FortiDevice) -> None:
    unit.throw(truncate_show_at=300)

    with pytest.raises(Truncated):
        await reach().read()


@pytest.mark.parametrize(
    "banner",
    ["Authorised use only", "kobe-fw-01 # \nkobe-fw-01 $ \nis monitored #"],
    ids=["plain", "like a prompt"],
)
async def test_a_banner_that_must_be_accepted_is_accepted(reach: Reach, unit: FortiDevice, banner: str) -> None:
    unit.throw(accept_banner=banner)

    assert (await reach().identify()).serial == FORTI_SERIAL


async def test_a_save_that_fails_is_never_called_armed(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(device)
    unit.throw(save="failed")

    with pytest.raises(CommandRejected, match="did not save"):
        await device.enter(PushState.ARMED, job)


async def test_long_text_in_quotes_arrives_in_one_piece(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    job = await job_for(
        device, ("config firewall address", 'edit "office"', 'set comment "one\ntwo # \nthree"', "next", "end")
    )

    await device.enter(PushState.APPLYING, job)

    assert "one\ntwo # \nthree" in unit.running_text()


async def test_what_a_text_in_quotes_says_is_no_refusal(reach: Reach, unit: FortiDevice) -> None:
    device = reach()
    words = 'one \\"\n duplicate of \\"old\\"\n it already exists\npermission denied\n'
    job = await job_for(device, ("config firewall address", 'edit "office"', f'set comment "{words}"', "next", "end"))

    await device.enter(PushState.APPLYING, job)

    assert "it already exists\npermission denied" in unit.running_text()
