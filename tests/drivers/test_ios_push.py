"""A push to a Cisco IOS device, told from what the device itself holds afterwards (devices-ios-fortios §A.3, D.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from drivers.device import CommandLineDevice
from drivers.driver import Driver
from drivers.push import PushJob
from drivers.sessions.contract import CliSession, Endpoint, Limits
from drivers.simulator.ios_cli import IosDevice
from inventory.errors import (
    CommandRejected,
    Conflict,
    IdentityMismatch,
    OutcomeUnknown,
    ProtocolViolation,
    RolledBack,
    StalePlan,
    Truncated,
    Unreachable,
)
from inventory.plans import ConfigText, PushState
from tests.configs import IOS
from tests.drivers.pushing import PACE, PASSWORD, SENDING, Reach, enter, reaching, up_to

SERIAL = "FTX1840ALY0"
CHANGE = ("interface GigabitEthernet0/1", " description to the warehouse", " exit")
BACK = ("interface GigabitEthernet0/1", " no description to the warehouse")
SHORT = Limits(handshake_s=1.0, line_s=1.0)


@pytest.fixture
async def router() -> AsyncIterator[IosDevice]:
    async with IosDevice(
        hostname="osaka-edge-01",
        serial=SERIAL,
        model="ISR4331",
        config_text=IOS,
        username="op",
        password=PASSWORD,
        pace=PACE,
        management="GigabitEthernet0/0",
    ) as router:
        yield router


@pytest.fixture
async def reach(router: IosDevice) -> AsyncIterator[Reach]:
    async with reaching(router) as device:
        yield device


async def job_for(device: CommandLineDevice, change: tuple[str, ...] = CHANGE, guard_s: int = 7200) -> PushJob:
    """The change as a plan would hold it, computed from a reading."""
    base = await device.read()
    intent = base.text().replace(
        "interface GigabitEthernet0/1\n", "interface GigabitEthernet0/1\n description to the warehouse\n"
    )
    assert intent != base.text()
    return PushJob("P-7", SERIAL, base, ConfigText.single(intent), change, BACK, guard_s)


async def test_a_push_is_verified_confirmed_and_saved(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)

    await enter(device, job, *SENDING)

    assert "description to the warehouse" in router.running_text()
    assert router.saved_text() == router.running_text()
    assert router.pending_undo() is None
    assert [
        record.what for record in router.log.records if record.what in ("armed", "confirmed", "reverted", "saved")
    ] == [
        "armed",
        "confirmed",
        "saved",
    ]
    assert {record.detail["comment"] for record in router.log.records if record.what == "line"} == {"push P-7"}


async def test_a_question_mark_in_a_text_asks_for_no_help(reach: Reach, router: IosDevice) -> None:
    device = reach()
    banner = "banner motd #who goes there?\nwhy?#"
    job = await job_for(device, ("interface GigabitEthernet0/1", " description who? why??", " exit", banner))
    intent = job.intent.text().replace("description to the warehouse", "description who? why??")
    job = replace(job, intent=ConfigText.single(intent.replace("line vty", f"{banner}\nline vty", 1)))

    await enter(device, job, *SENDING)

    assert " description who? why??" in router.running_text()
    assert "who goes there?\nwhy?" in router.running_text()


async def test_the_change_is_looked_at_over_a_login_of_its_own(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))
    logins = len(router.logins)

    await device.enter(PushState.REACHABLE, job)

    assert len(router.logins) == logins + 1


async def test_who_answers_is_known_before_anything_is_sent(reach: Reach, router: IosDevice) -> None:
    identity = await reach().identify()

    assert (identity.serial, identity.model, identity.version) == (SERIAL, "ISR4331", "17.09.04a")
    assert identity.hostname == "osaka-edge-01"


async def test_another_serial_number_is_never_written_to(reach: Reach, router: IosDevice) -> None:
    job = await job_for(reach())
    device = reach()
    router.throw(serial="FTX0000OTHER")

    with pytest.raises(IdentityMismatch, match="FTX0000OTHER"):
        await device.enter(PushState.ARMED, job)

    assert router.log.count("armed") == 0


async def test_another_serial_number_after_the_change_is_noticed_at_the_new_login(
    reach: Reach, router: IosDevice
) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))
    router.throw(serial="FTX0000OTHER")

    with pytest.raises(IdentityMismatch):
        await device.enter(PushState.REACHABLE, job)


async def test_the_key_learnt_at_first_contact_holds_for_the_second(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))
    shown = len(router.logins)
    router.throw(other_host_key=True)

    with pytest.raises(IdentityMismatch, match="host key"):
        await device.enter(PushState.REACHABLE, job)

    assert len(router.logins) == shown
    assert device.host_key == router.host_key.export_public_key().decode().strip()


async def test_a_refused_line_is_named_and_the_device_goes_back(reach: Reach, router: IosDevice) -> None:
    device = reach()
    before = router.running_text()
    job = await job_for(device, (*CHANGE[:2], " bogus statement", " shutdown"))
    await enter(device, job, *up_to(PushState.ARMED))

    with pytest.raises(CommandRejected) as refused:
        await device.enter(PushState.APPLYING, job)
    step = await device.revert(job)

    assert refused.value.facts["line"] == 3
    assert refused.value.facts["sent"] == "bogus statement"
    assert "Invalid input" in refused.value.last_words
    assert "base again" in step.said
    assert router.running_text() == before
    assert router.pending_undo() is None


async def test_going_back_twice_does_no_harm(reach: Reach, router: IosDevice) -> None:
    device = reach()
    before = router.running_text()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))

    await device.revert(job)
    await device.revert(job)

    assert router.running_text() == before
    assert router.log.count("reverted") == 1


async def test_a_moved_base_stops_the_push(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)
    stale = PushJob("P-8", SERIAL, job.intent, job.base, BACK, CHANGE)
    await device.enter(PushState.PREFLIGHT, stale)

    with pytest.raises(StalePlan) as stopped:
        await device.enter(PushState.BASELINED, stale)

    assert "description to the warehouse" in str(stopped.value.facts["difference"])


@pytest.mark.parametrize(
    ("switch", "reason"),
    [({"archive_missing": True}, "archive"), ({"locked_by": "hanako"}, "lock")],
    ids=["no archive", "locked"],
)
async def test_preflight_names_the_first_reason_and_touches_nothing(
    reach: Reach, router: IosDevice, switch: dict[str, object], reason: str
) -> None:
    device = reach()
    job = await job_for(device)
    router.throw(**switch)

    with pytest.raises(Conflict, match=reason):
        await device.enter(PushState.PREFLIGHT, job)

    assert router.log.count("armed") == 0


async def test_somebody_elses_pending_timer_stops_the_push(reach: Reach, router: IosDevice) -> None:
    job = await job_for(reach())
    router.arm(120, "hanako")

    with pytest.raises(Conflict, match="waits for its confirmation"):
        await reach().enter(PushState.PREFLIGHT, job)


async def test_a_lock_taken_in_between_stops_the_arming(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)
    await device.enter(PushState.PREFLIGHT, job)
    router.throw(locked_by="hanako")

    with pytest.raises(CommandRejected, match="hanako"):
        await device.enter(PushState.ARMED, job)

    assert router.log.count("armed") == 0


async def test_without_a_confirmation_the_device_goes_back_by_itself(reach: Reach, router: IosDevice) -> None:
    device = reach()
    before = router.running_text()
    job = await job_for(device, guard_s=1800)
    await enter(device, job, *up_to(PushState.APPLIED))
    assert await device.guard_pending(job) is True
    await device.close()

    await router.wait_for("reverted")

    again = reach()
    assert await again.guard_pending(job) is False
    assert router.running_text() == before


async def test_a_confirmation_that_comes_too_late_says_rolled_back(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device, guard_s=60)
    await enter(device, job, *up_to(PushState.APPLIED))
    await router.wait_for("reverted")

    with pytest.raises(RolledBack):
        await device.enter(PushState.CONFIRMED, job)


async def test_a_change_that_cuts_us_off_is_undone_by_the_device(reach: Reach, router: IosDevice) -> None:
    device = reach(SHORT)
    before = router.running_text()
    job = await job_for(device, ("interface GigabitEthernet0/0", " shutdown"), guard_s=3600)
    await enter(device, job, *up_to(PushState.ARMED))

    with pytest.raises(OutcomeUnknown):
        await device.enter(PushState.APPLYING, job)
    with pytest.raises(Unreachable):
        await reach(SHORT).identify()
    await router.wait_for("reverted")

    again = reach()
    await again.enter(PushState.BASELINED, job)
    assert router.running_text() == before


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_connection_cut_in_the_change_is_unknown_and_a_reading_tells_the_truth(
    reach: Reach, router: IosDevice, moment: str
) -> None:
    device = reach()
    before = router.running_text()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.ARMED))
    router.throw(strike_at="description to the warehouse", strike_when=moment)

    with pytest.raises(OutcomeUnknown):
        await device.enter(PushState.APPLYING, job)

    again = reach()
    found = await again.read()
    assert ("to the warehouse" in found.text()) is (moment == "after")
    assert await again.guard_pending(job) is True
    await again.revert(job)
    assert router.running_text() == before


async def test_applying_never_goes_on_in_a_session_of_its_own(reach: Reach, router: IosDevice) -> None:
    """After a restart the timer may run, but nobody knows which lines were sent."""
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.ARMED))

    with pytest.raises(OutcomeUnknown, match="is gone"):
        await reach().enter(PushState.APPLYING, job)

    assert router.log.count("line") == 0


async def test_a_truncated_reading_is_discarded(reach: Reach, router: IosDevice) -> None:
    device = reach()
    router.throw(truncate_show_at=200)

    with pytest.raises(Truncated, match="end"):
        await device.read()


async def test_a_reading_that_was_cut_once_is_taken_again(reach: Reach, router: IosDevice) -> None:
    device = reach()
    whole = await device.read()
    router.throw(cut_output_after=150)

    assert await device.read() == whole


async def test_log_messages_and_time_stamps_do_not_get_into_a_reading(reach: Reach, router: IosDevice) -> None:
    device = reach()
    whole = await device.read()
    router.throw(
        stray_line="*Mar  1 00:01:02.003: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up", timestamps=True
    )

    assert await device.read() == whole


async def test_a_difference_found_at_the_end_is_shown_and_not_confirmed(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device, ("interface GigabitEthernet0/1", " description something else"))
    await enter(device, job, *up_to(PushState.REACHABLE))

    with pytest.raises(Conflict) as differs:
        await device.enter(PushState.VERIFIED, job)

    assert "something else" in str(differs.value.facts["difference"])
    assert router.log.count("confirmed") == 0


async def test_a_busy_save_is_tried_again(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.CONFIRMED))
    router.throw(save="busy", save_failures=2)

    step = await device.enter(PushState.SAVED, job)

    assert "attempt 3" in step.said
    assert router.saved_text() == router.running_text()


@pytest.mark.parametrize(("kind", "failures"), [("busy", 3), ("no-ok", 1), ("failed", 1)])
async def test_a_save_that_fails_is_never_called_saved(
    reach: Reach, router: IosDevice, kind: str, failures: int
) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.CONFIRMED))
    router.throw(save=kind)

    with pytest.raises(CommandRejected, match="did not save"):
        await device.enter(PushState.SAVED, job)

    assert router.log.count("save-failed") == failures
    assert router.saved_text() != router.running_text()


async def test_a_slow_device_is_pushed_to_all_the_same(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device)
    router.throw(answer_delay_s=0.2 * PACE, output_chunk_bytes=3)

    await enter(device, job, *SENDING)

    assert router.saved_text() == router.running_text()


def overheard(device: CommandLineDevice, heard: Callable[[str], str], said: Callable[[str, str], str]) -> None:
    """Let a device hear other commands than ours, and say other words than its own."""
    connect = device._connect

    async def connected(driver: Driver, endpoint: Endpoint) -> CliSession:
        session = await connect(driver, endpoint)
        spoken = session.command

        async def between(command: str, *, timeout_s: float) -> str:
            return said(command, await spoken(heard(command), timeout_s=timeout_s))

        session.command = between  # type: ignore[method-assign]
        return session

    device._connect = connected


async def test_a_timer_that_was_refused_is_not_called_running_although_the_mode_was_entered(
    reach: Reach, router: IosDevice
) -> None:
    device = reach()
    job = await job_for(device)
    await device.close()
    full = "%Error writing flash:before-1 (No space left on device)\n"
    arming = "configure terminal revert timer"
    overheard(
        device,
        lambda line: "configure terminal" if line.startswith(arming) else line,
        lambda line, said: full + said if line.startswith(arming) else said,
    )

    with pytest.raises(CommandRejected, match=r"could not be started.*No space left"):
        await enter(device, job, *up_to(PushState.ARMED))

    session = await device._open()
    assert session.mode == ""
    assert router.log.count("armed") == router.log.count("line") == 0


async def test_a_confirmation_without_a_pending_change_is_none_whatever_sign_it_begins_with(
    reach: Reach, router: IosDevice
) -> None:
    device = reach()
    overheard(device, lambda line: line, lambda _line, said: said.replace("%No Rollback", "No Rollback"))
    job = await job_for(device, guard_s=60)
    await enter(device, job, *up_to(PushState.APPLIED))
    await router.wait_for("reverted")

    with pytest.raises(RolledBack):
        await device.enter(PushState.CONFIRMED, job)


async def test_a_line_that_is_lost_is_told_by_its_number_in_the_change(reach: Reach, router: IosDevice) -> None:
    device = reach(SHORT)
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.ARMED))
    router.throw(strike_at="description to the warehouse")

    with pytest.raises(OutcomeUnknown, match=r"^Line 2 of 3 was sent"):
        await device.enter(PushState.APPLYING, job)


async def test_a_refusal_is_told_without_the_log_messages_around_it(reach: Reach, router: IosDevice) -> None:
    device = reach()
    job = await job_for(device, ("interface GigabitEthernet0/1", " no such thing"))
    await enter(device, job, *up_to(PushState.ARMED))
    log = "*Nov 23 05:00:00.001: %SYS-5-CONFIG_I: Configured from console by bob on vty1 (192.0.2.9)"
    router.throw(stray_line=log)

    with pytest.raises(CommandRejected, match="Invalid input") as refused:
        await device.enter(PushState.APPLYING, job)

    assert "SYS-5-CONFIG_I" not in refused.value.message


async def test_a_startup_configuration_that_differs_is_shown(reach: Reach, router: IosDevice) -> None:
    device = reach()
    overheard(
        device,
        lambda line: line,
        lambda line, said: said.replace("login local", "login") if line == "show startup-config" else said,
    )
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.CONFIRMED))

    with pytest.raises(CommandRejected, match="is not the intent") as differs:
        await device.enter(PushState.SAVED, job)

    assert "- login local" in str(differs.value.facts["difference"])


async def test_a_way_back_that_the_device_refuses_is_not_said_to_be_carried_out(
    reach: Reach, router: IosDevice
) -> None:
    device = reach()
    overheard(
        device,
        lambda line: "show clock" if line == "configure revert now" else line,
        lambda line, said: "%Rollback aborted after 5 passes\n" if line == "configure revert now" else said,
    )
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.APPLIED))

    with pytest.raises(OutcomeUnknown, match="refused: %Rollback aborted after 5 passes"):
        await device.revert(job)


async def test_a_device_that_does_not_say_who_it_is_is_not_taken_for_another(reach: Reach, router: IosDevice) -> None:
    router.throw(unauthorised=("show version", "show inventory"))

    with pytest.raises(ProtocolViolation, match="did not say who it is"):
        await reach().identify()

    assert router.log.count("line") == 0


async def test_a_startup_configuration_that_may_not_be_read_is_not_called_another(
    reach: Reach, router: IosDevice
) -> None:
    device = reach()
    job = await job_for(device)
    await enter(device, job, *up_to(PushState.CONFIRMED))
    router.throw(unauthorised=("show startup-config",))

    with pytest.raises(CommandRejected, match=r"said that it saved.*may not be read.*authorization failed"):
        await device.enter(PushState.SAVED, job)
