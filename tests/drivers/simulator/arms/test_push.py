"""What the server can make a device do through the tunnel, and how that goes wrong (arms-protocol §5.3, §6)."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.arms_control import serve_device
from drivers.simulator.control import ask_control
from drivers.simulator.identity import AYAME, SA_W2, SEIL_X1, ArmsModel
from inventory.errors import BadInput
from tests.drivers.simulator.arms.conftest import Workshop
from tests.drivers.simulator.arms.fake_server import FakeServer, TunnelPeer, framed, requesting

MODULE_0 = '<module id="0" version="5.66.0-0">SA-W2 5.66</module>'
MODULE_1 = '<module id="1" version="0.0.0-0">update-firmware</module>'


def new_config(text: str) -> str:
    return f'{MODULE_0}<md-config id="0">{text}</md-config>'


async def confirmed(
    server: FakeServer, workshop: Workshop, model: ArmsModel = SA_W2, *, pace: float = 50.0
) -> tuple[ArmsDevice, TunnelPeer, str]:
    """A device in push mode, the server's end of its tunnel, and its distribution id."""
    device = workshop.device(model, change=lambda s: replace(s, pace=pace, shortest_timeout_s=0.3))
    device.start()
    tunnel = await server.tunnel()
    await tunnel.confirm(device.identity.distribution_id)
    await device.ground_truth.until("confirmed")
    return device, tunnel, device.identity.distribution_id


async def command(tunnel: TunnelPeer, identity: str, text: str, *, module: int = 0) -> str:
    answer = await tunnel.ask(identity, "md-command", f'<md-command id="{module}">{text}</md-command>')
    assert answer.findtext("result-code") == "100"
    return answer.findtext(".//md-result") or ""


# -- configure -------------------------------------------------------------------------------------------


async def test_a_push_is_applied_on_a_closed_tunnel_and_reported_first_on_the_new_one(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    start = await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    assert start.findtext("result-code") == "100"
    assert await tunnel.reader.read() == b"", "the device hangs up"

    again = await server.tunnel()
    done = await again.expect("configure-done")
    assert done.findtext("transaction-result") == "100"
    assert done.findtext("transaction-id") == start.findtext("transaction-id")
    assert device.running() == "hostname: pushed\n"
    again.respond("configure-done", number=start.findtext("transaction-id"))
    await again.confirm(identity)
    await device.ground_truth.until("confirmed", count=2)
    applied = [record.detail for record in device.log if record.what == "applied"]
    assert [each["how"] for each in applied] == ["pull", "configure"]
    assert str(applied[1]["transaction_id"]) == start.findtext("transaction-id")

    _, stored = await again.operate(identity, "read-storage", "<storage>running</storage>")
    assert stored.findtext(".//md-config") == "hostname: pushed\n"
    assert await command(again, identity, "show config flashrom") == "hostname: first\n"
    _, stored = await again.operate(identity, "read-storage", "<storage>backup</storage>")
    assert stored.findtext(".//md-config") == "hostname: first\n"


async def test_a_second_tunnel_stays_up_during_a_push_and_both_confirm_again(
    server: FakeServer, workshop: Workshop
) -> None:
    server.tunnel_count = 2
    device, tunnel, identity = await confirmed(server, workshop)
    other = await server.tunnel()
    await other.confirm(identity)
    start = await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    again = await server.tunnel()
    await again.expect("configure-done")
    again.respond("configure-done", number=start.findtext("transaction-id"))
    await again.confirm(identity)
    await other.confirm(identity)
    await device.ground_truth.until("confirmed", count=4)


async def test_a_report_that_nobody_answers_ends_in_a_roll_back_and_a_pull(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    again = await server.tunnel()
    results = [(await again.expect("configure-done")).findtext("transaction-result") for _ in range(4)]
    assert results == ["100", "100", "414", "414"], "retry-max 1: each result is said twice"
    assert device.running() == "hostname: first\n"
    await server.tunnel()
    assert server.of("config-solicitation")[-1].text("trigger") == "retry is over"


async def test_a_configure_done_that_never_leaves_looks_like_silence_and_rolls_back(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    device.faults.drop_configure_done = True
    await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    again = await server.tunnel()
    reading = asyncio.create_task(again.receive())
    await device.ground_truth.until("rolled-back")
    await device.ground_truth.until("dropped", result=414)
    assert device.running() == "hostname: first\n"
    assert device.ground_truth.count("dropped", result=414) >= 1
    assert again.log == []
    await device.ground_truth.until("leaving", trigger="retry is over")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reading


@pytest.mark.parametrize(("code", "trigger"), [(301, "rollback failure"), (502, "received 502 Push failed")])
async def test_the_answer_to_a_push_report_may_undo_it(
    server: FakeServer, workshop: Workshop, code: int, trigger: str
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    start = await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    again = await server.tunnel()
    await again.expect("configure-done")
    again.respond("configure-done", code, number=start.findtext("transaction-id"))
    await server.tunnel()
    assert server.of("config-solicitation")[-1].text("trigger") == trigger
    assert device.ground_truth.count("rolled-back") == (code == 301)


async def test_a_push_that_cuts_its_tunnel_is_rolled_back_and_told_with_414_when_the_old_config_reaches_us(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    server.tunnel_status = [403, 403]
    await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    again = await server.tunnel()
    done = await again.expect("configure-done")
    assert done.findtext("transaction-result") == "414"
    assert device.running() == "hostname: first\n"
    assert device.ground_truth.count("rolled-back", why="tunnel could not be rebuilt") == 1


async def test_a_tunnel_that_no_config_rebuilds_ends_in_a_pull_without_a_report(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    server.tunnel_status = [403] * 4
    await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    await device.ground_truth.until("rolled-back", why="tunnel could not be rebuilt")
    after = await server.tunnel()
    assert server.of("config-solicitation")[-1].text("trigger") == "rollback failure"
    await after.expect("push-confirmation-start")


async def test_a_refused_config_is_reported_with_411_and_the_old_one_stays(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    for fault, text in ((True, "hostname: good\n"), (False, "hostname ${ NAME}\n")):
        await device.set_fault("refuse_config", fault)
        start = await tunnel.ask(identity, "configure-start", new_config(text))
        assert start.findtext("result-code") == "100"
        tunnel = await server.tunnel()
        done = await tunnel.expect("configure-done")
        assert done.findtext("transaction-result") == "411"
        assert device.running() == "hostname: first\n"
        tunnel.respond("configure-done", number=start.findtext("transaction-id"))
        await tunnel.confirm(identity)


@pytest.mark.parametrize("moment", ["before-apply", "after-apply"])
async def test_a_device_that_crashes_while_applying_boots_and_pulls(
    server: FakeServer, workshop: Workshop, moment: str
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    await device.set_fault("crash", moment)
    await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\n"))
    await (await server.tunnel()).expect("push-confirmation-start")
    assert device.running() == "hostname: first\n"
    assert device.ground_truth.count("boot") == 2
    assert device.ground_truth.count("applied", how="configure") == (moment == "after-apply")
    assert server.of("config-solicitation")[-1].text("trigger") == "power on boot"
    assert device.faults.crash is None


async def test_configs_that_the_client_refuses_or_ignores(server: FakeServer, workshop: Workshop) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    unknown = await tunnel.ask(identity, "configure-start", f'{MODULE_0}<md-config id="7">x</md-config>')
    assert unknown.findtext("result-code") == "415"
    odd = await tunnel.ask(identity, "configure-start", f'{MODULE_0}<md-config id="0" colour="red">x</md-config>')
    assert odd.findtext("result-code") == "201"
    typed = f'{MODULE_0}<md-config id="0" content-type="text">hostname: ignored\n</md-config>'
    start = await tunnel.ask(identity, "configure-start", typed)
    again = await server.tunnel()
    done = await again.expect("configure-done")
    assert done.findtext("transaction-result") == "100"
    again.respond("configure-done", number=start.findtext("transaction-id"))
    await again.confirm(identity)
    assert device.running() == "hostname: first\n", "success is reported, and nothing happened (§6.0)"


async def test_the_module_list_of_a_push_replaces_the_old_one(server: FakeServer, workshop: Workshop) -> None:
    server.modules, server.configs = MODULE_0 + MODULE_1, {0: 'hostname "x1"\n', 1: "config:\n"}
    device, tunnel, identity = await confirmed(server, workshop, SEIL_X1)
    start = await tunnel.ask(identity, "configure-start", MODULE_1)
    tunnel = await server.tunnel()
    await tunnel.expect("configure-done")
    tunnel.respond("configure-done", number=start.findtext("transaction-id"))
    await tunnel.confirm(identity)
    listed = await tunnel.ask(identity, "read-module-list")
    assert [each.get("id") for each in listed.iter("module")] == ["1"]
    assert device.running() == ""
    assert device.running(1) == "config:\n"


async def test_a_module_that_never_got_a_config_kills_the_client_when_storage_is_read(
    server: FakeServer, workshop: Workshop
) -> None:
    server.modules = MODULE_0 + MODULE_1
    device, tunnel, identity = await confirmed(server, workshop)
    answer = await tunnel.ask(identity, "md-command", '<md-command id="1">show system</md-command>')
    assert answer.findtext("result-code") == "402"
    await tunnel.ask(identity, "read-storage-start", "<storage>running</storage>")
    await device.ground_truth.until("boot", count=2)


async def test_bad_legacy_lines_are_skipped_and_reading_back_shows_it(server: FakeServer, workshop: Workshop) -> None:
    server.modules, server.configs = MODULE_0 + MODULE_1, {0: 'hostname "x1"\n', 1: "config:\n"}
    device, tunnel, identity = await confirmed(server, workshop, SEIL_X1)
    text = (
        'hostname "branch"\n'
        'ppp add FLETS identifier open" passphrase x\n'
        "interface pppoe0 ppp-configuration FLETS\n"
        "route add default pppoe0\n"
        "rout add 10.0.0.0/8 192.168.1.1\n"
    )
    start = await tunnel.ask(identity, "configure-start", MODULE_0 + MODULE_1 + f'<md-config id="0">{text}</md-config>')
    tunnel = await server.tunnel()
    done = await tunnel.expect("configure-done")
    assert done.findtext("transaction-result") == "100", "skipped lines are no failure to the client"
    tunnel.respond("configure-done", number=start.findtext("transaction-id"))
    await tunnel.confirm(identity)
    _, stored = await tunnel.operate(identity, "read-storage", "<storage>running</storage>")
    assert stored.findtext(".//md-config") == 'hostname "branch"\nroute add default pppoe0\n'
    assert await command(tunnel, identity, "show config route") == "route add default pppoe0\n"
    log = await command(tunnel, identity, "show log")
    assert "line 2 skipped: quotes are not closed" in log
    assert "line 3 skipped: depends on ppp add FLETS" in log
    assert "line 5 skipped: unknown command rout" in log
    assert device.log[-1].what != "simulator-failed"


async def test_a_line_skipped_in_silence_is_missing_when_read_back(server: FakeServer, workshop: Workshop) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    await device.set_fault("skip_line", "ntp")
    await tunnel.ask(identity, "configure-start", new_config("hostname: pushed\nntp.service: enable\n"))
    tunnel = await server.tunnel()
    done = await tunnel.expect("configure-done")
    assert done.findtext("transaction-result") == "100"
    assert device.running() == "hostname: pushed\n"


# -- other operations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "shown"),
    [(SEIL_X1, "AD9010J-BAA0000000001"), (SA_W2, "1W00000001"), (AYAME, "(unknown)")],
)
async def test_show_system_tells_the_serial_number_where_the_model_has_one(
    server: FakeServer, workshop: Workshop, model: ArmsModel, shown: str
) -> None:
    server.configs = {0: 'hostname "here"\n' if model is SEIL_X1 else "hostname: here\n"}
    device, tunnel, identity = await confirmed(server, workshop, model)
    system = await command(tunnel, identity, "show system")
    assert f"Serial  : {shown}\n" in system
    assert 'Host    : "here"\n' in system
    assert f"Distribution ID : {identity}\n" in await command(tunnel, identity, "show key")
    assert device.ground_truth.count("command") == 2


async def test_commands_come_one_at_a_time_and_to_a_module_that_runs(server: FakeServer, workshop: Workshop) -> None:
    _, tunnel, identity = await confirmed(server, workshop)
    one = '<md-command id="0">show system</md-command>'
    codes = [
        (await tunnel.ask(identity, "md-command", parameters)).findtext("result-code")
        for parameters in ("", one + one, one.replace('"0"', '"5"'), one.replace("system", "x" * 9000))
    ]
    assert codes == ["203", "422", "402", "402"]


async def test_status_is_read_in_order_and_a_failed_item_repeats_what_was_before(
    server: FakeServer, workshop: Workshop
) -> None:
    _, tunnel, identity = await confirmed(server, workshop)
    wanted = '<status-request id="0">show config</status-request><status-request id="9">x</status-request>'
    _, done = await tunnel.operate(identity, "read-status", wanted)
    reports = [(each.get("id"), each.get("result"), each.text) for each in done.iter("status-report")]
    assert reports == [("0", "100", "hostname: first\n"), ("9", "402", "hostname: first\n")]
    _, none = await tunnel.operate(identity, "read-status")
    assert [(each.get("id"), each.get("result")) for each in none.iter("status-report")] == [("0", "402")]


async def test_long_output_with_control_characters_comes_in_pieces_of_1023_bytes(
    server: FakeServer, workshop: Workshop
) -> None:
    server.configs = {0: "".join(f"hostname.x{at}: {'v' * 90}\n" for at in range(40))}
    device, tunnel, identity = await confirmed(server, workshop)
    tunnel.log.clear()
    assert await command(tunnel, identity, "show config") == device.running()
    assert len(tunnel.log) == 2 + -(-len(device.running()) // 1023)
    tunnel.log.clear()
    await command(tunnel, identity, "show status arp")
    whole = b"".join(tunnel.log)
    assert b"\x1b[1m" in whole
    assert b"on caf??\r\n" in whole


async def test_ping_and_traceroute_report_what_answers(server: FakeServer, workshop: Workshop) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    _, done = await tunnel.operate(identity, "ping", "<address>192.0.2.9</address><count>3</count>")
    assert (done.findtext(".//success"), done.findtext(".//failure")) == ("3", "0")
    await device.set_fault("unreachable", ["192.0.2.9"])
    _, done = await tunnel.operate(identity, "ping", "<address>192.0.2.9</address><count>3</count>")
    assert (done.findtext(".//success"), done.findtext(".//failure")) == ("0", "3")
    _, done = await tunnel.operate(identity, "ping", "<address>host.example</address><count>1</count>")
    assert done.findtext("transaction-result") == "502"
    refused = await tunnel.ask(identity, "ping-start", "<count>1</count>")
    assert refused.findtext("result-code") == "203"
    route = "<address>192.0.2.8</address><count>1</count>"
    _, done = await tunnel.operate(identity, "traceroute", f"{route}<max-hop>9</max-hop>")
    assert [(each.get("hop"), each.text) for each in done.iter("nodeinfo")][-1] == ("3", "192.0.2.8")
    _, done = await tunnel.operate(identity, "traceroute", route)
    assert done.find(".//nodeinfo") is None
    refused = await tunnel.ask(identity, "traceroute-start", f"{route}<max-hop>300</max-hop>")
    assert refused.findtext("result-code") == "203"


async def test_counters_can_be_cleared_and_the_state_dumped(server: FakeServer, workshop: Workshop) -> None:
    _, tunnel, identity = await confirmed(server, workshop)
    _, done = await tunnel.operate(identity, "clear-status", '<status-request id="0">x</status-request>')
    assert done.findtext(".//status-report") == "counters cleared\n"
    assert (await tunnel.ask(identity, "clear-status-start")).findtext("result-code") == "203"
    assert "1 modules" in ((await tunnel.ask(identity, "dump-debug")).findtext(".//md-result") or "")


async def test_transactions_stay_open_until_answered_and_the_eleventh_is_refused(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    numbers = []
    for _ in range(10):
        start = await tunnel.ask(identity, "read-storage-start", "<storage>running</storage>")
        await tunnel.expect("read-storage-done")
        numbers.append(start.findtext("transaction-id"))
    refused = await tunnel.ask(identity, "read-storage-start", "<storage>running</storage>")
    assert refused.findtext("result-code") == "406"
    listed = await tunnel.ask(identity, "check-transaction")
    assert [each.text for each in listed.iter("transaction-id")] == [*numbers, "0"]
    tunnel.respond("read-storage-done", number="4")
    assert (await tunnel.expect("generic-error")).findtext("result-code") == "202"
    tunnel.respond("read-storage-done", number=numbers[0])
    await device.ground_truth.until("reported")
    assert all(0 < int(number or 0) < 2**31 for number in numbers)
    assert len(set(numbers)) == 10


@pytest.mark.parametrize(
    ("asked", "pulls"),
    [
        (("reboot", ""), ("config-solicitation", "Reboot requested by RS")),
        (("pull-config", "<type>RS</type>"), ("config-solicitation", "Pull requested by RS")),
        (("pull-config", "<type>LS</type>"), ("rs-solicitation", "Pull requested by RS")),
    ],
)
async def test_reboot_and_pull_answer_then_end_the_tunnel_and_pull(
    server: FakeServer, workshop: Workshop, asked: tuple[str, str], pulls: tuple[str, str]
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    server.requests.clear()
    server.configs = {0: "hostname: newer\n"}
    assert (await tunnel.ask(identity, *asked)).findtext("result-code") == "100"
    assert await tunnel.receive() is None, "`0` chunk"
    await (await server.tunnel()).confirm(identity)
    assert (server.requests[0].kind, server.requests[0].text("trigger")) == pulls
    assert device.running() == "hostname: newer\n"


async def test_an_answer_to_a_report_can_send_the_device_back_to_the_start(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    await tunnel.operate(identity, "ping", "<address>192.0.2.9</address><count>1</count>", code=503)
    await device.ground_truth.until("boot", count=2)


async def test_binary_mode_reports_in_base64(server: FakeServer, workshop: Workshop) -> None:
    device = workshop.device(change=lambda s: replace(s, base64_mode=True))
    device.start()
    tunnel, identity = await server.tunnel(), device.identity.distribution_id
    await tunnel.confirm(identity)
    _, stored = await tunnel.operate(identity, "read-storage", "<storage>running</storage>")
    config = stored.find(".//md-config")
    assert config is not None
    assert config.get("encoding") == "base64"
    assert base64.b64decode(config.text or "") == b"hostname: first\n"


# -- echo, deafness, cuts --------------------------------------------------------------------------------


async def test_echoes_come_in_rhythm_and_an_unanswered_one_drops_the_tunnel(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, _ = await confirmed(server, workshop, pace=100.0)
    reading = asyncio.create_task(tunnel.receive())
    for _ in range(3):
        await tunnel.echoes.get()
    tunnel.answers_echo = False
    await device.ground_truth.until("tunnel-lost", why="echo unanswered")
    await (await server.tunnel()).expect("push-confirmation-start")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reading


async def test_a_device_is_deaf_while_a_script_runs_and_keeps_its_tunnel(
    server: FakeServer, workshop: Workshop
) -> None:
    server.echo_interval_s = 3
    device, tunnel, identity = await confirmed(server, workshop, pace=30.0)
    await device.set_fault("slow_script_s", 29.0)
    tunnel.request(identity, "md-command", '<md-command id="0">show config</md-command>')
    tunnel.request(identity, "read-module-list")
    await tunnel.expect("md-command")
    assert tunnel.echoes.qsize() <= 1, "nine would have been due"
    await tunnel.expect("read-module-list")
    assert device.ground_truth.count("tunnel-lost") == 0


async def test_a_script_beyond_its_limit_gives_100_and_no_text(server: FakeServer, workshop: Workshop) -> None:
    device, tunnel, identity = await confirmed(server, workshop, pace=200.0)
    await device.set_fault("slow_script_s", 31.0)
    assert await command(tunnel, identity, "show system") == ""


@pytest.mark.parametrize("direction", ["cut_to_server_after", "cut_to_device_after"])
async def test_a_tunnel_can_be_cut_after_any_byte_and_comes_back(
    server: FakeServer, workshop: Workshop, direction: str
) -> None:
    device, tunnel, identity = await confirmed(server, workshop)
    for octets in (0, 1, 57):
        await device.set_fault(direction, octets)
        tunnel.request(identity, "read-module-list")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await tunnel.receive()
        assert getattr(device.faults, direction) is None
        tunnel = await server.tunnel()
        await tunnel.confirm(identity)
    await tunnel.ask(identity, "read-module-list")


@pytest.mark.parametrize("missing", [0, 1, 2])
async def test_a_push_that_arrived_before_the_line_broke_is_carried_out(
    server: FakeServer, workshop: Workshop, missing: int
) -> None:
    """Accepted is accepted: it hangs up by itself now, applies, and reports on a new tunnel (§5.3)."""
    device, tunnel, identity = await confirmed(server, workshop)
    pushed = new_config("hostname: pushed\n")
    octets = len(framed(requesting(identity, "configure-start", pushed)))
    await device.set_fault("cut_to_device_after", octets - missing)
    start = await tunnel.ask(identity, "configure-start", pushed)
    assert start.findtext("result-code") == "100"
    again = await server.tunnel()
    done = await again.expect("configure-done")
    assert (done.findtext("transaction-result"), device.running()) == ("100", "hostname: pushed\n")
    assert device.ground_truth.count("cut") == 1
    again.respond("configure-done", number=start.findtext("transaction-id"))
    await again.confirm(identity)
    assert not (await device.truth())["open_transactions"]


async def test_the_server_cutting_a_header_over_two_records_loses_the_tunnel(
    server: FakeServer, workshop: Workshop
) -> None:
    device, tunnel, _ = await confirmed(server, workshop)
    tunnel.writer.write(b"10;id=")
    await device.ground_truth.until("tunnel-lost")
    assert "chunk header is cut" in str(device.log[-1].detail)


# -- control port ----------------------------------------------------------------------------------------


async def test_an_examiner_asks_the_control_port_and_throws_switches(server: FakeServer, workshop: Workshop) -> None:
    device, _, _ = await confirmed(server, workshop)
    async with await serve_device(device) as control:
        at = (control.host, control.port)
        truth = await ask_control(*at, "truth")
        assert truth["serial_number"] == "1W00000001"
        assert truth["state"] == "PUSH_WAIT"
        modules = truth["modules"]
        assert isinstance(modules, list)
        assert modules[0]["running"] == "hostname: first\n"
        log = await ask_control(*at, "log", since=1)
        assert log["next"] == len(device.log)
        await ask_control(*at, "fault", name="slow_script_s", value=40)
        assert device.faults.slow_script_s == 40
        with pytest.raises(BadInput, match="No fault 'slow'"):
            await ask_control(*at, "fault", name="slow", value=40)
        with pytest.raises(BadInput, match="cannot be 'yes'"):
            await ask_control(*at, "fault", name="refuse_config", value="yes")
        await ask_control(*at, "unplug")
        assert (await ask_control(*at, "truth"))["state"] == "OFF"
        await ask_control(*at, "plug")
    await device.ground_truth.until("boot", count=2)
