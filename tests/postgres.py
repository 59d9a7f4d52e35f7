"""A PostgreSQL cluster of the test run's own, on a unix socket in a directory of its own (as another user for root)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
SETTINGS: Final = (
    "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c shared_buffers=64MB -c max_connections=150"
)
"""Durability is off: the cluster is thrown away, and crash stories use the daemon's own kill."""


def programs() -> Path | None:
    """Folder of `initdb` and `pg_ctl`, the newest if there are several; None if the server is not installed."""
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name), reverse=True
    )
    if packaged:
        return packaged[0].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def cluster() -> Iterator[Path]:
    """Run a server; yields the folder of its socket. Superuser `postgres`, no password."""
    folder = programs()
    assert folder is not None, "PostgreSQL is not installed"
    home = Path(tempfile.mkdtemp(prefix="kajitori-pg-"))
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)

    def run(*command: str) -> None:
        as_nobody: dict[str, object] = (
            {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        subprocess.run(  # type: ignore[call-overload]  # the three options of another user are all or none
            command, check=True, stdout=subprocess.DEVNULL, cwd=home, **as_nobody
        )

    data = str(home / "data")
    try:
        run(
            str(folder / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync",
        )  # fmt: skip
        run(str(folder / "pg_ctl"), "-D", data, "-w", "-l", str(home / "log"), "start", "-o", f"-k {home} {SETTINGS}")
        try:
            yield home
        finally:
            run(str(folder / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home)
