"""REST list of many adapters: p50 and p99 of a page over HTTP, against the bare query on the same loop and database."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import httpx
from sqlalchemy import insert

from controller.main import Daemon
from controller.settings import ApiSettings, ArmsSettings, Settings
from controller.store import adapters, contractors
from controller.store.scope import By, Scope
from controller.store.tables import inventory as tables
from tests.bench.figure import Figure

PAGE = 100


async def measure(folder: Path, *, adapters: int, requests: int) -> list[Figure]:
    """Two figures: the median and the 99th percentile."""
    settings = Settings(
        data_directory=folder,
        log_level="error",
        api=ApiSettings(port=0),
        arms=ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0),
    )
    daemon = await Daemon.open(settings)
    try:
        await daemon.start()
        await _fill(daemon, adapters)
        key = (folder / "admin.key").read_text().strip()
        ours = await _over_http(daemon.api_port, key, requests)
        base = await _bare(daemon, requests)
    finally:
        await daemon.stop()
    return [
        Figure(
            f"REST list of {adapters:,} adapters, a page of {PAGE}, {name}",
            point(ours),
            "ms",
            "bare query",
            point(base),
        )
        for name, point in (("p50", statistics.median), ("p99", lambda found: statistics.quantiles(found, n=100)[98]))
    ]


async def _fill(daemon: Daemon, count: int) -> None:
    by = By("bench", daemon.clock.now_ms())
    async with daemon.db.write() as tx:
        owner = await contractors.create(tx, Scope.everything(), by, name="bench")
        rows = [
            {
                "contractor_id": owner.id,
                "serial_key": f"LIST-{number:06d}",
                "serial_shown": f"LIST-{number:06d}",
                "service": "mpc",
                "device_class": "I",
                "model": "sa-w2",
                "hardware": "",
                "holding": "lent",
                "path": "arms",
                "distribution_id": None,
                "life": "delivered",
                "life_at_ms": by.at_ms,
                "registered_ms": by.at_ms,
                "version": 1,
            }
            for number in range(count)
        ]
        await tx.execute(insert(tables.adapters), rows)


async def _over_http(port: int, key: str, requests: int) -> list[float]:
    """Milliseconds of each page, walking the whole list again and again on one connection."""
    found = []
    after: str | None = None
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}/api/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False
    ) as client:
        for _ in range(requests):
            query = {"limit": str(PAGE)} | ({"after": after} if after else {})
            begun = time.perf_counter()
            answer = await client.get("/adapters", params=query)
            found.append((time.perf_counter() - begun) * 1000)
            answer.raise_for_status()
            after = answer.json()["next"]
    return found


async def _bare(daemon: Daemon, requests: int) -> list[float]:
    """Milliseconds of the query alone, for the same pages."""
    found = []
    after = 0
    for _ in range(requests):
        begun = time.perf_counter()
        async with daemon.db.read() as tx:
            rows = await adapters.page(tx, Scope.everything(), after=after, limit=PAGE + 1)
        found.append((time.perf_counter() - begun) * 1000)
        after = rows[-1].id if len(rows) > PAGE else 0
    return found
