"""What really happened on a simulated device, in the order in which it happened.

The controller never sees this. Tests and the demo compare it with what the controller claims.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from inventory.errors import NotFound

ClockMs = Callable[[], int]


def wall_ms() -> int:
    """Milliseconds UTC of the machine: the time stamps of the record, which no switch and no pace changes."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened. `what` is from a small vocabulary, see `RECORD_KINDS`."""

    at_ms: int
    what: str
    detail: dict[str, str] = field(default_factory=dict)


RECORD_KINDS: dict[str, str] = {
    "connected": "a TCP connection was accepted; detail: the host key shown",
    "refused": "a TCP connection was reset or left without a greeting; detail: why",
    "credential": "a client showed a credential; detail: user, method, whether it was right",
    "session": "a shell or exec channel was opened",
    "ended": "a connection is gone",
    "line": "a configuration line was carried out; detail: line, context, comment of the push",
    "rejected": "a configuration line was refused; detail: line, answer",
    "commit": "running configuration changed as a whole step; detail: digests",
    "armed": "a timer runs that will undo; detail: digest of the before image",
    "confirmed": "the change was confirmed in time",
    "reverted": "the before image is running again; detail: why, digest",
    "saved": "running became startup; detail: digest",
    "save-failed": "a save was asked for and did not happen",
    "reload": "the device went down and will come back with what was saved",
    "booted": "the device is up; detail: digest of what runs",
    "cleared": "counters or a cache were cleared; detail: which",
    "power-off": "the device is off until somebody switches it on",
    "cut": "a switch cut the connection",
    "fault": "a switch was thrown; detail: its name and value",
}


@dataclass(frozen=True, slots=True)
class Login:
    """One credential that reached the device, in clear to it; the secret itself is not kept."""

    at_ms: int
    username: str
    method: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class PendingUndo:
    """A running guard, `timeout_s` long before the pace divides it; `before_digest`: what it goes back to."""

    kind: str
    armed_ms: int
    timeout_s: int
    before_digest: str


@dataclass(frozen=True, slots=True)
class Truth:
    """All of a device at one moment. Digests are SHA-256 of the texts given here."""

    hostname: str
    serial: str
    model: str
    powered: bool
    running: str
    running_digest: str
    saved: str
    saved_digest: str
    pending: PendingUndo | None
    sessions: int
    log: tuple[Record, ...]
    logins: tuple[Login, ...]

    def to_json(self) -> dict[str, object]:
        """The same as plain JSON values, for the control port."""
        return asdict(self)


class DeviceLog:
    """Records in order; whoever waits for one is woken when it is written."""

    def __init__(self, clock_ms: ClockMs) -> None:
        self._clock_ms = clock_ms
        self._records: list[Record] = []
        self._news = asyncio.Event()

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(self._records)

    def add(self, what: str, **detail: object) -> None:
        assert what in RECORD_KINDS, what
        texts = {name: str(value) for name, value in detail.items()}
        self._records.append(Record(self._clock_ms(), what, texts))
        self._news.set()
        self._news = asyncio.Event()

    def count(self, what: str) -> int:
        return sum(record.what == what for record in self._records)

    async def wait_for(self, what: str, timeout_s: float, *, since: int = 0) -> Record:
        """The first record `what` at position `since` or later, waiting up to `timeout_s` real seconds.

        Raises TimeoutError with the kinds that did come; NotFound for a word outside the vocabulary.
        """
        if what not in RECORD_KINDS:
            raise NotFound(f"No record kind {what!r}.", next_step=f"Known: {', '.join(RECORD_KINDS)}.")
        position = since
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    news = self._news
                    for record in self._records[position:]:
                        if record.what == what:
                            return record
                    position = max(position, len(self._records))
                    await news.wait()
        except TimeoutError as error:
            seen = [record.what for record in self._records[since:]]
            raise TimeoutError(f"no {what!r} within {timeout_s} s; there were {seen[-20:]}") from error
