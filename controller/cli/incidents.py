"""`kajitori incident`: what needs a person, over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_fields, show_json, show_table

COLUMNS = ("id", "kind", "state", "title", "adapter", "entry", "count", "opened_at", "last_at")
Number = Annotated[int, typer.Argument(min=1, help="Number of the incident.")]
Reason = Annotated[str, typer.Argument(help="Why; it stands in the audit.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What needs a person.", no_args_is_help=True)
    app.add_typer(group, name="incident")
    _reading(group)
    _deciding(group)


def _reading(group: typer.Typer) -> None:
    @group.command("list")
    def listing(
        state: Annotated[str | None, typer.Option(help="open, acknowledged or closed.")] = None,
        kind: Annotated[str | None, typer.Option(help="Only this kind, such as client-loop.")] = None,
        adapter: Annotated[str | None, typer.Option(help="Serial number.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Incidents by number."""
        found = list(api(url, key_file).every("/incidents", state=state, kind=kind, adapter=adapter))
        if as_json:
            show_json(found)
        else:
            show_table(found, COLUMNS)

    @group.command("show")
    def show(number: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """One incident: what it means, its facts, and what to do."""
        found = api(url, key_file).get(f"/incidents/{number}")
        if as_json:
            show_json(found)
            return
        facts = found.pop("facts")
        show_fields(found)
        for name, value in facts.items():
            out.print(f"  {name}: {value}", markup=False)


def _deciding(group: typer.Typer) -> None:
    @group.command("acknowledge")
    def acknowledge(
        number: Number, reason: Reason, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """Say that somebody is at work on it."""
        _decide("acknowledge", number, reason, url, key_file, as_json)

    @group.command("close")
    def close(
        number: Number, reason: Reason, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """Say that it is over."""
        _decide("close", number, reason, url, key_file, as_json)


def _decide(verb: str, number: int, reason: str, url: Url, key_file: KeyFile, as_json: bool) -> None:
    done = api(url, key_file).post(f"/incidents/{number}/{verb}", {"reason": reason})
    if as_json:
        show_json(done)
    else:
        show_table([done], COLUMNS)
