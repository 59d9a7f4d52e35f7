"""A daemon with nothing but its pushes, in a process of its own that a test may kill at any moment.

Opens the databases, key file and node id in a folder, and carries out what is due.
"""

from __future__ import annotations

import logging
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from controller.clock import SystemClock
from controller.engine.dbos_engine import DbosEngine
from controller.engine.node import NodeId
from controller.keyring import Keyring
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.store.database import Database
from drivers.arms.messages import Request, Response
from inventory.errors import Unreachable


class NoLink:
    """Nobody phones home here."""

    async def wait_ready(self, serial: str, *, timeout_s: float) -> None:
        raise Unreachable("nobody phones home here")

    async def request(self, serial: str, request: Request, *, timeout_s: float) -> Response:
        raise Unreachable("nobody phones home here")

    async def wait_done(self, serial: str, transaction_id: int, *, timeout_s: float) -> Request:
        raise Unreachable("nobody phones home here")

    async def acknowledge(self, serial: str, transaction_id: int) -> None:
        raise Unreachable("nobody phones home here")


def main(_told: Connection, folder: Path, pace: float) -> None:
    """Be the daemon of `folder` until killed."""
    logging.basicConfig(filename=folder / "daemon.log", level=logging.INFO)
    uvloop.run(serve(folder, pace))


async def serve(folder: Path, pace: float) -> None:
    """Carry out pushes for ever."""
    clock = SystemClock(pace)
    keyring = Keyring.open(folder / "master.key")
    with NodeId.claim(folder / "node.id") as node:
        database = await Database.open(f"sqlite:///{folder / 'kajitori.db'}")
        service = PushService(
            database=database,
            keyring=keyring,
            clock=clock,
            reach=FleetReach(database, keyring, clock, NoLink()),
            planner=TextPlanner(),
        )
        url = f"sqlite:///{folder / 'engine.db'}"
        engine = await DbosEngine.open(url, node_id=node.node_id, advance=service.advance)
        await service.run(engine)
