"""What we ask of a durable-execution engine: that a push which is under way goes on being advanced (architecture §5).

Only the envelope is durable there. What a push did and what comes next stands in our journal, so any engine that
calls `advance` again after a crash will do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Protocol

Advance = Callable[[int], Awaitable[bool]]
"""Takes a push id, makes a transition or those that follow it at once, and says whether the push is finished."""

Attempt = tuple[int, int]
"""Push id and attempt number."""


class Run(StrEnum):
    """What the engine knows of one attempt at a push."""

    ABSENT = "absent"
    """Never started, or pruned."""
    UNDER_WAY = "under way"
    """Started and not ended; runs in this process, or will after recovery."""
    ENDED = "ended"
    """`advance` said finished, raised, or the attempt was cancelled."""
    STRANDED = "stranded"
    """Started under another application version, or by another node; this process will not recover it."""


class Engine(Protocol):
    """Four verbs. An attempt is named by push id and attempt number, and runs at most once at a time."""

    async def start(self, attempts: Sequence[Attempt]) -> None:
        """Record durably, at once for all, that these attempts are under way, then call `advance` for each until it
        says finished. What one of them meets ends that one only.

        Repeatable: starting an attempt that is there already does nothing.
        """
        ...

    async def cancel(self, push_id: int, attempt: int) -> None:
        """Stop calling `advance` for the attempt; the device side is the push's own matter."""
        ...

    async def status(self, push_id: int, attempt: int) -> Run:
        """What became of the attempt."""
        ...

    async def prune(self, before_ms: int) -> int:
        """Forget attempts that ended before that instant; returns how many. Unfinished ones are kept."""
        ...
