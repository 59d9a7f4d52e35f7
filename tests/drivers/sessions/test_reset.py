"""A port that takes a connection and drops it at once: all lines are busy, whenever that is noticed."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

import pytest

from drivers.errors import DeviceBusy, NegotiationFailed
from drivers.ios import DRIVER as IOS
from drivers.sessions.carriers import connector
from drivers.sessions.contract import Endpoint, Limits
from inventory.secrets import Secret


@pytest.mark.parametrize("late", [False, True], ids=["at once", "noticed late"])
async def test_a_connection_that_is_reset_before_a_word_was_said_is_a_busy_device(late: bool) -> None:
    dropped, loop = threading.Event(), asyncio.get_running_loop()

    def drop(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        dropped.set()

    def busy_loop() -> None:
        """Our own process is slow: when it looks, the connection has come and gone."""
        if not dropped.wait(0.05):
            loop.call_soon(busy_loop)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drop, args=(listening,))
        thread.start()
        endpoint = Endpoint("127.0.0.1", listening.getsockname()[1], "op", Secret("pw"))
        if late:
            loop.call_soon(busy_loop)
        with pytest.raises(DeviceBusy, match=f"port {endpoint.port} closed the connection"):
            await connector(Limits())(IOS, endpoint)
        thread.join(10)


@pytest.mark.parametrize("cut", ["reset", "closed"])
async def test_one_that_greets_and_drops_the_key_exchange_may_know_none_of_our_algorithms(cut: str) -> None:
    def drop(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        connection.sendall(b"SSH-2.0-Cisco-1.25\r\n")
        connection.recv(8)
        if cut == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drop, args=(listening,))
        thread.start()
        endpoint = Endpoint("127.0.0.1", listening.getsockname()[1], "op", Secret("pw"))
        with pytest.raises(NegotiationFailed, match="profile modern") as told:
            await connector(Limits())(IOS, endpoint)
        thread.join(10)

    assert "compat" in told.value.next_step
