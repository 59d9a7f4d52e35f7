"""The two processes of the demo: the real daemon, and the simulated fleet."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from controller.demo.rest import Json, Refused, Rest
from drivers.simulator.control import ask_control

PACE = 30.0
"""What waits of daemon and devices are divided by: a minute takes two seconds, every protocol value stays legal."""
GUARD_S = 1800
"""Devices undo an unconfirmed change after half an hour of their time: one minute of ours."""
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
LOG_LINES = 20


class NotStarted(Exception):
    """A process did not come up; the words end with what it wrote last."""


class DaemonProcess:
    """`kajitori serve` with settings of its own in a directory of its own."""

    def __init__(self, directory: Path, *, api_port: int = 0, pace: float = PACE) -> None:
        self.directory = directory
        self.pace = pace
        self._api_port = api_port
        self._ports: Json = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last: deque[str] = deque(maxlen=200)

    @property
    def url(self) -> str:
        """Where REST, documents and status page are."""
        return f"http://127.0.0.1:{self._ports['api']}"

    @property
    def ls_url(self) -> str:
        """Location Server, as an installer writes it into a device."""
        return f"https://127.0.0.1:{self._ports['ls']}/"

    @property
    def key_file(self) -> Path:
        """The admin key of the first start."""
        return self.directory / "admin.key"

    @property
    def log_file(self) -> Path:
        """All that the daemon logged."""
        return self.directory / "daemon.log"

    def admin_key(self) -> str:
        """The key that the first start made."""
        return self.key_file.read_text(encoding="ascii").strip()

    def root_ca_pem(self) -> str:
        """What a factory would have written into the adapters."""
        return next(self.directory.rglob("arms-root-ca.crt")).read_text(encoding="ascii")

    def last_lines(self, count: int = LOG_LINES) -> list[str]:
        """The end of its log."""
        return list(self._last)[-count:]

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises NotStarted with its last words."""
        settings = self.directory / "kajitori.toml"
        await asyncio.to_thread(settings.write_text, self._settings(), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KAJITORI_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "controller",
            "serve",
            "--settings",
            str(settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            # Ctrl-C is for us; we then stop the daemon in order.
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read())
        await self._until_it_answers()

    async def stop(self) -> int | None:
        """SIGTERM, then patience; its exit status, None if it had to be killed or never ran."""
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            process.terminate()
        status = None
        try:
            status = await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading
        return status

    def _settings(self) -> str:
        return f"""# Made by `kajitori demo`.
data_directory = {json.dumps(str(self.directory))}
pace = {self.pace}
log_level = "info"

[api]
port = {self._api_port}

[arms]
ls_port = 0
rs_port = 0
heartbeat_port = 0

[push]
guard_s = {GUARD_S}
"""

    async def _until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.returncode is not None:
                break
            if await self._answers():
                return
            await asyncio.sleep(0.1)
        why = f"did not answer within {START_TIMEOUT_S:g} s"
        if self._process.returncode is not None:
            assert self._reading is not None
            await self._reading
            why = f"ended with status {self._process.returncode} before it answered"
        words = "\n".join(self.last_lines())
        raise NotStarted(f"the daemon {why}; its last words:\n{words}")

    async def _answers(self) -> bool:
        try:
            told = await asyncio.to_thread((self.directory / "listening.json").read_text, "ascii")
            self._ports = json.loads(told)
            async with Rest(self.url, self.admin_key()) as rest:
                await rest.get("/contractors")
        except (Refused, OSError):
            return False
        return True

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self.log_file.open("wb") as file:
            async for line in self._process.stderr:
                file.write(line)
                file.flush()
                self._last.append(line.decode("utf-8", "replace").rstrip())


class FleetProcess:
    """The simulated devices, and the questions that an examiner asks them."""

    def __init__(
        self, adapters: int, *, pace: float, history_start_ms: int, faults: Sequence[tuple[str, str, object]] = ()
    ) -> None:
        self._asked = {"adapters": adapters, "pace": pace, "history_start_ms": history_start_ms, "faults": faults}
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    async def start(self) -> None:
        """Start it. Raises NotStarted."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "controller.demo.fleet_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._asked).encode() + b"\n")
        await self._process.stdin.drain()
        said = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
        if not said:
            raise NotStarted("the simulated fleet did not come up; see what it wrote above")
        self._port = int(json.loads(said)["control_port"])

    async def stop(self) -> None:
        """End it by closing its input."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ask(self, cmd: str, **arguments: object) -> Json:
        """One question on the control port. Raises BadInput when the fleet refuses it."""
        return await ask_control("127.0.0.1", self._port, cmd, **arguments)

    async def truth(self, serial: str) -> Json:
        """What one device really holds."""
        return await self.ask("truth", serial=serial)

    async def records(self, serial: str) -> Sequence[Json]:
        """What one device noted of its own life, oldest first; each has `what` and `detail`."""
        if serial.startswith(("FDO", "FGT")):
            found: Sequence[Json] = (await self.truth(serial))["log"]
            return found
        noted: Sequence[Json] = (await self.ask("log", serial=serial))["records"]
        return noted
