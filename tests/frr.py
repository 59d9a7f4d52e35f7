"""A real router command line: FRRouting's vtysh behind a real OpenSSH server, on loopback, ended by its process ids.

FRRouting's daemons run in network and host name spaces of their own, so that no route or name of the machine changes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DAEMONS: Final = Path("/usr/lib/frr")
PASSWORD: Final = "lab-pass-1"
START_S: Final = 20.0
HOSTNAME: Final = "osaka-frr"


@dataclass(frozen=True, slots=True)
class Router:
    """A running router. `key` is the host key that it shows, `saved` what the next start would load."""

    port: int
    username: str
    key: str
    saved: Path
    name: str

    def running(self) -> str:
        """What runs, asked past SSH and past our code."""
        return _run("vtysh", "-N", self.name, "-c", "show running-config")

    def configure(self, *lines: str) -> None:
        """Lines typed by somebody else."""
        _run("vtysh", "-N", self.name, *(word for line in ("configure terminal", *lines) for word in ("-c", line)))


def missing() -> str:
    """Which part is not there, as a sentence; empty if all are."""
    if os.geteuid() != 0:
        return "FRRouting behind OpenSSH is run by root only (a login user is made and removed)"
    parts = [("frr", DAEMONS / "zebra"), ("openssh-server", Path("/usr/sbin/sshd"))]
    absent = [name for name, path in parts if not path.exists()]
    return f"not installed (Debian: apt-get install {' '.join(absent)})" if absent else ""


@contextmanager
def router() -> Iterator[Router]:
    """Start daemons, login user and sshd; end and remove them all."""
    name = f"kj{os.getpid()}"
    home = Path(tempfile.mkdtemp(prefix="kajitori-frr-"))
    home.chmod(0o755)
    config, run = Path("/etc/frr") / name, Path("/run/frr") / name
    with contextlib.ExitStack() as last:
        last.callback(shutil.rmtree, home)
        for folder in (run.parent, run, config):
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, "frr", "frrvty")
            folder.chmod(0o775)
        last.callback(shutil.rmtree, config)
        last.callback(shutil.rmtree, run)
        for file, text in (
            ("vtysh.conf", f"service integrated-vtysh-config\nhostname {HOSTNAME}\n"),
            ("frr.conf", f"hostname {HOSTNAME}\n"),
        ):
            (config / file).write_text(text)
            shutil.chown(config / file, "frr", "frrvty")
            (config / file).chmod(0o640)
        last.callback(_end_all, run)
        start = " && ".join(
            f"{DAEMONS}/{one} -d -N {name} -A 127.0.0.1 -P 0 -f /dev/null" for one in ("zebra", "staticd")
        )
        _run("unshare", "--net", "--uts", "sh", "-c", f"hostname {HOSTNAME} && {start}")
        _run("vtysh", "-N", name, "-b")
        with contextlib.suppress(KeyError):
            _dismiss(name)  # of a run that was killed
        _run("useradd", "-M", "-d", "/", "-s", "/bin/sh", "-G", "frrvty,frr", name)
        last.callback(_dismiss, name)
        _run("chpasswd", given=f"{name}:{PASSWORD}\n")
        yield _served(last, home, name, config)


def _served(last: contextlib.ExitStack, home: Path, name: str, config: Path) -> Router:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "key"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (home / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {home}/key\nPidFile {home}/pid\nUsePAM no\n"
        f"PasswordAuthentication yes\nStrictModes no\nPrintMotd no\nPrintLastLog no\nAllowUsers {name}\n"
        f"MaxStartups 300\nForceCommand exec env VTYSH_PAGER=cat /usr/bin/vtysh -N {name}\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with (home / "log").open("wb") as log:
        sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", home / "sshd_config"], stdout=log, stderr=log)
    last.callback(sshd.wait, 10)
    last.callback(sshd.terminate)
    deadline = time.monotonic() + START_S
    while b"Server listening" not in (home / "log").read_bytes():
        assert sshd.poll() is None, (home / "log").read_text()
        assert time.monotonic() < deadline, "sshd did not start"
        time.sleep(0.02)
    key = " ".join((home / "key.pub").read_text().split()[:2])
    return Router(port, name, key, config / "frr.conf", name)


def _run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def _dismiss(name: str) -> None:
    """End what the user still runs, a session whose daemon is gone included, and remove it: its name is used again."""
    owner = pwd.getpwnam(name).pw_uid
    deadline = time.monotonic() + START_S
    while True:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if process.stat().st_uid == owner:
                    os.kill(int(process.name), signal.SIGKILL)
        done = subprocess.run(("userdel", name), capture_output=True, text=True, timeout=START_S, check=False)
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.05)


def _end_all(run: Path) -> None:
    for file in run.glob("*.pid"):
        pid = int(file.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + START_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
