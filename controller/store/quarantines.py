"""Pushes that were left to a person: each opens an incident about its adapter, and what ends the doubt closes it.

Opened with the last row of the journal, in its transaction. Not closed by whatever merely happens to the adapter, but
by what proves what it runs and keeps: a push that is done, or a reading; and by another adapter in the place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Text, and_, bindparam, cast, func, literal, select

from controller.store import configs, incidents
from controller.store.database import Tx
from controller.store.rows import in_parts
from controller.store.scope import By, Scope
from controller.store.tables.incidents import incidents as incident_rows
from controller.store.tables.push import plans, push_journal, pushes
from inventory.incidents import IncidentKind, NewIncident
from inventory.plans import JournalRow, Phase, Push, PushState

KIND: Final = IncidentKind.QUARANTINED_PUSH
LAST_WORDS: Final = 3
"""Outcomes of the journal that an incident quotes; the whole journal is a page of its own."""
SHOWN: Final = 300
"""Signs of each that it quotes."""

_CAUSE: Final = "adapter "
OF_PUSH: Final = and_(
    incident_rows.c.kind == KIND.value,
    incident_rows.c.cause == literal(_CAUSE).concat(cast(pushes.c.adapter_id, Text)),
    incident_rows.c.closed_ms.is_(None),
)
"""Joins the open incident about the adapter of a push to that push, by the index of open incidents: an adapter may have
had thousands."""
_SAID: Final = (
    select(push_journal.c.push_id, push_journal.c.state, push_journal.c.said)
    .where(
        push_journal.c.push_id.in_(bindparam("of_pushes", expanding=True)),
        push_journal.c.phase == Phase.OUTCOME.value,
        push_journal.c.state.not_in([PushState.PLANNED.value, PushState.QUARANTINED.value]),
        push_journal.c.said != "",
    )
    .order_by(push_journal.c.push_id, push_journal.c.seq)
)
_BEGUN: Final = (
    select(func.min(push_journal.c.at_ms))
    .where(push_journal.c.push_id == pushes.c.id, push_journal.c.state != PushState.PLANNED.value)
    .scalar_subquery()
)
_FIRST: Final = (
    select(pushes.c.entry_id, plans.c.base_digest, _BEGUN.label("begun_ms"))
    .join(plans, plans.c.id == pushes.c.plan_id)
    .where(
        pushes.c.adapter_id == bindparam("of_adapter"),
        pushes.c.state == PushState.QUARANTINED.value,
        pushes.c.finished_ms >= bindparam("since_ms"),
    )
    .order_by(pushes.c.finished_ms, pushes.c.id)
    .limit(1)
)


async def ended(
    tx: Tx, over: Sequence[Push], lasts: Mapping[int, JournalRow], open_incidents: Mapping[int, int]
) -> None:
    """These pushes are over with these rows: who ended in doubt opens an incident, who is done closes the one that
    stands. Nothing is asked where there is neither.

    `open_incidents`: the open incident about the adapter of a push, by the number of the push, where there is one.
    """
    doubtful = [push for push in over if lasts[push.id].state is PushState.QUARANTINED]
    if doubtful:
        said = await _last_words(tx, [push.id for push in doubtful])
        # One push at a time has a device, so no two of them are about the same adapter.
        new = [(_by(push, lasts), _incident(push, lasts[push.id].said, said[push.id])) for push in doubtful]
        await incidents.note_all(tx, sorted(new, key=lambda one: one[1].cause))
    await incidents.settle_all(
        tx,
        {
            open_incidents[push.id]: (_by(push, lasts), f"push {push.id} is done: verified and saved")
            for push in over
            if push.id in open_incidents and lasts[push.id].state is PushState.DONE
        },
    )


async def was_read(tx: Tx, by: By, adapter_id: int, digest: str, *, began_ms: int) -> None:
    """An adapter was read: `digest` is of what it runs, `began_ms` when the reading began.

    It is in order where it runs what was released for its place since the first push in doubt began (that is what such
    a push has saved, or what an adapter that phones home boots), else what it ran before that push. The wanted config
    alone is no proof: it may be unsaved, or a guard may still take it back.
    """
    found = await incidents.open_one(tx, KIND, _cause(adapter_id), lock=True)
    if found is None or began_ms < found.last_ms:
        return
    first = (await tx.execute(_FIRST, {"of_adapter": adapter_id, "since_ms": found.opened_ms})).one_or_none()
    if first is None:
        return
    released = await configs.latest(tx, Scope.everything(), first.entry_id, "startup")
    if released is None or released.at_ms < first.begun_ms:
        wanted, why = first.base_digest, "it was read, and runs what it ran before the push"
    else:
        wanted, why = released.digest, "it was read, and runs the startup config of its place"
    if digest == wanted:
        await incidents.settle(tx, by, KIND, _cause(adapter_id), why)


async def left(tx: Tx, by: By, adapter_id: int, entry_id: int) -> None:
    """An adapter leaves an entry: the doubt about what runs there goes with it."""
    found = await incidents.open_one(tx, KIND, _cause(adapter_id), lock=True)
    if found is not None and found.entry_id == entry_id:
        await incidents.settle(tx, by, KIND, _cause(adapter_id), f"the adapter has left E-{entry_id}")


async def _last_words(tx: Tx, push_ids: Sequence[int]) -> Mapping[int, list[str]]:
    """What the last steps of pushes came to; secrets are masked in the journal."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for some in in_parts(push_ids):
        for row in await tx.execute(_SAID, {"of_pushes": some}):
            found[row.push_id] = [*found[row.push_id], f"{row.state}: {_short(row.said)}"][-LAST_WORDS:]
    return found


def _incident(push: Push, reason: str, last_words: list[str]) -> NewIncident:
    return NewIncident(
        KIND,
        _cause(push.adapter_id),
        f"push {push.id} to E-{push.entry_id} ended in doubt: {_short(reason)}",
        adapter_id=push.adapter_id,
        entry_id=push.entry_id,
        facts={"push": push.id, "plan": push.plan_id, "reason": _short(reason), "last_words": last_words},
    )


def _by(push: Push, lasts: Mapping[int, JournalRow]) -> By:
    return By(push.started_by, lasts[push.id].at_ms)


def _cause(adapter_id: int) -> str:
    return f"{_CAUSE}{adapter_id}"


def _short(said: str) -> str:
    """One line of bounded length."""
    line = " ".join(said.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"
