"""Traffic reports: made by command or by schedule, each period once on any number of nodes (§8.3)."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # ships no types
from sqlalchemy.exc import SQLAlchemyError

from controller.clock import Clock
from controller.metering.dayclose import FINAL_AFTER_MS
from controller.metering.service import MeteringService
from controller.reports.material import gather
from controller.reports.pages import html_of
from controller.reports.tables import csv_of
from controller.store import reports
from controller.store.database import Database
from controller.store.reports import ActiveSchedule, ReportRun, Subject
from controller.store.scope import By, Scope
from controller.store.traffic import TrafficDatabase
from inventory.errors import BadInput, FleetError, NotFound
from inventory.periods import TOKYO, Period, Span, span_of
from inventory.reporting import Action, Schedule, report_key, runs_due
from inventory.trafficreport import ReportHead, build, digest, encode

log = structlog.get_logger()

Format = Literal["json", "csv", "html"]
FORMATS: tuple[Format, ...] = ("json", "csv", "html")
EVERYTHING = Scope.everything()
TICK_S = 60
RETRY_MS = 900_000
"""A report that failed is tried again after so long."""


@dataclass(frozen=True, slots=True)
class _Files:
    sha256: str
    names: tuple[str, ...]


class ReportService:
    """Makes reports into a folder. The database, not the timer, decides that each is made once."""

    def __init__(
        self,
        database: Database,
        traffic: TrafficDatabase,
        metering: MeteringService,
        clock: Clock,
        *,
        folder: Path,
        node: str,
    ) -> None:
        self._database = database
        self._traffic = traffic
        self._metering = metering
        self._clock = clock
        self._folder = folder
        self._node = node
        self._timer: AsyncIOScheduler | None = None
        self._ticking = asyncio.Lock()
        self._making: set[str] = set()

    def start(self, *, every_s: float = TICK_S) -> None:
        """Start the timer, in the running loop. It may fire late or twice; that changes nothing."""
        self._timer = AsyncIOScheduler(timezone="UTC")
        self._timer.add_job(
            self.tick, "interval", seconds=every_s, misfire_grace_time=None, coalesce=True, max_instances=2
        )
        self._timer.start()

    def stop(self) -> None:
        """Stop the timer; a report under way is finished by its own task."""
        if self._timer is not None:
            self._timer.shutdown(wait=False)
            self._timer = None

    async def add_schedule(self, scope: Scope, by: By, schedule: Schedule, subject: Subject) -> None:
        """Keep a schedule, active from now. Raises NotFound for a subject out of scope, Conflict for a taken id."""
        async with self._database.write() as tx:
            await reports.add_schedule(tx, scope, by, schedule, subject)

    async def tick(self) -> list[ReportRun]:
        """Make what is due, catch up what was missed, settle what was provisional; the runs made now."""
        async with self._ticking:
            made = []
            async with self._database.read() as tx:
                active = await reports.schedules(tx)
            for one in active:
                made += await self._due(one)
            return made + await self._settle()

    async def _due(self, active: ActiveSchedule) -> list[ReportRun]:
        async with self._database.read() as tx:
            done = await reports.known_keys(tx, active.schedule.id)
        made = []
        for run in runs_due(active.schedule, active.active_from_ms, self._clock.now_ms(), done):
            claimed = await self._claim(run.key, active.schedule, active.subject, run.span, run.action)
            if claimed and run.action is not Action.SKIPPED:
                made.append(await self._make_unattended(run.key))
        return made

    async def _settle(self) -> list[ReportRun]:
        """Provisional reports whose slots are final by now, and those that failed or were abandoned here."""
        async with self._database.read() as tx:
            waiting = await reports.unsettled(tx)
        made = []
        for run in waiting:
            span = span_of(run.period, run.first_day, run.zone)
            if run.state == "provisional" and not self._is_final(span):
                continue
            if run.state == "claimed" and (run.node != self._node or run.key in self._making):
                continue
            if run.state == "failed" and self._clock.now_ms() - (run.done_ms or 0) < RETRY_MS:
                continue
            if await self._reclaim(run.key, run.state):
                made.append(await self._make_unattended(run.key))
        return made

    async def _make_unattended(self, key: str) -> ReportRun:
        """One report that fails stops no other; its failure is kept with its run."""
        try:
            return await self._make(EVERYTHING, key)
        except (FleetError, OSError, SQLAlchemyError):
            async with self._database.read() as tx:
                return await reports.run(tx, EVERYTHING, key)

    async def make(self, scope: Scope, subject: Subject, period: Period, day: date, *, zone: str = TOKYO) -> ReportRun:
        """Make the report of the period that holds `day`, by hand or from cron; idempotent.

        Made before from the same data: the same bytes again. From other data: made anew, the old files stay.
        Raises NotFound for a subject out of scope, BadInput for a period that has not begun.
        """
        span = span_of(period, day, zone)
        if span.start_ms >= self._clock.now_ms():
            raise BadInput(
                f"the {period} of {span.first.isoformat()} has not begun", next_step="Name an earlier day.", field="day"
            )
        async with self._database.read() as tx:
            await reports.require_subject(tx, scope, subject)
        schedule_id = _by_hand(subject, zone)
        key = report_key(schedule_id, period, span)
        await self._claim(key, Schedule(schedule_id, period, zone=zone), subject, span, Action.MAKE)
        async with self._database.read() as tx:
            before = await reports.run(tx, scope, key)
        if before.state == "failed" or (before.state == "provisional" and self._is_final(span)):
            await self._reclaim(key, before.state)
        return await self._make(scope, key)

    async def file(self, scope: Scope, key: str, kind: Format) -> bytes:
        """A file of a finished report. Raises NotFound if there is none (yet)."""
        async with self._database.read() as tx:
            run = await reports.run(tx, scope, key)
        name = next((name for name in run.files if name.endswith(f".{kind}")), None)
        path = self._folder / name if name else None
        if path is None or not path.is_file():
            raise NotFound(f"report {key} has no {kind} file", next_step="Make the report again.")
        return await asyncio.to_thread(path.read_bytes)

    async def _claim(self, key: str, schedule: Schedule, subject: Subject, span: Span, action: Action) -> bool:
        async with self._database.write() as tx:
            return await reports.claim(
                tx,
                key=key,
                schedule_id=schedule.id,
                subject=subject,
                period=schedule.period,
                first_day=span.first,
                zone=span.zone,
                action=action.value,
                node=self._node,
                now_ms=self._clock.now_ms(),
            )

    async def _reclaim(self, key: str, state: str) -> bool:
        async with self._database.write() as tx:
            return await reports.reclaim(tx, key, node=self._node, now_ms=self._clock.now_ms(), states=[state])

    async def _make(self, scope: Scope, key: str) -> ReportRun:
        async with self._database.read() as tx:
            run = await reports.run(tx, scope, key)
        span = span_of(run.period, run.first_day, run.zone)
        self._making.add(key)
        try:
            await self._metering.close_days()
            files, final = await self._written(scope, run, span)
        except (FleetError, OSError, SQLAlchemyError) as error:
            log.exception("report failed", report=key)
            await self._finish(key, state="failed", failure=str(error))
            raise
        finally:
            self._making.discard(key)
        await self._finish(key, state="final" if final else "provisional", files=files)
        async with self._database.read() as tx:
            return await reports.run(tx, scope, key)

    async def _written(self, scope: Scope, run: ReportRun, span: Span) -> tuple[_Files, bool]:
        """Files of the report as of its claim; as of now if its data have changed since it was made."""
        files, final, contents = await self._contents(scope, run, span, run.claimed_ms)
        if run.sha256 is not None and files.sha256 != run.sha256:
            async with self._database.write() as tx:
                await reports.renew(tx, run.key, node=self._node, now_ms=self._clock.now_ms())
            files, final, contents = await self._contents(scope, run, span, self._clock.now_ms())
        await asyncio.to_thread(_write, self._folder, contents)
        return files, final

    async def _contents(
        self, scope: Scope, run: ReportRun, span: Span, made_ms: int
    ) -> tuple[_Files, bool, dict[str, bytes]]:
        found = await gather(self._database, self._traffic, scope, run.subject, span, made_ms)
        final = made_ms >= span.end_ms + FINAL_AFTER_MS
        head = ReportHead(run.key, found.title, found.audience, run.period, span, made_ms, found.data_as_of_ms, final)
        contents, sha256 = await asyncio.to_thread(lambda: _render(run.key, encode(build(head, found.links))))
        return _Files(sha256, tuple(contents)), final, contents

    async def _finish(self, key: str, *, state: str, files: _Files | None = None, failure: str | None = None) -> None:
        async with self._database.write() as tx:
            await reports.finish(
                tx,
                key,
                state=state,
                now_ms=self._clock.now_ms(),
                sha256=files.sha256 if files else None,
                files=files.names if files else (),
                failure=failure,
            )

    def _is_final(self, span: Span) -> bool:
        return self._clock.now_ms() >= span.end_ms + FINAL_AFTER_MS


def _by_hand(subject: Subject, zone: str) -> str:
    """Schedule id of reports made by command: one for each subject and zone."""
    about = f"K-{subject.contractor_id}" if subject.contractor_id is not None else f"link-{subject.link_id}"
    return f"traffic-{about}" if zone == TOKYO else f"traffic-{about}-{zone.replace('/', '-')}"


def _render(key: str, encoded: bytes) -> tuple[dict[str, bytes], str]:
    """The files by name. The name holds the digest, so that a report made anew leaves the old one in place."""
    sha256 = digest(encoded)
    report = json.loads(encoded)
    stem = f"{re.sub(r'[^A-Za-z0-9.-]', '_', key)}_{sha256[:12]}"
    return {
        f"{stem}.json": encoded,
        f"{stem}.csv": csv_of(report, sha256),
        f"{stem}.html": html_of(report, sha256),
    }, sha256


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        half = folder / f".{name}.half"
        half.write_bytes(content)
        half.replace(folder / name)
