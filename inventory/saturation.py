"""The alarm of a saturated link: minutes to an hour, not days. It opens no proposal and is no level (§5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.timeslots import SLOT_MS


@dataclass(frozen=True, slots=True)
class AlarmRules:
    """Raised after so many steps in a row at or above one share of capacity, cleared after so many below another."""

    step_ms: int = SLOT_MS
    raise_steps: int = 12
    clear_steps: int = 6
    raise_share: float = 0.98
    clear_share: float = 0.90

    @property
    def steps(self) -> int:
        """How many steps are looked at."""
        return max(self.raise_steps, self.clear_steps)


DEFAULT_ALARM = AlarmRules()


def raised_after(raised: bool, shares: Sequence[float | None], rules: AlarmRules = DEFAULT_ALARM) -> bool:
    """Whether the alarm stands after these steps, the newest last; a step nobody measured neither raises nor clears."""
    if raised:
        calm = shares[-rules.clear_steps :]
        return len(calm) < rules.clear_steps or not all(s is not None and s < rules.clear_share for s in calm)
    full = shares[-rules.raise_steps :]
    return len(full) == rules.raise_steps and all(s is not None and s >= rules.raise_share for s in full)
