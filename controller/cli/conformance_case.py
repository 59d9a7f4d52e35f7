"""What every runner of published vectors reports, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

import typer

from controller.cli.output import show_json


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


def report(results: Iterable[CaseResult], *, as_json: bool = False) -> NoReturn:
    """Print a line a case and the count, and end the command: 0 if there was a case and every one passed, else 1.

    With `as_json` one document: the cases and both counts.
    """
    passed = failed = 0
    cases = []
    for result in results:
        if not as_json:
            print(result.line)
        cases.append({"id": result.id, "ok": result.ok, "detail": result.detail})
        passed += result.ok
        failed += not result.ok
    if as_json:
        show_json({"cases": cases, "passed": passed, "failed": failed})
    else:
        print(f"{passed} passed, {failed} failed")
    raise typer.Exit(0 if passed and not failed else 1)
