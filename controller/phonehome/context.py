"""What the parts of phone-home share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.phonehome.boots import Boots
from controller.phonehome.clonewatch import CloneWatch
from controller.phonehome.gate import Gate
from controller.phonehome.ledger import Ledger
from controller.phonehome.loops import LoopGuard
from controller.phonehome.peer import Peer
from controller.phonehome.pki import Pki
from controller.phonehome.room import Room
from controller.settings import ArmsSettings
from controller.store import identities as rows
from controller.store.database import Database
from controller.together import Together
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput
from inventory.startups import Served

log = structlog.get_logger(__name__)

Startup = Callable[[int], Awaitable[Served | None]]
"""What the adapter of an entry is served; None when it has no startup config."""
OnPowerOn = Callable[[int, int], None]
"""Told of an adapter that was powered on, and when: its counters began anew (metering §2.3)."""


@dataclass(slots=True)
class Context:
    """Built once by `service.PhoneHome`."""

    settings: ArmsSettings
    clock: Clock
    keyring: Keyring
    database: Database
    pki: Pki
    ledger: Ledger
    clones: CloneWatch
    gate: Gate
    loops: LoopGuard
    boots: Boots
    startup: Startup
    on_power_on: OnPowerOn
    node: str = "one"
    """Name of this node; each has its own."""
    peers: dict[int, Peer] = field(default_factory=dict)
    """By adapter; one is made when its first tunnel opens or its first result comes."""
    room: Room = field(default_factory=Room)
    """For results that are being received."""
    early: Room = field(default_factory=Room)
    """For results that came before anybody was known to wait for them."""
    ls_port: int = 0
    rs_port: int = 0
    heartbeat_port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _peers_by_serial: dict[str, Peer] = field(default_factory=dict)
    _identities: Together[str, ArmsIdentity] = field(init=False)

    def __post_init__(self) -> None:
        self._identities = Together(self._read_identities)

    async def identity(self, distribution_id: str) -> ArmsIdentity | None:
        """Whose id this is; None when no adapter ever had it. Read now, in one read with others who ask now."""
        return await self._identities.get(distribution_id)

    async def _read_identities(self, distribution_ids: Sequence[str]) -> dict[str, ArmsIdentity]:
        found = await self.database.read_whole(
            lambda connection: rows.by_distribution_ids_whole(connection, self.keyring, distribution_ids)
        )
        return {identity.distribution_id: identity for identity in found}

    async def identity_of_serial(self, serial: str) -> ArmsIdentity | None:
        """The identity of an adapter by its serial number; None when it does not phone home."""
        try:
            async with self.database.read() as tx:
                return await rows.by_serial(tx, self.keyring, serial)
        except BadInput:
            return None

    def peer(self, identity: ArmsIdentity) -> Peer:
        """The open state of an adapter, with what the database says of it now."""
        identity = identity.without_certificate()
        peer = self.peers.get(identity.adapter_id)
        if peer is None:
            peer = self.peers[identity.adapter_id] = Peer(identity, self.clock, self._notice, self.early)
            self._peers_by_serial[identity.serial.key] = peer
        peer.identity = identity
        peer.set_quarantine(identity.quarantine)
        return peer

    def peer_of_serial(self, key: str) -> Peer | None:
        """The open state of the adapter with this serial number; None while there is none."""
        return self._peers_by_serial.get(key)

    def _notice(self, kind: str, identity: ArmsIdentity, facts: dict[str, object]) -> None:
        self.ledger.event(kind, identity, **facts)

    async def startup_of(self, identity: ArmsIdentity) -> Served | None:
        """What is served at the place where the adapter sits; None when it sits in none, or that has none."""
        return None if identity.entry_id is None else await self.startup(identity.entry_id)

    def urls(self, port: int, path: str) -> tuple[str, ...]:
        """A URL for each address that adapters are told, in their order: literal address, explicit port (§4)."""
        hosts = (f"[{address}]" if ":" in address else address for address in self.settings.told)
        return tuple(f"https://{host}:{port}{path}" for host in hosts)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside; its failure is logged, and it ends with phone-home."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("phonehome.task-failed", task=task.get_name(), exc_info=task.exception())

    async def stop_tasks(self) -> None:
        """Cancel what still runs, and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
