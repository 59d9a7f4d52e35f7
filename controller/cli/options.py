"""Options that every command with a daemon behind it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Api, connect

Url = Annotated[str, typer.Option("--url", envvar="KAJITORI_URL", help="Address of the daemon.")]
KeyFile = Annotated[Path, typer.Option("--key-file", help="File with the API key; KAJITORI_API_KEY wins.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", envvar="KAJITORI_SETTINGS", help="Settings file (TOML).")
]

HERE = "http://127.0.0.1:8080"
ADMIN_KEY = Path("kajitori-data/admin.key")


def api(url: str, key_file: Path) -> Api:
    """The API that the options name."""
    return connect(url, key_file)
