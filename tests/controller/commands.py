"""Commands of `kajitori` as people run them: a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.controller.house import House, environment

DONE, FAILED, BAD_INPUT, NOT_SETTLED = 0, 1, 2, 3


def kajitori(directory: Path, *words: str, stdin: str = "", **settings: str) -> tuple[int, str, str]:
    """Exit status, output and complaints of a command; a traceback is a failure."""
    ran = subprocess.run(
        [sys.executable, "-m", "controller", *words],
        cwd=directory.parent,
        env=environment(directory, **settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, ran.stdout, ran.stderr


def client(house: House, *words: str, stdin: str = "", **settings: str) -> tuple[int, str, str]:
    """The same against a daemon, with its admin key."""
    return kajitori(house.directory, *words, stdin=stdin, **{"URL": house.url, "API_KEY": house.key, **settings})


def told(house: House, *words: str) -> Any:
    """The JSON of a command that must be done."""
    status, out, err = client(house, *words, "--json")
    assert status == DONE, err
    return json.loads(out)
