"""`kajitori demo`: the real daemon with a simulated fleet, a tour through both, checked on both sides."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controller.cli.client import Exit
from controller.cli.output import complain, err, out, show_json
from inventory.errors import BadInput

PORT = 8080


def register(app: typer.Typer) -> None:
    """Add `demo` to the commands."""

    @app.command("demo")
    def demo(
        adapters: Annotated[int, typer.Option(min=10, max=500, help="Number of simulated adapters.")] = 50,
        port: Annotated[
            int, typer.Option(min=0, max=65535, help="Port of API and status page; 0: any free one.")
        ] = PORT,
        once: Annotated[bool, typer.Option("--once", help="End after the tour; exit 0 if every step is true.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON; implies --once.")] = False,
        keep: Annotated[Path | None, typer.Option(help="Data directory to use, and to leave behind.")] = None,
        fault: Annotated[
            list[str] | None,
            typer.Option(help="Make a device lie, to see it found out: SERIAL:SWITCH=VALUE, see `kajitori sim`."),
        ] = None,
        year: Annotated[
            int | None,
            typer.Option(
                min=2025, max=2100, help="Play twelve months of contracts and invoices instead, without a daemon."
            ),
        ] = None,
        seed: Annotated[
            int, typer.Option(help="With --year: another seed is another year; the same, the same yen.")
        ] = 1,
    ) -> None:
        """Run the daemon with simulated adapters on loopback and play a tour; stays until Ctrl-C.

        Each step is checked twice: by what the REST API reports, and by what the simulated device itself holds.
        """
        if year is not None:
            _year(year, seed, as_json=as_json)
        # The devices need libraries that no other command loads.
        from controller.demo import run, show  # noqa: PLC0415
        from controller.demo.processes import NotStarted  # noqa: PLC0415
        from controller.demo.tour import Wanted  # noqa: PLC0415

        stay = not (once or as_json)
        console: Console = err if as_json else out
        # Without anybody to look at it, the port does not matter, and 8080 may be taken.
        chosen = 0 if port == PORT and not stay else port
        faults = tuple(parse_fault(text) for text in fault or ())
        try:
            with run.data_directory(keep) as directory:
                wanted = Wanted(directory, adapters=adapters, port=chosen, faults=faults)
                results, seconds = run.timed(wanted, console, stay=stay, kept=keep is not None)
        except NotStarted as error:
            complain(str(error), "Its last words say why; if the port is taken, try --port 0.")
            raise typer.Exit(Exit.FAILED) from None
        except run.Interrupted:
            complain("stopped before the tour was over")
            raise typer.Exit(Exit.FAILED) from None
        if as_json:
            show_json(show.as_json(results, adapters=adapters, seconds=seconds))
        raise typer.Exit(Exit.DONE if all(result.true for result in results) else Exit.FAILED)


def _year(year: int, seed: int, *, as_json: bool) -> None:
    """Twelve months of a contractor base; exit 0 only if everything holds at their end."""
    from controller.demo import yearshow  # noqa: PLC0415
    from controller.demo.year import play  # noqa: PLC0415

    started = time.monotonic()
    result = play(year, seed)
    seconds = time.monotonic() - started
    if as_json:
        show_json(yearshow.as_json(result, seconds))
    else:
        yearshow.show(out, result, seconds)
    raise typer.Exit(Exit.FAILED if result.broken else Exit.DONE)


def parse_fault(text: str) -> tuple[str, str, object]:
    """Serial number, switch and value of `SERIAL:SWITCH=VALUE`; the value is JSON, or a text. Raises BadInput."""
    serial, colon, rest = text.partition(":")
    name, equals, value = rest.partition("=")
    if not (serial and colon and name and equals):
        raise BadInput(f"--fault {text} is not SERIAL:SWITCH=VALUE", field="fault")
    try:
        return serial, name, json.loads(value)
    except ValueError:
        return serial, name, value
