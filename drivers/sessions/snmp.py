"""Interface counters over SNMP: one request in flight per device, retried here, since the library does neither (D11).

A reading is one answer: the uptime and the name of the interface come in the same PDU as its counters, so that a
restart or a renumbered index cannot hide between two requests (metering specification §2.1, §2.3).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn, TypeVar

from gufo.snmp import SnmpAuthError, SnmpError, SnmpVersion, User
from gufo.snmp.aio import SnmpSession
from gufo.snmp.user import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    BaseAuthKey,
    BasePrivKey,
    DesKey,
    Md5Key,
    Sha1Key,
    Sha256Key,
    Sha512Key,
)

from drivers.sessions.counting import FoundInterface, InterfaceCounters
from inventory.errors import AuthenticationFailed, ProtocolViolation, Truncated, Unreachable
from inventory.secrets import Secret

UPTIME: Final = "1.3.6.1.2.1.1.3.0"
NAME: Final = "1.3.6.1.2.1.31.1.1.1.1"
DESCRIPTION: Final = "1.3.6.1.2.1.2.2.1.2"
ALIAS: Final = "1.3.6.1.2.1.31.1.1.1.18"
IN_64: Final = "1.3.6.1.2.1.31.1.1.1.6"
OUT_64: Final = "1.3.6.1.2.1.31.1.1.1.10"
IN_PACKETS_64: Final = "1.3.6.1.2.1.31.1.1.1.7"
OUT_PACKETS_64: Final = "1.3.6.1.2.1.31.1.1.1.11"
SPEED_MBPS: Final = "1.3.6.1.2.1.31.1.1.1.15"
DISCONTINUITY: Final = "1.3.6.1.2.1.31.1.1.1.19"
SPEED_BPS: Final = "1.3.6.1.2.1.2.2.1.5"
OPERATION: Final = "1.3.6.1.2.1.2.2.1.8"
LAST_CHANGE: Final = "1.3.6.1.2.1.2.2.1.9"
IN_32: Final = "1.3.6.1.2.1.2.2.1.10"
OUT_32: Final = "1.3.6.1.2.1.2.2.1.16"
IN_PACKETS_32: Final = "1.3.6.1.2.1.2.2.1.11"
OUT_PACKETS_32: Final = "1.3.6.1.2.1.2.2.1.17"
IN_ERRORS: Final = "1.3.6.1.2.1.2.2.1.14"
OUT_DROPS: Final = "1.3.6.1.2.1.2.2.1.19"
OUT_ERRORS: Final = "1.3.6.1.2.1.2.2.1.20"
DUPLEX: Final = "1.3.6.1.2.1.10.7.2.1.19"
"""dot3StatsDuplexStatus (RFC 3635): unknown(1), halfDuplex(2), fullDuplex(3)."""
UP: Final = 1
HALF, FULL = 2, 3
SPEED_UNKNOWN: Final = 2**32 - 1
INDEX_AT_MOST: Final = 2**31 - 1
"""InterfaceIndex (RFC 2863)."""
INTERFACES_AT_MOST: Final = 4_096
"""An agent that names more is not believed."""

AuthProtocol = Literal["md5", "sha1", "sha256", "sha512"]
PrivacyProtocol = Literal["des", "aes128", "aes192", "aes256"]
AUTH_KEYS: Final[Mapping[AuthProtocol, type[BaseAuthKey]]] = {
    "md5": Md5Key,
    "sha1": Sha1Key,
    "sha256": Sha256Key,
    "sha512": Sha512Key,
}
PRIVACY_KEYS: Final[Mapping[PrivacyProtocol, type[BasePrivKey]]] = {
    "des": DesKey,
    "aes128": Aes128Key,
    "aes192": Aes192Key,
    "aes256": Aes256Key,
}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class SnmpUser:
    """A user of SNMPv3 (RFC 3414). Privacy needs authentication."""

    name: str
    auth: AuthProtocol | None = None
    auth_password: Secret | None = None
    privacy: PrivacyProtocol | None = None
    privacy_password: Secret | None = None


@dataclass(frozen=True, slots=True)
class SnmpTarget:
    """Where an agent answers, and as whom it is asked: a community (v2c) or a user (v3)."""

    host: str
    port: int
    community: Secret | None = None
    user: SnmpUser | None = None
    timeout_s: float = 2.0
    attempts: int = 3


class SnmpReader:
    """One device's agent. Calls wait for each other; nothing stays open between them."""

    def __init__(self, target: SnmpTarget, now_ms: Callable[[], int]) -> None:
        self._target = target
        self._now_ms = now_ms
        self._one_in_flight = asyncio.Lock()
        self._index: dict[str, tuple[int, str]] = {}
        """Index and the column that names it, by name."""
        self._bits: Literal[32, 64] | None = None
        self._answered = False
        """Whether it ever answered this credential: then a lost datagram is no wrong password."""

    async def names(self) -> list[str]:
        """Names of the agent's interfaces. Raises as `read` does."""
        return [one.name for one in await self.discover()]

    async def discover(self) -> list[FoundInterface]:
        """See `CounterReader.discover`."""
        async with self._one_in_flight:
            return await self._retried(self._walk)

    async def read(self, names: Sequence[str]) -> list[InterfaceCounters]:
        """See `CounterReader.read`."""
        async with self._one_in_flight:
            if not self._index.keys() >= set(names):
                await self._retried(self._learn)
            found = []
            for name in names:
                counters = await self._read_one(name)
                if counters is not None:
                    found.append(counters)
            return found

    async def _read_one(self, name: str) -> InterfaceCounters | None:
        """The name is followed to its new index; an index that means another port now is not read as this one."""
        for _ in range(2):
            index, named_by = self._index.get(name, (None, NAME))
            if index is None:
                return None
            before_ms, begun = self._now_ms(), time.monotonic()
            values = await self._get([UPTIME, *(f"{column}.{index}" for column in (named_by, *self._columns()))])
            took_ms = round((time.monotonic() - begun) * 1000)
            if _text(values.get(f"{named_by}.{index}")) == name:
                return self._counters(name, index, values, (before_ms + self._now_ms()) // 2, took_ms)
            await self._retried(self._learn)
        return None

    def _columns(self) -> tuple[str, ...]:
        """Asked for until it is known whether the agent has the 64-bit columns: both widths (RFC 2863)."""
        wide = (IN_64, OUT_64, IN_PACKETS_64, OUT_PACKETS_64)
        narrow = (IN_32, OUT_32, IN_PACKETS_32, OUT_PACKETS_32)
        counters = {None: wide + narrow, 64: wide, 32: narrow}[self._bits]
        return (
            *counters,
            SPEED_MBPS,
            SPEED_BPS,
            DISCONTINUITY,
            OPERATION,
            LAST_CHANGE,
            OUT_DROPS,
            IN_ERRORS,
            OUT_ERRORS,
        )

    def _counters(
        self, name: str, index: int, values: Mapping[str, object], t_ms: int, took_ms: int
    ) -> InterfaceCounters:
        into, out = _number(values, f"{IN_64}.{index}"), _number(values, f"{OUT_64}.{index}")
        received, packets = _number(values, f"{IN_PACKETS_64}.{index}"), _number(values, f"{OUT_PACKETS_64}.{index}")
        bits = 64
        if into is None or out is None:
            into, out = _number(values, f"{IN_32}.{index}", 2**32), _number(values, f"{OUT_32}.{index}", 2**32)
            received = _number(values, f"{IN_PACKETS_32}.{index}")
            packets, bits = _number(values, f"{OUT_PACKETS_32}.{index}"), 32
        if into is None or out is None:
            self._bits = None
            raise Truncated(
                f"the agent's answer for {name} has no octet counters",
                step="read counters",
                next_step="Check that the community or user may read IF-MIB.",
            )
        self._bits = 64 if bits == 64 else 32
        operation = _number(values, f"{OPERATION}.{index}")
        return InterfaceCounters(
            name=name,
            t_ms=t_ms,
            in_octets=into,
            out_octets=out,
            counter_bits=self._bits,
            uptime_cs=_number(values, UPTIME, 2**32),
            discontinuity=_number(values, f"{DISCONTINUITY}.{index}", 2**32),
            speed_bps=_speed(values, index),
            up=None if operation is None else operation == UP,
            in_packets=received,
            out_packets=packets,
            out_drops=_number(values, f"{OUT_DROPS}.{index}"),
            in_errors=_number(values, f"{IN_ERRORS}.{index}"),
            out_errors=_number(values, f"{OUT_ERRORS}.{index}"),
            last_change=_number(values, f"{LAST_CHANGE}.{index}", 2**32),
            round_trip_ms=took_ms,
        )

    async def _learn(self, session: SnmpSession) -> None:
        """Read which name has which index; an agent that leaves ifName empty names its ports by description."""
        found: dict[str, tuple[int, str]] = {}
        for column in (NAME, DESCRIPTION):
            async for oid, value in session.getbulk(column):
                name, index = _text(value), int(oid.rpartition(".")[2])
                if name and index <= INDEX_AT_MOST:
                    found.setdefault(name, (index, column))
                _require_few(found)
            if found:
                break
        if not found:
            await session.get(UPTIME)  # a user who may read nothing is told so here; a walk only ends early
        self._index = found

    async def _walk(self, session: SnmpSession) -> list[FoundInterface]:
        await self._learn(session)
        columns: dict[str, dict[int, object]] = {}
        for column in (ALIAS, SPEED_MBPS, SPEED_BPS, OPERATION, DUPLEX):
            columns[column] = {}
            async for oid, value in session.getbulk(column):
                columns[column][int(oid.rpartition(".")[2])] = value
                _require_few(columns[column])
        found = []
        for name, (index, _) in self._index.items():
            values = {f"{column}.{index}": told.get(index) for column, told in columns.items()}
            operation = _number(values, f"{OPERATION}.{index}")
            found.append(
                FoundInterface(
                    name,
                    index,
                    _text(values[f"{ALIAS}.{index}"]),
                    _speed(values, index),
                    None if operation is None else operation == UP,
                    {HALF: True, FULL: False}.get(_number(values, f"{DUPLEX}.{index}") or 0),
                )
            )
        return found

    async def _get(self, oids: Sequence[str]) -> dict[str, object]:
        async def get(session: SnmpSession) -> dict[str, object]:
            return dict(await session.get_many(oids))

        return await self._retried(get)

    async def _retried(self, ask: Callable[[SnmpSession], Awaitable[Answer]]) -> Answer:
        """A lost datagram is asked for again, on a session of its own, so that a late answer meets nobody.

        A refusal of the credential is final: asking again would look like guessing.
        """
        target = self._target
        reason = "no answer"
        for _ in range(target.attempts):
            try:
                async with self._session() as session:
                    told = await ask(session)
                    self._answered = True
                    return told
            except SnmpAuthError:
                raise AuthenticationFailed(
                    f"the SNMP agent {target.host}:{target.port} refused the user or its keys",
                    step="read counters",
                    next_step="Compare user, protocols and passwords with the device's.",
                ) from None
            except TimeoutError:
                reason = "no answer"
            except (OSError, SnmpError) as error:
                reason = type(error).__name__
        if reason == "no answer" and await self._answers_without_privacy():
            self._tell_of_privacy()
        raise Unreachable(
            f"the SNMP agent {target.host}:{target.port} gave no counters after {target.attempts} attempts: {reason}",
            step="read counters",
            next_step="Check the address, the community and that the agent is on; a wrong community gets no answer.",
        )

    async def _answers_without_privacy(self) -> bool:
        """Whether an agent that is silent to what is encrypted answers the same user in clear, be it with a refusal.

        Agents drop what they cannot make sense of once it is decrypted (net-snmp), and an unknown user or a wrong
        authentication is told by a report (RFC 3414 §3.2). All that is asked is how long it is up; it must answer
        each time, so that datagrams that are lost are no wrong password.
        """
        user = self._target.user
        if user is None or user.privacy is None:
            return False
        for _ in range(self._target.attempts):
            try:
                async with self._session(replace(user, privacy=None, privacy_password=None)) as session:
                    await session.get(UPTIME)
            except (TimeoutError, OSError):
                return False
            except SnmpError:
                continue
        return True

    def _tell_of_privacy(self) -> NoReturn:
        target, step = self._target, "read counters"
        said = f"the SNMP agent {target.host}:{target.port} answers the user without privacy and is silent with it"
        next_step = "Compare the privacy protocol and password with the device's."
        if self._answered:
            raise Unreachable(f"{said}, which it was not before", step=step, next_step=next_step)
        raise AuthenticationFailed(
            f"{said}: the privacy password or protocol is not the device's", step=step, next_step=next_step
        )

    def _session(self, user: SnmpUser | None = None) -> SnmpSession:
        target = self._target
        if target.user is not None:
            return SnmpSession(
                addr=target.host,
                port=target.port,
                version=SnmpVersion.v3,
                user=_user(user or target.user),
                timeout=target.timeout_s,
            )
        assert target.community is not None
        return SnmpSession(
            addr=target.host, port=target.port, community=target.community.reveal(), timeout=target.timeout_s
        )


def _user(user: SnmpUser) -> User:
    auth = privacy = None
    if user.auth is not None and user.auth_password is not None:
        auth = AUTH_KEYS[user.auth](user.auth_password.reveal().encode())
    if user.privacy is not None and user.privacy_password is not None:
        privacy = PRIVACY_KEYS[user.privacy](user.privacy_password.reveal().encode())
    return User(user.name, auth_key=auth, priv_key=privacy)


def _require_few(found: Sized) -> None:
    if len(found) > INTERFACES_AT_MOST:
        raise ProtocolViolation(
            f"the agent names more than {INTERFACES_AT_MOST} interfaces", reason="too-many-interfaces"
        )


def _speed(values: Mapping[str, object], index: int) -> int | None:
    mbps = _number(values, f"{SPEED_MBPS}.{index}", 2**32)
    bps = _number(values, f"{SPEED_BPS}.{index}", 2**32)
    if mbps:
        return mbps * 1_000_000
    return bps if bps and bps != SPEED_UNKNOWN else None


def _text(value: object) -> str:
    """A name as people write it: some agents pad theirs with octets of nought."""
    found = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return "".join(one for one in found if one.isprintable()) if isinstance(found, str) else ""


def _number(values: Mapping[str, object], oid: str, below: int = 2**64) -> int | None:
    """A whole number; None where the agent has none. Raises ProtocolViolation for anything else in its place."""
    value = values.get(oid)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
        raise ProtocolViolation(
            f"the agent gave {type(value).__name__} {str(value)[:40]!r} where {oid} is a count",
            reason="wrong-type",
            next_step="Nothing of the answer was used; update the device's software, or poll it another way.",
        )
    return value
