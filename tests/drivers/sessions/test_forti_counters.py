"""Counters over a FortiGate's REST interface, from a TLS server that answers as told; and what a lie looks like."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from drivers.sessions.forti_counters import FortiReader, FortiTarget
from inventory.countersources import Poll, SourceState, Told, judge, lie
from inventory.errors import AuthenticationFailed, IdentityMismatch, ProtocolViolation, Unreachable
from inventory.secrets import Secret

TOKEN = "kite-token"
TABLE = {
    "wan1": {"rx_bytes": 5_000_000_000, "tx_bytes": 70.0, "link": True, "speed": 1000.0, "alias": "line"},
    "wan2": {"rx_bytes": "12", "tx_bytes": 0, "link": False, "speed": 0},
}


def certificate(folder: Path) -> tuple[Path, str]:
    """A self-signed certificate with its key in one file, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "FGT1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.public_bytes(serialization.Encoding.PEM)
    file = folder / "fgt.pem"
    file.write_bytes(pem)
    return file, hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


@asynccontextmanager
async def device(folder: Path, status: int, table: object) -> AsyncIterator[tuple[FortiTarget, list[bytes]]]:
    """The device, and what it was sent."""
    file, fingerprint = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        heard.append(head)
        told: object = table
        if b"web-ui/state" in head:
            told = {"results": {"utc_last_reboot": 1_000_000, "snapshot_utc_time": 1_600_000}}
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield FortiTarget("127.0.0.1", port, Secret(TOKEN), fingerprint, timeout_s=5.0), heard
    finally:
        server.close()


async def test_counters_speed_state_and_the_uptime_beside_them_are_read(tmp_path: Path) -> None:
    async with device(tmp_path, 200, {"results": TABLE}) as (target, heard):
        reader = FortiReader(target, lambda: 5_000)
        one, two = await reader.read(["wan1", "gone", "wan2"])
        named = await reader.discover()
    assert (one.in_octets, one.out_octets, one.counter_bits, one.speed_bps, one.up) == (
        5_000_000_000,
        70,
        64,
        10**9,
        True,
    )
    assert (one.uptime_cs, two.in_octets, two.speed_bps) == (60_000, 12, None)
    assert [found.alias for found in named] == ["line", ""]
    assert all(b"Authorization: Bearer kite-token" in head for head in heard)


async def test_another_certificate_gets_no_token(tmp_path: Path) -> None:
    async with device(tmp_path, 200, {"results": TABLE}) as (target, heard):
        with pytest.raises(IdentityMismatch):
            await FortiReader(replace(target, fingerprint="00" * 32), lambda: 1).read(["wan1"])
    assert heard == []


@pytest.mark.parametrize(
    ("status", "table", "error"),
    [
        (401, {}, AuthenticationFailed),
        (200, b"<html>log in", AuthenticationFailed),
        (503, {}, Unreachable),
        (200, b"[", ProtocolViolation),
        (200, {"results": {"wan1": {"rx_bytes": -1, "tx_bytes": 0}}}, ProtocolViolation),
        (200, {"results": {"wan1": {"rx_bytes": "²", "tx_bytes": 0}}}, ProtocolViolation),
        (200, {"results": {"wan1": {"rx_bytes": "9" * 5_000, "tx_bytes": 0}}}, ProtocolViolation),
    ],
    ids=["401", "login-page", "busy", "no-json", "wrong-type", "no-digit", "too-many-digits"],
)
async def test_what_is_no_answer_is_told_and_the_token_is_not(
    tmp_path: Path, status: int, table: object, error: type[Exception]
) -> None:
    async with device(tmp_path, status, table) as (target, _):
        with pytest.raises(error) as failed:
            await FortiReader(target, lambda: 1).read(["wan1"])
    assert TOKEN not in str(failed.value)


@pytest.mark.parametrize("speed", [float("nan"), float("inf"), -1000.0, 1e300, "fast", True])
async def test_a_speed_that_no_port_has_is_not_known(tmp_path: Path, speed: object) -> None:
    row = {"rx_bytes": 1, "tx_bytes": 1, "speed": speed, "alias": "to\x00kyo"}
    async with device(tmp_path, 200, {"results": {"wan1": row, "wan\x002": row}}) as (target, _):
        (found,) = await FortiReader(target, lambda: 1).read(["wan1"])
        (named,) = await FortiReader(target, lambda: 1).discover()
    assert (found.speed_bps, named.speed_bps, named.name, named.alias) == (None, None, "wan1", "tokyo")


async def test_a_host_that_is_no_name_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await FortiReader(FortiTarget("a..b", 443, Secret(TOKEN), "00" * 32), lambda: 1).read(["wan1"])


@pytest.mark.fast
def test_a_lie_is_told_from_a_restart_a_wrap_and_a_busy_line() -> None:
    a = Told("ge0", 0, 10**9, 10**9, 64, 1_000_000, 7, 10**9)
    honest = replace(a, t_ms=60_000, in_octets=a.in_octets + 7 * 10**9, uptime_cs=1_006_000)
    assert lie(a, honest) is None
    assert "fell" in (lie(a, replace(honest, out_octets=5)) or "")
    assert "more than its port" in (lie(a, replace(honest, in_octets=10**12)) or "")
    assert "uptime" in (lie(a, replace(honest, uptime_cs=9_000_000)) or "")
    assert lie(a, replace(honest, in_octets=5, uptime_cs=100)) is None  # restarted
    assert lie(a, replace(honest, in_octets=5, discontinuity=8)) is None  # said so itself
    assert lie(replace(a, counter_bits=32), replace(honest, in_octets=5, counter_bits=32)) is None  # may have wrapped


@pytest.mark.fast
def test_the_worst_speaks_and_a_liar_is_believed_again_after_ten_honest_polls() -> None:
    assert judge(Poll(["a"], ["a"]))[0] is SourceState.OK
    assert judge(Poll(["a"], ["a"], 1_500))[0] is SourceState.SLOW
    assert judge(Poll(["a", "b"], ["a"], 1_500)) == (SourceState.INCOMPLETE, "no b")
    assert judge(Poll(["a"], [], lies=["it fell"]))[0] is SourceState.LYING
    assert judge(Poll(["a"], ["a"], since_lie=9, last_lie="it fell")) == (SourceState.LYING, "it fell")
    assert judge(Poll(["a"], ["a"], since_lie=10))[0] is SourceState.OK
    assert len({state.words for state in SourceState}) == len(SourceState)
