"""Two nodes on one PostgreSQL, each with phone-home, pushes and readings, and a balancer before their tunnels."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.clock import SystemClock
from controller.engine.lease import NodeLease
from controller.engine.port import Attempt, Run
from controller.keyring import Keyring
from controller.phonehome.service import PhoneHome
from controller.push.reaching import FleetReach
from controller.push.service import Policy, PushService
from controller.push.texts import TextPlanner
from controller.push.truth import TruthReader
from controller.settings import ArmsSettings
from controller.store import startups
from controller.store.database import Database
from inventory.startups import Served

PACE = 60.0


@dataclass
class HereEngine:
    """The envelope of pushes in this process alone: what is under way ends with it."""

    service: PushService
    runs: dict[tuple[int, int], asyncio.Task[None]] = field(default_factory=dict)

    async def start(self, attempts: Sequence[Attempt]) -> None:
        for push_id, attempt in attempts:
            if (push_id, attempt) not in self.runs:
                self.runs[push_id, attempt] = asyncio.create_task(self._until_finished(push_id))

    async def _until_finished(self, push_id: int) -> None:
        while not await self.service.go_on(push_id):
            pass

    async def cancel(self, push_id: int, attempt: int) -> None:
        self.runs[push_id, attempt].cancel()

    async def status(self, push_id: int, attempt: int) -> Run:
        task = self.runs.get((push_id, attempt))
        return Run.ABSENT if task is None else Run.ENDED if task.done() else Run.UNDER_WAY

    async def prune(self, before_ms: int) -> int:
        assert before_ms
        return 0


class Node:
    """One node, as `main.Daemon` puts it together."""

    def __init__(self, name: str, database: Database, folder: Path, certificates: Path) -> None:
        self.name = name
        self.database = database
        self.clock = SystemClock(PACE)
        self.keyring = Keyring.open(folder / "master.key")
        self.lease = NodeLease(database, self.clock, name)
        self.home = PhoneHome(
            settings=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0),
            clock=self.clock,
            keyring=self.keyring,
            database=database,
            folder=certificates,
            startup=self._startup,
            node=name,
        )
        reach = FleetReach(database, self.keyring, self.clock, self.home.link)
        planner = TextPlanner()
        self.pushes = PushService(
            database=database,
            keyring=self.keyring,
            clock=self.clock,
            reach=reach,
            planner=planner,
            policy=Policy(client_rollback_s=60),
            lease=self.lease,
        )
        self.truth = TruthReader(database, self.keyring, self.clock, reach, planner, node=name)
        self.engine = HereEngine(self.pushes)
        self._tasks: list[asyncio.Task[None]] = []

    async def _startup(self, entry_id: int) -> Served | None:
        async with self.database.read() as tx:
            return await startups.served(tx, self.keyring, entry_id)

    async def start(self) -> None:
        await self.lease.open()
        await self.home.start()
        for work in (self.lease.hold(), self.pushes.run(self.engine), self.truth.run_for_others()):
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        tasks = [*self._tasks, *self.engine.runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.home.stop()
        await self.database.close()


class Balancer:
    """One address for the Resource Servers of all nodes; `to` is the port of the one that gets new connections."""

    def __init__(self) -> None:
        self.to = 0
        self._server: asyncio.Server
        self._pumps: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", self.to)
        for source, sink in ((reader, there), (back, writer)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def stop(self) -> None:
        self._server.close()
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        with contextlib.suppress(ConnectionError):
            sink.transport.abort()
