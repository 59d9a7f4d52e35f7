"""An SNMP v2c agent whose every answer a test decides: indexes that move, counters that lie, answers that dawdle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

Oid = tuple[int, ...]

UPTIME: Final = (1, 3, 6, 1, 2, 1, 1, 3, 0)
IF: Final = (1, 3, 6, 1, 2, 1, 2, 2, 1)
DUPLEX: Final = (1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 19)
IF_X: Final = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
INTEGER, OCTETS, OID, SEQUENCE, TICKS, COUNTER64, GAUGE = 0x02, 0x04, 0x06, 0x30, 0x43, 0x46, 0x42
NO_INSTANCE, END_OF_VIEW = b"\x81\x00", b"\x82\x00"
BULK, RESPONSE = 0xA5, 0xA2


@dataclass
class Port:
    """One interface. `into` and `out` may be anything that can be put on the wire."""

    name: str
    into: int | str
    out: int | str = 0
    mbps: int = 1_000
    duplex: int | None = None
    """dot3StatsDuplexStatus; None: the agent has no EtherLike-MIB."""
    last_change: int = 0


@dataclass
class Agent:
    """What it says, to whom asks with the community."""

    community: str
    uptime_cs: Callable[[], int]
    ports: dict[int, Port] = field(default_factory=dict)
    """By index."""
    odd: dict[Oid, bytes] = field(default_factory=dict)
    """Values on the wire in place of what would be there."""
    delay_s: float = 0.0
    port: int = 0
    asked: int = 0

    def table(self) -> dict[Oid, bytes]:
        found: dict[Oid, bytes] = {UPTIME: _tlv(TICKS, _unsigned(self.uptime_cs()))}
        for index, one in self.ports.items():
            found |= {
                (*IF_X, 1, index): _tlv(OCTETS, one.name.encode()),
                (*IF_X, 6, index): _count(one.into),
                (*IF_X, 10, index): _count(one.out),
                (*IF_X, 15, index): _tlv(GAUGE, _unsigned(one.mbps)),
                (*IF_X, 19, index): _tlv(TICKS, b"\0"),
                (*IF, 8, index): _tlv(INTEGER, b"\1"),
                (*IF, 9, index): _tlv(TICKS, _unsigned(one.last_change)),
            }
            if one.duplex is not None:
                found[*DUPLEX, index] = _tlv(INTEGER, bytes((one.duplex,)))
        return dict(sorted((found | self.odd).items()))


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[Agent]:
    """The agent on a port of its own."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Serving(agent), local_addr=("127.0.0.1", 0))
    agent.port = transport.get_extra_info("sockname")[1]
    try:
        yield agent
    finally:
        transport.close()


class _Serving(asyncio.DatagramProtocol):
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._agent.asked += 1
        answer = _answer(self._agent, data)
        if answer is not None:
            asyncio.get_running_loop().call_later(self._agent.delay_s, self._send, answer, addr)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)


def _answer(agent: Agent, request: bytes) -> bytes | None:
    version, community, (kind, pdu) = _parts(_parts(request)[0][1])
    if community[1] != agent.community.encode():
        return None
    number, _, repetitions, (_, bindings) = _parts(pdu)
    table = agent.table()
    names = [_oid(_parts(binding)[0][1]) for _, binding in _parts(bindings)]
    if kind == BULK:
        (name,) = names
        later = [oid for oid in table if oid > name][: int.from_bytes(repetitions[1], "big")]
        pairs = [(oid, table[oid]) for oid in later] or [(name, END_OF_VIEW)]
    else:
        pairs = [(name, table.get(name, NO_INSTANCE)) for name in names]
    told = b"".join(_tlv(SEQUENCE, _tlv(OID, _packed(oid)) + value) for oid, value in pairs)
    zero = _tlv(INTEGER, b"\0")
    body = _tlv(RESPONSE, _tlv(*number) + zero + zero + _tlv(SEQUENCE, told))
    return _tlv(SEQUENCE, _tlv(*version) + _tlv(*community) + body)


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        tag, length, data = data[0], data[1], data[2:]
        if length & 0x80:
            length, data = int.from_bytes(data[: length & 0x7F], "big"), data[length & 0x7F :]
        found.append((tag, data[:length]))
        data = data[length:]
    return found


def _tlv(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes(2, "big")
    return bytes((tag, 0x82)) + length + body


def _unsigned(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _count(value: int | str) -> bytes:
    return _tlv(OCTETS, value.encode()) if isinstance(value, str) else _tlv(COUNTER64, _unsigned(value))


def _oid(body: bytes) -> Oid:
    found, value = [body[0] // 40, body[0] % 40], 0
    for octet in body[1:]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            found.append(value)
            value = 0
    return tuple(found)


def _packed(oid: Oid) -> bytes:
    found = bytearray((oid[0] * 40 + oid[1],))
    for value in oid[2:]:
        octets = [value & 0x7F]
        while value := value >> 7:
            octets.append(value & 0x7F | 0x80)
        found += bytes(reversed(octets))
    return bytes(found)
