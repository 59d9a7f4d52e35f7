"""When is an adapter silent? Decided from the rhythm of its heartbeats, within 2.5 intervals (architecture §6)."""

from __future__ import annotations

from dataclasses import dataclass

_BASE = 2.1
_JITTER = 0.3
_WEIGHT = 0.2


@dataclass(slots=True)
class _Rhythm:
    last_ms: int
    jitter_ms: float = 0.0
    silent: bool = False


class Silence:
    """Watches heartbeats; times are milliseconds of a monotonic clock.

    One heartbeat may be lost and the next be late: after 2.1 intervals plus what this adapter's own jitter asks for,
    at most 0.3 of an interval, it is silent. With a look every tenth of an interval that is within 2.5 intervals.
    """

    def __init__(self, interval_ms: float) -> None:
        self._interval_ms = interval_ms
        self._heard: dict[int, _Rhythm] = {}

    def heard(self, adapter_id: int, at_ms: int) -> bool:
        """Note a heartbeat. True when it was silent until now."""
        rhythm = self._heard.get(adapter_id)
        if rhythm is None:
            self._heard[adapter_id] = _Rhythm(at_ms)
            return False
        returned = rhythm.silent
        if not returned:
            late_ms = abs(at_ms - rhythm.last_ms - self._interval_ms)
            rhythm.jitter_ms += _WEIGHT * (min(late_ms, self._interval_ms) - rhythm.jitter_ms)
        rhythm.last_ms = at_ms
        rhythm.silent = False
        # The longest unheard stay in front, so that `due` looks at few.
        self._heard[adapter_id] = self._heard.pop(adapter_id)
        return returned

    def was_silent(self, adapter_id: int, at_ms: int) -> None:
        """It was silent before this start: its next heartbeat is its return."""
        self._heard[adapter_id] = _Rhythm(at_ms, silent=True)

    @property
    def silent(self) -> dict[int, int]:
        """Adapters that are silent, with their last heartbeat."""
        return {adapter_id: rhythm.last_ms for adapter_id, rhythm in self._heard.items() if rhythm.silent}

    @property
    def watched(self) -> dict[int, int]:
        """All adapters whose heartbeats are awaited, with their last one."""
        return {adapter_id: rhythm.last_ms for adapter_id, rhythm in self._heard.items()}

    def excuse(self, adapter_id: int, at_ms: int) -> None:
        """It could not send until now: it was busy with a configure or a script (arms-protocol §9)."""
        rhythm = self._heard.get(adapter_id)
        if rhythm is not None and not rhythm.silent:
            rhythm.last_ms = at_ms
            self._heard[adapter_id] = self._heard.pop(adapter_id)

    def forget(self, adapter_id: int) -> None:
        """It left push mode: a reboot or a pull is under way, and no heartbeat is due."""
        self._heard.pop(adapter_id, None)

    def deadline_ms(self, rhythm_jitter_ms: float) -> float:
        """How long after the last heartbeat it counts as silent."""
        return _BASE * self._interval_ms + min(2 * rhythm_jitter_ms, _JITTER * self._interval_ms)

    def due(self, now_ms: int) -> list[int]:
        """Adapters that have just become silent; each is told once."""
        found = []
        for adapter_id, rhythm in self._heard.items():
            if now_ms - rhythm.last_ms < _BASE * self._interval_ms:
                break
            if not rhythm.silent and now_ms - rhythm.last_ms >= self.deadline_ms(rhythm.jitter_ms):
                rhythm.silent = True
                found.append(adapter_id)
        return found
