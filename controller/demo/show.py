"""What a person sees of the tour: progress, the summary, and where to look. Programs get JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.status import Status
from rich.table import Table

from controller.demo.checks import SIDES, Result, Step
from controller.demo.world import World

CHECK_WIDTH: Final = 300


class Progress:
    """A line for each step that ends, and while it lasts, on a terminal, what is under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._under_way: dict[str, str] = {}
        self._status: Status | None = console.status("starting daemon and devices") if console.is_terminal else None

    def begin(self) -> None:
        """Something is about to be under way."""
        if self._status is not None:
            self._status.start()
        else:
            self._console.print("starting the daemon and the simulated devices")

    def end(self) -> None:
        """Nothing is under way any more."""
        if self._status is not None:
            self._status.stop()

    def step(self, step: Step, result: Result | None) -> None:
        """A step begins (no result yet) or ends."""
        if result is None:
            self._under_way[step.name] = step.title
        else:
            self._under_way.pop(step.name, None)
            sign = "[green]✓[/green]" if result.true else "[red]✗[/red]"
            self._console.print(f"{sign} {step.title} [dim]({result.seconds:.1f} s)[/dim]")
            if not result.true:
                self._console.print(*failure(result), sep="\n", markup=False)
        if self._status is not None:
            self._status.update(" · ".join(self._under_way.values()) or "next")


def failure(result: Result) -> list[str]:
    """What was expected, what each side said, and the end of the daemon's log."""
    lines = [f"    {result.error[:CHECK_WIDTH]}"] if result.error else []
    for check in result.failures():
        lines.append(f"    {check.side} – expected: {check.expected}")
        lines += [f"        said: {line}" for line in check.said[:CHECK_WIDTH].splitlines() or ["nothing"]]
    lines += [f"    {side} – was not asked" for side in SIDES if not any(c.side == side for c in result.checks)]
    if result.last_lines:
        lines.append("    the daemon's last lines:")
        lines += [f"        {line[:CHECK_WIDTH]}" for line in result.last_lines]
    return lines


def summary(console: Console, results: Sequence[Result]) -> None:
    """The table at the end."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "step", "API said", "devices said"):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for result in results:
        sign = "[green]✓[/green]" if result.true else "[red]✗[/red]"
        words = [result.said(side) for side in SIDES]
        table.add_row(sign, result.title, *words, f"{result.seconds:.1f}")
    console.print()
    console.print(table)
    good = sum(result.true for result in results)
    console.print(f"\n{good} of {len(results)} steps are true on both sides")


def where_to_look(console: Console, world: World, *, kept: bool) -> None:
    """Addresses, the key, and the files; while the daemon is up, or after it if the files are kept."""
    key_file = world.daemon.key_file
    console.print("\nWhere to look", style="bold")
    rows = [
        ("status page", f"{world.daemon.url}/status – any user name, the key in {key_file} as password"),
        ("API and its documents", f"{world.daemon.url}/api/docs – Authorization: Bearer and the same key"),
        ("command line", f"KAJITORI_URL={world.daemon.url} kajitori adapter list --key-file {key_file}"),
        *(("traffic report", path) for path in world.report_paths if not path.endswith(".json")),
        ("daemon's log", str(world.daemon.log_file)),
    ]
    for name, place in rows:
        console.print(f"  {name:<22} {place}", markup=False)
    if not kept:
        console.print(f"  {world.daemon.directory} is removed at the end; --keep keeps it", style="dim")


def as_json(results: Sequence[Result], *, adapters: int, seconds: float) -> dict[str, object]:
    """The summary for programs."""
    return {
        "true": all(result.true for result in results),
        "adapters": adapters,
        "seconds": round(seconds, 1),
        "steps": [
            {
                "name": result.name,
                "title": result.title,
                "true": result.true,
                "seconds": round(result.seconds, 1),
                "error": result.error,
                **{
                    side: {
                        "true": result.holds(side),
                        "checks": [
                            {"expected": check.expected, "said": check.said, "holds": check.holds}
                            for check in result.checks
                            if check.side == side
                        ],
                    }
                    for side in SIDES
                },
                "last_lines": list(result.last_lines),
            }
            for result in results
        ],
    }
