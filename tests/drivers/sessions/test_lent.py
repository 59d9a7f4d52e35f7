"""A connection that a device resets at once takes no other connection along, however late its socket is collected."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import struct
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import uvloop

from drivers.sessions.contract import Endpoint, Limits, Rest
from drivers.sessions.dial import login
from drivers.sessions.lent import give_up, inode, pair
from drivers.sessions.rest import STATUS, RestSession
from inventory.errors import Unreachable
from inventory.secrets import Secret

ENDPOINT = Endpoint("127.0.0.1", 22, "op", Secret("pw"))
Way = Callable[[socket.socket, pytest.MonkeyPatch], Coroutine[None, None, None]]


def on_uvloop(work: Coroutine[None, None, None]) -> None:
    """As in the daemon; in a thread of its own, for this one has a loop of another kind."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(uvloop.run, work).result()


def reset_at_once() -> socket.socket:
    """Our end of a connection that the other end has reset already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname()[:2])
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
    assert select.select([ours], [], [], 10)[0], "the reset has come"
    ours.setblocking(False)
    return ours


async def over_ssh(ours: socket.socket, _patch: pytest.MonkeyPatch) -> None:
    await login(ours, ENDPOINT, Limits())


async def over_rest(ours: socket.socket, patch: pytest.MonkeyPatch) -> None:
    async def given(_endpoint: Endpoint, _limits: Limits) -> socket.socket:
        return ours

    patch.setattr("drivers.sessions.rest.connected_socket", given)
    await RestSession(replace(ENDPOINT, rest=Rest(Secret("token"))), Limits()).read(STATUS)


@pytest.mark.parametrize("way", [over_ssh, over_rest])
def test_a_connection_that_is_reset_at_once_leaves_no_number_behind(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused() -> None:
        ours = reset_at_once()
        number = ours.fileno()
        with pytest.raises(Unreachable):
            await way(ours, monkeypatch)
        assert ours.fileno() == -1
        others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
        assert number in others, "the number is free"
        del ours
        gc.collect()
        for one in others:
            os.close(one)  # it is there: nobody has closed it

    on_uvloop(refused())


def test_a_socket_whose_number_has_another_by_now_is_let_go_of() -> None:
    one, other = socket.socketpair()
    known = inode(one)
    number = one.fileno()
    os.close(number)
    null = os.open(os.devnull, os.O_RDONLY)
    assert null == number
    give_up(one, known)
    assert one.fileno() == -1
    os.close(null)  # it is there still
    give_up(other, inode(other))
    assert other.fileno() == -1


def test_two_ends_within_this_process_are_closed_when_nobody_waits_for_them_any_more() -> None:
    async def given_up() -> None:
        asking = asyncio.ensure_future(pair())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        ours, (_, writer) = await pair()
        writer.write(b"here")
        assert await asyncio.get_running_loop().sock_recv(ours, 4) == b"here"
        writer.close()
        ours.close()

    on_uvloop(given_up())
    asyncio.run(given_up())
