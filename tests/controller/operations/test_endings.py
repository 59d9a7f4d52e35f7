"""How operations end, against the plainest device: refusals, busy adapters, lost answers, lost results, restarts."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from controller.keyring import Keyring
from controller.phonehome import peer
from controller.settings import ArmsSettings
from controller.store.scope import By
from drivers import devices
from drivers.arms.messages import Response
from drivers.arms.parameters import (
    CommandResult,
    CommandResults,
    Module,
    ModuleConfig,
    ModuleList,
    PingCounts,
    StatusReport,
    StatusReports,
    StoredConfigs,
)
from drivers.push import PushJob
from inventory.errors import BadInput, Conflict, RolledBack
from inventory.operations import OperationState
from inventory.plans import ConfigText, PushState
from inventory.secrets import MASK
from tests.controller.operations.asking import QUICK, Asking, asking, request, tells_open
from tests.controller.phonehome.site import ALL, Device, Site, Unit, eventually
from tests.controller.phonehome.test_tunnel import done

DONE, NOT_DONE, UNKNOWN = OperationState.DONE, OperationState.NOT_DONE, OperationState.UNKNOWN
RUNNING, SETTLING, WAITING = OperationState.RUNNING, OperationState.SETTLING, OperationState.WAITING


@pytest.fixture
async def unit(site: Site) -> Unit:
    return await site.unit()


@pytest.fixture
async def device(site: Site, unit: Unit) -> Device:
    """In contact and proven; from now on the story answers for it."""
    made = Device(site, unit)
    await made.ready()
    made.answering = False
    return made


async def back(site: Site, unit: Unit) -> Device:
    """The device on a new tunnel."""
    made = Device(site, unit)
    await made.ready()
    made.answering = False
    return made


async def accept(device: Device, type_: str, id_: int) -> None:
    """Say yes to the next request."""
    await request(device, type_)
    device.say(Response(type_, 100, transaction_id=id_))


async def answered(device: Device, type_: str, id_: int) -> None:
    """We answered its `-done` with 100."""
    got = await device.next()
    assert isinstance(got, Response)
    assert (got.type, got.result_code, got.transaction_id) == (type_, 100, id_)


async def test_a_ping_tells_what_was_answered(asker: Asking, device: Device, unit: Unit) -> None:
    number = await asker.ask(unit, "ping", address="192.0.2.1", count=2)
    await accept(device, "ping-start", 7)
    device.say(done(device, "ping-done", 7, parameters=PingCounts(1, 1)))
    await answered(device, "ping-done", 7)
    ended, result = await asker.ended(number)
    assert (ended.state, ended.result_code, ended.transaction_id) == (DONE, 100, 7)
    assert result is not None
    assert (result.answered, result.lost) == (1, 1)
    journal = [step.state.value for step in await asker.journal(number)]
    assert journal == ["waiting", "sending", "running", "done"]


async def test_a_refusal_is_not_done_and_names_its_code(asker: Asking, device: Device, unit: Unit) -> None:
    number = await asker.ask(unit, "read-storage", storage="backup")
    await request(device, "read-storage-start")
    device.say(Response("read-storage-start", 408, transaction_id=9))
    ended, result = await asker.ended(number)
    assert (ended.state, ended.result_code, result) == (NOT_DONE, 408, None)
    assert "408 Invalid Storage" in ended.said
    assert ended.transaction_id is None, "the id of a refusal is void"


async def test_a_command_that_failed_on_the_device_is_told_from_a_refusal(
    asker: Asking, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "md-command", command="no such thing")
    await request(device, "md-command")
    device.say(Response("md-command", 102, CommandResults((CommandResult(0, "unknown command"),))))
    ended, result = await asker.ended(number)
    assert (ended.state, ended.result_code) == (NOT_DONE, 102)
    assert "reports a failure: 102 Command Execute Error" in ended.said
    assert result is not None, "what the device says is the reason"
    assert [report.text for report in result.reports] == ["unknown command"]


async def test_a_reboot_that_is_under_way_when_the_daemon_restarts_is_seen_by_its_pull(
    site: Site, device: Device, unit: Unit
) -> None:
    async with asking(site) as asker:
        number = await asker.ask(unit, "reboot")
        await request(device, "reboot")
        device.say(Response("reboot", 100))
        await asker.reaches(number, OperationState.RETURNING)
    await site.pull(unit, trigger="Reboot requested by RS")
    async with asking(site) as asker:
        ended, _ = await asker.ended(number)
        assert (ended.state, ended.tries) == (DONE, 1)


async def test_a_result_that_says_failure_is_not_done(asker: Asking, device: Device, unit: Unit) -> None:
    number = await asker.ask(unit, "ping", address="192.0.2.1")
    await accept(device, "ping-start", 7)
    device.say(done(device, "ping-done", 7, result=502, parameters=PingCounts()))
    ended, _ = await asker.ended(number)
    assert (ended.state, ended.result_code) == (NOT_DONE, 502)


async def test_each_module_has_its_own_code_and_the_text_of_a_402_is_dropped(
    asker: Asking, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "read-status", items=[(0, "arp"), (5, "arp")])
    await accept(device, "read-status-start", 7)
    reports = StatusReports((StatusReport(0, 100, "one"), StatusReport(5, 402, "one")))
    device.say(done(device, "read-status-done", 7, parameters=reports))
    ended, result = await asker.ended(number)
    assert ended.state is DONE
    assert "module 5: 402 SA Failure" in ended.said
    assert result is not None
    assert [(one.module, one.code) for one in result.reports] == [(0, 100), (5, 402)]

    number = await asker.ask(unit, "clear-status", items=[(5, "")])
    await answered(device, "read-status-done", 7)
    await accept(device, "clear-status-start", 8)
    device.say(done(device, "clear-status-done", 8, parameters=StatusReports((StatusReport(5, 402),))))
    ended, _ = await asker.ended(number)
    assert ended.state is NOT_DONE


@pytest.mark.parametrize("code", [301, 302, 406])
async def test_a_busy_adapter_is_asked_again_for_it_started_nothing(
    asker: Asking, device: Device, unit: Unit, code: int
) -> None:
    number = await asker.ask(unit, "ping", address="192.0.2.1")
    await request(device, "ping-start")
    device.say(Response("ping-start", code, transaction_id=3))
    waiting = await asker.reaches(number, WAITING)
    await accept(device, "ping-start", 4)
    device.say(done(device, "ping-done", 4, parameters=PingCounts(3, 0)))
    ended, _ = await asker.ended(number)
    assert (ended.state, ended.tries) == (DONE, 2)
    assert "busy" in waiting.said or waiting.tries == 2
    assert any(f"busy ({code}" in step.said for step in await asker.journal(number))


async def test_an_adapter_that_stays_busy_is_given_up(asker: Asking, device: Device, unit: Unit) -> None:
    number = await asker.ask(unit, "reboot", wait_s=1)

    async def busy() -> None:
        while True:
            await request(device, "reboot")
            device.say(Response("reboot", 302))

    saying = asyncio.create_task(busy())
    ended, _ = await asker.ended(number)
    saying.cancel()
    assert ended.state is NOT_DONE
    assert "302 SA Busy" in ended.said
    assert ended.tries > 1


async def test_waiting_for_a_busy_adapter_ends_with_its_time_and_not_at_the_next_try(
    site: Site, device: Device, unit: Unit
) -> None:
    async with asking(site, replace(QUICK, busy_pause_s=6000.0)) as asked:
        number = await asked.ask(unit, "reboot", wait_s=1)
        await request(device, "reboot")
        device.say(Response("reboot", 302))
        ended, _ = await asked.ended(number)
    assert ended.state is NOT_DONE
    assert ended.tries == 1


async def test_a_ping_whose_result_never_comes_is_settled_and_not_sent_again(
    site: Site, device: Device, unit: Unit
) -> None:
    async with asking(site, replace(QUICK, result_s=0.2)) as asker:
        number = await asker.ask(unit, "ping", address="192.0.2.1")
        await accept(device, "ping-start", 7)
        settling = await asker.reaches(number, SETTLING)
        assert "no result" in settling.said
        assert settling.outcome is None
        await tells_open(device)
        ended, _ = await asker.ended(number)
        assert ended.state is NOT_DONE
        assert "only reads" in ended.said
        assert device.inbox.empty()


async def test_a_clearing_whose_result_never_comes_ends_in_doubt(site: Site, device: Device, unit: Unit) -> None:
    async with asking(site, replace(QUICK, result_s=0.2)) as asker:
        number = await asker.ask(unit, "clear-status", items=[(0, "")])
        await accept(device, "clear-status-start", 7)
        await tells_open(device)
        ended, _ = await asker.ended(number)
        assert ended.state is UNKNOWN
        assert "not known" in ended.said


async def test_a_result_that_comes_late_is_taken_while_the_adapter_still_holds_it_open(
    site: Site, device: Device, unit: Unit
) -> None:
    async with asking(site, replace(QUICK, result_s=0.2)) as asker:
        number = await asker.ask(unit, "ping", address="192.0.2.1")
        await accept(device, "ping-start", 7)
        await tells_open(device, 7)
        device.say(done(device, "ping-done", 7, parameters=PingCounts(3, 0)))
        ended, result = await asker.ended(number)
        assert ended.state is DONE
        assert result is not None
        assert result.answered == 3


async def test_a_tunnel_that_is_cut_during_a_read_status_loses_its_result(
    asker: Asking, site: Site, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "read-status", items=[(0, "arp")])
    await accept(device, "read-status-start", 7)
    await asker.reaches(number, RUNNING)
    await device.cut()
    again = await back(site, unit)
    await tells_open(again)
    ended, _ = await asker.ended(number)
    assert ended.state is NOT_DONE
    assert "no longer holds it open" in ended.said
    assert again.inbox.empty()


async def test_a_command_whose_answer_is_lost_ends_in_doubt_and_is_not_sent_again(
    asker: Asking, site: Site, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "md-command", command="clear arp")
    await request(device, "md-command")
    await device.cut()
    ended, _ = await asker.ended(number)
    assert ended.state is UNKNOWN
    again = await back(site, unit)
    await asyncio.sleep(0.2)
    assert again.inbox.empty()


async def test_a_reading_whose_answer_is_lost_has_changed_nothing(
    asker: Asking, site: Site, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "read-module-list")
    await request(device, "read-module-list")
    await device.cut()
    ended, _ = await asker.ended(number)
    assert ended.state is NOT_DONE
    assert "nothing was changed" in ended.said


async def test_a_start_whose_answer_is_lost_is_settled_by_what_is_open(
    asker: Asking, site: Site, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "ping", address="192.0.2.1")
    await request(device, "ping-start")
    await device.cut()
    again = await back(site, unit)
    await tells_open(again)
    ended, _ = await asker.ended(number)
    assert ended.state is NOT_DONE


async def test_a_reboot_is_done_when_the_adapter_pulls_again(
    asker: Asking, site: Site, device: Device, unit: Unit
) -> None:
    number = await asker.ask(unit, "reboot")
    await request(device, "reboot")
    device.say(Response("reboot", 100))
    leaving = await asker.reaches(number, OperationState.RETURNING)
    assert leaving.outcome is None
    await site.pull(unit, trigger="Reboot requested by RS")
    ended, _ = await asker.ended(number)
    assert ended.state is DONE
    assert "Reboot requested by RS" in ended.said


async def test_a_reboot_that_is_not_seen_in_time_is_in_doubt(site: Site, device: Device, unit: Unit) -> None:
    async with asking(site, replace(QUICK, return_s=0.3)) as asker:
        number = await asker.ask(unit, "pull-config", start="LS")
        asked = await request(device, "pull-config")
        assert asked.parameters.start == "LS"  # type: ignore[union-attr]  # it is a pull-config
        device.say(Response("pull-config", 100))
        ended, _ = await asker.ended(number)
        assert ended.state is UNKNOWN


@pytest.mark.parametrize(("trigger", "state"), [("Reboot requested by RS", DONE), ("power on boot", UNKNOWN)])
async def test_a_reboot_whose_answer_is_lost_is_settled_by_the_next_boot(
    asker: Asking, site: Site, device: Device, unit: Unit, trigger: str, state: OperationState
) -> None:
    number = await asker.ask(unit, "reboot")
    await request(device, "reboot")
    await device.cut()
    await asker.reaches(number, SETTLING)
    await site.pull(unit, trigger=trigger)
    ended, _ = await asker.ended(number)
    assert ended.state is state


async def test_who_is_not_in_contact_is_waited_for_and_then_given_up(asker: Asking, unit: Unit, site: Site) -> None:
    number = await asker.ask(unit, "ping", address="2001:db8::1", wait_s=10)  # a second: its turn comes before that
    ended, _ = await asker.ended(number)
    assert (ended.state, ended.tries) == (NOT_DONE, 0)
    assert "did not come into contact" in ended.said

    later = await asker.ask(unit, "reboot")
    device = await back(site, unit)
    await request(device, "reboot")
    device.say(Response("reboot", 505))
    ended, _ = await asker.ended(later)
    assert "505 Not Support" in ended.said


async def test_what_is_looked_at_too_late_says_so_and_blames_no_adapter(asker: Asking, unit: Unit) -> None:
    number = await asker.ask(unit, "ping", address="192.0.2.1", wait_s=10, ago_s=600)
    ended, _ = await asker.ended(number)
    assert (ended.state, ended.tries) == (NOT_DONE, 0)
    assert ended.said == "gave up waiting: its 10 s were over when its turn came; nothing was sent"


async def test_what_waits_can_be_cancelled_and_the_next_has_its_turn(asker: Asking, site: Site, unit: Unit) -> None:
    first = await asker.ask(unit, "reboot")
    second = await asker.ask(unit, "dump-debug")
    by = By("key 2 (bob)", site.clock.now_ms())
    await asyncio.sleep(0.1)
    cancelled = await asker.service.cancel(ALL, first, by)
    assert (cancelled.state, cancelled.cancelled_by) == (NOT_DONE, "key 2 (bob)")
    with pytest.raises(Conflict):
        await asker.service.cancel(ALL, first, by)
    device = await back(site, unit)
    await request(device, "dump-debug")
    with pytest.raises(Conflict, match="no longer be stopped"):
        await asker.service.cancel(ALL, second, by)
    device.say(Response("dump-debug", 100, CommandResults((CommandResult(0, b"\x00\xff\x80dump"),))))
    ended, result = await asker.ended(second)
    assert ended.state is DONE
    assert result is not None
    assert result.reports[0].text.encode("utf-8", "surrogateescape") == b"\x00\xff\x80dump"


async def test_an_adapter_has_one_operation_at_a_time(asker: Asking, device: Device, unit: Unit) -> None:
    first = await asker.ask(unit, "ping", address="192.0.2.1")
    second = await asker.ask(unit, "read-module-list")
    await accept(device, "ping-start", 7)
    await asker.reaches(first, RUNNING)
    await asyncio.sleep(0.1)
    assert device.inbox.empty()
    assert (await asker.read(second)).state is WAITING
    device.say(done(device, "ping-done", 7, parameters=PingCounts(1, 0)))
    await answered(device, "ping-done", 7)
    await request(device, "read-module-list")
    device.say(Response("read-module-list", 100, ModuleList((Module(0, "5.66", text="https://ann:hush@192.0.2.9/"),))))
    _, result = await asker.ended(second)
    assert result is not None
    assert [(one.module, one.version) for one in result.modules] == [(0, "5.66")]
    assert "hush" not in result.modules[0].about


async def test_only_an_entry_is_asked(asker: Asking, site: Site) -> None:
    spare = await site.unit(seat="standby")
    with pytest.raises(Conflict, match="no entry"):
        await asker.ask(spare, "reboot")


async def test_a_configure_is_referred_to_a_plan(asker: Asking, unit: Unit) -> None:
    with pytest.raises(BadInput) as refused:
        await asker.ask(unit, "configure")
    assert "POST /plans" in refused.value.next_step
    with pytest.raises(BadInput, match="no operation is called"):
        await asker.ask(unit, "format-flash")


async def test_too_many_open_operations_of_one_adapter_are_refused(asker: Asking, unit: Unit) -> None:
    for _ in range(16):
        await asker.ask(unit, "dump-debug")
    with pytest.raises(Conflict, match="operations open"):
        await asker.ask(unit, "dump-debug")


async def test_a_result_that_is_too_long_is_not_kept_and_says_so(site: Site, device: Device, unit: Unit) -> None:
    async with asking(site, replace(QUICK, kept_octets=1000)) as asker:
        number = await asker.ask(unit, "md-command", command="show log")
        await request(device, "md-command")
        device.say(Response("md-command", 100, CommandResults((CommandResult(0, "x" * 1001),))))
        ended, result = await asker.ended(number)
        assert (ended.state, result) == (DONE, None)
        assert "not kept" in ended.said


SECRET = "Planted-c0ffee-4711"


async def test_a_secret_of_the_place_is_found_in_no_result(asker: Asking, device: Device, unit: Unit) -> None:
    await asker.holds(unit, f"hostname: osaka\nppp.0.password: {SECRET}\n")
    number = await asker.ask(unit, "read-status", items=[(0, f"grep {SECRET}")])
    asked = await request(device, "read-status-start")
    assert asked.parameters.items[0].content == f"grep {SECRET}"  # type: ignore[union-attr]  # it is sent as it is
    device.say(Response("read-status-start", 100, transaction_id=7))
    text = f"session up, user osaka/{SECRET}, key {unit.rs_key.reveal()}\n"
    device.say(done(device, "read-status-done", 7, parameters=StatusReports((StatusReport(0, 100, text.encode()),))))
    await answered(device, "read-status-done", 7)
    ended, result = await asker.ended(number)
    assert result is not None
    assert result.reports[0].text == f"session up, user osaka/{MASK}, key {MASK}\n"
    assert ended.shown.items[0].text == f"grep {MASK}"

    number = await asker.ask(unit, "read-storage")
    await accept(device, "read-storage-start", 8)
    other = "ppp.1.password: another-one-91\nsyslog: another-one-91\n"
    stored = StoredConfigs((ModuleConfig(0, other), ModuleConfig(1, "account x password y"), ModuleConfig(2, "")))
    device.say(done(device, "read-storage-done", 8, parameters=stored))
    _, result = await asker.ended(number)
    assert result is not None
    assert [one.text for one in result.reports] == [f"ppp.1.password: {MASK}\nsyslog: {MASK}\n", MASK, ""]


async def restarted(site: Site, keyring: Keyring, settings: ArmsSettings, folder: Path) -> Site:
    """The same phone-home at the same ports, as after a crash of the node."""
    ports = site.home.ports
    await site.home.stop()
    same = settings.model_copy(update={"ls_port": ports[0], "rs_port": ports[1], "heartbeat_port": ports[2]})
    copy = Path(shutil.copytree(folder, folder.parent / "again"))
    made = Site(site.database, keyring, copy, same, site.clock.pace)
    made.startups = site.startups
    await made.home.start()
    return made


@pytest.mark.parametrize("comes", [True, False])
async def test_after_a_restart_an_operation_is_settled_and_never_repeated(
    site: Site, keyring: Keyring, arms_settings: ArmsSettings, folder: Path, unit: Unit, device: Device, comes: bool
) -> None:
    async with asking(site) as asker:
        number = await asker.ask(unit, "ping", address="192.0.2.1")
        await accept(device, "ping-start", 77)
        await asker.reaches(number, RUNNING)
    assert (await asker.read(number)).state is RUNNING
    again = await restarted(site, keyring, arms_settings, folder)
    try:
        async with asking(again) as asker:
            await asker.reaches(number, SETTLING)
            new = await back(again, unit)
            if comes:  # as over https-simple, where results have a connection of their own
                await tells_open(new, 77)
                new.say(done(new, "ping-done", 77, parameters=PingCounts(3, 0)))
            else:
                await tells_open(new)
            ended, result = await asker.ended(number)
            assert ended.state is (DONE if comes else NOT_DONE)
            assert (result is not None) is comes
            assert "restarted" in " ".join(step.said for step in await asker.journal(number))
    finally:
        await again.home.stop()


async def test_a_result_that_nobody_asked_for_is_answered_100_and_told(
    site: Site, device: Device, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "EARLY_S", 0.1)
    device.say(done(device, "read-status-done", 4242, parameters=StatusReports((StatusReport(0, 100, "x"),))))
    await answered(device, "read-status-done", 4242)

    async def told() -> list[dict[str, object]]:
        return [facts for kind, facts in await site.events(unit) if kind == "phonehome.unsolicited-done"]

    assert await eventually(told) == [{"type": "read-status-done", "transaction": 4242, "result": 100}]


async def test_a_configure_that_the_adapter_rolled_back_is_shown_as_rolled_back(
    site: Site, device: Device, unit: Unit
) -> None:
    over_arms = devices.over_arms("recipe", site.home.link, unit.serial)
    job = PushJob("1", unit.serial, ConfigText.single("hostname: a\n"), ConfigText.single("hostname: b\n"), (), (), 120)
    applying = asyncio.create_task(over_arms.enter(PushState.APPLYING, job))
    await request(device, "read-module-list")
    device.say(Response("read-module-list", 100, ModuleList((Module(0, "5.66"),))))
    await accept(device, "configure-start", 12)
    step = await applying
    await device.cut()
    again = Device(site, unit)
    assert await again.open() == 200
    again.say(done(again, "configure-done", 12, result=414))
    with pytest.raises(RolledBack, match="414 SA Rollbacked"):
        await over_arms.enter(PushState.REACHABLE, replace(job, transaction_id=step.transaction_id))
    await answered(again, "configure-done", 12)


async def test_long_results_are_masked_beside_the_loop(asker: Asking, device: Device, unit: Unit) -> None:
    number = await asker.ask(unit, "read-storage")
    await accept(device, "read-storage-start", 8)
    text = "".join(f"ppp.{n}.password: secret-number-{n}\n" for n in range(600))
    device.say(
        done(device, "read-storage-done", 8, parameters=StoredConfigs((ModuleConfig(0, text.encode()),))), pieces=9
    )
    _, result = await asker.ended(number)
    assert result is not None
    assert result.reports[0].text.count(MASK) == 600
    assert "secret-number" not in result.reports[0].text
