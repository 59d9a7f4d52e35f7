"""Whom reports are sent to, and how each sending went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, or_, select, update

from controller.keyring import Keyring
from controller.store import audit, events, reports
from controller.store.database import Tx
from controller.store.events import NewEvent
from controller.store.reports import ReportRun
from controller.store.rows import upsert
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.reports import report_deliveries, report_recipients, report_runs
from inventory.errors import Conflict, NotFound
from inventory.reporting import Action, Format
from inventory.secrets import Secret

COLLECTING_MS: Final = 3_600_000
"""Mails of late reports wait for each other until the last is made; no longer than that."""
HISTORY_KEPT: Final = 20
"""Attempts of one delivery that are told, the newest."""


class Way(StrEnum):
    """How a report goes out."""

    MAIL = "mail"
    WEBHOOK = "webhook"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom the reports of a schedule are sent to. `target`: an address, a URL, or a folder's name."""

    id: int
    schedule_id: str
    way: Way
    target: str
    formats: tuple[Format, ...]
    signed: bool
    """Whether a secret is kept that signs what is sent."""
    added_ms: int
    removed_ms: int | None


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """A recipient to be added."""

    way: Way
    target: str
    formats: tuple[Format, ...]
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: when, whether it was `sent`, `refused`, `failed` (not done) or `unknown`, and the words."""

    at_ms: int
    outcome: str
    said: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One report to one recipient. `state`: waiting, sent, failed, cancelled."""

    id: int
    report_key: str
    recipient: Recipient
    sha256: str
    collected: bool
    state: str
    attempts: int
    made_ms: int
    next_ms: int | None
    done_ms: int | None
    said: str
    history: tuple[Attempt, ...]
    left_by: str | None = None
    """The node that took it and never told how that went."""


async def add_recipient(
    tx: Tx, keyring: Keyring, scope: Scope, by: By, schedule_id: str, new: NewRecipient, *, shown: str
) -> Recipient:
    """Have the reports of a schedule sent from now on. A URL is kept sealed; `shown` is what everybody may see of it.

    Raises NotFound, or Conflict for a schedule that has ended.
    """
    found = await reports.schedule(tx, scope, schedule_id)
    if found.active_to_ms is not None:
        raise Conflict(f"the schedule {schedule_id} has ended", next_step="Make a new schedule.")
    values = {
        "schedule_id": schedule_id,
        "way": new.way.value,
        "target": shown,
        "signed": int(new.secret is not None),
        "formats": to_json(new.formats),
        "added_ms": by.at_ms,
        "actor": by.actor,
    }
    row = (await tx.execute(insert(report_recipients).values(**values).returning(report_recipients.c.id))).one()
    if new.way is Way.WEBHOOK:
        kept = {"target": new.target, "secret": None if new.secret is None else new.secret.reveal()}
        sealed = keyring.seal(to_json(kept), context=_context(row.id))
        await tx.execute(update(report_recipients).where(report_recipients.c.id == row.id).values(secret_sealed=sealed))
    after = {"way": new.way.value, "target": shown, "formats": list(new.formats)}
    owner = found.subject.contractor_id
    audit.record(tx, by, "report-recipient.add", f"{schedule_id} {row.id}", contractor_id=owner, after=after)
    return await recipient(tx, row.id)


async def remove_recipient(tx: Tx, scope: Scope, by: By, schedule_id: str, recipient_id: int) -> None:
    """Send no more to a recipient; what waits for it is cancelled. Raises NotFound."""
    schedule = await reports.schedule(tx, scope, schedule_id)
    c = report_recipients.c
    gone = await tx.execute(
        update(report_recipients)
        .where(c.id == recipient_id, c.schedule_id == schedule_id, c.removed_ms.is_(None))
        .values(removed_ms=by.at_ms)
    )
    if gone.rowcount != 1:
        raise NotFound(f"schedule {schedule_id} has no recipient {recipient_id}", next_step="List its recipients.")
    d = report_deliveries.c
    await tx.execute(
        update(report_deliveries)
        .where(d.recipient_id == recipient_id, d.state == "waiting")
        .values(state="cancelled", next_ms=None, done_ms=by.at_ms, said="the recipient was removed")
    )
    what = f"{schedule_id} {recipient_id}"
    audit.record(tx, by, "report-recipient.remove", what, contractor_id=schedule.subject.contractor_id)


async def recipient(tx: Tx, recipient_id: int) -> Recipient:
    """A recipient by its number."""
    row = (await tx.execute(select(report_recipients).where(report_recipients.c.id == recipient_id))).one()
    return _recipient(row)


async def recipients(tx: Tx, scope: Scope, schedule_id: str) -> list[Recipient]:
    """Recipients of a schedule. Raises NotFound."""
    await reports.schedule(tx, scope, schedule_id)
    c = report_recipients.c
    rows = await tx.execute(
        select(report_recipients).where(c.schedule_id == schedule_id, c.removed_ms.is_(None)).order_by(c.id)
    )
    return [_recipient(row) for row in rows]


async def sealed(tx: Tx, keyring: Keyring, recipient: Recipient) -> tuple[str, Secret | None]:
    """The whole URL of a webhook, and the secret that signs what it gets."""
    c = report_recipients.c
    kept = await tx.scalar(select(c.secret_sealed).where(c.id == recipient.id))
    assert kept is not None, "a webhook is kept sealed"
    found = json.loads(keyring.unseal(kept, context=_context(recipient.id)).reveal())
    return str(found["target"]), None if found["secret"] is None else Secret(found["secret"])


async def enqueue(tx: Tx, run: ReportRun, sha256: str, *, now_ms: int) -> None:
    """Have a report that was made sent to the recipients of its schedule. The same content goes out once."""
    c = report_recipients.c
    rows = await tx.execute(select(c.id).where(c.schedule_id == run.schedule_id, c.removed_ms.is_(None)))
    waiting = [
        {
            "report_key": run.key,
            "recipient_id": row.id,
            "sha256": sha256,
            "collected": int(run.action == Action.MAKE_COLLECTED),
            "state": "waiting",
            "attempts": 0,
            "made_ms": now_ms,
            "next_ms": now_ms + COLLECTING_MS * (run.action == Action.MAKE_COLLECTED),
            "said": "",
            "history": "[]",
        }
        for row in rows
    ]
    if waiting:
        await tx.execute(upsert(tx, report_deliveries).on_conflict_do_nothing(), waiting)


async def release_collected(tx: Tx, schedule_id: str, now_ms: int) -> None:
    """All late reports of a schedule are made: their mails may go, in one message."""
    c = report_deliveries.c
    mine = select(report_recipients.c.id).where(report_recipients.c.schedule_id == schedule_id)
    waiting = and_(c.state == "waiting", c.collected == 1, c.attempts == 0, c.recipient_id.in_(mine))
    await tx.execute(update(report_deliveries).where(waiting, c.next_ms > now_ms).values(next_ms=now_ms))


async def due(tx: Tx, now_ms: int, limit: int = 400) -> list[Delivery]:
    """Deliveries that wait and whose time has come, the oldest first."""
    query = _all().where(_free(now_ms)).order_by(report_deliveries.c.next_ms, report_deliveries.c.id).limit(limit)
    return [_delivery(row) for row in await tx.execute(query)]


def _free(now_ms: int) -> ColumnElement[bool]:
    c = report_deliveries.c
    return and_(c.state == "waiting", c.next_ms <= now_ms, or_(c.lease_ms.is_(None), c.lease_ms <= now_ms))


async def claim(tx: Tx, wanted: Sequence[Delivery], *, node: str, now_ms: int, lease_ms: int) -> list[Delivery]:
    """Take deliveries for this node until the lease ends; those that were still free, as they are now.

    A try of which its node never told may have arrived: it is recorded as `unknown`.
    """
    c = report_deliveries.c
    left = {one.id: one.left_by for one in wanted if one.left_by is not None}
    done = await tx.execute(
        update(report_deliveries)
        .where(c.id.in_([one.id for one in wanted]), _free(now_ms))
        .values(node=node, lease_ms=lease_ms)
        .returning(c.id)
    )
    taken = {row.id for row in done}
    rows = await tx.execute(_all().where(c.id.in_(taken)).order_by(c.id))
    found = [replace(_delivery(row), left_by=None) for row in rows]
    for i, one in enumerate(found):
        if one.id in left:
            lost = Attempt(now_ms, "unknown", f"node {left[one.id]} ended in the middle of it")
            found[i] = replace(one, attempts=one.attempts + 1, said=lost.said, history=_remembered(one, lost))
            values = {"attempts": found[i].attempts, "said": lost.said, "history": _told(found[i].history)}
            await tx.execute(update(report_deliveries).where(c.id == one.id).values(**values))
    return found


async def give_back(tx: Tx, delivery_ids: Sequence[int], *, node: str, lease_ms: int) -> None:
    """Deliveries that this node took until `lease_ms` and has not begun are free again."""
    c = report_deliveries.c
    mine = and_(c.id.in_(delivery_ids), c.node == node, c.lease_ms == lease_ms)
    await tx.execute(update(report_deliveries).where(mine).values(lease_ms=None))


async def end_leases(tx: Tx, *, node: str, now_ms: int) -> None:
    """What a node took before it ended is free now, and counts as left by it."""
    c = report_deliveries.c
    mine = and_(c.state == "waiting", c.node == node, c.lease_ms > now_ms)
    await tx.execute(update(report_deliveries).where(mine).values(lease_ms=now_ms))


def _remembered(delivery: Delivery, attempt: Attempt) -> tuple[Attempt, ...]:
    return (*delivery.history, attempt)[-HISTORY_KEPT:]


def _told(history: Iterable[Attempt]) -> str:
    return to_json([[one.at_ms, one.outcome, one.said] for one in history])


async def note(tx: Tx, delivery: Delivery, attempt: Attempt, *, state: str, next_ms: int | None) -> None:
    """Record how a try went. What will not be tried again and did not arrive is an event."""
    await tx.execute(
        update(report_deliveries)
        .where(report_deliveries.c.id == delivery.id, report_deliveries.c.state == "waiting")
        .values(
            state=state,
            attempts=delivery.attempts + 1,
            next_ms=next_ms,
            lease_ms=None,
            done_ms=None if state == "waiting" else attempt.at_ms,
            said=attempt.said,
            history=_told(_remembered(delivery, attempt)),
        )
    )
    if state == "failed":
        facts = {"delivery": delivery.id, "report": delivery.report_key, "way": delivery.recipient.way.value}
        await events.record(tx, NewEvent("report.not-delivered", attempt.at_ms, facts=facts | {"said": attempt.said}))


async def retry(tx: Tx, scope: Scope, by: By, delivery_id: int) -> Delivery:
    """Try again what failed. Raises NotFound, or Conflict for one that has not failed."""
    found = await delivery(tx, scope, delivery_id)
    if found.state != "failed" or found.recipient.removed_ms is not None:
        raise Conflict(f"delivery {delivery_id} is {found.state}", next_step="Only a failed one is tried again.")
    await tx.execute(
        update(report_deliveries)
        .where(report_deliveries.c.id == delivery_id)
        .values(state="waiting", attempts=0, next_ms=by.at_ms, done_ms=None)
    )
    audit.record(tx, by, "report-delivery.retry", str(delivery_id))
    return await delivery(tx, scope, delivery_id)


async def delivery(tx: Tx, scope: Scope, delivery_id: int) -> Delivery:
    """A delivery by its number. Raises NotFound."""
    row = (await tx.execute(_seen(scope).where(report_deliveries.c.id == delivery_id))).one_or_none()
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id}", next_step="List the deliveries.")
    return _delivery(row)


async def page(
    tx: Tx,
    scope: Scope,
    *,
    after: int = 0,
    limit: int = 100,
    report_key: str | None = None,
    state: str | None = None,
) -> list[Delivery]:
    """Deliveries by number, after one."""
    c = report_deliveries.c
    query = _seen(scope).where(c.id > after).order_by(c.id).limit(limit)
    if report_key is not None:
        query = query.where(c.report_key == report_key)
    if state is not None:
        query = query.where(c.state == state)
    return [_delivery(row) for row in await tx.execute(query)]


async def counts(tx: Tx) -> dict[str, int]:
    """Deliveries by state."""
    c = report_deliveries.c
    rows = await tx.execute(select(c.state, func.count().label("number")).group_by(c.state))
    return {row.state: row.number for row in rows}


def _all() -> Select[Any]:
    c = report_recipients.c
    more = (c.schedule_id, c.way, c.target, c.formats, c.signed)
    return select(report_deliveries, *more, c.added_ms, c.removed_ms).join(
        report_recipients, c.id == report_deliveries.c.recipient_id
    )


def _seen(scope: Scope) -> Select[Any]:
    if scope.contractor_id is None:
        return _all()
    theirs = select(report_runs.c.key).where(report_runs.c.contractor_id == scope.contractor_id)
    return _all().where(report_deliveries.c.report_key.in_(theirs))


def _context(recipient_id: int) -> str:
    return f"report_recipients secret {recipient_id}"


def _recipient(row: Row[Any]) -> Recipient:
    return Recipient(
        row.id,
        row.schedule_id,
        Way(row.way),
        row.target,
        _formats(row.formats),
        bool(row.signed),
        row.added_ms,
        row.removed_ms,
    )


def _formats(text: str) -> tuple[Format, ...]:
    return tuple(Format(one) for one in json.loads(text))


def _delivery(row: Row[Any]) -> Delivery:
    history: Sequence[tuple[int, str, str]] = json.loads(row.history)
    return Delivery(
        row.id,
        row.report_key,
        Recipient(
            row.recipient_id,
            row.schedule_id,
            Way(row.way),
            row.target,
            _formats(row.formats),
            bool(row.signed),
            row.added_ms,
            row.removed_ms,
        ),
        row.sha256,
        bool(row.collected),
        row.state,
        row.attempts,
        row.made_ms,
        row.next_ms,
        row.done_ms,
        row.said,
        tuple(Attempt(at_ms, outcome, said) for at_ms, outcome, said in history),
        row.node if row.lease_ms is not None else None,
    )
