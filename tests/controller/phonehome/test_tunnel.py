"""What an operator sees of tunnels: confirmation, echo, requests, results, cuts and replacements."""

from __future__ import annotations

import asyncio

import pytest

from controller.store import slots
from drivers.arms import framing
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import (
    Command,
    CommandResult,
    CommandResults,
    Configure,
    MdCommand,
    Module,
    ModuleConfig,
    Ping,
    PingCounts,
    ReadStorage,
    StoredConfigs,
)
from inventory.errors import CommandRejected, IdentityMismatch, OutcomeUnknown, RolledBack, Unreachable
from inventory.explain import Contact
from tests.controller.phonehome.site import ALL, BY, CONFIG, Device, Site, Unit, until

CONFIGURE = Request("configure-start", "", Configure((Module(0, "1.0"),), (ModuleConfig(0, "hostname: x\n"),)))


def done(device: Device, type_: str, id_: int, result: int = 100, parameters: object = None) -> Request:
    """A `-done` of the device."""
    values = {} if parameters is None else {"parameters": parameters}
    return Request(
        type_,
        device.unit.distribution_id,
        transaction_result=result,
        transaction_id=id_,
        **values,  # type: ignore[arg-type]  # one of the parameter classes
    )


async def start_configure(site: Site, device: Device, id_: int) -> None:
    """Begin a configure and let the device accept it, and drop its tunnel as it does then."""
    asked = asyncio.create_task(site.home.link.request(device.unit.serial, CONFIGURE, timeout_s=10))
    request = await device.next()
    assert request.type == "configure-start"
    device.say(Response("configure-start", 100, transaction_id=id_))
    assert (await asked).transaction_id == id_
    await device.cut()


async def test_a_confirmed_tunnel_whose_serial_is_proven_is_ready(site: Site) -> None:
    unit = await site.unit()
    await site.pull(unit)
    device = Device(site, unit)

    await device.ready()

    record = await site.contact(unit)
    assert (record.stage, record.proven_serial, record.tunnel_open) == (Contact.READY, unit.serial, True)
    assert [request.type for request in device.requests] == ["push-confirmation-done", "md-command"]
    assert device.requests[0].transaction_id
    assert device.requests[0].result_url is None
    assert "phonehome.ready" in [kind for kind, _ in await site.events(unit)]


async def test_another_serial_number_is_quarantine_and_never_an_update_of_the_record(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    device.serial_shown = "SOMEBODY-ELSE"
    assert await device.open() == 200
    await device.confirm()

    with pytest.raises(IdentityMismatch):
        await site.home.link.wait_ready(unit.serial, timeout_s=2)

    record = await site.contact(unit)
    assert record.proven_serial is None
    assert "SOMEBODY-ELSE" in (record.quarantine or "")
    with pytest.raises(IdentityMismatch):
        await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=1)
    # It gets no config any more, until an operator has looked.
    _, message = await site.pull(unit)
    assert message is not None
    assert message.result_code == 404

    await site.home.clear_quarantine(unit.adapter_id)
    device = Device(site, unit)
    await device.ready()


async def test_a_software_router_is_proven_by_its_distribution_id(site: Site) -> None:
    unit = await site.unit(model="SEIL/x86 Ayame")
    device = Device(site, unit)
    device.serial_shown = unit.distribution_id
    await device.ready()
    assert (await site.contact(unit)).proven_serial == unit.distribution_id


async def test_an_echo_is_answered_also_when_it_comes_byte_by_byte(site: Site) -> None:
    device = Device(site, await site.unit())
    assert await device.open() == 200
    for octet in framing.encode(framing.Echo("echo-request")):
        device.raw(bytes([octet]))
        await asyncio.sleep(0)
    await until(lambda: device.echoes == 1)


async def test_a_request_is_answered_and_requests_do_not_overlap(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    device.answering = False
    ask = Request("md-command", "", MdCommand((Command(0, "show version"),)))
    first, second = (asyncio.create_task(site.home.link.request(unit.serial, ask, timeout_s=10)) for _ in range(2))

    got = await device.next()
    assert isinstance(got, Request)
    assert got.distribution_id == unit.distribution_id
    await asyncio.sleep(0.05)
    assert device.inbox.empty()
    device.say(Response("md-command", 100, CommandResults((CommandResult(0, "one"),))), pieces=3)
    assert (await first).parameters == CommandResults((CommandResult(0, "one"),))
    await device.next()
    device.say(Response("md-command", 100, CommandResults((CommandResult(0, "two"),))))
    assert (await second).parameters == CommandResults((CommandResult(0, "two"),))


async def test_an_answer_to_no_request_ends_the_tunnel(site: Site) -> None:
    device = Device(site, await site.unit())
    await device.ready()
    device.say(Response("reboot", 100))
    await asyncio.wait_for(device.ended.wait(), 10)


async def test_a_device_that_syncs_its_modules_is_waited_for_and_its_request_not_called_wrong(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    asked = asyncio.create_task(site.home.link.request(unit.serial, CONFIGURE, timeout_s=10))
    await device.next()
    device.say(Response("configure-start", 303, transaction_id=77))
    with pytest.raises(CommandRejected) as rejected:
        await asked
    assert rejected.value.facts["result_code"] == 303
    assert "syncing its modules" in rejected.value.next_step
    assert "Correct the request" not in rejected.value.next_step


async def test_a_refused_request_says_with_which_code(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    asked = asyncio.create_task(site.home.link.request(unit.serial, CONFIGURE, timeout_s=10))
    await device.next()
    device.say(Response("configure-start", 302, transaction_id=77))
    with pytest.raises(CommandRejected) as rejected:
        await asked
    assert rejected.value.facts["result_code"] == 302
    assert "not busy" in rejected.value.next_step
    # It was void: the path is as good as before.
    await site.home.link.wait_ready(unit.serial, timeout_s=1)


async def test_the_result_of_a_ping_may_come_in_the_same_read_as_its_start(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    asked = asyncio.create_task(
        site.home.link.request(unit.serial, Request("ping-start", "", Ping("192.0.2.1", 1)), timeout_s=10)
    )
    await device.next()
    device.say(Response("ping-start", 100, transaction_id=1234))
    device.say(done(device, "ping-done", 1234, parameters=PingCounts(1, 0)))
    await asked

    result = await site.home.link.wait_done(unit.serial, 1234, timeout_s=10)

    assert result.parameters == PingCounts(1, 0)
    answer = await device.next()
    assert isinstance(answer, Response)
    assert (answer.type, answer.result_code, answer.transaction_id) == ("ping-done", 100, 1234)


async def test_a_configure_ends_on_the_new_tunnel_and_is_answered_only_when_it_is_stored(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    await start_configure(site, device, 4321)
    with pytest.raises(Unreachable):
        await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=1)

    again = Device(site, unit)
    assert await again.open() == 200
    waiting = asyncio.create_task(site.home.link.wait_done(unit.serial, 4321, timeout_s=10))
    await asyncio.sleep(0)
    again.say(done(again, "configure-done", 4321))
    assert (await waiting).transaction_result == 100
    await asyncio.sleep(0.1)
    assert again.inbox.empty()

    await site.home.link.acknowledge(unit.serial, 4321)
    answer = await again.next()
    assert isinstance(answer, Response)
    assert (answer.type, answer.result_code, answer.transaction_id) == ("configure-done", 100, 4321)

    # Not usable before the device confirms again; its serial need not be proven again.
    with pytest.raises(Unreachable):
        await site.home.link.wait_ready(unit.serial, timeout_s=0.1)
    await again.confirm()
    await site.home.link.wait_ready(unit.serial, timeout_s=10)
    assert [request.type for request in again.requests] == ["push-confirmation-done"]


async def test_a_configure_done_that_is_told_twice_is_answered_twice(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    await start_configure(site, device, 5)
    waiting = asyncio.create_task(site.home.link.wait_done(unit.serial, 5, timeout_s=10))
    await asyncio.sleep(0)
    first = Device(site, unit)
    assert await first.open() == 200
    first.say(done(first, "configure-done", 5))
    await waiting
    await first.cut()
    await until(lambda: not site.home._context.peers[unit.adapter_id].paths)
    with pytest.raises(OutcomeUnknown):
        await site.home.link.acknowledge(unit.serial, 5)

    second = Device(site, unit)
    assert await second.open() == 200
    second.say(done(second, "configure-done", 5))
    assert (await second.next()).type == "configure-done"


async def test_after_a_restart_a_configure_that_nobody_waits_for_is_accepted_and_told(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    assert await device.open() == 200
    device.say(done(device, "configure-done", 99, result=414))

    answer = await device.next()

    assert isinstance(answer, Response)
    assert (answer.result_code, answer.transaction_id) == (100, 99)
    kinds = dict(await site.events(unit))
    assert kinds["phonehome.unsolicited-done"]["result"] == 414
    # Whoever asks a little later still gets it, and may acknowledge what is acknowledged.
    assert (await site.home.link.wait_done(unit.serial, 99, timeout_s=1)).transaction_result == 414
    await site.home.link.acknowledge(unit.serial, 99)


async def test_a_pull_instead_of_configure_done_means_rolled_back(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    await start_configure(site, device, 6)
    waiting = asyncio.create_task(site.home.link.wait_done(unit.serial, 6, timeout_s=10))
    await asyncio.sleep(0)

    await site.pull(unit, trigger="rollback failure")

    with pytest.raises(RolledBack, match="rollback failure"):
        await waiting


async def test_a_result_that_is_lost_with_its_tunnel_is_unknown(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    asked = asyncio.create_task(
        site.home.link.request(unit.serial, Request("read-storage-start", "", ReadStorage("running")), timeout_s=10)
    )
    await device.next()
    device.say(Response("read-storage-start", 100, transaction_id=8))
    await asked
    await device.cut()
    with pytest.raises(OutcomeUnknown):
        await site.home.link.wait_done(unit.serial, 8, timeout_s=10)


async def test_read_storage_brings_a_whole_config_in_many_chunks(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    asked = asyncio.create_task(
        site.home.link.request(unit.serial, Request("read-storage-start", "", ReadStorage("running")), timeout_s=10)
    )
    await device.next()
    text = CONFIG * 20_000
    device.say(Response("read-storage-start", 100, transaction_id=8))
    await asked
    device.say(
        done(device, "read-storage-done", 8, parameters=StoredConfigs((ModuleConfig(0, text.encode()),))), pieces=150
    )
    result = await site.home.link.wait_done(unit.serial, 8, timeout_s=10)
    assert isinstance(result.parameters, StoredConfigs)
    assert result.parameters.configs[0].content == text.encode()


async def test_a_request_that_is_cut_before_its_answer_has_an_unknown_outcome(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    asked = asyncio.create_task(site.home.link.request(unit.serial, CONFIGURE, timeout_s=10))
    await device.next()
    await device.cut()
    with pytest.raises(OutcomeUnknown):
        await asked


async def test_a_device_that_does_not_answer_in_time_has_an_unknown_outcome_and_loses_its_tunnel(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    with pytest.raises(OutcomeUnknown):
        await site.home.link.request(unit.serial, CONFIGURE, timeout_s=0.2)
    await asyncio.wait_for(device.ended.wait(), 10)


async def test_a_new_tunnel_replaces_the_old_and_its_late_close_removes_nothing(site: Site) -> None:
    unit = await site.unit()
    old, new = Device(site, unit), Device(site, unit)
    await old.ready()
    assert await new.open() == 200
    await asyncio.wait_for(old.ended.wait(), 10)
    await old.cut()
    await new.confirm()
    await site.home.link.wait_ready(unit.serial, timeout_s=10)
    assert (await site.contact(unit)).tunnel_open


async def test_the_same_identity_from_two_places_is_a_violation_and_no_flip_flop(site: Site) -> None:
    unit = await site.unit()
    one, other, again = Device(site, unit), Device(site, unit), Device(site, unit)
    assert await one.open() == 200
    assert await other.open() == 200
    await asyncio.wait_for(one.ended.wait(), 10)

    assert await again.open() == 403

    assert not other.ended.is_set()
    told = [facts for kind, facts in await site.events(unit) if kind == "phonehome.two-places"]
    assert told == [{"sources": ["127.0.0.1", "127.0.0.1"], "rule": "MPC-11"}]
    assert "same identity" in ((await site.contact(unit)).refusal_reason or "")


async def test_a_unit_that_loses_its_place_is_put_out_and_asked_nothing_more(site: Site) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    await device.ready()
    async with site.database.write() as tx:
        await slots.release(tx, ALL, BY, unit.adapter_id)

    with pytest.raises(Unreachable, match="no slot"):
        await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=1)
    await site.home.place_changed(unit.adapter_id)
    await asyncio.wait_for(device.ended.wait(), 10)
    assert await Device(site, unit).open() == 403
    assert [request.type for request in device.requests] == ["push-confirmation-done", "md-command"]


@pytest.mark.parametrize(
    "octets",
    [
        b"garbage\r\n\r\n",
        b"ffffffff;id=1\r\n",
        b"4;id=1;trail\r\n<a/>\r\n",
        b"5;id=1;trail\r\n<!DOC\r\n",
        b"4;id=1\r\nnomatch",
    ],
)
async def test_a_tunnel_that_talks_nonsense_is_dropped_and_the_reason_told(site: Site, octets: bytes) -> None:
    unit = await site.unit()
    device = Device(site, unit)
    assert await device.open() == 200
    device.raw(octets)
    await asyncio.wait_for(device.ended.wait(), 10)
    await until(lambda: not site.home._context.peers[unit.adapter_id].paths)
    words = [facts["words"] for kind, facts in await site.events(unit) if kind == "phonehome.tunnel-ended"]
    assert len(words) == 1
    assert words[0].split(":")[0] in {"malformed", "oversize", "envelope", "doctype"}


async def test_a_message_in_the_name_of_another_adapter_ends_the_tunnel(site: Site) -> None:
    one, other = await site.unit(), await site.unit()
    victim = Device(site, other)
    await victim.ready()
    device = Device(site, one)
    assert await device.open() == 200
    device.say(Request("ping-done", other.distribution_id, PingCounts(1, 0), transaction_result=100, transaction_id=3))
    await asyncio.wait_for(device.ended.wait(), 10)
    assert not victim.ended.is_set()


async def test_an_adapter_that_has_never_been_seen_is_unreachable_and_says_so(site: Site) -> None:
    unit: Unit = await site.unit()
    with pytest.raises(Unreachable) as refused:
        await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=1)
    assert refused.value.next_step
    with pytest.raises(Unreachable):
        await site.home.link.wait_ready("NO-SUCH-SERIAL", timeout_s=0.1)


async def test_a_stop_ends_tunnels_in_order(site: Site) -> None:
    device = Device(site, await site.unit())
    await device.ready()
    await site.home.stop()
    await asyncio.wait_for(device.ended.wait(), 10)


class TestSilence:
    """Minutes are seconds."""

    @pytest.fixture
    def pace(self) -> float:
        return 60.0

    async def test_a_silent_tunnel_is_dropped(self, site: Site) -> None:
        unit = await site.unit()
        device = Device(site, unit)
        assert await device.open() == 200
        # 2 echo intervals and a minute: 180 s of protocol time.
        await asyncio.wait_for(device.ended.wait(), 180 / site.clock.pace + 5)
        await until(lambda: not site.home._context.peers[unit.adapter_id].paths)
        assert not (await site.contact(unit)).tunnel_open
