"""From an endpoint to a connected socket: straight, or through jump hosts that are shared while somebody uses them.

A device behind jump hosts is reached over one SSH connection per chain of hops; each device has a channel of it, joined
to a socket pair, so that every carrier meets a socket and none needs to know of the hops.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import asyncssh

from drivers.errors import DeviceBusy, JumpHostRefused
from drivers.sessions.contract import Endpoint, Hop, Limits
from drivers.sessions.dial import Caller, hang_up, login, place
from drivers.sessions.lent import pair
from drivers.sessions.permission import permitted
from inventory.errors import DeviceError, Unreachable

_PIECE: Final = 65536
_NEXT: Final = "Check the address, the port and the path."


@dataclass(slots=True)
class _Chain:
    """An open way through jump hosts, from the first to the last, and how many channels use it."""

    hops: list[asyncssh.SSHClientConnection] = field(default_factory=list)
    users: int = 0
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


_CHAINS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Hop, ...], _Chain]]] = WeakKeyDictionary()
_PUMPS: Final[set[asyncio.Task[None]]] = set()


async def connected_socket(endpoint: Endpoint, limits: Limits) -> socket.socket:
    """A connection to the endpoint. Raises Unreachable (also DeviceBusy), step `connect`; of a jump host whatever its
    login raises, with the hop named and step `jump host`."""
    await permitted()
    if not endpoint.jump:
        return await _tcp(endpoint, limits)
    loop = asyncio.get_running_loop()
    chains = _CHAINS.setdefault(loop, {})
    chain = chains.setdefault(endpoint.jump, _Chain())
    chain.users += 1
    try:
        async with chain.opening:
            if not chain.hops or chain.hops[-1].is_closed():
                chain.hops = await _opened(endpoint.jump, limits)
        ours, reader, writer, there = await _bridged(chain.hops[-1], endpoint, limits)
    except BaseException:
        await _leave(chains, endpoint.jump, chain)
        raise
    pump = loop.create_task(_join(reader, writer, there, chains, endpoint.jump, chain))
    _PUMPS.add(pump)
    pump.add_done_callback(_PUMPS.discard)
    return ours


async def dial(endpoint: Endpoint, limits: Limits) -> tuple[asyncssh.SSHClientConnection, Caller]:
    """An authenticated connection to the endpoint. Raises as `connected_socket` and `login`."""
    return await login(await connected_socket(endpoint, limits), endpoint, limits)


async def _tcp(endpoint: Endpoint, limits: Limits) -> socket.socket:
    loop = asyncio.get_running_loop()
    problem: OSError | None = None
    try:
        async with asyncio.timeout(limits.connect_s):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                sock = socket.socket(family, kind, protocol)
                sock.setblocking(False)
                try:
                    await loop.sock_connect(sock, address)
                except OSError as error:
                    sock.close()
                    problem = error
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
    except TimeoutError as error:
        raise Unreachable(
            f"{place(endpoint)} did not accept a TCP connection within {limits.connect_s:g} s.",
            step="connect",
            next_step=_NEXT,
        ) from error
    except OSError as error:
        problem = error
    if isinstance(problem, ConnectionResetError):
        # It was accepted: whether the reset is seen here or in the handshake is a matter of microseconds.
        raise DeviceBusy(
            f"{place(endpoint)} closed the connection as soon as it was open; all its terminal lines may be in use.",
            step="connect",
            next_step="Wait for a line to fall free, or end a session that somebody left open.",
        ) from problem
    raise Unreachable(
        f"{place(endpoint)} cannot be connected to: {problem}.", step="connect", next_step=_NEXT
    ) from problem


async def _opened(jump: tuple[Hop, ...], limits: Limits) -> list[asyncssh.SSHClientConnection]:
    """Connections from hop to hop. Raises with the hop at fault named; those opened before it are closed."""
    hops: list[asyncssh.SSHClientConnection] = []
    try:
        for number, hop in enumerate(jump, 1):
            where = f"jump host {hop.host} port {hop.port} (hop {number} of {len(jump)})"
            if hop.host_key is None:
                raise JumpHostRefused(
                    f"The {where} has no pinned host key; no credential was sent.",
                    step="jump host",
                    next_step="Store its host key with the endpoint.",
                )
            at = Endpoint(hop.host, hop.port, hop.username, hop.password, host_key=hop.host_key, profile=hop.profile)
            try:
                hops.append(await _hop(hops[-1] if hops else None, at, limits))
            except Unreachable as error:
                raise Unreachable(
                    f"The {where} is at fault: {error.message}", step="jump host", next_step=error.next_step or _NEXT
                ) from error
            except DeviceError as error:
                raise JumpHostRefused(
                    f"The {where} is at fault: {error.message}",
                    step="jump host",
                    next_step="Correct the jump host's key or credential; it is not tried again by itself.",
                ) from error
    except BaseException:
        for connection in reversed(hops):
            connection.abort()
        raise
    return hops


async def _hop(
    before: asyncssh.SSHClientConnection | None, at: Endpoint, limits: Limits
) -> asyncssh.SSHClientConnection:
    if before is None:
        return (await login(await _tcp(at, limits), at, limits))[0]
    ours, reader, writer, there = await _bridged(before, at, limits)
    pump = asyncio.create_task(_pumped(reader, writer, there))
    _PUMPS.add(pump)
    pump.add_done_callback(_PUMPS.discard)
    return (await login(ours, at, limits))[0]


async def _bridged(
    hop: asyncssh.SSHClientConnection, endpoint: Endpoint, limits: Limits
) -> tuple[
    socket.socket,
    asyncssh.SSHReader[bytes],
    asyncssh.SSHWriter[bytes],
    tuple[asyncio.StreamReader, asyncio.StreamWriter],
]:
    """A channel from a hop to the endpoint, and the two ends of what it is joined to here."""
    reader, writer = await _channel(hop, endpoint, limits)
    try:
        ours, there = await pair()
    except BaseException:
        writer.close()
        raise
    return ours, reader, writer, there


async def _channel(
    hop: asyncssh.SSHClientConnection, endpoint: Endpoint, limits: Limits
) -> tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]:
    try:
        async with asyncio.timeout(limits.connect_s):
            return await hop.open_connection(endpoint.host, endpoint.port)
    except (TimeoutError, OSError, asyncssh.Error) as error:
        name = hop.get_extra_info("host")
        why = str(error) or f"no answer within {limits.connect_s:g} s"
        raise Unreachable(
            f"Jump host {name} is up and did not reach {place(endpoint)}: {why}.", step="connect", next_step=_NEXT
        ) from error


async def _join(
    reader: asyncssh.SSHReader[bytes],
    writer: asyncssh.SSHWriter[bytes],
    there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    chains: dict[tuple[Hop, ...], _Chain],
    jump: tuple[Hop, ...],
    chain: _Chain,
) -> None:
    try:
        await _pumped(reader, writer, there)
    finally:
        await _leave(chains, jump, chain)


async def _leave(chains: dict[tuple[Hop, ...], _Chain], jump: tuple[Hop, ...], chain: _Chain) -> None:
    """The last user closes the hops, the farthest first."""
    chain.users -= 1
    if chain.users == 0:
        if chains.get(jump) is chain:
            del chains[jump]
        for connection in reversed(chain.hops):
            await hang_up(connection)


async def _pumped(
    reader: asyncssh.SSHReader[bytes],
    writer: asyncssh.SSHWriter[bytes],
    there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry octets both ways until either side ends, then end both."""
    ways = {asyncio.create_task(_carry(reader, there[1])), asyncio.create_task(_carry(there[0], writer))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.close()
        there[1].close()


async def _carry(
    source: asyncssh.SSHReader[bytes] | asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes] | asyncio.StreamWriter
) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while octets := await source.read(_PIECE):
            sink.write(octets)
            await sink.drain()
