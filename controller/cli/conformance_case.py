"""What every runner of published vectors reports, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

import typer


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case. `detail` of a failed one has the form `expected … got …`."""

    id: str
    ok: bool
    detail: str = ""

    @property
    def line(self) -> str:
        """The line to print: `ok ID`, or `FAIL ID expected … got …`."""
        return f"{'ok' if self.ok else 'FAIL'} {self.id} {self.detail}".rstrip()


def report(results: Iterable[CaseResult]) -> NoReturn:
    """Print a line a case and the count, and end the command: 0 if there was a case and every one passed, else 1."""
    passed = failed = 0
    for result in results:
        print(result.line)
        passed += result.ok
        failed += not result.ok
    print(f"{passed} passed, {failed} failed")
    raise typer.Exit(0 if passed and not failed else 1)
