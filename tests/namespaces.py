"""A rate-limited line between two network namespaces of the test's own, with iperf3 over it; root only."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

PROGRAMS: Final = ("ip", "tc", "iperf3")


def missing() -> str | None:
    """Why there can be no namespaces here; None if there can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    for name in PROGRAMS:
        if shutil.which(name) is None and shutil.which(name, path="/usr/sbin") is None:
            return f"{name} is not installed (Debian: apt-get install iproute2 iperf3)"
    probe = f"kj-{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False)
    if made.returncode:
        return "the kernel allows no network namespaces here"
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return None


@dataclass(frozen=True, slots=True)
class Line:
    """A router in a namespace, whose port `wan` leads over a limited line to a peer in another one."""

    router: str
    peer: str
    management: str
    """Address of the router at which its agent is reached."""

    @property
    def enter(self) -> tuple[str, ...]:
        """The command that starts another one inside the router."""
        return ("ip", "netns", "exec", self.router)

    def received(self) -> int:
        """Octets that came out of the line at the far end, by the kernel's own count there: the truth."""
        told = _run("ip", "-n", self.peer, "-s", "-j", "link", "show", "dev", "far")
        return int(json.loads(told)[0]["stats64"]["rx"]["bytes"])

    @contextmanager
    def sending(self, *options: str) -> Iterator[None]:
        """iperf3 from the router to the peer until the block ends."""
        server = subprocess.Popen(
            ["ip", "netns", "exec", self.peer, "iperf3", "-s", "-1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait_listening()
            client = subprocess.Popen(
                [*self.enter, "iperf3", "-c", "198.18.255.2", "-t", "3600", *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
            )
            try:
                yield
            finally:
                client.terminate()
                client.wait(10)
        finally:
            server.terminate()
            server.wait(10)

    def _wait_listening(self) -> None:
        ends = time.monotonic() + 10
        while ":5201" not in _run("ip", "netns", "exec", self.peer, "ss", "-Hltn"):
            assert time.monotonic() < ends, "iperf3 did not listen"
            time.sleep(0.05)


@contextmanager
def line(rate: str) -> Iterator[Line]:
    """Both namespaces and the line, up to `rate` towards the peer; all of it is gone afterwards."""
    mark = secrets.token_hex(3)
    router, peer, here = f"kj-r-{mark}", f"kj-p-{mark}", f"kj{mark}"
    third, fourth = secrets.randbelow(250) + 1, secrets.randbelow(60) * 4
    ours, management = f"198.18.{third}.{fourth + 1}", f"198.18.{third}.{fourth + 2}"
    try:
        _run("ip", "netns", "add", router)
        _run("ip", "netns", "add", peer)
        _run("ip", "-n", router, "link", "add", "wan", "type", "veth", "peer", "name", "far", "netns", peer)
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", "mgmt", "netns", router)
        for namespace, name, address in ((router, "wan", "198.18.255.1/30"), (peer, "far", "198.18.255.2/30")):
            _run("ip", "-n", namespace, "addr", "add", address, "dev", name)
            _run("ip", "-n", namespace, "link", "set", name, "up")
        _run("ip", "-n", router, "addr", "add", f"{management}/30", "dev", "mgmt")
        _run("ip", "-n", router, "link", "set", "mgmt", "up")
        _run("ip", "addr", "add", f"{ours}/30", "dev", here)
        _run("ip", "link", "set", here, "up")
        limit = ("tbf", "rate", rate, "burst", "32kbit", "latency", "50ms")
        _run("tc", "-n", router, "qdisc", "add", "dev", "wan", "root", *limit)
        yield Line(router, peer, management)
    finally:
        for namespace in (router, peer):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", here], capture_output=True, check=False)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
