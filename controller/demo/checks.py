"""What the tour finds: every step is judged by the API's word and by what the devices themselves hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from controller.demo.world import World

Side = Literal["api", "device"]
SIDES: tuple[Side, Side] = ("api", "device")
SHOWN = 400
"""Characters of what a side said that are kept."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: what was expected, what that side said."""

    side: Side
    expected: str
    said: str
    holds: bool


class Findings:
    """Checks of one step, in the order in which they were made."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def api(self, expected: str, said: object, holds: bool) -> None:
        """Note what the API reported."""
        self.checks.append(Check("api", expected, str(said)[:SHOWN], holds))

    def device(self, expected: str, said: object, holds: bool) -> None:
        """Note what the devices hold."""
        self.checks.append(Check("device", expected, str(said)[:SHOWN], holds))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the tour does and checks. `needs`: names of steps without which it makes no sense."""

    name: str
    title: str
    work: Callable[[World, Findings], Awaitable[None]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step. `error`: why it could not be carried to its end."""

    name: str
    title: str
    seconds: float
    checks: tuple[Check, ...] = ()
    error: str = ""
    last_lines: tuple[str, ...] = field(default=())
    """The end of the daemon's log when the step failed."""

    def holds(self, side: Side) -> bool:
        """Whether that side was asked and everything it said was as expected."""
        own = [check for check in self.checks if check.side == side]
        return bool(own) and all(check.holds for check in own)

    @property
    def came_through(self) -> bool:
        """Whether it was carried out to its end, whatever the checks say."""
        return not self.error

    @property
    def true(self) -> bool:
        """Whether it came to its end and both sides say so."""
        return not self.error and all(self.holds(side) for side in SIDES)

    def failures(self) -> Sequence[Check]:
        """Checks that do not hold."""
        return [check for check in self.checks if not check.holds]

    def said(self, side: Side) -> str:
        """In a few words, for the summary."""
        own = [check for check in self.checks if check.side == side]
        if not own:
            return "not asked"
        wrong = [check for check in own if not check.holds]
        return f"{len(own)} of {len(own)} true" if not wrong else f"{len(wrong)} of {len(own)} untrue"
