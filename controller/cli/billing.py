"""`kajitori amounts`, `deadline`: what a month costs, and what falls due, over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import Json, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_fields, show_json, show_table

COLUMNS = ("line", "words", "yen", "arithmetic", "rules")
DUE_COLUMNS = ("day", "overdue", "kind", "subject", "contractor", "rule", "words")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What falls due.", no_args_is_help=True)
    app.add_typer(group, name="deadline")

    @group.command("list")
    def listing(
        days: Annotated[int, typer.Option(min=0, max=400, help="So many days from today.")] = 30,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Returns, claims, periods, notices, suspensions, billing starts: by day, overdue first."""
        found = api(url, key_file).get_list("/deadlines", days=days)
        if as_json:
            show_json(found)
        else:
            show_table(found, DUE_COLUMNS)

    @app.command("amounts")
    def amounts(
        key: Annotated[str, typer.Argument(help="A contractor (K-1) or a contract line (L-1).")],
        month: Annotated[str, typer.Argument(help="Month of service, YYYY-MM.")],
        as_of: Annotated[str | None, typer.Option(help="What had happened or was asked for until this day.")] = None,
        known_at: Annotated[str | None, typer.Option(help="What was recorded until then.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """What a month of service costs; each amount with its arithmetic and its rules."""
        noun = "contracts" if key.upper().startswith("L") else "contractors"
        found = api(url, key_file).get(f"{at(noun, key)}/amounts", month=month, as_of=as_of, known_at=known_at)
        if as_json:
            show_json(found)
            return
        lines = found["lines"] if noun == "contractors" else [found]
        show_table(_rows(lines, found.get("units", [])), COLUMNS)
        for missing in found["missing"] if noun == "contractors" else [found["missing"]] if found["missing"] else []:
            out.print(f"missing: {missing}", markup=False)
        for bill in found.get("bills", []):
            credits = bill.pop("credits")
            show_fields(bill)
            show_table(credits, ("words", "yen", "arithmetic", "rules"))


def _rows(lines: list[Json], units: list[Json]) -> list[Json]:
    charged = [{"line": one["line"], **amount} for one in lines for amount in one["amounts"]]
    return [*charged, *units]
