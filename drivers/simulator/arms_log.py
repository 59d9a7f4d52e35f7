"""What a simulated ARMS device really did, as the device itself saw it.

An examiner compares the controller's word with these records; the controller never sees them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


def wall_clock_ms() -> int:
    """Milliseconds UTC of this machine; the default for `now_ms` of every fake device."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One thing that happened. `detail` is JSON-ready and holds no key."""

    at_ms: int
    what: str
    detail: dict[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The record as the control port shows it."""
        return {"at_ms": self.at_ms, "what": self.what, "detail": self.detail}


class GroundTruth:
    """An append-only log that can be waited on."""

    def __init__(self, now_ms: Callable[[], int] = wall_clock_ms) -> None:
        self.records: list[LogRecord] = []
        self._now_ms = now_ms
        self._news = asyncio.Event()

    def note(self, what: str, **detail: object) -> None:
        """Append a record, stamped now, and wake whoever waits."""
        self.records.append(LogRecord(self._now_ms(), what, detail))
        self._news.set()

    def count(self, what: str, **detail: object) -> int:
        """How many records say `what`, with all of `detail` among their details."""
        return sum(record.what == what and detail.items() <= record.detail.items() for record in self.records)

    async def until(self, what: str, *, count: int = 1, timeout_s: float = 10.0, **detail: object) -> None:
        """Wait until there are `count` such records. Raises TimeoutError with what there is instead."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.count(what, **detail) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = [f"{record.what} {record.detail}" for record in self.records[-12:]]
            raise TimeoutError(f"no {count} × {what} {detail} within {timeout_s} s; last: {seen}") from None
