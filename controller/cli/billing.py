"""`kajitori amounts`, `deadline`, `import-contracts`: what a month costs, and what falls due, over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Exit, Json, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_fields, show_json, show_table
from controller.cli.pricing import FAULT_COLUMNS, read_text

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

    @app.command("import-contracts")
    def importing(
        file: Annotated[Path, typer.Argument(help="CSV: one row a line or option.", dir_okay=False)],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be kept.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Import contracts with their original days, whole or not at all."""
        client, text = api(url, key_file), read_text(file)
        told = client.post("/contracts/import", {"text": text, "dry_run": True})
        if not dry_run and not told["faults"]:
            told = client.post("/contracts/import", {"text": text, "dry_run": False})
        if as_json:
            show_json(told)
        else:
            show_table(told["rows"], ("row", "application", "line", "rules"))
            show_table(told["faults"], FAULT_COLUMNS)
            kept = "nothing was imported" if told["dry_run"] else f"{len(told['rows'])} rows were imported"
            out.print(kept)
        if told["faults"]:
            raise typer.Exit(Exit.BAD_INPUT)

    @app.command("amounts")
    def amounts(
        key: Annotated[str, typer.Argument(help="A contractor (K-1) or a contract line (L-1).")],
        month: Annotated[str, typer.Argument(help="Month of service, YYYY-MM.")],
        as_of: Annotated[str | None, typer.Option(help="What was true until this day.")] = None,
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
