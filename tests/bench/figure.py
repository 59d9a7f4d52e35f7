"""One figure beside its baseline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `baseline` in `unit`; their ratio is what can be compared between machines."""

    name: str
    value: float
    unit: str
    baseline_name: str
    baseline: float

    def __str__(self) -> str:
        ratio = self.value / self.baseline if self.baseline else float("nan")
        return (
            f"{self.name}: {self.value:,.6g} {self.unit}; "
            f"{self.baseline_name}: {self.baseline:,.6g} {self.unit}; ratio {ratio:.3g}"
        )
