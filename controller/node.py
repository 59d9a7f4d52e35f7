"""The data directory of this node: made for its owner only, with the first key and the ports it listens on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from inventory.secrets import Secret


def prepare(directory: Path) -> None:
    """Make the data directory, readable by its owner only."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def keep_admin_key(directory: Path, key: Secret) -> Path:
    """Write the first admin key where its owner finds it (`admin.key`, mode 0600); it is shown nowhere else."""
    path = directory / "admin.key"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key.reveal() + "\n")
    return path


def announce(directory: Path, ports: dict[str, int]) -> None:
    """Write the bound ports to `listening.json`, whole or not at all: settings may have asked for any free port."""
    fresh = directory / "listening.json.new"
    fresh.write_text(json.dumps({"pid": os.getpid(), **ports}), encoding="ascii")
    fresh.replace(directory / "listening.json")


def retract(directory: Path) -> None:
    """This node listens no more."""
    (directory / "listening.json").unlink(missing_ok=True)
