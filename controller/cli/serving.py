"""`kajitori serve`: the daemon."""

from __future__ import annotations

import gc
import os
from typing import Annotated

import typer

from controller.cli.options import SettingsFile
from controller.cli.output import show_json


def register(app: typer.Typer) -> None:
    """Add `serve` to the commands."""

    @app.command("serve")
    def serve(
        file: SettingsFile = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the bound ports as JSON once it listens.")] = False,
    ) -> None:
        """Run the daemon until SIGTERM or Ctrl-C. The first start makes the database, the keys and `admin.key`.

        The log goes to standard error.
        """
        gc.set_threshold(100_000, 20, 100)  # what is made until it listens stays; `settle_heap` sets it for the rest
        from controller import logs, main, settings  # noqa: PLC0415 (slow to import; most commands are only clients)

        known = settings.load(file, os.environ)
        logs.configure(known.log_level)
        main.run(known, show_json if as_json else lambda _ports: None)
