"""`/transcripts`: what was typed to adapters and what they said, of pushes and operations, secrets masked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from controller.api.auth import Viewer
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import EntryKey, instant
from controller.api.state import daemon_of, number
from controller.operations.words import words_of
from controller.store import adapters, operations, pushes, transcripts
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.adapters import SerialNumber
from inventory.transcripts import Transcript

if TYPE_CHECKING:
    from controller.main import Daemon

router = APIRouter(tags=["transcripts"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
AboutNumber = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
_PIECES = 1000
"""Of one push; a push that goes straight to its end has two."""


class TranscriptView(BaseModel):
    """A piece of a conversation, without its words: it is of a push or of an operation."""

    id: int
    push: int | None
    operation: int | None
    adapter: str
    entry: str
    state: str = Field(description="Where the push stood when the piece was stored; of an operation: sending.")
    at: datetime

    @classmethod
    def of(cls, one: Transcript) -> TranscriptView:
        """View of a value."""
        return cls(
            id=one.id,
            push=one.push_id,
            operation=one.operation_id,
            adapter=one.serial,
            entry=f"E-{one.entry_id}",
            state=one.state,
            at=instant(one.at_ms),
        )


class TranscriptWords(TranscriptView):
    """A piece with its words."""

    words: str = Field(description="What was typed or sent (`>`) and said (`<`), secrets masked.")


@router.get("/transcripts")
async def list_transcripts(
    request: Request,
    caller: Viewer,
    wanted: Annotated[Window, Depends(window)],
    adapter: Annotated[str | None, Query(max_length=200, description="Serial number, in any spelling.")] = None,
    entry: EntryKey | None = None,
    push: AboutNumber = None,
    operation: AboutNumber = None,
) -> Page[TranscriptView]:
    """The index, newest first; every filter given must hold."""
    place = None if entry is None else number(entry, "E", "entry")
    async with daemon_of(request).db.read() as tx:
        about = None
        if adapter is not None:
            about = (await adapters.by_serial(tx, caller.scope, SerialNumber.parse(adapter))).id
        found = await transcripts.find(
            tx,
            caller.scope,
            adapter_id=about,
            entry_id=place,
            push_id=push,
            operation_id=operation,
            before=wanted.before,
            limit=wanted.limit + 1,
        )
    return page([TranscriptView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/transcripts/{transcript_id}")
async def read_transcript(transcript_id: Number, request: Request, caller: Viewer) -> TranscriptWords:
    """One piece."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        return await _words(tx, daemon, caller.scope, await transcripts.get(tx, caller.scope, transcript_id))


@router.get("/pushes/{push_id}/transcripts")
async def read_push_transcripts(push_id: Number, request: Request, caller: Viewer) -> list[TranscriptWords]:
    """All that was typed and said in a push, oldest first. Readings, which are versions, are told by their length."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        await pushes.get(tx, caller.scope, push_id)
        found = await transcripts.find(tx, caller.scope, push_id=push_id, limit=_PIECES)
        return await _all(tx, daemon, caller.scope, found)


@router.get("/operations/{operation_id}/transcripts")
async def read_operation_transcripts(operation_id: Number, request: Request, caller: Viewer) -> list[TranscriptWords]:
    """What was asked and answered in an operation; nothing while nothing was sent."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        await operations.get(tx, caller.scope, operation_id)
        found = await transcripts.find(tx, caller.scope, operation_id=operation_id)
        return await _all(tx, daemon, caller.scope, found)


async def _all(tx: Tx, daemon: Daemon, scope: Scope, found: Sequence[Transcript]) -> list[TranscriptWords]:
    return [await _words(tx, daemon, scope, one) for one in reversed(found)]


async def _words(tx: Tx, daemon: Daemon, scope: Scope, one: Transcript) -> TranscriptWords:
    if one.operation_id is None:
        words = await transcripts.words(tx, daemon.keyring, one)
    else:
        operation = await operations.get(tx, scope, one.operation_id)
        journal = await operations.steps(tx, operation.id)
        words = words_of(operation, journal, await operations.result(tx, daemon.keyring, operation))
    shown = words.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return TranscriptWords(**TranscriptView.of(one).model_dump(), words=shown)
