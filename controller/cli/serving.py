"""`kajitori serve`: the daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from controller import logs, main, settings


def register(app: typer.Typer) -> None:
    """Add `serve` to the commands."""

    @app.command("serve")
    def serve(
        file: Annotated[Path | None, typer.Option("--settings", help="Settings file (TOML).")] = None,
    ) -> None:
        """Run the daemon until SIGTERM or Ctrl-C. The first start makes the database, the keys and `admin.key`."""
        known = settings.load(file, os.environ)
        logs.configure(known.log_level)
        main.run(known)
