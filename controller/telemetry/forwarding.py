"""Sends each final slot of every link on to a Prometheus, once, in order; what it must leave out it says.

One node does it at a time. A slot that comes again with late data is not sent again: Prometheus keeps the first value.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import httpx
import structlog

from controller.clock import Clock
from controller.metering.dayclose import FINAL_AFTER_MS
from controller.metering.series import series_of
from controller.reports.fleetmaterial import every_link
from controller.settings import MetricsSettings
from controller.store import events, fleetfigures, telemetry
from controller.store.database import Database
from controller.store.events import NewEvent
from controller.store.slotdays import KeptDay
from controller.store.telemetry import NamedLink, Progress
from controller.store.traffic import TrafficDatabase
from controller.telemetry.linknumbers import labels
from controller.telemetry.remotewrite import Point, request_of
from inventory.errors import BadInput
from inventory.linkdays import direction_series
from inventory.links import Direction, Link
from inventory.timeslots import SLOT_MS

log = structlog.get_logger()

EVERY_S: Final = 20.0
LEASE_MS: Final = 300_000
POINTS_AT_ONCE: Final = 2_000
LINKS_AT_ONCE: Final = 500
SLOTS_AT_ONCE: Final = 12
"""Slots of one round, so that a lease outlives it."""
LONGEST_WAIT_S: Final = 300.0
AGAIN: Final = frozenset({408, 425, 429})
WORDS_AT_MOST: Final = 200
"""Octets of a refusal that are kept."""


class RemoteWriter:
    """Start `run` as a task; without a URL it ends at once."""

    def __init__(
        self, database: Database, traffic: TrafficDatabase, clock: Clock, settings: MetricsSettings, *, node: str
    ) -> None:
        self._database = database
        self._traffic = traffic
        self._clock = clock
        self._settings = settings
        self._node = node
        self._failures = 0

    async def run(self) -> None:
        """Send until cancelled."""
        while self._settings.remote_write_url:
            await self.round()
            await self._clock.wait(max(EVERY_S, min(EVERY_S * 2**self._failures, LONGEST_WAIT_S)))

    async def round(self) -> int:
        """Send what has become final since the last time; how many slots were sent."""
        now_ms = self._clock.now_ms()
        until_ms = (now_ms - FINAL_AFTER_MS) // SLOT_MS * SLOT_MS
        async with self._database.write() as tx:
            reached = await telemetry.take_remote_write(
                tx, node=self._node, now_ms=now_ms, lease_ms=now_ms + LEASE_MS, begin_ms=until_ms
            )
        if reached is None or reached.sent_to_ms >= until_ms:
            return 0
        reached = await self._without_what_is_too_old(reached, until_ms)
        async with self._database.read() as tx:
            named = {one.id: one for one in await telemetry.named_links(tx)}
            links = [(named[one.id], one) for one in await every_link(tx) if one.id in named]
        async with self._traffic.read() as tx:
            ids = await fleetfigures.interfaces(tx)
        sent = 0
        end_ms = min(until_ms, reached.sent_to_ms + SLOTS_AT_ONCE * SLOT_MS)
        for slot_ms in range(reached.sent_to_ms, end_ms, SLOT_MS):
            failed = await self._slot(links, ids, slot_ms)
            if failed is not None and failed.again:
                self._failures += 1
                await self._note(replace(reached, last_failure=failed.said))
                return sent
            self._failures = 0
            reached = replace(reached, sent_to_ms=slot_ms + SLOT_MS)
            if failed is None:
                sent += 1
            else:
                reached = await self._left_out(reached, slot_ms, 1, failed.said)
            if not await self._note(reached):
                return sent
        return sent

    async def _without_what_is_too_old(self, reached: Progress, until_ms: int) -> Progress:
        """Slots older than the backlog are left out: a Prometheus would refuse them."""
        earliest_ms = until_ms - self._settings.remote_write_backlog_s * 1000 // SLOT_MS * SLOT_MS
        if reached.sent_to_ms >= earliest_ms:
            return reached
        slots = (earliest_ms - reached.sent_to_ms) // SLOT_MS
        said = reached.last_failure or "nothing was sent for longer than the backlog"
        after = await self._left_out(reached, reached.sent_to_ms, slots, said)
        return replace(after, sent_to_ms=earliest_ms)

    async def _left_out(self, reached: Progress, from_ms: int, slots: int, said: str) -> Progress:
        log.warning("slots were not sent on", from_ms=from_ms, slots=slots, said=said)
        facts = {"from_ms": from_ms, "slots": slots, "said": said}
        async with self._database.write() as tx:
            await events.record(tx, NewEvent("metrics.gap", self._clock.now_ms(), facts=facts))
        return replace(reached, gaps=reached.gaps + 1, gap_slots=reached.gap_slots + slots, last_failure=said)

    async def _note(self, reached: Progress) -> bool:
        async with self._database.write() as tx:
            return await telemetry.sent_on(tx, self._node, reached)

    async def _slot(
        self, links: Sequence[tuple[NamedLink, Link]], ids: Mapping[tuple[int, str], int], slot_ms: int
    ) -> _Failed | None:
        """Send one slot of every link; what went wrong, if anything. A repetition is the same values."""
        async with httpx.AsyncClient(trust_env=False, timeout=self._settings.timeout_s, verify=_trusted()) as client:
            for begin in range(0, len(links), LINKS_AT_ONCE):
                some = links[begin : begin + LINKS_AT_ONCE]
                numbers = [ids.get((one.entry_id, port.interface), 0) for _, one in some for port in one.ports]
                async with self._traffic.read() as tx:
                    kept = await fleetfigures.slot_days_of_all(tx, numbers, slot_ms, slot_ms + SLOT_MS)
                points = await asyncio.to_thread(_points, some, ids, kept, slot_ms)
                for first in range(0, len(points), POINTS_AT_ONCE):
                    failed = await self._post(client, request_of(points[first : first + POINTS_AT_ONCE]))
                    if failed is not None:
                        return failed
        return None

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> _Failed | None:
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
            "User-Agent": "kajitori",
            "Accept-Encoding": "identity",
        }
        try:
            if self._settings.remote_write_token_file is not None:
                token = await asyncio.to_thread(_token, self._settings.remote_write_token_file)
                headers["Authorization"] = f"Bearer {token}"
            async with (
                asyncio.timeout(self._settings.timeout_s),
                client.stream("POST", self._settings.remote_write_url, content=body, headers=headers) as answer,
            ):
                if answer.is_success:  # whatever else it says is of no interest
                    return None
                said = await _beginning(answer)
        except (httpx.TransportError, TimeoutError) as error:
            return _Failed(f"no answer: {type(error).__name__}", again=True)
        except BadInput as error:  # the file may be back at the next try
            return _Failed(error.message, again=True)
        return _Failed(
            f"answered {answer.status_code}: {said}", again=answer.status_code >= 500 or answer.status_code in AGAIN
        )


async def _beginning(answer: httpx.Response) -> str:
    """The first words of an answer, however long it is."""
    found = b""
    async for some in answer.aiter_raw():
        found += some
        if len(found) >= WORDS_AT_MOST:
            break
    return found[:WORDS_AT_MOST].decode("utf-8", "replace")


class _Failed:
    """Why a slot was not taken, and whether another try can help."""

    def __init__(self, said: str, *, again: bool) -> None:
        self.said = said
        self.again = again


def _points(
    links: Sequence[tuple[NamedLink, Link]],
    ids: Mapping[tuple[int, str], int],
    kept: Mapping[int, Sequence[KeptDay]],
    slot_ms: int,
) -> list[Point]:
    """Least and most octets of a slot, and how much of it was measured. Of a slot that nobody touched: nothing."""
    found = []
    for named, link in links:
        ports = [(port, kept.get(ids.get((link.entry_id, port.interface), 0), ())) for port in link.ports]
        if not any(days for _, days in ports):
            continue
        counted = series_of(ports, slot_ms, slot_ms + SLOT_MS)
        if all(one.untouched_ms[0] == SLOT_MS for one in (counted.into, counted.out)):
            continue
        series = direction_series(link, counted.into, counted.out)
        for direction in (Direction.DOWN, Direction.UP):
            _, limits, covered_ms = series[direction]
            name, at_ms = labels(named, direction), slot_ms + SLOT_MS
            found.append(Point("kajitori_link_slot_octets", {**name, "bound": "low"}, limits.low[0], at_ms))
            if limits.high[0] is not None:
                found.append(Point("kajitori_link_slot_octets", {**name, "bound": "high"}, limits.high[0], at_ms))
            found.append(Point("kajitori_link_slot_covered_seconds", name, covered_ms / 1000, at_ms))
    return found


@cache
def _trusted() -> ssl.SSLContext:
    """Whom HTTPS trusts, read once."""
    return ssl.create_default_context()


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"the token of remote write cannot be read: {type(error).__name__}",
            field="metrics.remote_write_token_file",
            next_step="Check the file and its mode.",
        ) from None
