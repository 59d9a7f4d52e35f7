"""`kajitori price-list`: dated prices over REST; a CSV file is taken whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Exit, Json, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table
from inventory.errors import BadInput

COLUMNS = ("contractor", "service", "item", "fee", "yen", "first_day")
FAULT_COLUMNS = ("row", "column", "rule", "message", "next_step")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Dated prices, of the default list and of contractors.", no_args_is_help=True)
    app.add_typer(group, name="price-list")

    @group.command("import")
    def importing(
        file: Annotated[Path, typer.Argument(help="CSV: contractor,service,item,fee,yen,first_day.", dir_okay=False)],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be recorded.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Import a CSV file of prices, whole or not at all."""
        client = api(url, key_file)
        told = client.post("/price-lists/import", {"text": read_text(file), "dry_run": True})
        if not dry_run and not told["faults"]:
            told = client.post("/price-lists/import", {"text": read_text(file), "dry_run": False})
        report(told, as_json=as_json)

    @group.command("show")
    def show(
        contractor: Annotated[str | None, typer.Argument(help="K-1; left out: the default list.")] = None,
        on: Annotated[str | None, typer.Option(help="The day; today if left out.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Prices in force for a contractor on a day; without one, the rows of the default list as recorded."""
        client = api(url, key_file)
        if contractor is None:
            found = list(client.every("/price-lists", default="true"))
        else:
            found = client.get_list(f"{at('contractors', contractor)}/prices", on=on)
        if as_json:
            show_json(found)
        else:
            show_table(found, COLUMNS)

    @group.command("rows")
    def rows(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Every row that a complete list has."""
        found = api(url, key_file).get_list("/price-lists/rows")
        if as_json:
            show_json(found)
        else:
            show_table(found, ("service", "item", "fee"))


def read_text(file: Path) -> str:
    """The text of a CSV file. Raises BadInput when it cannot be read as UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: {error}", field="file", next_step="Give a CSV file in UTF-8.") from None


def report(told: Json, *, as_json: bool) -> None:
    """Print what a file brings or has brought, row by row where rows are wrong; exit status 2 then."""
    if as_json:
        show_json(told)
    elif told["faults"]:
        show_table(told["faults"], FAULT_COLUMNS)
        out.print("nothing was imported")
    else:
        verb = "would be" if told["dry_run"] else "were"
        out.print(f"{told['rows']} rows: {told['new']} {verb} recorded, {told['unchanged']} known already")
    if told["faults"]:
        raise typer.Exit(Exit.BAD_INPUT)
