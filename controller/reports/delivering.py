"""Sends what waits, with retries, each try recorded; any number of nodes, one at a time for each delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import structlog

from controller.clock import Clock
from controller.keyring import Keyring
from controller.reports import mailing, rendering, webhooks
from controller.reports.sending import Outcome, Parcel, Tried, next_try_ms
from controller.settings import Settings
from controller.store import deliveries, reports
from controller.store.database import Database
from controller.store.deliveries import Attempt, Delivery, Way
from controller.store.scope import Scope
from inventory.errors import FleetError
from inventory.reporting import Language

log = structlog.get_logger()

EVERY_S: Final = 10.0
AT_ONCE: Final = 4
LEASE_MS: Final = 900_000
"""So long at least a node that took a delivery may be at it; then another one takes it."""
GROUPS_AT_ONCE: Final = 20
"""Sendings of one round."""
EVERYTHING: Final = Scope.everything()


class Deliverer:
    """Takes deliveries whose time has come. Start `run` as a task."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, settings: Settings, *, node: str) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._settings = settings
        self._node = node
        self._began = False
        self._lease_ms = lease_ms(settings)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self.round()
            await self._clock.wait(EVERY_S)

    async def round(self) -> int:
        """One look: how many deliveries were tried."""
        now_ms = self._clock.now_ms()
        if not self._began:
            await self._own_from_before(now_ms)
        async with self._database.read() as tx:
            waiting = await deliveries.due(tx, now_ms)
        if not waiting:
            return 0
        wanted = [one for together in _together(waiting)[:GROUPS_AT_ONCE] for one in together]
        until_ms = now_ms + self._lease_ms
        async with self._database.write() as tx:
            taken = await deliveries.claim(tx, wanted, node=self._node, now_ms=now_ms, lease_ms=until_ms)
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(together: Sequence[Delivery]) -> None:
            async with limit:
                await self._try(together)

        try:
            ended = await asyncio.gather(*(one(together) for together in _together(taken)), return_exceptions=True)
        except asyncio.CancelledError:  # what was not begun yet is anybody's at once
            async with self._database.write() as tx:
                await deliveries.give_back(tx, [one.id for one in taken], node=self._node, lease_ms=until_ms)
            raise
        for wrong in ended:
            if wrong is not None:
                raise wrong
        return len(taken)

    async def _own_from_before(self, now_ms: int) -> None:
        """What this node was at when it ended last time need not wait for its lease to end."""
        async with self._database.write() as tx:
            await deliveries.end_leases(tx, node=self._node, now_ms=now_ms)
        self._began = True

    async def _try(self, together: Sequence[Delivery]) -> None:
        try:
            tried = await self._sent(together)
        except asyncio.CancelledError:
            await self._note(together, Tried(Outcome.UNKNOWN, "this node was stopped in the middle"))
            raise
        except FleetError as error:  # ours to correct: a missing file, a format that cannot be made
            tried = Tried(Outcome.FAILED, error.message)
        except OSError as error:
            tried = Tried(Outcome.FAILED, f"{type(error).__name__}: {error.strerror}")
        except Exception as error:  # a defect of ours stops no other delivery, and is told like every other outcome
            log.exception("a report could not be sent", deliveries=[one.id for one in together])
            tried = Tried(Outcome.UNKNOWN, f"a fault in this program: {type(error).__name__}")
        await self._note(together, tried)

    async def _note(self, together: Sequence[Delivery], tried: Tried) -> None:
        now_ms = self._clock.now_ms()
        log.info("report delivery", outcome=tried.outcome, deliveries=[one.id for one in together], said=tried.said)
        async with self._database.write() as tx:
            for delivery in together:
                attempt = Attempt(now_ms, tried.outcome.value, tried.said)
                again = None
                if tried.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
                    again = next_try_ms(delivery.attempts + 1, now_ms)
                state = "sent" if tried.outcome is Outcome.SENT else "failed" if again is None else "waiting"
                await deliveries.note(tx, delivery, attempt, state=state, next_ms=again)

    async def _sent(self, together: Sequence[Delivery]) -> Tried:
        recipient = together[0].recipient
        packed = [await self._parcel(delivery) for delivery in together]
        parcels = [parcel for parcel, _ in packed]
        now_ms = self._clock.now_ms()
        match recipient.way:
            case Way.MAIL:
                languages = [language for _, language in packed]
                sender = self._settings.mail.sender
                message = await asyncio.to_thread(mailing.message_of, parcels, languages, sender, now_ms)
                return await mailing.send(message, self._settings.mail)
            case Way.WEBHOOK:
                async with self._database.read() as tx:
                    url, secret = await deliveries.sealed(tx, self._keyring, recipient)
                return await webhooks.post(
                    parcels[0], url, secret, now_ms=now_ms, timeout_s=self._settings.delivery.timeout_s
                )
            case Way.FOLDER:
                folder = self._settings.delivery_folder() / recipient.target
                await asyncio.to_thread(write, folder, parcels[0])
                return Tried(Outcome.SENT, f"written to {recipient.target}")

    async def _parcel(self, delivery: Delivery) -> tuple[Parcel, Language]:
        async with self._database.read() as tx:
            run = await reports.run(tx, EVERYTHING, delivery.report_key)
            content = await reports.document(tx, delivery.report_key)
        assert content is not None, "only what was made is sent"
        language = run.manner.language
        formats = () if delivery.recipient.way is Way.WEBHOOK else delivery.recipient.formats
        files = [
            (
                rendering.file_name(delivery.report_key, delivery.sha256, wanted, run.audience),
                wanted,
                await asyncio.to_thread(rendering.render, content, wanted, language),
            )
            for wanted in formats
        ]
        return Parcel(delivery, content, files), language


def lease_ms(settings: Settings) -> int:
    """How long the sendings of one round can take, with as much again for what comes between; never below LEASE_MS."""
    one_s = max(settings.mail.timeout_s, settings.delivery.timeout_s)
    return max(LEASE_MS, round(2 * one_s * GROUPS_AT_ONCE / AT_ONCE * 1000))


def _together(waiting: Sequence[Delivery]) -> list[list[Delivery]]:
    """Mails to one recipient that were late go into one message; everything else goes alone (§8.3)."""
    found: list[list[Delivery]] = []
    ordered = sorted(waiting, key=lambda one: (one.recipient.id, not one.collected, one.id))
    for (_, collected, way), group in groupby(ordered, key=lambda o: (o.recipient.id, o.collected, o.recipient.way)):
        mine = list(group)
        found += [mine] if collected and way is Way.MAIL else [[one] for one in mine]
    return found


def write(folder: Path, parcel: Parcel) -> None:
    """Each file whole or not at all; the same again is the same file. Raises OSError, and leaves no half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, content in parcel.files:
        half = folder / f".{name}.{parcel.delivery.id}.half"
        try:
            half.write_bytes(content)
            half.replace(folder / name)
        finally:
            half.unlink(missing_ok=True)
