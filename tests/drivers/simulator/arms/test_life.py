"""A device's way from power-on to push mode, and what sends it back (arms-protocol §1, §7, §8)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import ssl
import struct
from dataclasses import replace

import pytest

from drivers.simulator.arms_reactions import Reaction, Step, after_done, after_pull_step
from drivers.simulator.arms_tls import TlsVersions
from tests.drivers.simulator.arms.conftest import Workshop
from tests.drivers.simulator.arms.fake_server import HEARTBEAT_KEY, RS_KEY, FakeServer


async def test_a_device_boots_asks_its_way_and_can_be_pushed_to(server: FakeServer, workshop: Workshop) -> None:
    device = workshop.device()
    identity = device.identity.distribution_id
    device.start()
    tunnel = await server.tunnel()
    await tunnel.confirm(identity)
    await device.ground_truth.until("confirmed")

    kinds = [each.kind for each in server.requests]
    assert kinds == ["rs-solicitation", "config-solicitation", "push-method-query"]
    location, pull, _ = server.requests
    assert location.head.startswith("POST /ls/arms HTTP/1.0\r\n")
    assert "Host:" not in location.head
    user = re.search(r"Authorization: Basic (\S+)", pull.head)
    assert user is not None
    assert base64.b64decode(user[1]).decode() == f"{identity}:{RS_KEY}"
    assert pull.text("trigger") == "power on boot"
    assert server.client_names == [None, None, "sa"], "the certificate is shown once it was delivered"
    assert device.running() == "hostname: first\n"
    states = [record.detail["state"] for record in device.log if record.what == "state"]
    assert states == ["LSPULL", "RSPULL", "PULLDONE", "PUSH_SENDREADY", "PUSH_WAIT"]


@pytest.mark.parametrize("code", [420, 301, 404])
async def test_a_device_that_is_put_off_by_the_ls_comes_back(server: FakeServer, workshop: Workshop, code: int) -> None:
    server.codes = {"rs-solicitation": [code]}
    device = workshop.device(change=lambda s: replace(s, pace=2000.0))
    device.start()
    await device.ground_truth.until("refused", step="rs-solicitation", code=code)
    await server.tunnel()
    assert len(server.of("rs-solicitation")) == 2


async def test_a_wrong_ls_key_is_seen_by_the_server_and_reported_by_the_device(
    server: FakeServer, workshop: Workshop
) -> None:
    server.http_status = [401]
    device = workshop.device(change=lambda s: replace(s, pace=2000.0))
    device.faults.wrong_ls_key = True
    device.start()
    await device.ground_truth.until("refused", step="rs-solicitation", code=401)
    await server.tunnel()
    shown = re.search(r"Basic (\S+)", server.of("rs-solicitation")[0].head)
    assert shown is not None
    assert base64.b64decode(shown[1]).decode().split(":")[1] != device.identity.ls_key.reveal()


async def test_a_standby_keeps_asking_the_rs_and_falls_back_to_the_ls(server: FakeServer, workshop: Workshop) -> None:
    server.codes = {"config-solicitation": [404] * 3}
    device = workshop.device()
    device.start()
    await server.tunnel()
    order = [each.kind for each in server.requests]
    assert order[:3] == ["rs-solicitation", "config-solicitation", "config-solicitation"]
    assert order[3:5] == ["rs-solicitation", "config-solicitation"], "retry-max 1: two attempts, then the LS"
    assert server.requests[3].text("trigger") == "RS not found"


async def test_501_stops_a_device_for_good_and_503_makes_it_boot(server: FakeServer, workshop: Workshop) -> None:
    server.codes = {"config-solicitation": [503, 501]}
    device = workshop.device()
    device.start()
    await device.ground_truth.until("state", state="BOOT_FAIL")
    assert device.ground_truth.count("boot") == 2
    assert [each.text("trigger") for each in server.of("config-solicitation")] == [
        "power on boot",
        "received 503 Need reboot",
    ]
    assert len(server.of("rs-solicitation")) == 1, "the saved location survives a restart"


@pytest.mark.parametrize(
    ("step", "code", "reaction"),
    [
        ("rs-solicitation", 200, Reaction.REBOOT),
        ("rs-solicitation", 502, Reaction.REPULL),
        ("config-solicitation", 421, Reaction.RETRY),
        ("config-solicitation", 506, Reaction.REBOOT),
        ("push-method-query", 201, Reaction.REPULL),
        ("push-method-query", 507, Reaction.REPULL),
        ("push-confirmation-start", 301, Reaction.RETRY),
        ("push-confirmation-start", 501, Reaction.STOP),
        ("push-method-query", 100, Reaction.CONTINUE),
        ("rs-solicitation", None, Reaction.RETRY),
    ],
)
def test_answers_on_the_way_are_instructions(step: Step, code: int | None, reaction: Reaction) -> None:
    assert after_pull_step(step, code) is reaction


@pytest.mark.parametrize(
    ("code", "other", "configure"),
    [
        (100, Reaction.CONTINUE, Reaction.CONTINUE),
        (201, Reaction.REPULL, Reaction.ROLL_BACK),
        (301, Reaction.CONTINUE, Reaction.ROLL_BACK),
        (501, Reaction.STOP, Reaction.STOP),
        (502, Reaction.REPULL, Reaction.REPULL),
        (503, Reaction.REBOOT, Reaction.REBOOT),
        (507, Reaction.REBOOT, Reaction.REBOOT),
    ],
)
def test_the_answer_to_a_report_is_an_instruction(code: int, other: Reaction, configure: Reaction) -> None:
    assert after_done(code, configure=False) is other
    assert after_done(code, configure=True) is configure


async def test_a_location_server_without_the_right_name_is_not_believed(server: FakeServer, workshop: Workshop) -> None:
    await server.stop()
    server.ls_name = "Somebody else"
    await server.start()
    device = workshop.device(change=lambda s: replace(s, ls_urls=(server.ls_url,), root_ca_pem=server.root.pem))
    device.start()
    await device.ground_truth.until("unanswered", step="rs-solicitation")
    assert "Somebody else" in str(device.log[-1].detail)
    assert server.requests == []


async def test_a_server_of_another_authority_is_refused_in_the_handshake(
    server: FakeServer, workshop: Workshop
) -> None:
    device = workshop.device(change=lambda s: replace(s, root_ca_pem=server.sa_ca.pem))
    device.start()
    await device.ground_truth.until("unanswered", step="rs-solicitation")
    assert "verify failed" in str(device.log[-1].detail)


async def test_names_and_dates_of_server_certificates_do_not_matter(server: FakeServer, workshop: Workshop) -> None:
    await server.stop()
    server.expired = True
    await server.start()
    device = workshop.device(change=lambda s: replace(s, ls_urls=(server.ls_url,), root_ca_pem=server.root.pem))
    device.start()
    await server.tunnel()


async def test_an_old_device_speaks_tls_1_0_and_a_modern_one_does_not(server: FakeServer, workshop: Workshop) -> None:
    for context in (server.ls_context, server.rs_context):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
    old = workshop.device(change=lambda s: replace(s, tls=TlsVersions.legacy()))
    old.start()
    tunnel = await server.tunnel()
    assert tunnel.writer.get_extra_info("ssl_object").version() == "TLSv1"
    new = workshop.device()
    new.start()
    tunnel = await server.tunnel()
    assert tunnel.writer.get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_a_config_that_does_not_parse_at_boot_is_asked_for_again(server: FakeServer, workshop: Workshop) -> None:
    server.configs = {0: "hostname first\n"}
    device = workshop.device(change=lambda s: replace(s, pace=2000.0))
    device.start()
    await device.ground_truth.until("apply-refused", how="pull")
    server.configs = {0: "hostname: second\n"}
    await server.tunnel()
    assert device.running() == "hostname: second\n"
    assert server.of("config-solicitation")[-1].text("trigger") == "invalid config"


# -- heartbeats ------------------------------------------------------------------------------------------


def tlvs(datagram: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(datagram):
        kind, length = struct.unpack_from(">HH", datagram, at)
        found.append((kind, datagram[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


def is_authentic(datagram: bytes) -> bool:
    zeroed = datagram[:4] + bytes(20) + datagram[24:]
    return hmac.new(HEARTBEAT_KEY.encode(), zeroed, hashlib.sha1).digest() == datagram[4:24]


async def test_heartbeats_begin_with_a_small_one_and_then_carry_counters(
    server: FakeServer, workshop: Workshop
) -> None:
    device = workshop.device(interfaces={0: lambda _now_ms: (7_000_000, 1400), 3: lambda now_ms: (now_ms, 0)})
    device.start()
    await (await server.tunnel()).confirm(device.identity.distribution_id)
    first, second = await server.heartbeat(), await server.heartbeat()
    assert is_authentic(first)
    assert is_authentic(second)
    assert len(first) == 88
    assert [kind for kind, _ in tlvs(second)] == [0x01, 0x11, 0x35, 0x37, 0x33, 0x34, 0x38, 0x38, 0x39, 0x39]
    assert struct.unpack(">H6Q", tlvs(second)[6][1]) == (0, 7_000_000, 1400, 10_000, 2, 0, 0)
    assert struct.unpack(">H6Q", tlvs(second)[8][1]) == (0, 0, 0, 0, 0, 0, 0)


async def test_a_truncated_heartbeat_is_authentic_and_its_last_figure_is_cut(
    server: FakeServer, workshop: Workshop
) -> None:
    device = workshop.device()
    device.faults.truncated_heartbeat = True
    device.start()
    await (await server.tunnel()).confirm(device.identity.distribution_id)
    datagram = await server.heartbeat()
    assert is_authentic(datagram)
    assert len(tlvs(datagram)[-1][1]) == 18 - 5


async def test_heartbeats_go_on_while_the_tunnel_is_down(server: FakeServer, workshop: Workshop) -> None:
    server.retry_interval_s = 30
    device = workshop.device(change=lambda s: replace(s, pace=30.0))
    device.start()
    tunnel = await server.tunnel()
    await tunnel.confirm(device.identity.distribution_id)
    await server.heartbeat()
    tunnel.writer.transport.abort()
    await device.ground_truth.until("tunnel-lost")
    await server.heartbeat()
    assert server.tunnels.empty()


async def test_a_device_without_heartbeat_can_still_be_pushed_to(server: FakeServer, workshop: Workshop) -> None:
    device = workshop.device()
    device.faults.no_heartbeat = True
    device.start()
    tunnel = await server.tunnel()
    await tunnel.confirm(device.identity.distribution_id)
    await tunnel.ask(device.identity.distribution_id, "read-module-list")
    assert server.heartbeats.queue.empty()


# -- power and place -------------------------------------------------------------------------------------


async def test_an_unplugged_device_falls_silent_without_a_word_and_boots_when_power_returns(
    server: FakeServer, workshop: Workshop
) -> None:
    server.echo_interval_s = 1
    device = workshop.device(change=lambda s: replace(s, pace=10.0))
    device.start()
    tunnel = await server.tunnel()
    await tunnel.confirm(device.identity.distribution_id)
    await server.heartbeat()
    await device.set_fault("unplug", True)
    sent = device.log[-1].at_ms
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await tunnel.receive()
    assert not tunnel.reader.at_eof(), "a power cut sends no end of connection"
    server.configs = {0: "hostname: later\n"}
    await device.set_fault("unplug", False)
    await (await server.tunnel()).confirm(device.identity.distribution_id)
    assert device.running() == "hostname: later\n"
    assert device.ground_truth.count("boot") == 2
    assert sent <= device.log[-1].at_ms


async def test_a_clone_shows_the_same_identity_from_a_second_tunnel(server: FakeServer, workshop: Workshop) -> None:
    device = workshop.device()
    device.start()
    first = await server.tunnel()
    await device.set_fault("clone", True)
    second = await server.tunnel()
    credentials = [re.search(r"Basic (\S+)", each.head) for each in (first, second)]
    assert credentials[0] is not None
    assert credentials[1] is not None
    assert credentials[0][1] == credentials[1][1]
    assert (await device.truth())["clone"] is True
    await device.set_fault("clone", False)
    assert await asyncio.wait_for(second.reader.read(), 5) is not None
    assert device.clone is None


async def test_tunnels_refused_before_the_first_confirmation_end_in_a_new_pull(
    server: FakeServer, workshop: Workshop
) -> None:
    server.tunnel_status = [403, 403]
    device = workshop.device()
    device.start()
    await server.tunnel()
    assert device.ground_truth.count("refused", step="tunnel", code=403) == 2
    assert server.of("config-solicitation")[-1].text("trigger") == "push server not found"
