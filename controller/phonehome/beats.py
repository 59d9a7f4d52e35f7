"""Proven heartbeats on their way to the traffic database: many in one string of bytes, which one row holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from drivers.arms import heartbeat
from drivers.arms.heartbeat import Statistic
from inventory.replays import Told

HEAD: Final = Struct(">IIqqH")
"""Adapter, entry (0: none), received and monotonic milliseconds, length of the content that follows."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A proven heartbeat. `entry_id` is the place where its adapter sat when it came."""

    adapter_id: int
    entry_id: int | None
    received_ms: int
    monotonic_ms: int
    """On the clock of the process that received it."""
    content: bytes
    """Its statistics as they came (`heartbeat.content`)."""

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What it tells, the first of each kind and index."""
        return heartbeat.statistics(self.content)


Heard = tuple[int, str, bytes | None]
"""Monotonic instant, source and content of a heartbeat that the clone rule may need; None: its content was not kept."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Beats in order of arrival."""

    count: int
    packed: bytes

    def beats(self) -> Iterator[Beat]:
        """Each of them."""
        return unpacked(self.packed)


Keep = Callable[[Batch], Awaitable[None]]
"""Makes a batch durable: when it returns, a crash loses nothing of it. If it raises, it gets the same beats again."""

Recall = Callable[[Sequence[int]], Awaitable[Mapping[int, Told]]]
"""What was counted of these adapters in the last day, by whichever process or node."""


def unpacked(packed: bytes) -> Iterator[Beat]:
    """The beats of a packed batch. Raises ValueError for bytes that are none."""
    at, end = 0, len(packed)
    while at < end:
        if at + HEAD.size > end:
            raise ValueError("a batch of heartbeats ends within a head")
        adapter_id, entry_id, received_ms, monotonic_ms, length = HEAD.unpack_from(packed, at)
        at += HEAD.size + length
        if at > end:
            raise ValueError("a batch of heartbeats ends within a heartbeat")
        yield Beat(adapter_id, entry_id or None, received_ms, monotonic_ms, packed[at - length : at])
