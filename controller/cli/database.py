"""`kajitori db`: migrations of the main database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.options import AsJson, SettingsFile
from controller.cli.output import out, show_json

Url = Annotated[str | None, typer.Option("--url", help="sqlite:///path or postgresql://…; default: from the settings.")]


def _address(file: Path | None, url: str | None) -> str:
    if url is not None:
        return url
    from controller import settings  # noqa: PLC0415

    known = settings.load(file, os.environ)
    known.data_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return known.database_url()


def _at_head(as_json: bool) -> None:
    if as_json:
        show_json({"at_head": True})
    else:
        out.print("the database is at head")


def register(app: typer.Typer) -> None:
    """Add `db` to the commands."""
    group = typer.Typer(help="Create, upgrade and check the main database.", no_args_is_help=True)
    app.add_typer(group, name="db")

    @group.command("upgrade")
    def upgrade(file: SettingsFile = None, url: Url = None, as_json: AsJson = False) -> None:
        """Create the database, or bring it to this version's schema."""
        from controller.store import migrate  # noqa: PLC0415 (slow to import; most commands are only clients)

        asyncio.run(migrate.upgrade(_address(file, url)))
        _at_head(as_json)

    @group.command("check")
    def check(file: SettingsFile = None, url: Url = None, as_json: AsJson = False) -> None:
        """Exit 0 if the schema is the one this version needs; otherwise say what to do, and exit 1."""
        from controller.store import migrate  # noqa: PLC0415

        asyncio.run(migrate.check(_address(file, url)))
        _at_head(as_json)
