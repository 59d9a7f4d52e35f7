"""A real SNMP agent (net-snmp's snmpd) on loopback, as an ordinary user; the test's own, ended by its process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
MODULES: Final = (
    "ifTable,ifXTable,system_mib,sysORTable,interface,sysUpTime,vacm_conf,usmUser,snmpEngine,usmConf,usm_conf"
)
START_S: Final = 10.0


@dataclass
class Agent:
    """A running agent. `restart` ends it and starts another one: its uptime begins again."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    enter: tuple[str, ...] = ()

    def restart(self) -> None:
        self.stop()
        self.process = _start(self.home, self.enter)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def program() -> str | None:
    """Path of snmpd; None if it is not installed."""
    return shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin")


@contextmanager
def agent(community: str, *users: str, address: str = "127.0.0.1", enter: tuple[str, ...] = ()) -> Iterator[Agent]:
    """Run an agent with that community; ends it afterwards.

    `users`: lines `createUser …` of SNMPv3, who may read everything with authentication. `enter`: a command that the
    agent is started by, such as one that enters a network namespace, whose `address` it then listens on.
    """
    home = Path(tempfile.mkdtemp(prefix="kajitori-snmpd-"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if enter:
        port = 16_161  # in a namespace of its own nobody else has it
    allowed = "".join(f"{line}\nrouser {line.split()[1]} auth\n" for line in users)
    (home / "snmpd.conf").write_text(f"agentAddress udp:{address}:{port}\nrocommunity {community}\n{allowed}")
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    running = Agent(home, port, _start(home, enter), enter)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home)


def _start(home: Path, enter: tuple[str, ...]) -> subprocess.Popen[bytes]:
    path = program()
    assert path is not None
    # MIBS= : the texts of the IETF MIBs are not shipped, and only numbers are asked for.
    environment = {**os.environ, "MIBS": "", "SNMPCONFPATH": str(home), "SNMP_PERSISTENT_DIR": str(home / "persist")}
    command = [path, "-f", "-Le", "-C", "-c", str(home / "snmpd.conf"), "-p", str(home / "pid"), "-I", MODULES]
    # Who enters a namespace must be root to do so; the agent itself becomes nobody then too.
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 and not enter else {}
    if enter:
        command = [*enter, *command, "-u", str(NOBODY), "-g", str(NOBODY)]
    with (home / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]  # the three options of another user are all or none
            command, env=environment, stdout=log, stderr=log, cwd=home, **as_nobody
        )
    deadline = time.monotonic() + START_S
    while b"NET-SNMP version" not in (home / "log").read_bytes():
        assert process.poll() is None, (home / "log").read_text()
        assert time.monotonic() < deadline, "snmpd did not start"
        time.sleep(0.02)
    return process
