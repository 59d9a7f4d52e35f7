"""What the README shows is what a user sees: each `$` line is run, and its output compared."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def steps() -> Iterator[tuple[str, str]]:
    """Command and expected output of each `$` line in the console blocks, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.+?)^```$", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def matches(shown: str, seen: str) -> bool:
    """Whether the output is as shown; `…` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.rstrip("\n").split("…"))
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in seen.splitlines()), re.S) is not None


def free_settings(folder: Path) -> Path:
    """Settings that ask for any free port."""
    file = folder / "kajitori.toml"
    file.write_text("[api]\nport = 0\n[arms]\nls_port = 0\nrs_port = 0\nheartbeat_port = 0\n", encoding="utf-8")
    return file


def test_the_tour_of_the_readme_is_what_a_user_sees(tmp_path: Path) -> None:
    settings = free_settings(tmp_path)
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    kajitori = tmp_path / "bin/kajitori"
    kajitori.parent.mkdir()
    kajitori.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m controller "$@"\n', encoding="utf-8")
    kajitori.chmod(0o755)
    environment["PATH"] = f"{kajitori.parent}:{environment['PATH']}"
    daemon: subprocess.Popen[bytes] | None = None
    ran = 0
    try:
        for command, shown in steps():
            if command == "kajitori serve &":
                daemon = subprocess.Popen(
                    [kajitori, "serve", "--settings", settings], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
                )
                environment["KAJITORI_URL"] = f"http://127.0.0.1:{_port(tmp_path, daemon)}"
                continue
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            seen = done.stdout + done.stderr
            assert matches(shown, seen), f"$ {command}\n--- the README shows\n{shown}\n--- a user sees\n{seen}"
            ran += 1
    finally:
        if daemon is not None:
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=30)
    assert ran > 8


def _port(folder: Path, daemon: subprocess.Popen[bytes]) -> int:
    """Port of the API, once the daemon listens."""
    listening = folder / "kajitori-data/listening.json"
    ends = time.monotonic() + 60
    while not listening.exists():
        assert daemon.poll() is None, daemon.communicate()[1].decode()
        assert time.monotonic() < ends, "the daemon did not listen within a minute"
        time.sleep(0.05)
    return int(json.loads(listening.read_text(encoding="ascii"))["api"])
