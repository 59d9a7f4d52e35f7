"""What was typed to adapters and what they said: an index, and the words, sealed with their secrets masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, insert, select

from controller.keyring import Keyring
from controller.store.configs import entry_in_scope
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.rows import insert_new, not_found
from controller.store.scope import Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import adapters
from controller.store.tables.transcripts import transcripts
from inventory.operations import Operation, OperationState
from inventory.plans import JournalRow, Push
from inventory.transcripts import Transcript

_INSERT: Final = direct(insert(transcripts))


@dataclass(frozen=True, slots=True)
class NewWords:
    """A piece of the conversation of a push; `words` have their secrets masked already."""

    push_id: int
    adapter_id: int
    entry_id: int
    state: str
    at_ms: int
    words: str


def new_words(push: Push, row: JournalRow, words: str) -> NewWords | None:
    """What was typed and said in a push until a row of its journal; None for silence."""
    if not words.strip():
        return None
    return NewWords(push.id, push.adapter_id, push.entry_id, row.state.value, row.at_ms, words)


async def put_all(tx: Tx, keyring: Keyring, new: Sequence[NewWords]) -> None:
    """Store pieces."""
    rows = [
        {
            "push_id": one.push_id,
            "adapter_id": one.adapter_id,
            "entry_id": one.entry_id,
            "state": one.state,
            "at_ms": one.at_ms,
            "words_sealed": keyring.seal(one.words, context=_context(one.push_id, one.at_ms)),
        }
        for one in new
    ]
    if rows:
        await tx.execute(_INSERT, rows)


async def note_operation(tx: Tx, operation: Operation, at_ms: int) -> None:
    """From now on there is something to read of an operation; harmless to repeat."""
    facts = {"operation_id": operation.id, "adapter_id": operation.adapter_id, "entry_id": operation.entry_id}
    await insert_new(tx, transcripts, {**facts, "state": OperationState.SENDING.value, "at_ms": at_ms})


async def find(
    tx: Tx,
    scope: Scope,
    *,
    adapter_id: int | None = None,
    entry_id: int | None = None,
    push_id: int | None = None,
    operation_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Transcript]:
    """The index, newest first; `before` is the id after which the page goes on."""
    query = _shown().where(entry_in_scope(scope, transcripts.c.entry_id))
    wanted = {"adapter_id": adapter_id, "entry_id": entry_id, "push_id": push_id, "operation_id": operation_id}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(transcripts.c[name] == value)
    if before is not None:
        query = query.where(transcripts.c.id < before)
    return [_transcript(row) for row in await tx.execute(query.order_by(transcripts.c.id.desc()).limit(limit))]


async def get(tx: Tx, scope: Scope, transcript_id: int) -> Transcript:
    """Raises NotFound."""
    query = _shown().where(transcripts.c.id == transcript_id, entry_in_scope(scope, transcripts.c.entry_id))
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise not_found(f"transcript {transcript_id}")
    return _transcript(row)


async def words(tx: Tx, keyring: Keyring, transcript: Transcript) -> str:
    """The words of a piece of a push; of an operation none are stored here. The caller has checked the scope."""
    query = select(transcripts.c.words_sealed).where(transcripts.c.id == transcript.id)
    sealed = (await tx.execute(query)).scalar_one()
    if sealed is None or transcript.push_id is None:
        return ""
    return keyring.unseal(sealed, context=_context(transcript.push_id, transcript.at_ms)).reveal()


def _shown() -> Select[Any]:
    columns = ("id", "push_id", "operation_id", "entry_id", "state", "at_ms")
    shown = (*(transcripts.c[name] for name in columns), adapters.c.serial_shown.label("serial"))
    return select(*shown).join(adapters, adapters.c.id == transcripts.c.adapter_id)


def _transcript(row: AnyRow) -> Transcript:
    return Transcript(**row._mapping)


def _context(push_id: int, at_ms: int) -> str:
    return f"transcripts/{push_id}/{at_ms}"
