"""`kajitori`: for people and for cron. Every command takes `--json`; exit statuses are in architecture §10."""

from __future__ import annotations

import sys

import typer

from controller.cli import (
    billing,
    configs,
    conformance,
    contracting,
    database,
    demo,
    fleet,
    incidents,
    keys,
    mobile,
    modelfigures,
    operating,
    outages,
    people,
    pricing,
    pushing,
    reporting,
    serving,
    sim,
    traffic,
    transcribing,
)
from controller.cli.client import Exit
from controller.cli.output import complain
from inventory.errors import BadInput, ConfigSyntax, FleetError

app = typer.Typer(
    name="kajitori",
    help="An open fleet controller for routers: phone-home, proven pushes, metering with error bars.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
vectors = typer.Typer(help="Run published vector files against this build.", no_args_is_help=True)
conformance.register(vectors)
app.add_typer(vectors, name="conformance")
for room in (
    serving,
    database,
    demo,
    fleet,
    contracting,
    incidents,
    pricing,
    billing,
    outages,
    people,
    keys,
    configs,
    pushing,
    reporting,
    operating,
    transcribing,
    traffic,
    modelfigures,
    mobile,
    sim,
):
    room.register(app)


def main() -> None:
    """Entry point of the command. A refusal is printed with its next step and never as a traceback."""
    try:
        app()
    except FleetError as error:
        complain(f"{error.message}" + (f" [{error.rule}]" if error.rule else ""), error.next_step)
        sys.exit(Exit.BAD_INPUT if isinstance(error, BadInput | ConfigSyntax) else Exit.FAILED)
