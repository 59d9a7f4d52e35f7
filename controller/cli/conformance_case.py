"""What every runner of published vectors reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case. `detail` of a failed one has the form `expected … got …`."""

    id: str
    ok: bool
    detail: str = ""

    @property
    def line(self) -> str:
        """The line to print: `ok ID`, or `FAIL ID expected … got …`."""
        return f"ok {self.id}" if self.ok else f"FAIL {self.id} {self.detail}".rstrip()
