"""The real doors behind real sockets, without TLS and without ports: one request in, the whole answer out."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal

from controller.keyring import KEY_BYTES, Keyring
from controller.phonehome.listener import Crowd
from controller.settings import ArmsSettings
from controller.store.database import Database
from controller.store.migrate import upgrade
from tests.controller.phonehome.site import Site, Unit

Door = Literal["ls", "rs"]
PACE = 30.0


class Doorstep:
    """A phone-home with one adapter that may be served and one that sits nowhere. Use it as a context manager."""

    unit: Unit
    unseated: Unit
    site: Site

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._folder = Path(tempfile.mkdtemp(prefix="doorstep-"))

    def __enter__(self) -> Doorstep:
        self._runner.run(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self._close())
        self._runner.close()
        shutil.rmtree(self._folder)

    async def _open(self) -> None:
        url = f"sqlite:///{self._folder / 'main.db'}"
        await upgrade(url)
        self._database = await Database.open(url)
        # One unit asks thousands of times here: nobody is to be held for that.
        settings = ArmsSettings(
            ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=1_000_000, loop_requests=10_000, loop_window_s=10
        )
        keyring = Keyring(bytes(range(KEY_BYTES)))
        self.site = Site(self._database, keyring, self._folder / "pki", settings, PACE)
        await self.site.home.start()
        self.unit = await self.site.unit()
        self.unseated = await self.site.unit(seat="none")

    async def _close(self) -> None:
        await self.site.home.stop()
        await self._database.close()

    def ask(self, door: Door, octets: bytes) -> bytes:
        """Everything that comes back when these bytes were sent, and nothing after them."""
        return self._runner.run(self._ask(door, octets))

    async def _ask(self, door: Door, octets: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        connection = Crowd(self.site.clock, at_most=1, per_source=1).enter("192.0.2.7")
        assert connection is not None
        doors = self.site.home._doors
        exchange = doors.connection(connection)
        theirs.setblocking(False)  # the socket's own signature
        await asyncio.get_running_loop().connect_accepted_socket(lambda: exchange, theirs)
        handler = doors.location if door == "ls" else doors.resource
        serving = asyncio.create_task(handler(exchange))
        try:
            writer.write(octets)
            writer.write_eof()
            async with asyncio.timeout(20):
                answer = await reader.read()
                await serving
        except ConnectionError:
            answer = b""
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            writer.transport.abort()
            exchange.abort()
            await asyncio.sleep(0)
        return answer
