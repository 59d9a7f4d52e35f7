"""What was typed to an adapter and what it said, as an index tells of it; the words themselves are sealed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transcript:
    """A piece of a conversation, of a push or of an operation.

    `state` is where the push stood when the piece was stored; of an operation there is one piece, from the moment at
    which it was first sent.
    """

    id: int
    push_id: int | None
    operation_id: int | None
    entry_id: int
    serial: str
    state: str
    at_ms: int
