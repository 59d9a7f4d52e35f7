"""The engine port carried out by DBOS Transact (MIT part), see ADR on durable execution.

One workflow, `push-<id>-<attempt>`, calls `advance` until the push is finished. Its file holds only that; it runs on
the loop from which it was opened, beside the tunnels. No admin server, no telemetry, no connection but to the database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID, WorkflowStatus

from controller.clock import SystemClock
from controller.engine.port import Advance, Run
from inventory.errors import Conflict

APPLICATION: Final = "kajitori"
VERSION: Final = "push-1"
"""Application version, set by hand: changed only when the envelope below can no longer carry on older work."""
WORKFLOW: Final = "push"
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

    def __init__(self, database: sa.Engine, envelope: Callable[[int], Awaitable[str]]) -> None:
        self._database = database
        self._envelope = envelope
        self._envelopes: set[asyncio.Task[Any]] = set()

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
        engine: DbosEngine

        async def push(push_id: int) -> str:
            return await engine._advance_until_finished(push_id, advance)

        DBOS(config=config)
        engine = cls(database, DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)(push))
        DBOS.launch()
        return engine

    async def _advance_until_finished(self, push_id: int, advance: Advance) -> str:
        task = asyncio.current_task()
        assert task is not None
        self._envelopes.add(task)
        try:
            while not await advance(push_id):
                pass
        finally:
            self._envelopes.discard(task)
        return "finished"

    async def start(self, push_id: int, attempt: int) -> None:
        """See `Engine.start`."""
        with SetWorkflowID(_name(push_id, attempt)):
            await DBOS.start_workflow_async(self._envelope, push_id)  # type: ignore[arg-type] # wrapper keeps coroutine

    async def cancel(self, push_id: int, attempt: int) -> None:
        """See `Engine.cancel`."""
        await DBOS.cancel_workflow_async(_name(push_id, attempt))

    async def status(self, push_id: int, attempt: int) -> Run:
        """See `Engine.status`."""
        found = await _listed(workflow_ids=[_name(push_id, attempt)])
        if not found:
            return Run.ABSENT
        if found[0].status not in _UNFINISHED:
            return Run.ENDED
        return Run.UNDER_WAY if found[0].app_version == DBOS.application_version else Run.STRANDED

    async def prune(self, before_ms: int) -> int:
        """See `Engine.prune`."""
        before = datetime.fromtimestamp(before_ms / 1000, UTC).isoformat()
        pruned = 0
        while ended := await _listed(name=WORKFLOW, completed_before=before, limit=_PRUNE_BATCH):
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
    return f"push-{push_id}-{attempt}"


async def _listed(
    *,
    workflow_ids: list[str] | None = None,
    name: str | None = None,
    completed_before: str | None = None,
    limit: int | None = None,
) -> list[WorkflowStatus]:
    return await DBOS.list_workflows_async(
        workflow_ids=workflow_ids,
        name=name,
        completed_before=completed_before,
        limit=limit,
        load_input=False,
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
