"""Reports: made by command or by schedule, each period once on any number of nodes (§8.3), corrected by new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # ships no types

from controller.clock import Clock
from controller.metering.dayclose import FINAL_AFTER_MS
from controller.metering.service import MeteringService
from controller.reports import rendering
from controller.reports.making import Made, ReportMaker
from controller.store import deliveries, links, reports
from controller.store.database import Database
from controller.store.reports import ActiveSchedule, Claim, Manner, ReportRun
from controller.store.retention import days_forgotten, forgotten
from controller.store.scope import By, Scope
from controller.store.traffic import TrafficDatabase
from inventory.errors import BadInput, FleetError, NotFound
from inventory.periods import TOKYO, Period, Span, free_span, span_of
from inventory.reporting import (
    Action,
    Format,
    Kind,
    Language,
    Schedule,
    Subject,
    correction_key,
    report_key,
    runs_due,
)

log = structlog.get_logger()

EVERYTHING = Scope.everything()
TICK_S = 60
RETRY_MS = 900_000
"""A report that failed is tried again after so long."""
TAKEOVER_MS = 1_800_000
"""A report that another node began so long ago and never finished is made here."""
PLAIN_MANNER = Manner()


class ReportService:
    """Makes reports. The database, not the timer, decides that each is made once."""

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
        self._metering = metering
        self._clock = clock
        self._folder = folder
        self._node = node
        self._maker = ReportMaker(database, traffic)
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

    async def add_schedule(
        self, scope: Scope, by: By, schedule: Schedule, subject: Subject, manner: Manner = PLAIN_MANNER
    ) -> None:
        """Keep a schedule, active from now. See `store.reports.add_schedule`."""
        async with self._database.write() as tx:
            await reports.add_schedule(tx, scope, by, schedule, subject, manner)

    async def tick(self) -> list[ReportRun]:
        """Make what is due, catch up what was missed, settle what was provisional, correct what late data changed.

        The runs made now.
        """
        async with self._ticking:
            made = []
            async with self._database.read() as tx:
                active = await reports.schedules(tx)
            for one in active:
                made += await self._due(one)
            return made + await self._settle() + await self._correct_late()

    async def _due(self, active: ActiveSchedule) -> list[ReportRun]:
        async with self._database.read() as tx:
            done = await reports.known_keys(tx, active.schedule.id)
        made = []
        for run in runs_due(active.schedule, active.active_from_ms, self._clock.now_ms(), done):
            claimed = await self._claim(_claim(active, run.span, run.action))
            if claimed and run.action is not Action.SKIPPED:
                made.append(await self._make_unattended(run.key))
        if made:
            async with self._database.write() as tx:
                await deliveries.release_collected(tx, active.schedule.id, self._clock.now_ms())
        return made

    async def _settle(self) -> list[ReportRun]:
        """Provisional reports whose slots are final by now, and those that failed or were abandoned."""
        async with self._database.read() as tx:
            waiting = await reports.unsettled(tx)
        made = []
        for run in waiting:
            if self._is_waited_for(run) and await self._reclaim(run):
                made.append(await self._make_unattended(run.key))
        return made

    def _is_waited_for(self, run: ReportRun) -> bool:
        """Whether it is this node's to make now."""
        now_ms = self._clock.now_ms()
        if self._is_forgotten(run.subject.kind, run.span):
            return False
        match run.state:
            case "provisional":
                return self._is_final(run.span)
            case "claimed" if run.node == self._node:
                return run.key not in self._making
            case "claimed":
                return now_ms - run.claimed_ms > TAKEOVER_MS
            case _:
                return now_ms - (run.done_ms or 0) >= RETRY_MS

    async def _make_unattended(self, key: str) -> ReportRun:
        """One report that fails stops no other; its failure is kept with its run."""
        try:
            return await self._make(EVERYTHING, key)
        except Exception:  # a defect of ours, too, concerns this report alone
            log.exception("a report was not made", report=key)
            async with self._database.read() as tx:
                return await reports.run(tx, EVERYTHING, key)

    async def make(
        self,
        scope: Scope,
        subject: Subject,
        period: Period,
        day: date,
        *,
        last_day: date | None = None,
        zone: str = TOKYO,
        manner: Manner = PLAIN_MANNER,
    ) -> ReportRun:
        """Make the report of the period that holds `day`, by hand or from cron; idempotent.

        Made before from the same data: the same bytes again. What is provisional is made anew; what is final stays,
        and a correction follows it if late data change what it shows. A free period ends with `last_day`.
        Raises NotFound for a subject out of scope, BadInput for a period that has not begun.
        """
        subject.require(period)
        span = free_span(day, last_day or day, zone) if period is Period.FREE else span_of(period, day, zone)
        async with self._database.read() as tx:
            await reports.require_subject(tx, scope, subject)
        schedule_id = subject.by_hand if zone == TOKYO else f"{subject.by_hand}-{zone.replace('/', '-')}"
        key = report_key(schedule_id, period, span)
        return await self._by_hand(
            scope, Claim(key, schedule_id, subject, period, span, manner, Action.MAKE), require_pdf=manner.formats
        )

    async def make_scheduled(
        self, scope: Scope, schedule_id: str, day: date, *, period: Period | None = None
    ) -> ReportRun:
        """Make the report that a schedule makes of the period of `day`, now; cron may do the timer's work.

        It goes out as if the timer had made it, once. Raises NotFound, or BadInput for a period that has not begun, or
        that is not the schedule's.
        """
        async with self._database.read() as tx:
            active = await reports.schedule(tx, scope, schedule_id)
        if period not in (None, active.schedule.period):
            raise BadInput(
                f"the schedule {schedule_id} is by {active.schedule.period}, not by {period}",
                field="period",
                next_step="Leave the period away, or name the schedule's.",
            )
        span = span_of(active.schedule.period, day, active.schedule.zone)
        return await self._by_hand(scope, _claim(active, span, Action.MAKE), require_pdf=())

    async def _by_hand(self, scope: Scope, wanted: Claim, *, require_pdf: tuple[Format, ...]) -> ReportRun:
        first = wanted.span.first.isoformat()
        if wanted.span.start_ms >= self._clock.now_ms():
            raise BadInput(
                f"the {wanted.period} of {first} has not begun", next_step="Name an earlier day.", field="day"
            )
        if Format.PDF in require_pdf:
            await asyncio.to_thread(rendering.require_pdf)
        if self._is_forgotten(wanted.subject.kind, wanted.span):
            return await self._made_in_time(scope, wanted)
        await self._claim(wanted)
        async with self._database.read() as tx:
            before = await reports.run(tx, scope, wanted.key)
        if before.state == "final":
            await self._metering.close_days()
            return await self._corrected(scope, before)
        if before.state in ("failed", "skipped") or (before.state == "provisional" and self._is_final(wanted.span)):
            await self._reclaim(before)
        return await self._make(scope, wanted.key)

    async def _made_in_time(self, scope: Scope, wanted: Claim) -> ReportRun:
        """What was made while its data were kept. Raises BadInput if nothing was: it would say that nobody measured."""
        with suppress(NotFound):
            async with self._database.read() as tx:
                newest = await reports.newest(tx, scope, wanted.key)
            if newest.sha256 is not None:
                return newest
        raise BadInput(
            f"what a report on {wanted.span.first.isoformat()} would rest on is no longer kept",
            field="day",
            next_step="Slots are kept for 400 days; figures of days and months are kept for longer.",
        )

    def _is_forgotten(self, kind: Kind, span: Span) -> bool:
        """Whether what a report rests on is no longer kept whole: made again it would show less, not other data."""
        now_ms = self._clock.now_ms()
        if kind is Kind.FLEET:
            return days_forgotten(span.first, now_ms)
        return forgotten(span.start_ms, now_ms)

    async def file(self, scope: Scope, key: str, wanted: Format, language: Language | None = None) -> bytes:
        """A file of a report. Raises NotFound if it was not made (yet), BadInput for a PDF without its extra."""
        async with self._database.read() as tx:
            run = await reports.run(tx, scope, key)
            content = await reports.document(tx, key)
        if content is None:
            raise NotFound(f"report {key} has no {wanted} file", next_step="Make the report again.")
        return await asyncio.to_thread(rendering.render, content, wanted, language or run.manner.language)

    async def _claim(self, wanted: Claim) -> bool:
        async with self._database.write() as tx:
            return await reports.claim(tx, wanted, node=self._node, now_ms=self._clock.now_ms())

    async def _reclaim(self, run: ReportRun) -> bool:
        async with self._database.write() as tx:
            return await reports.reclaim(tx, run, node=self._node, now_ms=self._clock.now_ms())

    async def _make(self, scope: Scope, key: str) -> ReportRun:
        async with self._database.read() as tx:
            run = await reports.run(tx, scope, key)
        self._making.add(key)
        try:
            await self._metering.close_days()
            made, run = await self._as_of_its_claim(scope, run)
            names = await asyncio.to_thread(self._written, run, made)
        except Exception as error:
            said = str(error) if isinstance(error, FleetError) else f"{type(error).__name__}: {error}"
            async with self._database.write() as tx:
                await reports.fail(tx, run, said[:500], now_ms=self._clock.now_ms())
            raise
        finally:
            self._making.discard(key)
        async with self._database.write() as tx:
            now_ms = self._clock.now_ms()
            kept = await reports.finish(tx, run, made.document, files=names, now_ms=now_ms)
            if kept and made.document.final:
                await deliveries.enqueue(tx, run, made.document.sha256, now_ms=now_ms)
        async with self._database.read() as tx:
            return await reports.run(tx, scope, key)

    async def _as_of_its_claim(self, scope: Scope, run: ReportRun) -> tuple[Made, ReportRun]:
        """The report as of its claim; as of now if its data have changed since it was made. With the claim it is of."""
        made = await self._maker.make(scope, run, run.claimed_ms)
        if run.sha256 is not None and made.document.sha256 != run.sha256:
            now_ms = self._clock.now_ms()
            async with self._database.write() as tx:
                await reports.renew(tx, run, node=self._node, now_ms=now_ms)
            run = replace(run, node=self._node, claimed_ms=now_ms)
            made = await self._maker.make(scope, run, now_ms)
        return made, run

    def _written(self, run: ReportRun, made: Made) -> list[str]:
        """Write the files of the run's formats; their names."""
        files = {
            rendering.file_name(run.key, made.document.sha256, wanted, run.audience): rendering.render(
                made.encoded, wanted, run.manner.language
            )
            for wanted in run.manner.formats
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            half = self._folder / f".{name}.half"
            half.write_bytes(content)
            half.replace(self._folder / name)
        return list(files)

    async def _corrected(self, scope: Scope, first: ReportRun) -> ReportRun:
        """The newest of a final report and its corrections; a new one if late data change what it shows (§8.4)."""
        async with self._database.read() as tx:
            newest = await reports.newest(tx, scope, first.key)
        if newest.state != "final" or self._is_forgotten(first.subject.kind, first.span):
            return newest
        if not await self._maker.changed(newest, self._clock.now_ms()):
            return newest
        number = newest.correction + 1
        key = correction_key(first.key, number)
        wanted = Claim(
            key,
            first.schedule_id,
            first.subject,
            first.period,
            first.span,
            first.manner,
            Action.MAKE,
            corrects=first.key,
            correction=number,
        )
        if await self._claim(wanted):
            return await self._make(scope, key)
        async with self._database.read() as tx:
            return await reports.run(tx, scope, key)

    async def _correct_late(self) -> list[ReportRun]:
        """Corrections of the reports that show days whose figures were made again."""
        async with self._database.read() as tx:
            marks = await reports.remade(tx)
            if not marks:
                return []
            days = [day for _, day, _ in marks]
            shown = await reports.showing(tx, min(days), max(days))
            owners = await links.owners(tx, {link_id for link_id, _, _ in marks})
        touched: dict[date, set[Subject]] = {}
        for link_id, day, _ in marks:
            of_day = touched.setdefault(day, set())
            of_day |= {Subject(link_id=link_id), Subject(contractor_id=owners.get(link_id)), Subject()}
        made, failed = [], False
        for run in shown:
            if _shows(run, touched):
                try:
                    newest = await self._corrected(EVERYTHING, run)
                except Exception:  # it stops no other, and the marks stay
                    log.exception("a correction was not made", report=run.key)
                    failed = True
                    continue
                if newest.claimed_ms >= marks[-1][2] and newest.correction:
                    made.append(newest)
        if not failed:
            async with self._database.write() as tx:
                await reports.clear_remade(tx, marks[-1][2])
        return made

    def _is_final(self, span: Span) -> bool:
        return self._clock.now_ms() >= span.end_ms + FINAL_AFTER_MS


def _claim(active: ActiveSchedule, span: Span, action: Action) -> Claim:
    schedule = active.schedule
    key = report_key(schedule.id, schedule.period, span)
    return Claim(key, schedule.id, active.subject, schedule.period, span, active.manner, action)


def _shows(run: ReportRun, touched: Mapping[date, Set[Subject]]) -> bool:
    """Whether a report shows one of these days of its subject. The fleet compares with earlier ones too."""
    span = run.span
    first = span.first
    if run.subject.kind is Kind.FLEET:
        first -= max(span.after - span.first, timedelta(days=7))
    about = Subject(run.subject.contractor_id, run.subject.link_id)
    return any(first <= day < span.after and about in subjects for day, subjects in touched.items())
