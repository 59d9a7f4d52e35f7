"""A real daemon as a process of its own, reached as everybody reaches it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
FREE_PORTS = {
    "KAJITORI_API__PORT": "0",
    "KAJITORI_ARMS__LS_PORT": "0",
    "KAJITORI_ARMS__RS_PORT": "0",
    "KAJITORI_ARMS__HEARTBEAT_PORT": "0",
}
START_S = 60.0
_numbers = itertools.count(1)


def environment(directory: Path, **settings: str) -> dict[str, str]:
    """The environment of a command or daemon that works in `directory`; `settings` as `API__PORT="0"`."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("KAJITORI_")}
    own = {f"KAJITORI_{name}": value for name, value in settings.items()}
    fixed = {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", "KAJITORI_DATA_DIRECTORY": str(directory)}
    return bare | fixed | FREE_PORTS | own


@dataclass
class House:
    """A daemon that listens."""

    directory: Path
    process: subprocess.Popen[bytes]
    log: Path
    ports: Mapping[str, int]
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def key(self) -> str:
        """The admin key of the first start."""
        return (self.directory / "admin.key").read_text(encoding="ascii").strip()

    def client(self, key: str | None = None) -> httpx.Client:
        """A client with the admin key, or another one; an empty one sends none."""
        known = self.key if key is None else key
        headers = {"Authorization": f"Bearer {known}"} if known else {}
        made = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60, trust_env=False)
        self.clients.append(made)
        return made

    def incident(self, cause: str, kind: str = "client-loop") -> int:
        """Number of a new open incident, written as the daemon would: over REST nobody makes one."""
        return self._insert(
            "INSERT INTO incidents (kind, cause, title, state, opened_ms, last_ms, count, facts, version)"
            " VALUES (?, ?, 'found by a test', 'open', 1760745600000, 1760745600000, 1, '{\"pulls\":31}', 1)",
            (kind, cause),
        )

    def gave_up(self, version: int, instead: int) -> None:
        """A startup version was given up for another one, as after three failed boots."""
        self._insert(
            "INSERT INTO startup_trials (version_id, entry_id, digest, failures, failure, failed_ms, given_up_ms,"
            " instead_id) SELECT id, entry_id, digest, 3, 'retry is over', 1760745600000, 1760745600000, ?"
            " FROM config_versions WHERE id = ?",
            (instead, version),
        )

    def boot(self, serial_number: str) -> None:
        """A boot of an adapter that got as far as its config."""
        self._insert(
            "INSERT INTO arms_boots (adapter_id, trigger, rs_ms, asked_ms)"
            " SELECT id, 'power on boot', 1760745600000, 1760745600000 FROM adapters WHERE serial_shown = ?",
            (serial_number,),
        )

    def _insert(self, statement: str, values: tuple[object, ...]) -> int:
        with closing(sqlite3.connect(self.directory / "kajitori.db", timeout=30)) as database, database:
            made = database.execute(statement, values)
            assert made.rowcount == 1
            return made.lastrowid or 0

    def stop(self, number: int = signal.SIGTERM, deadline_s: float = 30.0) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(deadline_s)


@contextmanager
def serving(directory: Path, beside: Path | None = None, /, **settings: str) -> Iterator[House]:
    """Run `kajitori serve` in `directory` until the block ends; `beside` holds distributions that it finds, too."""
    log = directory.parent / f"{directory.name}.log"
    found = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(beside)))} if beside is not None else {}
    with log.open("ab") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller", "serve"],
            cwd=directory.parent,
            env=environment(directory, **({"PACE": "50"} | settings)) | found,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        house = House(directory, process, log, _listening(directory, process, log))
        try:
            yield house
        finally:
            for client in house.clients:
                client.close()
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


def _listening(directory: Path, process: subprocess.Popen[bytes], log: Path) -> Mapping[str, int]:
    deadline = time.monotonic() + START_S
    file = directory / "listening.json"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if file.exists() and (told := json.loads(file.read_text(encoding="ascii")))["pid"] == process.pid:
            return {name: int(port) for name, port in told.items()}
        time.sleep(0.05)  # another process tells by a file; there is no event for it
    raise AssertionError(
        f"the daemon does not listen (exit {process.poll()}): {log.read_text(encoding='utf-8')[-3000:]}"
    )


def ok(answer: httpx.Response) -> Any:
    """The body of a success; an AssertionError with the problem otherwise."""
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def refused(answer: httpx.Response, status: int, code: str) -> Json:
    """The problem of a refusal, complete in form; an AssertionError for anything else."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: Json = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert problem["status"] == status
    assert problem["type"] == f"/docs/errors#{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["next_step"], f"a refusal without a next step: {problem}"
    return problem


def serial() -> str:
    """A serial number that no test had before."""
    return f"SN{next(_numbers):06d}{uuid.uuid4().hex[:8].upper()}"


def distribution_id() -> str:
    """A Distribution ID that no test had before."""
    digits = uuid.uuid4().hex.upper()
    return "-".join(digits[at : at + 4] for at in range(0, 32, 4))


class Fleet:
    """What a test needs of a fleet, made over REST."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self._contractor: str | None = None

    def contractor(self) -> str:
        """Key of one contractor, the same for all of this fleet."""
        if self._contractor is None:
            self._contractor = str(ok(self.api.post("/contractors", json={"name": f"Fleet {uuid.uuid4()}"}))["key"])
        return self._contractor

    def management(self, entries: int = 1, standbys: int = 0, classes: tuple[str, ...] = ("I", "III")) -> str:
        """Key of a new management."""
        body = {
            "contractor": self.contractor(),
            "service": "mpc",
            "classes": classes,
            "entry_count": entries,
            "standby_count": standbys,
        }
        return str(ok(self.api.post("/managements", json=body))["key"])

    def slots(self, noun: str, management: str) -> list[str]:
        """Keys of the open slots of a management; `noun` is entries or standbys."""
        return [one["key"] for one in ok(self.api.get(f"/{noun}", params={"management": management}))["items"]]

    def arms(self, **more: Any) -> Json:
        """The body that registers a SEIL of class I."""
        return {
            "serial_number": serial(),
            "contractor": self.contractor(),
            "service": "mpc",
            "device_class": "I",
            "model": "SEIL/X4",
            "distribution_id": distribution_id(),
            **more,
        }

    def ssh(self, password: str = "correct horse", model: str = "Cisco IOS", **more: Any) -> Json:
        """The body that registers a router that nobody answers for."""
        return {
            "serial_number": serial(),
            "contractor": self.contractor(),
            "service": "mpc",
            "device_class": "III",
            "model": model,
            "endpoint": {"host": "127.0.0.1", "port": 9, "username": "admin", "password": password},
            **more,
        }

    def register(self, body: Json) -> Json:
        """Register; the answer."""
        made: Json = ok(self.api.post("/adapters", json=body))
        return made
