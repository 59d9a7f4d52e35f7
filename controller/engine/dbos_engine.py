"""The engine port carried out by DBOS Transact (MIT part), see ADR on durable execution.

One workflow, `push-<id>-<attempt>`, calls `advance` until the push is finished; attempts that start together share one,
`pushes-<…>`. Its file holds only that; it runs on the loop from which it was opened, beside the tunnels. No admin
server, no telemetry, no connection but to the database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID, WorkflowStatus

from controller.clock import SystemClock
from controller.engine.port import Advance, Attempt, Run
from inventory.errors import Conflict

APPLICATION: Final = "kajitori"
VERSION: Final = "push-1"
"""Application version, set by hand: changed only when the envelope below can no longer carry on older work."""
WORKFLOW: Final = "push"
TOGETHER: Final = "pushes"
_UNFINISHED: Final = ("PENDING", "ENQUEUED", "DELAYED")
_PRUNE_BATCH: Final = 500
_THREADS: Final = 2


class _JsonOnly(Serializer):
    """JSON for all that is stored; an error is stored as its class name, never as an object or with its text."""

    def serialize(self, data: Any) -> str:
        if isinstance(data, BaseException):
            return json.dumps({"error": type(data).__name__})
        return json.dumps(data)

    def deserialize(cls, serialized_data: str) -> Any:
        value = json.loads(serialized_data)
        if isinstance(value, dict) and set(value) == {"error"}:
            return RuntimeError(value["error"])
        return value

    def name(self) -> str:
        return "kajitori-json"


class DbosEngine:
    """See `controller.engine.port.Engine`. At most one per process: the library keeps one instance."""

    def __init__(self, database: sa.Engine, node_id: str, advance: Advance) -> None:
        self._database = database
        self._node_id = node_id
        self._advance = advance
        self._envelopes: set[asyncio.Task[Any]] = set()
        self._running: dict[Attempt, asyncio.Task[Any] | None] = {}
        """Those that are being started have no task yet."""
        self._over: set[Attempt] = set()
        """Attempts that ended here by a defect, or were cancelled alone."""
        self._together: set[str] = set()
        """Names of the workflows of several attempts that run here."""

        async def push(push_id: int) -> str:
            return await self._alone(push_id)

        async def pushes(attempts: list[list[int]]) -> str:
            return await self._all_of([(push_id, attempt) for push_id, attempt in attempts])

        # The library keeps what it is told on the function itself, which a method does not allow.
        self._one = DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)(push)
        self._many = DBOS.workflow(name=TOGETHER, max_recovery_attempts=None)(pushes)

    @classmethod
    async def open(cls, url: str, *, node_id: str, advance: Advance, version: str = VERSION) -> DbosEngine:
        """Launch from the running loop and take up again what this node left unfinished under the same `version`.

        `url` is `sqlite:///path` (a file of its own) or `postgresql://…` (tables in a schema of their own).
        Raises Conflict when the environment would hand the library over to somebody else's control.
        """
        foreign = sorted(name for name in os.environ if name.startswith("DBOS__"))
        if foreign:
            raise Conflict(
                f"environment variables {', '.join(foreign)} would take over the engine's identity",
                next_step="Unset them and start again.",
            )
        log = logging.getLogger("dbos")
        if not log.handlers:
            log.addHandler(logging.NullHandler())  # else the library writes to the terminal past our log
        database = _database(url)
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": url,
            "system_database_engine": database,
            "dbos_system_schema": "engine",
            "application_version": version,
            "executor_id": node_id,
            "serializer": _JsonOnly(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "max_executor_threads": _THREADS,
        }
        DBOS(config=config)
        engine = cls(database, node_id, advance)
        DBOS.launch()
        return engine

    async def _alone(self, push_id: int) -> str:
        task = _this_task()
        self._envelopes.add(task)
        try:
            await self._advance_until_finished(_attempt_of(push_id, DBOS.workflow_id))
        finally:
            self._envelopes.discard(task)
        return "finished"

    async def _all_of(self, attempts: Sequence[Attempt]) -> str:
        task, name = _this_task(), str(DBOS.workflow_id)
        self._envelopes.add(task)
        self._together.add(name)
        try:
            each = [asyncio.create_task(self._advance_until_finished(one)) for one in attempts]
            # One that is cancelled or breaks leaves the others alone; the log has its defect.
            await asyncio.gather(*each, return_exceptions=True)
        finally:
            self._together.discard(name)
            self._envelopes.discard(task)
        return "ended"

    async def _advance_until_finished(self, attempt: Attempt) -> None:
        self._running[attempt] = _this_task()
        try:
            while attempt not in self._over and not await self._advance(attempt[0]):
                pass
        except Exception:
            self._over.add(attempt)
            raise
        finally:
            self._running.pop(attempt, None)

    async def start(self, attempts: Sequence[Attempt]) -> None:
        """See `Engine.start`."""
        new = [one for one in attempts if one not in self._running]
        if len(new) == 1:
            (push_id, attempt) = new[0]
            with SetWorkflowID(_name(push_id, attempt)):
                await DBOS.start_workflow_async(self._one, push_id)
        elif new:
            await self._start_together(new)

    async def _start_together(self, attempts: Sequence[Attempt]) -> None:
        self._running.update(dict.fromkeys(attempts))
        try:
            with SetWorkflowID(f"{TOGETHER}-{uuid.uuid4()}"):
                await DBOS.start_workflow_async(self._many, [list(one) for one in attempts])
        except BaseException:
            for one in attempts:
                if self._running.get(one) is None:
                    self._running.pop(one, None)
            raise

    async def cancel(self, push_id: int, attempt: int) -> None:
        """See `Engine.cancel`."""
        shared = await self._shared(push_id, attempt)
        if shared is None:
            await DBOS.cancel_workflow_async(_name(push_id, attempt))
        elif (push_id, attempt) in self._running:
            self._over.add((push_id, attempt))
            task = self._running[push_id, attempt]
            if task is not None:
                task.cancel()
        else:
            await DBOS.cancel_workflow_async(shared.workflow_id)  # whoever else it left behind is started anew

    async def status(self, push_id: int, attempt: int) -> Run:
        """See `Engine.status`."""
        if (push_id, attempt) in self._running:
            return Run.UNDER_WAY
        if (push_id, attempt) in self._over:
            return Run.ENDED
        found = await _listed(workflow_ids=[_name(push_id, attempt)])
        under = found[0] if found else await self._shared(push_id, attempt)
        if under is None:
            return Run.ABSENT
        if under.status not in _UNFINISHED or under.workflow_id in self._together:
            return Run.ENDED
        if under.name == TOGETHER and under.executor_id != self._node_id:
            return Run.ENDED  # the others in it may still run there
        ours = (DBOS.application_version, self._node_id)
        return Run.UNDER_WAY if (under.app_version, under.executor_id) == ours else Run.STRANDED

    async def _shared(self, push_id: int, attempt: int) -> WorkflowStatus | None:
        """The unfinished workflow of several attempts that has this one."""
        for one in await _listed(name=TOGETHER, status=list(_UNFINISHED), load_input=True):
            given = one.input
            if given is not None and [push_id, attempt] in given["args"][0]:
                return one
        return None

    async def prune(self, before_ms: int) -> int:
        """See `Engine.prune`."""
        before = datetime.fromtimestamp(before_ms / 1000, UTC).isoformat()
        pruned = 0
        while ended := await _listed(name=[WORKFLOW, TOGETHER], completed_before=before, limit=_PRUNE_BATCH):
            await DBOS.delete_workflows_async([one.workflow_id for one in ended])
            pruned += len(ended)
        return pruned

    async def close(self) -> None:
        """Stop all envelopes where they stand; they stay pending and are recovered at the next `open`."""
        envelopes = list(self._envelopes)
        for task in envelopes:
            task.cancel()
        await asyncio.gather(*envelopes, return_exceptions=True)
        loop = asyncio.get_running_loop()
        destroyed = loop.create_future()

        def destroy() -> None:
            try:
                DBOS.destroy(destroy_registry=True)
            finally:
                loop.call_soon_threadsafe(destroyed.set_result, None)

        # A thread of its own: the loop's default pool belongs to the library until this line.
        threading.Thread(target=destroy, name="engine-close").start()
        await destroyed
        loop.set_default_executor(ThreadPoolExecutor())
        self._database.dispose()


def _name(push_id: int, attempt: int) -> str:
    return f"{WORKFLOW}-{push_id}-{attempt}"


def _attempt_of(push_id: int, name: str | None) -> Attempt:
    """What a workflow of one attempt is named after."""
    return push_id, int(str(name).rpartition("-")[2])


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _listed(
    *,
    workflow_ids: list[str] | None = None,
    name: str | list[str] | None = None,
    status: list[str] | None = None,
    completed_before: str | None = None,
    limit: int | None = None,
    load_input: bool = False,
) -> list[WorkflowStatus]:
    return await DBOS.list_workflows_async(
        workflow_ids=workflow_ids,
        name=name,
        status=[*status] if status else None,
        completed_before=completed_before,
        limit=limit,
        load_input=load_input,
        load_output=False,
    )


def _database(url: str) -> sa.Engine:
    """The library's connections, set up by us: WAL and `synchronous=NORMAL` on SQLite (architecture §5)."""
    if not url.startswith("sqlite"):
        address = sa.make_url(url).set(drivername="postgresql+psycopg")
        return sa.create_engine(address, pool_size=_THREADS, max_overflow=4, pool_pre_ping=True)
    engine = sa.create_engine(url, pool_size=_THREADS, max_overflow=4)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        _tell_fractions(connection)

    return engine


def _tell_fractions(connection: Any) -> None:
    """Give SQLite before 3.42 (Debian 12 has 3.40) the `unixepoch('subsec')` on which the library counts.

    From Python 3.12 on the library takes it for granted, whatever SQLite that Python was linked with: each of its time
    stamps would be NULL and no daemon would start.
    """
    if sqlite3.sqlite_version_info >= (3, 42):
        return
    clock = SystemClock()
    connection.create_function("unixepoch", 1, lambda modifier: clock.now_ms() / 1000 if modifier == "subsec" else None)
