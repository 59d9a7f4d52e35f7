"""An amount in whole yen that explains itself (service-terms §6): its parts, its arithmetic, the rules that speak."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from inventory.calendar import Month


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a sum, exact; `words` is its arithmetic."""

    words: str
    exact_yen: Fraction


@dataclass(frozen=True, slots=True)
class Amount:
    """What is charged or credited: the exact sum of its parts, floored once to whole yen, without tax."""

    parts: tuple[Part, ...]
    rules: tuple[str, ...]
    """Ids of the terms that it follows from."""
    reason: str = ""
    """Why it is nothing, or what else decided."""

    @property
    def exact_yen(self) -> Fraction:
        """The sum before it is floored."""
        return sum((part.exact_yen for part in self.parts), Fraction(0))

    @property
    def yen(self) -> int:
        """Whole yen."""
        return floor(self.exact_yen)

    @property
    def arithmetic(self) -> str:
        """The whole calculation in one line."""
        if not self.parts:
            return self.reason or "0 yen"
        return f"{' + '.join(part.words for part in self.parts)} = {self.yen:,} yen"


def prorated(month: Month, days: int, monthly_yen: int, *, count: int = 1) -> Part:
    """`count` × the monthly fee × days charged ÷ days in the month."""
    times = f"{count} × " if count != 1 else ""
    words = f"{month}: {times}{monthly_yen:,} × {days}/{month.days}"
    return Part(words, Fraction(count * monthly_yen * days, month.days))
