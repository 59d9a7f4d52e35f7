"""What a conformance runner says about one case."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case of a vector file; `detail` says what was expected and what came, where it failed."""

    id: str
    ok: bool
    detail: str = ""
