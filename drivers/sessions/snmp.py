"""Interface counters over SNMP: one request in flight per device, retried here, since the library does neither (D11).

A reading is one answer: the uptime and the name of the interface come in the same PDU as its counters, so that a
restart or a renumbered index cannot hide between two requests (metering specification §2.1, §2.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from gufo.snmp import SnmpError
from gufo.snmp.aio import SnmpSession

from inventory.errors import Truncated, Unreachable
from inventory.secrets import Secret

UPTIME = "1.3.6.1.2.1.1.3.0"
NAME = "1.3.6.1.2.1.31.1.1.1.1"
IN_64 = "1.3.6.1.2.1.31.1.1.1.6"
OUT_64 = "1.3.6.1.2.1.31.1.1.1.10"
SPEED_MBPS = "1.3.6.1.2.1.31.1.1.1.15"
DISCONTINUITY = "1.3.6.1.2.1.31.1.1.1.19"
IN_32 = "1.3.6.1.2.1.2.2.1.10"
OUT_32 = "1.3.6.1.2.1.2.2.1.16"
OPERATION = "1.3.6.1.2.1.2.2.1.8"
UP = 1

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class SnmpTarget:
    """Where an agent answers. SNMP v2c."""

    host: str
    port: int
    community: Secret
    timeout_s: float = 2.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """Counters of one interface from one answer, at the middle of request and answer."""

    name: str
    t_ms: int
    in_octets: int
    out_octets: int
    counter_bits: Literal[32, 64]
    uptime_cs: int | None
    discontinuity: int | None
    speed_bps: int | None
    up: bool | None


class SnmpReader:
    """One device's agent. Calls wait for each other; nothing stays open between them."""

    def __init__(self, target: SnmpTarget, now_ms: Callable[[], int]) -> None:
        self._target = target
        self._now_ms = now_ms
        self._one_in_flight = asyncio.Lock()
        self._index: dict[str, int] = {}

    async def names(self) -> list[str]:
        """Names of the agent's interfaces. Raises Unreachable."""
        async with self._one_in_flight:
            await self._learn()
            return list(self._index)

    async def read(self, names: Sequence[str]) -> list[InterfaceCounters]:
        """Counters of the interfaces that exist, in the order asked for; one that is gone is left out.

        Raises Unreachable after the last attempt, Truncated if an answer lacks its counters.
        """
        async with self._one_in_flight:
            if not self._index.keys() >= set(names):
                await self._learn()
            found = []
            for name in names:
                counters = await self._read_one(name)
                if counters is not None:
                    found.append(counters)
            return found

    async def _read_one(self, name: str) -> InterfaceCounters | None:
        """The name is followed to its new index; an index that means another port now is not read as this one."""
        for _ in range(2):
            index = self._index.get(name)
            if index is None:
                return None
            before_ms = self._now_ms()
            columns = (NAME, IN_64, OUT_64, IN_32, OUT_32, SPEED_MBPS, DISCONTINUITY, OPERATION)
            values = await self._get([UPTIME, *(f"{column}.{index}" for column in columns)])
            if _text(values.get(f"{NAME}.{index}")) == name:
                return self._counters(name, index, values, (before_ms + self._now_ms()) // 2)
            await self._learn()
        return None

    def _counters(self, name: str, index: int, values: Mapping[str, object], t_ms: int) -> InterfaceCounters:
        into, out = _number(values, f"{IN_64}.{index}"), _number(values, f"{OUT_64}.{index}")
        bits: Literal[32, 64] = 64
        if into is None or out is None:
            into, out, bits = _number(values, f"{IN_32}.{index}"), _number(values, f"{OUT_32}.{index}"), 32
        if into is None or out is None:
            raise Truncated(
                f"the agent's answer for {name} has no octet counters",
                step="read counters",
                next_step="Check that the community may read IF-MIB.",
            )
        speed = _number(values, f"{SPEED_MBPS}.{index}")
        operation = _number(values, f"{OPERATION}.{index}")
        return InterfaceCounters(
            name=name,
            t_ms=t_ms,
            in_octets=into,
            out_octets=out,
            counter_bits=bits,
            uptime_cs=_number(values, UPTIME),
            discontinuity=_number(values, f"{DISCONTINUITY}.{index}"),
            speed_bps=speed * 1_000_000 if speed else None,
            up=None if operation is None else operation == UP,
        )

    async def _learn(self) -> None:
        """Read which name has which index."""

        async def walk(session: SnmpSession) -> dict[str, int]:
            found: dict[str, int] = {}
            async for oid, value in session.getbulk(NAME):
                name = _text(value)
                if name:
                    found.setdefault(name, int(oid.rpartition(".")[2]))
            return found

        self._index = await self._retried(walk)

    async def _get(self, oids: Sequence[str]) -> dict[str, object]:
        async def get(session: SnmpSession) -> dict[str, object]:
            return dict(await session.get_many(oids))

        return await self._retried(get)

    async def _retried(self, ask: Callable[[SnmpSession], Awaitable[Answer]]) -> Answer:
        """A lost datagram is asked for again, on a session of its own, so that a late answer meets nobody."""
        target = self._target
        reason = "no answer"
        for _ in range(target.attempts):
            try:
                async with SnmpSession(
                    addr=target.host,
                    port=target.port,
                    community=target.community.reveal(),
                    timeout=target.timeout_s,
                ) as session:
                    return await ask(session)
            except TimeoutError:
                reason = "no answer"
            except (OSError, SnmpError) as error:
                reason = type(error).__name__
        raise Unreachable(
            f"the SNMP agent {target.host}:{target.port} gave no counters after {target.attempts} attempts: {reason}",
            step="read counters",
            next_step="Check the address, the community and that the agent is on.",
        )


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _number(values: Mapping[str, object], oid: str) -> int | None:
    value = values.get(oid)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
