"""The daemon: everything is built here, once, in one place, and stopped here in order (architecture §5a)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date

import structlog
import uvicorn
import uvloop

from controller import node
from controller.api_tls import context_of
from controller.clock import SystemClock
from controller.engine.dbos_engine import DbosEngine
from controller.engine.lease import NodeLease
from controller.engine.node import NodeId
from controller.keyring import Keyring
from controller.metering.poller import CounterPoller
from controller.metering.service import MeteringService
from controller.metering.shaping import ShaperWatch
from controller.operations.service import OperationService
from controller.phonehome.service import PhoneHome
from controller.push.identifying import Identifier
from controller.push.learning import ShapeLearner
from controller.push.reaching import FleetReach
from controller.push.service import Policy, PushService
from controller.push.texts import TextPlanner
from controller.push.truth import TruthReader
from controller.reports.delivering import Deliverer
from controller.reports.service import ReportService
from controller.settings import Settings
from controller.store import (
    api_keys,
    arms_keys,
    audit,
    contractday,
    counts,
    events,
    idempotency,
    identities,
    installation,
    migrate,
    outages,
    ssh,
    startups,
)
from controller.store.database import Database, Tx
from controller.store.events import NewEvent
from controller.store.scope import By
from controller.store.traffic import TrafficDatabase
from controller.telemetry.forwarding import RemoteWriter
from controller.together import Together
from drivers.registry import all_drivers
from drivers.sessions import libraries
from drivers.sessions.admission import limit_here
from drivers.sessions.permission import PERMIT, NotPermittedError
from inventory.adapters import Adapter
from inventory.calendar import tokyo_day
from inventory.errors import BadInput
from inventory.fees import Kind
from inventory.secrets import Secret
from inventory.startups import Served

log = structlog.get_logger(__name__)

STOP_S = 25.0
"""Seconds for running pushes to reach their next journalled state; the rest of 30 s is for tunnels and batches."""
LAG_S = 0.5
"""A loop that answers later than this is an incident."""
KEEP_ANSWERS_MS = 7 * 86_400_000
"""How long the answer of an `Idempotency-Key` is kept."""


class Daemon:
    """All parts of one node. `start` opens it to the world, `stop` ends it so that nothing acknowledged is lost."""

    def __init__(
        self, settings: Settings, held: NodeId, db: Database, traffic: TrafficDatabase, keyring: Keyring
    ) -> None:
        self.settings = settings
        self.arms_settings = settings.arms
        self.db = db
        self.traffic = traffic
        self.keyring = keyring
        self.clock = SystemClock(settings.pace)
        self.started_ms = self.clock.now_ms()
        self.metering = MeteringService(
            db,
            traffic,
            self.clock,
            heartbeat_interval_s=settings.arms.heartbeat_interval_s,
            line_offers_bps=settings.metering.line_offers_bps,
            model_ladder=settings.metering.model_ladder,
        )
        self.shapers = ShaperWatch(db, keyring, self.clock, self.metering.rejudge)
        self.poller = CounterPoller(
            db,
            keyring,
            self.metering,
            self.clock,
            node=held.node_id,
            interval_s=settings.metering.snmp_interval_s,
        )
        self.phonehome = PhoneHome(
            settings=settings.arms,
            clock=self.clock,
            keyring=keyring,
            database=db,
            folder=settings.data_directory / "pki",
            startup=Together(self._read_startups).get,
            keep=self.metering.keep,
            recall=self.metering.recall,
            on_power_on=self.metering.declare_restart,
            node=held.node_id,
        )
        self.reach = FleetReach(db, keyring, self.clock, self.phonehome.link)
        self.identifier = Identifier(db, self.clock, self.reach)
        self.planner = TextPlanner()
        self.lease = NodeLease(db, self.clock, held.node_id)
        self.pushes = PushService(
            database=db,
            keyring=keyring,
            clock=self.clock,
            reach=self.reach,
            planner=self.planner,
            lease=self.lease,
            policy=Policy(
                at_once=settings.push.at_once,
                guard_s=settings.push.guard_s,
                plan_valid_s=settings.push.plan_valid_s,
                source=settings.push.source or "",
                four_eyes_unproven=settings.push.four_eyes_unproven,
                client_rollback_s=(settings.arms.rs_retry_max + 1) * settings.arms.rs_retry_interval_s,
            ),
        )
        self.operations = OperationService(
            database=db,
            keyring=keyring,
            clock=self.clock,
            link=self.phonehome.link,
            planner=self.planner,
            node=held.node_id,
            reach=self.reach,
        )
        self.truth = TruthReader(
            db,
            keyring,
            self.clock,
            self.reach,
            self.planner,
            busy=lambda: self.phonehome.crowded,
            node=held.node_id,
        )
        self.shapes = ShapeLearner(db, keyring, self.clock, self.planner)
        self.node = held
        self.reports = ReportService(
            db, traffic, self.metering, self.clock, folder=settings.report_directory(), node=held.node_id
        )
        self.deliverer = Deliverer(db, keyring, self.clock, settings, node=held.node_id)
        self.remote_writer = RemoteWriter(db, traffic, self.clock, settings.metrics, node=held.node_id)
        self.lag_s = 0.0
        """Longest that the event loop was late in the last minute."""
        self._engine: DbosEngine | None = None
        self._server: _Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._settled: date | None = None

    @classmethod
    async def open(cls, settings: Settings) -> Daemon:
        """Drivers, keys and databases, made at the first start. Raises FleetError with the next step if one does not
        fit."""
        all_drivers()  # one that cannot be loaded is told now, and not with each request
        node.prepare(settings.data_directory)
        keyring = Keyring.open(settings.data_directory / "master.key")
        async with contextlib.AsyncExitStack() as opened:
            held = opened.enter_context(NodeId.claim(settings.data_directory / "node", chosen=settings.node or None))
            await migrate.upgrade(settings.database_url())
            db = await Database.open(settings.database_url())
            opened.push_async_callback(db.close)
            async with db.write() as tx:
                await installation.require(tx, {installation.MASTER_KEY: keyring.fingerprint})
            traffic = await TrafficDatabase.open(settings.traffic_url())
            opened.push_async_callback(traffic.close)
            daemon = cls(settings, held, db, traffic, keyring)
            opened.pop_all()  # from here on `stop` closes them
        return daemon

    async def start(self) -> Mapping[str, int]:
        """First key, listeners, engine, loops, API: in this order, so that nobody is answered too early.

        Returns the bound ports: api, ls, rs, heartbeat. Raises BadInput for a port that is taken.
        """
        directory = self.settings.data_directory
        async with self.db.write() as tx:
            first = await api_keys.first_key(tx, self.keyring, By("first start", self.clock.now_ms()))
            if first is not None:  # before the commit: a crash in between must not leave a key that nobody has
                path = node.keep_admin_key(directory, first)
                log.warning("the first admin key was written; it is shown nowhere else", file=str(path))
        limit_here(self.settings.sessions.most())
        await self.lease.open()
        PERMIT.set(self.lease.permit)  # of every loop and listener that is made from here on
        self._loop("lease", self._hold_lease)
        try:
            await self.phonehome.start()
        except OSError as error:
            raise BadInput(
                f"the ARMS listeners cannot be opened: {error.strerror}",
                field="arms",
                next_step="Choose other ports in the section arms, or stop who listens there.",
            ) from None
        self._engine = await DbosEngine.open(
            self.settings.engine_url(),
            node_id=self.node.node_id,
            advance=self.pushes.go_on,
        )
        self._loop("push dispatcher", lambda: self.pushes.run(self._running_engine()))
        self._loop("operations", self.operations.run)
        self._loop("metering", self.metering.run)
        self._loop("counters", self.poller.run)
        self._loop("saturation alarms", self.metering.run_alarms)
        self._loop("heartbeats to slots", self.metering.run_settling)
        self._loop("ssh watch", self.identifier.watch)
        self._loop("truth", self.truth.run)
        self._loop("truth for other nodes", self.truth.run_for_others)
        self._loop("shapes", self.shapes.run)
        self._loop("shapers", self.shapers.run)
        self._loop("event publisher", self._publish)
        self._loop("calendar", self._calendar)
        self._loop("loop lag", self._lag)
        self._loop("report delivery", self.deliverer.run)
        if self.settings.metrics.remote_write_url:
            self._loop("remote write", self.remote_writer.run)
        self.reports.start()
        await self._serve()
        location, resource, heartbeat = self.phonehome.ports
        ports = {"api": self.api_port, "ls": location, "rs": resource, "heartbeat": heartbeat}
        node.announce(directory, ports)
        for problem in libraries.problems():
            log.error("a transport library is not the proven one", problem=problem)
        log.info("listening", **ports, pace=self.clock.pace)
        return ports

    async def stop(self) -> None:
        """Refuse new work, let pushes reach a journalled state, end tunnels, flush batches, close databases."""
        node.retract(self.settings.data_directory)
        if self._server is not None:
            self._server.should_exit = True
            await self._server.done.wait()
        self.reports.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        settled = await asyncio.gather(self.pushes.stop(deadline_s=STOP_S), self.operations.stop(deadline_s=STOP_S))
        if not all(settled):
            log.warning("pushes or operations were left to be reconciled at the next start")
        if self._engine is not None:
            await self._engine.close()
        await self.phonehome.stop()
        await self.metering.fold()
        await self.metering.settle()
        self.planner.close()
        await self.traffic.close()
        await self.db.close()
        self.node.release()

    @property
    def api_port(self) -> int:
        """Bound port of the REST API."""
        assert self._server is not None
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    async def provision(self, tx: Tx, adapter: Adapter) -> Secret:
        """ARMS identity of a new adapter; the LS key is returned this once. Raises BadInput without Distribution ID.

        Say `phonehome.provisioned()` after the commit: whoever makes the certificate must see the identity.
        """
        if adapter.distribution_id is None:
            raise BadInput(
                "an adapter that phones home needs its Distribution ID",
                field="distribution_id",
                next_step="Copy it from the label, or from `show key`.",
            )
        return await identities.provision(
            tx,
            self.keyring,
            adapter.id,
            distribution_id=adapter.distribution_id,
            at_ms=self.clock.now_ms(),
        )

    async def unseated(self, tx: Tx, adapter_id: int) -> None:
        """In the transaction of the move: old keys of a unit that phones home are void at once (architecture §6)."""
        await arms_keys.unseated(tx, self.keyring, adapter_id, at_ms=self.clock.now_ms())

    async def clear_quarantine(self, adapter: Adapter, by: By) -> None:
        """An operator has looked at an adapter in quarantine."""
        async with self.db.write() as tx:
            await events.record(tx, NewEvent("contact.quarantine-cleared", by.at_ms, adapter_id=adapter.id))
            audit.record(tx, by, "adapter.clear-quarantine", adapter.serial.shown, contractor_id=adapter.contractor_id)
            if adapter.path == "ssh":
                await ssh.release(tx, adapter.id)
        if adapter.path == "arms":
            await self.phonehome.clear_quarantine(adapter.id)

    async def places_changed(self, *adapter_ids: int) -> None:
        """Whoever lost its place is put out at once."""
        for adapter_id in adapter_ids:
            await self.phonehome.place_changed(adapter_id)

    async def _hold_lease(self) -> None:
        """Renew the lease; a process that has lost it ends at once, so that it can send nothing any more."""
        try:
            await self.lease.hold()
        except NotPermittedError as error:
            log.critical("this process ends", why=str(error))
            os._exit(1)

    def _running_engine(self) -> DbosEngine:
        assert self._engine is not None
        return self._engine

    async def _read_startups(self, entry_ids: Sequence[int]) -> dict[int, Served]:
        return await self.db.read_whole(lambda whole: startups.served_whole(whole, self.keyring, entry_ids))

    def _loop(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._again(name, work), name=name))

    async def _again(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Keep a loop going: what fails once, such as a database that is away, is logged and tried again."""
        while True:
            try:
                await work()
            except Exception:  # also a defect of ours: a loop that has ended would be missed by nobody
                log.exception("a loop failed and is started again", loop=name)
            await asyncio.sleep(1.0)

    async def _publish(self) -> None:
        """Number events for subscribers; one publisher at a time (architecture §3a.6)."""
        while True:
            async with self.db.write() as tx:
                published = await events.publish(tx)
            if not published:
                await asyncio.sleep(0.5)

    async def _calendar(self) -> None:
        """What a new day brings: counts that take effect; contracts; answers that are old enough to be forgotten."""
        while True:
            now_ms = self.clock.now_ms()
            await self._settle_contracts(now_ms)
            async with self.db.write() as tx:
                await counts.apply_due(tx, By("daemon", now_ms))
                await outages.pass_clock(tx, By("daemon", now_ms))
                await idempotency.prune(tx, before_ms=now_ms - KEEP_ANSWERS_MS)
            await asyncio.sleep(60.0)

    async def _settle_contracts(self, now_ms: int) -> None:
        """Bring every contractor up to the day, each in a transaction of its own; once a day, and at the start.

        In between only those with an Ultra Firewall are looked at: it follows its adapter out of an entry and back.
        """
        by, today = By("daemon", now_ms), tokyo_day(now_ms)
        async with self.db.read() as tx:
            kind: Kind | None = None if self._settled != today else "ultra-firewall"
            wanted = await contractday.contractors_with_lines(tx, kind=kind)
        for contractor_id in wanted:
            async with self.db.write() as tx:
                touched = await contractday.settle(tx, self.keyring, by, contractor_id)
            await self.places_changed(*sorted(touched))
        async with self.db.write() as tx:
            touched = await contractday.overdue(tx, by)
        await self.places_changed(*sorted(touched))
        self._settled = today

    async def _lag(self) -> None:
        loop = asyncio.get_running_loop()
        lately = deque([0.0], maxlen=round(60 / 0.25))
        while True:
            before = loop.time()
            await asyncio.sleep(0.25)
            late_s = loop.time() - before - 0.25
            lately.append(late_s)
            self.lag_s = max(lately)
            if late_s > LAG_S:
                log.warning("the event loop was late", late_s=round(late_s, 3))

    async def _serve(self) -> None:
        from controller.api.app import build  # noqa: PLC0415 (the API imports this module for its types)
        from controller.api.listening import CONNECTIONS_AT_MOST, KEPT_S, bounded  # noqa: PLC0415 (only the API needs it)

        config = uvicorn.Config(
            build(self),
            host=self.settings.api.host,
            port=self.settings.api.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
            timeout_keep_alive=KEPT_S,
            http=bounded(self.clock.pace),
            limit_concurrency=CONNECTIONS_AT_MOST,
        )
        config.load()
        config.ssl = context_of(self.settings.api)
        if config.ssl is not None:
            config.ssl_certfile = str(self.settings.api.tls_certificate)  # it tells uvicorn that this is HTTPS
        self._server = _Server(config)
        self._tasks.append(asyncio.create_task(self._server.run_here(), name="api"))
        await self._server.up.wait()
        if not self._server.started:
            raise BadInput(
                f"the API cannot listen on {self.settings.api.host}:{self.settings.api.port}",
                field="api.port",
                next_step="Choose another port, or stop who listens there.",
            )


class _Server(uvicorn.Server):
    """uvicorn as a task of ours: without signal handlers, and telling when it is up and when it is done."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.done = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """See uvicorn; a port that is taken ends it by SystemExit, which is not ours to pass on."""
        try:
            await super().startup(sockets=None)
        except SystemExit:
            self.should_exit = True
        finally:
            self.up.set()

    async def run_here(self) -> None:
        """Serve until `should_exit`."""
        try:
            await self.serve()
        finally:
            self.up.set()
            self.done.set()


async def _run(settings: Settings, listening: Callable[[Mapping[str, int]], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():  # a second signal ends at once, which must be as safe
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    daemon = await Daemon.open(settings)
    try:
        ports = await daemon.start()
        settle_heap()
        listening(ports)
        await stop.wait()
    finally:
        await daemon.stop()


def run(settings: Settings, listening: Callable[[Mapping[str, int]], None] = lambda _ports: None) -> None:
    """Run the daemon until SIGTERM or SIGINT; `listening` is told the bound ports."""
    uvloop.run(_run(settings, listening))


def settle_heap() -> None:
    """What was made at the start stays for good: the collector leaves it alone, and looks through the rest less often.

    With ten thousand tunnels it would else be a tenth of the work, in pauses of a tenth of a second. For the process
    that is the daemon and nothing else; once, when it listens.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
