"""Makes the JSON of a report out of both databases; a correction also says what it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.metering.dayclose import FINAL_AFTER_MS
from controller.reports.changes import CELLS_AT_MOST, changed_cells
from controller.reports.fleetmaterial import gather_fleet, gather_quality
from controller.reports.material import Asked, gather
from controller.store import reports
from controller.store.database import Database
from controller.store.reports import Document, ReportRun
from controller.store.scope import Scope
from controller.store.traffic import TrafficDatabase
from inventory import fleetreport, invoiceannex, qualityreport, trafficreport
from inventory.reporthead import Correction, Json, ReportHead, digest, encode
from inventory.reporting import Kind, correction_key

FLEET = {"name": "", "fleet": True}
GRADES = ("A", "B", "C")


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was made, before it is kept."""

    encoded: bytes
    document: Document


@dataclass(frozen=True, slots=True)
class _About:
    subject: Mapping[str, object]
    audience: str
    data_as_of_ms: int | None


class ReportMaker:
    """Gathers and builds. Keeps nothing."""

    def __init__(self, database: Database, traffic: TrafficDatabase) -> None:
        self._database = database
        self._traffic = traffic

    async def make(self, scope: Scope, run: ReportRun, made_ms: int) -> Made:
        """The report of a run as of an instant. Raises NotFound for a subject out of scope."""
        known_ms, before = made_ms, None
        if run.corrects is not None:
            known_ms, before = await self._before(scope, run)
        asked = Asked(run.subject, run.span, made_ms, known_ms)
        about, build = await self._gathered(scope, asked)
        final = made_ms >= run.span.end_ms + FINAL_AFTER_MS

        def head(correction: Correction | None) -> ReportHead:
            return ReportHead(
                id=run.key,
                kind=run.subject.kind,
                subject=about.subject,
                audience=about.audience,
                period=run.period,
                span=run.span,
                made_ms=made_ms,
                data_as_of_ms=about.data_as_of_ms,
                final=final,
                correction=correction,
            )

        return await asyncio.to_thread(_made, head, build, run, before)

    async def changed(self, run: ReportRun, now_ms: int) -> bool:
        """Whether a final report would show something else if it were made now."""
        scope = Scope.everything()
        async with self._database.read() as tx:
            content = await reports.document(tx, run.key)
            first = await reports.run(tx, scope, run.corrects or run.key)
        if content is None:  # made before documents were kept: there is nothing to compare with
            return False
        about, build = await self._gathered(scope, Asked(run.subject, run.span, now_ms, first.claimed_ms))
        plain = ReportHead(
            run.key,
            run.subject.kind,
            about.subject,
            about.audience,
            run.period,
            run.span,
            now_ms,
            about.data_as_of_ms,
            True,
        )
        return await asyncio.to_thread(lambda: bool(changed_cells(json.loads(content), _plain(build(plain)))))

    async def _before(self, scope: Scope, run: ReportRun) -> tuple[int, bytes]:
        """When the first report of the period was made, and the content of the one that this one replaces."""
        assert run.corrects is not None
        async with self._database.read() as tx:
            first = await reports.run(tx, scope, run.corrects)
            content = await reports.document(tx, _replaces(run))
        assert content is not None, "a correction follows a document that was kept"
        return first.claimed_ms, content

    async def _gathered(self, scope: Scope, asked: Asked) -> tuple[_About, Callable[[ReportHead], Json]]:
        kind = asked.subject.kind
        if kind is Kind.FLEET:
            material, as_of = await gather_fleet(self._database, self._traffic, asked)
            return _About(FLEET, "operator", as_of), lambda head: fleetreport.build(head, material)
        if kind is Kind.QUALITY:
            interfaces, as_of = await gather_quality(self._database, self._traffic, asked)
            return _About(FLEET, "operator", as_of), lambda head: qualityreport.build(head, interfaces)
        found = await gather(self._database, self._traffic, scope, asked)
        about = _About(found.subject, found.audience, found.data_as_of_ms)
        if kind is Kind.ANNEX:
            return about, lambda head: invoiceannex.build(head, found.links)
        return about, lambda head: trafficreport.build(head, found.links)


def _replaces(run: ReportRun) -> str:
    assert run.corrects is not None
    return run.corrects if run.correction == 1 else correction_key(run.corrects, run.correction - 1)


def _made(
    head: Callable[[Correction | None], ReportHead],
    build: Callable[[ReportHead], Json],
    run: ReportRun,
    before: bytes | None,
) -> Made:
    correction = None
    if before is not None:
        cells = changed_cells(json.loads(before), _plain(build(head(None))))
        correction = Correction(run.correction, _replaces(run), tuple(cells[:CELLS_AT_MOST]))
    named = head(correction)
    report = build(named)
    encoded = encode(report)
    document = Document(
        reports.pack(encoded), digest(encoded), named.final, _worst_grade(_plain(report)), named.data_as_of_ms
    )
    return Made(encoded, document)


def _plain(report: Json) -> Mapping[str, Any]:
    """The report as a reader of its JSON has it."""
    found: Mapping[str, Any] = json.loads(encode(report))
    return found


def _worst_grade(report: Mapping[str, Any]) -> str | None:
    grades = [
        link["grade"] if "grade" in link else (link["p95"] or {}).get("grade") for link in report.get("links", [])
    ]
    return max((grade for grade in grades if grade in GRADES), default=None)
