"""A Prometheus of the test's own, on a port of its own, if the server is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

MISSING = "Prometheus is not installed (Debian: apt-get install prometheus)"
START_S = 60.0


def installed() -> bool:
    """Whether prometheus and promtool are here."""
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def require_prometheus() -> None:
    """Skip (with CI=true fail) unless they are."""
    if not installed():
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)


def promtool(*words: str, given: str | None = None, folder: Path | None = None) -> str:
    """Run promtool; what it said. An AssertionError if it complains."""
    require_prometheus()
    done = subprocess.run(
        ("promtool", *words), input=given, capture_output=True, text=True, cwd=folder, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def receiving() -> Iterator[str]:
    """A Prometheus that takes remote writes, also old ones; its address."""
    require_prometheus()
    with (
        tempfile.TemporaryDirectory(prefix="kajitori-prometheus-") as home,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        port = free.getsockname()[1]
        free.close()
        config = Path(home) / "prometheus.yml"
        config.write_text("storage: {tsdb: {out_of_order_time_window: 3650d}}\n", encoding="ascii")
        url = f"http://127.0.0.1:{port}"
        process = subprocess.Popen(
            (
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={home}/data",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
                "--log.level=error",
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)  # another process tells by its port; there is no event for it
    raise AssertionError(f"Prometheus does not start (exit {process.poll()})")


def asked(url: str, query: str, at_ms: int) -> list[dict[str, Any]]:
    """Answer of an instant query."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query, "time": at_ms / 1000}, trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
    return found
