"""Interface counters from a FortiGate's REST interface, where SNMP is not allowed (devices-ios-fortios §B.6).

The certificate is compared before the token is sent. No uptime comes in the same answer: it is read beside it and
counts as known only if both answers came within two seconds (metering specification §2.2).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from drivers.sessions.counting import FoundInterface, InterfaceCounters
from inventory.errors import AuthenticationFailed, IdentityMismatch, ProtocolViolation, Truncated, Unreachable
from inventory.secrets import Secret

COUNTERS: Final = "/api/v2/monitor/system/interface?include_vlan=true&include_aggregate=true&vdom=*"
OLD_COUNTERS: Final = "/api/v2/monitor/system/interface/select?include_vlan=true&include_aggregate=true&vdom=*"
STATE: Final = "/api/v2/monitor/web-ui/state"
BESIDE_MS: Final = 2_000
ANSWER_AT_MOST: Final = 4 * 1024 * 1024
HEAD_AT_MOST: Final = 64 * 1024
MBPS_AT_MOST: Final = 10_000_000
"""A port that is said to be faster has no speed that is known."""
DIGITS_AT_MOST: Final = 20
STATUS: Final = re.compile(r"[1-5][0-9]{2}")
LENGTH: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class FortiTarget:
    """Where the REST interface is, the API user's token, and the certificate's SHA-256 in hexadecimal."""

    host: str
    port: int
    token: Secret
    fingerprint: str
    timeout_s: float = 4.0
    attempts: int = 2


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    t_ms: int
    took_ms: int


class FortiReader:
    """One FortiGate. Calls wait for each other; nothing stays open between them."""

    def __init__(self, target: FortiTarget, now_ms: Callable[[], int]) -> None:
        self._target = target
        self._now_ms = now_ms
        self._one_in_flight = asyncio.Lock()
        self._path = COUNTERS

    async def discover(self) -> list[FoundInterface]:
        """See `CounterReader.discover`."""
        async with self._one_in_flight:
            table, _ = await self._table()
        return [
            FoundInterface(name, None, _words(row.get("alias")), _speed_bps(row), _up(row))
            for name, row in table.items()
        ]

    async def read(self, names: Sequence[str]) -> list[InterfaceCounters]:
        """See `CounterReader.read`."""
        async with self._one_in_flight:
            table, answer = await self._table()
            uptime_cs = await self._uptime_cs(answer)
        return [
            InterfaceCounters(
                name=name,
                t_ms=answer.t_ms,
                in_octets=_count(name, table[name], "rx_bytes"),
                out_octets=_count(name, table[name], "tx_bytes"),
                counter_bits=64,
                uptime_cs=uptime_cs,
                discontinuity=None,
                speed_bps=_speed_bps(table[name]),
                up=_up(table[name]),
                in_packets=_told(table[name], "rx_packets"),
                out_packets=_told(table[name], "tx_packets"),
                in_errors=_told(table[name], "rx_errors"),
                out_errors=_told(table[name], "tx_errors"),
                round_trip_ms=answer.took_ms,
            )
            for name in names
            if name in table
        ]

    async def _table(self) -> tuple[Mapping[str, Mapping[str, Any]], _Answer]:
        answer = await self._get(self._path)
        if answer.status == 404 and self._path == COUNTERS:
            self._path = OLD_COUNTERS
            answer = await self._get(self._path)
        found: dict[str, Mapping[str, Any]] = {}
        told = _json(answer)
        for envelope in told if isinstance(told, list) else [told]:
            results = envelope.get("results") if isinstance(envelope, dict) else None
            if not isinstance(results, dict):
                raise Truncated("the answer holds no results", step="read counters", next_step="Read it again.")
            found.update({name: row for name, row in results.items() if isinstance(row, dict) and name.isprintable()})
        return found, answer

    async def _uptime_cs(self, beside: _Answer) -> int | None:
        """Uptime at the instant of the counters; None where the device does not tell it, or too late."""
        answer = await self._get(STATE)
        if answer.status != 200 or answer.t_ms - beside.t_ms > BESIDE_MS:
            return None
        told = _json(answer)
        results = told.get("results") if isinstance(told, dict) else None
        booted_ms = results.get("utc_last_reboot") if isinstance(results, dict) else None
        device_ms = results.get("snapshot_utc_time") if isinstance(results, dict) else None
        if not isinstance(booted_ms, int) or not isinstance(device_ms, int) or not 0 <= booted_ms <= device_ms < 2**53:
            return None
        return max(0, device_ms - booted_ms - (answer.t_ms - beside.t_ms)) // 10

    async def _get(self, path: str) -> _Answer:
        """Ask once more after silence; never after a refusal."""
        reason = "no answer"
        for _ in range(self._target.attempts):
            before_ms, begun = self._now_ms(), time.monotonic()
            try:
                async with asyncio.timeout(self._target.timeout_s):
                    status, body = await self._exchange(path)
            except TimeoutError:
                reason = "no answer"
                continue
            except (OSError, asyncio.IncompleteReadError, UnicodeError) as error:  # the last: no name of a host
                reason = type(error).__name__
                continue
            if status in (401, 403) or (status == 200 and body.lstrip()[:1] == b"<"):
                raise AuthenticationFailed(
                    f"the REST interface {self._target.host}:{self._target.port} refused the token ({status})",
                    step="read counters",
                    next_step="Check the API user, its profile and its trusted hosts.",
                )
            if status in (200, 404):
                took_ms = round((time.monotonic() - begun) * 1000)
                return _Answer(status, body, (before_ms + self._now_ms()) // 2, took_ms)
            reason = f"status {status}"
            break  # 424, 429, 5xx: the device is busy or odd, and asking at once again would not help
        raise Unreachable(
            f"the REST interface {self._target.host}:{self._target.port} gave no counters: {reason}",
            step="read counters",
            next_step="Check the address, the port and that HTTPS administration is allowed from here.",
        )

    async def _exchange(self, path: str) -> tuple[int, bytes]:
        target = self._target
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # pinned below instead: these certificates are self-signed
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context, limit=HEAD_AT_MOST)
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            digest = hashlib.sha256(shown or b"").hexdigest()
            if digest != target.fingerprint.replace(":", "").lower():
                raise IdentityMismatch(
                    f"{target.host}:{target.port} shows the certificate {digest}, which is not the recorded one",
                    step="read counters",
                    next_step="Find out why; if the device has a new certificate, record its fingerprint.",
                )
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {target.host}\r\nAuthorization: Bearer {target.token.reveal()}\r\n"
                "Accept: application/json\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            return await _response(reader)
        finally:
            writer.close()


async def _response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise ProtocolViolation("the answer's head is too long", reason="oversize") from None
    line, *rest = head.split("\r\n")
    parts = line.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not STATUS.fullmatch(parts[1]):
        raise ProtocolViolation(f"the answer begins with {line[:40]!r}", reason="malformed")
    headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    told = headers.get("content-length", "")
    length = int(told) if LENGTH.fullmatch(told) else None
    body = b""
    while chunk := await reader.read(65_536):
        body += chunk
        if len(body) > ANSWER_AT_MOST:
            raise ProtocolViolation("the answer is longer than 4 MB", reason="oversize")
        if length is not None and len(body) >= length:
            break
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _dechunked(body)
    elif length is not None and len(body) < length:
        raise Truncated("the answer ended early", step="read counters", next_step="Read it again.")
    return int(parts[1]), body


def _dechunked(raw: bytes) -> bytes:
    body = b""
    while True:
        size, mark, raw = raw.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            mark, length = b"", 0
        if not mark or len(raw) < length:
            raise Truncated("the answer ended early", step="read counters", next_step="Read it again.")
        if length == 0:
            return body
        body, raw = body + raw[:length], raw[length + 2 :]


def _json(answer: _Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ProtocolViolation("the answer is no JSON", reason="malformed") from None


def _count(name: str, row: Mapping[str, Any], field: str) -> int:
    """Releases write numbers as integers, floats or texts; what is no whole number is not used."""
    value = row.get(field)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= DIGITS_AT_MOST:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise ProtocolViolation(f"{name} has {field} {str(value)[:40]!r}, which is no count", reason="wrong-type")
    return value


def _told(row: Mapping[str, Any], field: str) -> int | None:
    """A count that a release may leave out, or write otherwise: then it is not known."""
    value = row.get(field)
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return value if known else None


def _speed_bps(row: Mapping[str, Any]) -> int | None:
    speed = row.get("speed")
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed <= MBPS_AT_MOST:
        return None
    return round(speed * 1_000_000) or None


def _words(value: object) -> str:
    return "".join(one for one in value if one.isprintable()) if isinstance(value, str) else ""


def _up(row: Mapping[str, Any]) -> bool | None:
    link = row.get("link")
    return link if isinstance(link, bool) else None
