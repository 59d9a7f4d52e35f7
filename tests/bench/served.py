"""What is measured, in a process of its own on a core of its own: the whole daemon, or the bare baseline."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from controller import logs
from controller.main import Daemon, settle_heap
from controller.settings import ApiSettings, ArmsSettings, Settings
from tests.bench import fleet

_SIZE = re.compile(rb"Content-Length: (\d+)")


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of the measured process."""

    private_kb: int
    """Private_Clean + Private_Dirty of smaps_rollup."""
    cpu_s: float
    """User and system time of all its threads."""
    tunnels: int
    ready: int
    unread: int
    """Adapters that are ready and whose config is still to be read, which the daemon does by itself."""
    late_ms: float
    """The longest that the loop was late since the last reading."""


class _Late:
    """The longest that the loop was late, looked at every 10 ms."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def watch(self) -> None:
        """Run beside."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            self.worst_s = max(self.worst_s, loop.time() - before - 0.01)


def private_kb() -> int:
    """Private memory of this process."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(found) for found in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.MULTILINE))


# --- the daemon -------------------------------------------------------------------------------------------------------


def daemon(pipe: Connection, folder: Path, count: int, cpu: int | None, read: bool = False) -> None:
    """Entry of the process: a daemon with `count` adapters on record. Sends its ports, then answers readings.

    `read`: see `fleet.register`.
    """
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    _allow_files()
    uvloop.run(_daemon(pipe, folder, count, read))


def _allow_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _daemon(pipe: Connection, folder: Path, count: int, read: bool) -> None:
    settings = Settings(
        data_directory=folder,
        api=ApiSettings(port=0),
        # `ask`: most of the load shows no certificate, so that its own signatures do not set the pace.
        arms=ArmsSettings(
            ls_port=0, rs_port=0, heartbeat_port=0, client_certificates="ask", loop_requests=10_000, loop_window_s=10
        ),
    )
    # It logs as it does in service; only where to is another.
    os.dup2(os.open(folder / "log", os.O_WRONLY | os.O_CREAT, 0o600), 2)
    logs.configure(settings.log_level)
    running = await Daemon.open(settings)
    try:
        await fleet.register(running, count, read=read)
        await running.start()
        settle_heap()
        pipe.send(running.phonehome.ports)
        peers, told = running.phonehome._context.peers, running.truth._failed_ms

        def state() -> tuple[int, int, int]:
            ready = [number for number, peer in peers.items() if peer.ready.is_set()]
            unread = 0 if read else sum(one not in told for one in ready)
            return sum(bool(peer.paths) for peer in peers.values()), len(ready), unread

        await _answer(pipe, state)
    finally:
        await running.stop()


async def _answer(pipe: Connection, state: Callable[[], tuple[int, int, int]]) -> None:
    loop = asyncio.get_running_loop()
    late = _Late()
    watch = loop.create_task(late.watch())
    said: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: said.put_nowait(pipe.recv()))
    while (command := (await said.get())[0]) != "stop":
        if command != "read":
            continue
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        tunnels, ready, unread = state()
        pipe.send(Reading(private_kb(), cpu_s, tunnels, ready, unread, late.worst_s * 1000))
        late.worst_s = 0.0
    watch.cancel()


# --- the baseline -----------------------------------------------------------------------------------------------------


def bare(pipe: Connection, pki: Path, size: int, cpu: int | None) -> None:
    """Entry of the process: the same TLS, and a fixed answer of `size` bytes; or a connection that is held, and its
    echoes answered, when the request is for a tunnel."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    _allow_files()
    uvloop.run(_bare(pipe, pki, size))


class _Bare(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._octets = b""
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a TLS transport

    def data_received(self, data: bytes) -> None:
        if self._held:
            if data.endswith(b"echo\r\n"):
                self._transport.write(b"4;echo-response;trail\r\necho\r\n")
            return
        self._octets += data
        head, found, body = self._octets.partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"POST /tunnel"):
            self._held = True
            self._octets = b""
            _HELD.add(self)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
            return
        size = _SIZE.search(head)
        if size is not None and len(body) >= int(size[1]):
            self._transport.write(self._answer)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        _HELD.discard(self)


_HELD: set[_Bare] = set()


async def _bare(pipe: Connection, pki: Path, size: int) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pki / "kajitori-rs.chain", pki / "kajitori-rs.key")
    tls.load_verify_locations(pki / "kajitori-sa-ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    text = b"<result-code>100</result-code>"
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    answer = (head % size) + text + b" " * (size - len(text))
    server = await asyncio.get_running_loop().create_server(
        lambda: _Bare(answer), "127.0.0.1", 0, ssl=tls, backlog=4096
    )
    port = server.sockets[0].getsockname()[1]
    pipe.send((port, port, 0))
    await _answer(pipe, lambda: (len(_HELD), len(_HELD), 0))
    os._exit(0)
