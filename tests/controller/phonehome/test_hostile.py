"""What comes from devices is written by others: nothing of it crashes us, or shows one adapter's config to another."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path

import pytest

from controller.phonehome.pki import Pki
from controller.settings import ArmsSettings
from drivers.arms.ids import basic
from drivers.arms.parameters import ConfigSolicitationAnswer
from inventory.secrets import Secret
from tests.controller.phonehome.site import CONFIG, Site, Unit, answer_of, eventually, hang_up, http10

ENVELOPE = (
    '<arms-message><arms-request type="config-solicitation"><distribution-id>{id}</distribution-id>'
    "<config-solicitation-request><trigger>{trigger}</trigger></config-solicitation-request></arms-request></arms-message>"
)


def body(unit: Unit, trigger: str = "power on boot") -> bytes:
    return ENVELOPE.format(id=unit.distribution_id, trigger=trigger).encode()


def chunked(unit: Unit, chunks: list[bytes]) -> bytes:
    """A request as the client sends its `-done`: HTTP/1.1 in chunks."""
    head = (
        "POST /rs/arms HTTP/1.1\r\nHost: ::1:17444\r\nConnection: close\r\nContent-Type: text/xml\r\n"
        f"Transfer-Encoding: chunked\r\nAuthorization: {basic(unit.distribution_id, unit.rs_key)}\r\n\r\n"
    ).encode()
    return head + b"".join(f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no xml at all",
        b"<arms-message>",
        b"<arms-message/>",
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><arms-message>&x;</arms-message>',
        b"<a>" * 200,
        b"\xff\xfe<\x00a\x00>\x00",
        b'<arms-message><arms-response type="reboot"><result-code>100</result-code></arms-response></arms-message>',
    ],
)
async def test_a_message_that_is_none_is_400_and_a_claim_with_the_reason(site: Site, document: bytes) -> None:
    unit = await site.unit()
    for door, key in (("ls", unit.ls_key), ("rs", unit.rs_key)):
        octets = http10(f"/{door}/arms", unit.distribution_id, key, document)
        assert answer_of(await site.send(door, octets)) == (400, None)  # type: ignore[arg-type]  # both are doors
    claims = await site.claims()
    assert {claim.claimed for claim in claims} == {unit.distribution_id}
    assert all(claim.reason for claim in claims)


async def test_an_unknown_type_is_400_but_only_for_who_has_the_key(site: Site) -> None:
    unit = await site.unit()
    assert await site.ask(unit, "self-destruct") == (400, None)
    assert await site.ask(unit, "self-destruct", key=Secret("x" * 40)) == (401, None)
    assert await site.ask(unit, "rs-solicitation", "<trigger>x</trigger>", door="rs") == (400, None)


async def test_an_oversized_pull_is_refused_before_it_is_read(site: Site) -> None:
    unit = await site.unit()
    big = body(unit, "x" * 9000)
    assert answer_of(await site.send("ls", http10("/ls/arms", unit.distribution_id, unit.ls_key, big))) == (400, None)
    wrong = http10("/rs/arms", unit.distribution_id, Secret("not the key"), big)
    assert answer_of(await site.send("rs", wrong)) == (400, None)
    assert {claim.reason.split(":")[0] for claim in await site.claims()} == {"oversize"}


async def test_a_result_above_64_mib_is_refused_by_its_announced_length(site: Site) -> None:
    unit = await site.unit()
    head = http10("/rs/arms", unit.distribution_id, unit.rs_key, b"").replace(
        b"Content-Length: 0", b"Content-Length: 67108865"
    )
    assert answer_of(await site.send("rs", head)) == (400, None)


async def test_a_big_result_of_a_proven_adapter_is_taken(site: Site) -> None:
    unit = await site.unit()
    report = (
        '<arms-message><arms-request type="read-status-done"><transaction-result>100</transaction-result>'
        f"<distribution-id>{unit.distribution_id}</distribution-id><transaction-id>77</transaction-id>"
        '<read-status-done-request><status-report id="0" result="100">'
    ).encode()
    tail = b"</status-report></read-status-done-request></arms-request></arms-message>"
    status, message = answer_of(
        await site.send("rs", chunked(unit, [report, *[b"line \x1b[1m of output\n" * 50] * 100, tail]))
    )
    assert status == 200
    assert message is not None
    assert (message.type, message.result_code, message.transaction_id) == ("read-status-done", 100, 77)


async def test_a_request_reads_the_same_however_the_network_cuts_it(site: Site) -> None:
    unit = await site.unit()
    octets = http10("/rs/arms", unit.distribution_id, unit.rs_key, body(unit))
    for pieces in ([octets[n : n + 1] for n in range(len(octets))], [octets[:100], octets[100:]]):
        _, message = answer_of(await site.send("rs", pieces[0], *pieces[1:]))
        assert message is not None
        assert message.result_code == 100
    _, message = answer_of(await site.send("rs", chunked(unit, [body(unit)[:50], body(unit)[50:]])))
    assert message is not None
    assert message.result_code == 100


async def test_a_connection_that_is_cut_leaves_a_claim_and_no_trace_else(site: Site) -> None:
    unit = await site.unit()
    octets = http10("/rs/arms", unit.distribution_id, unit.rs_key, body(unit))
    _, writer = await site.connect("rs")
    writer.write(octets[:-10])
    await writer.drain()
    writer.close()
    claims = await eventually(site.claims)
    assert {claim.reason.split(":")[0] for claim in claims} == {"cut"}
    # Everybody else goes on.
    assert (await site.pull(unit))[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Bearer token",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + "A" * 2000,
    ],
)
async def test_a_credential_that_is_none_is_a_wrong_key(site: Site, header: str) -> None:
    unit = await site.unit()
    line = f"Authorization: {header}\r\n" if header else ""
    octets = f"POST /rs/arms HTTP/1.0\r\nContent-Length: {len(body(unit))}\r\n{line}\r\n".encode() + body(unit)
    assert answer_of(await site.send("rs", octets)) == (401, None)


@pytest.mark.parametrize("id_", ["", "x", "0001-0000-0101-0000-0200-00ff-fe12-3456' OR 1=1 --", "9" * 5000])
async def test_an_id_that_is_none_is_unknown(site: Site, id_: str) -> None:
    unit = await site.unit()
    status, message = await site.pull(unit, id_=id_)
    assert (status, message.result_code if message else None) == (200, 420)
    assert all(len(claim.claimed) <= 64 for claim in await site.claims())


async def test_no_answer_shows_the_config_of_another(site: Site) -> None:
    one, other = await site.unit(startup="hostname: secret-of-one\n"), await site.unit(startup=CONFIG)
    shown = b""
    for user, key in ((other.distribution_id, other.rs_key), (one.distribution_id, other.rs_key), ("", one.ls_key)):
        shown += await site.send("rs", http10("/rs/arms", user, key, body(one)))
    assert b"secret-of-one" not in shown

    _, message = await site.pull(one)
    assert message is not None
    assert isinstance(message.parameters, ConfigSolicitationAnswer)
    assert message.parameters.configs[0].content == "hostname: secret-of-one\n"


async def test_the_certificate_of_another_adapter_does_not_open_the_door(site: Site, tmp_path: Path) -> None:
    one, other = await site.unit(), await site.unit()
    pair = site.home.pki.issue(one.distribution_id, now_ms=site.clock.now_ms())
    file = tmp_path / "one.pem"
    file.write_text(pair.certificate + pair.key.reveal())
    context = site.tls("rs")
    context.load_cert_chain(file)

    async def pull(unit: Unit) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.home.ports[1], ssl=context)
        writer.write(http10("/rs/arms", unit.distribution_id, unit.rs_key, body(unit)))
        answer = await reader.read()
        await hang_up(writer)
        return answer_of(answer)[0]

    assert await pull(one) == 200
    assert await pull(other) == 401


async def test_a_certificate_of_a_stranger_does_not_get_through_the_handshake(site: Site, tmp_path: Path) -> None:
    stranger = Pki.open(tmp_path / "stranger", now_ms=site.clock.now_ms())
    pair = stranger.issue("x", now_ms=site.clock.now_ms())
    file = tmp_path / "x.pem"
    file.write_text(pair.certificate + pair.key.reveal())
    context = site.tls("rs")
    context.load_cert_chain(file)

    async def greet() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.home.ports[1], ssl=context)
        try:
            writer.write(b"POST / HTTP/1.0\r\n\r\n")
            return await reader.read()
        finally:
            await hang_up(writer)

    try:
        answer = await greet()
    except (ssl.SSLError, ConnectionError):
        answer = b""
    assert answer == b""


async def test_tls_below_1_2_is_refused_unless_the_operator_opened_it(site: Site) -> None:
    context = site.tls("ls", version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", site.home.ports[0], ssl=context)


class TestLegacyTls:
    """The operator opened the ARMS listeners to old clients."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, tls_floor="1.0")

    async def test_a_client_of_tls_1_0_is_served_when_the_operator_opened_it(self, site: Site) -> None:
        unit = await site.unit()
        old = site.tls("ls", version=ssl.TLSVersion.TLSv1)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.home.ports[0], ssl=old)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1"
        request = ENVELOPE.replace("config-", "rs-").format(id=unit.distribution_id, trigger="power on boot").encode()
        writer.write(http10("/ls/arms", unit.distribution_id, unit.ls_key, request))
        _, message = answer_of(await reader.read())
        await hang_up(writer)
        assert message is not None
        assert message.result_code == 100
        # Others still get the best there is.
        assert (await site.locate(unit))[0] == 200


async def test_no_key_or_config_is_in_a_log_claim_or_event(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    unit = await site.unit(startup="password: hunter2\n")
    await site.locate(unit)
    await site.pull(unit)
    await site.pull(unit, key=unit.ls_key)
    await site.send("rs", http10("/rs/arms", unit.distribution_id, unit.rs_key, b"<broken"))
    written = capfd.readouterr()
    told = repr((await site.events(), await site.claims(), await site.contact(unit), written.out, written.err))
    for secret in (unit.ls_key, unit.rs_key, unit.passphrase):
        assert secret.reveal() not in told
    assert "hunter2" not in told


class TestSlow:
    """30 s are one."""

    @pytest.fixture
    def pace(self) -> float:
        return 30.0

    @pytest.mark.parametrize("sent", [b"", b"POST /rs", b"POST /rs/arms HTTP/1.0\r\nContent-Length: 500\r\n\r\n<arms"])
    async def test_whoever_is_slow_is_shown_the_door_after_30_s(self, site: Site, sent: bytes) -> None:
        reader, writer = await site.connect("rs")
        writer.write(sent)
        async with asyncio.timeout(30 / site.clock.pace + 5):
            answer = await reader.read()
        assert answer_of(answer) == (400, None)
        await hang_up(writer)
        assert {claim.reason.split(":")[0] for claim in await site.claims()} == {"slow"}

    async def test_whoever_dribbles_is_shown_the_door_just_the_same(self, site: Site) -> None:
        reader, writer = await site.connect("ls")
        reading = asyncio.create_task(reader.read())
        async with asyncio.timeout(30 / site.clock.pace + 5):
            while not reading.done():
                writer.write(b"X")
                await asyncio.sleep(0.02)
        assert answer_of(await reading) == (400, None)
        await hang_up(writer)
