"""The load: many lean adapters in a process of its own, on a core of its own.

Each is a coroutine while it boots, and one protocol object while its tunnel is open. They do what the reference client
does and no more (arms-protocol §5–§7): location, config, push method, tunnel, confirmation, the answer to
`show system`, echoes; and its waits after a refusal.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import random
import re
import resource
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import uvloop

from tests.bench.fleet import LS_KEY, RS_KEY, Member

STAGE_S: Final = 30.0
"""What the reference client gives each of connect, TLS, send and receive (§7)."""
LS_PAUSE_S: Final = 60.0
"""Its wait after a location round that failed: 20 times an interval of 3."""
_CODE: Final = re.compile(rb"<result-code>(\d+)<")
_INTERVAL: Final = re.compile(rb"<rs-retry-interval>(\d+)<")
_ROUNDS: Final = re.compile(rb"<rs-retry-max>(\d+)<")
_ASKED: Final = re.compile(rb'<arms-request type="([a-z-]+)"')
_ID: Final = re.compile(rb"<transaction-id>(\d+)<")


@dataclass(frozen=True, slots=True)
class Order:
    """What a load process is to do."""

    ls_port: int
    rs_port: int
    members: list[Member]
    first: int
    """Position of the first member in the fleet: the number of its certificate file."""
    net: int
    """Each adapter has an address of its own in 127.`net`.0.0/16, as it has outside."""
    cpu: int | None
    certificates: Path | None = None
    echo_interval_s: float = 60.0


@dataclass(slots=True)
class Tally:
    """What happened, as the adapters saw it. Instants are seconds of `time.monotonic`."""

    answers: Counter[str] = field(default_factory=Counter)
    """`ls 100`, `rs 301`, `tunnel 200`, … and how often."""
    began: dict[int, float] = field(default_factory=dict)
    ready: dict[int, float] = field(default_factory=dict)
    """When each had shown its serial number."""
    pulls: list[float] = field(default_factory=list)
    """When each pull was answered with success."""
    echoes: int = 0
    lost: int = 0
    """Tunnels that ended."""
    failures: Counter[str] = field(default_factory=Counter)
    boots: int = 0
    """Boots that ended with an open tunnel."""
    at_s: float = 0.0
    """When this was told."""


class _Ask(asyncio.Protocol):
    """One request on a connection of its own; `answer` is all that comes back."""

    __slots__ = ("_octets", "_request", "answer")

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._octets = b""
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]  # a TLS transport

    def data_received(self, data: bytes) -> None:
        self._octets += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(self._octets)


class _Tunnel(asyncio.Protocol):
    """An open tunnel: confirms it, tells its serial number, answers nothing else."""

    __slots__ = ("_accepted", "_ids", "_lean", "_member", "_number", "_octets", "_transport", "ended", "opened")

    def __init__(self, lean: Lean, number: int, member: Member) -> None:
        loop = asyncio.get_running_loop()
        self._lean = lean
        self._number = number
        self._member = member
        self._octets = b""
        self._accepted = False
        self.opened: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._write(
            b"POST /tunnel HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\nContent-Type: text/xml\r\n"
            b"Transfer-Encoding: chunked\r\nAuthorization: " + _basic(self._member, RS_KEY) + b"\r\n\r\n"
        )

    def _write(self, octets: bytes) -> None:
        self._transport.write(octets)  # type: ignore[attr-defined]  # a TLS transport

    def data_received(self, data: bytes) -> None:
        if not self._accepted:
            self._accepted = data.startswith(b"HTTP/1.1 200")
            if not self.opened.done():
                self.opened.set_result(int(data[9:12]))
            if self._accepted:
                self._say(
                    "request",
                    "push-confirmation-start",
                    b"<push-confirmation-start-request>"
                    b"<push-method>https-tunnel</push-method></push-confirmation-start-request>",
                )
            return
        self._octets += data
        if self._octets.endswith(b"echo-response;trail\r\necho\r\n"):
            self._lean.tally.echoes += 1
            self._octets = b""
        if b'<arms-request type="push-confirmation-done"' in self._octets and b"</arms-message>" in self._octets:
            found = _ID.search(self._octets)
            id_ = found[1] if found else b"0"
            self._octets = self._octets.rpartition(b"</arms-message>")[2]
            self._say("response", "push-confirmation-done", b"<push-confirmation-done-response/>", id_)
        asked = _ASKED.search(self._octets)
        if asked is None or b"</arms-message>" not in self._octets:
            return
        self._octets = b""
        type_ = asked[1].decode()
        if type_ == "md-command":
            serial = self._member.serial.encode()
            result = b'<md-result id="0">Serial  : ' + serial + b"\n</md-result>"
            self._say("response", type_, b"<md-command-response>" + result + b"</md-command-response>")
            self._lean.tally.ready[self._number] = time.monotonic()
        else:
            # What the daemon reads of ready adapters by itself is no part of the figures.
            self._say("response", type_, f"<{type_}-response></{type_}-response>".encode(), code=302)

    def _say(self, kind: str, type_: str, body: bytes, id_: bytes | None = None, *, code: int = 100) -> None:
        head = f'<arms-message><arms-{kind} type="{type_}">'.encode()
        if kind == "request":
            head += b"<distribution-id>" + self._member.distribution_id.encode() + b"</distribution-id>"
        else:
            if id_ is not None:
                head += b"<transaction-id>" + id_ + b"</transaction-id>"
            head += b"<result-code>%d</result-code>" % code
        head += b"<description>armsd</description>"
        document = head + body + f"</arms-{kind}></arms-message>".encode()
        self._write(b"%x;id=%d;trail\r\n" % (len(document), next(_IDS)) + document + b"\r\n")

    def echo(self) -> None:
        """One echo-request."""
        if not self.ended.done():
            self._write(b"4;echo-request;trail\r\necho\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_result(0)
        if not self.ended.done():
            self.ended.set_result(None)
        if self._accepted:
            self._lean.tally.lost += 1


_IDS: Final = itertools.count(2_000_000)


class Lean:
    """The adapters of one process."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.tally = Tally()
        self._tunnels: list[_Tunnel] = []
        self._tls = self._context(None)

    def _context(self, number: int | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # One version for all, so that baseline and server have the same handshake.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if number is not None and self.order.certificates is not None:
            folder = self.order.certificates
            context.load_cert_chain(folder / f"{number}.pem", folder / "key.pem")
        return context

    async def boot(self, index: int) -> None:
        """From power on until its serial number is shown; ends then."""
        tally, member, number = self.tally, self.order.members[index], self.order.first + index
        tally.began[number] = time.monotonic()
        while True:
            found = await self.ask("ls", member, LOCATION)
            if found is None:
                await asyncio.sleep(LS_PAUSE_S)
                continue
            interval_s = int(_INTERVAL.search(found)[1])  # type: ignore[index]  # it is in every answer
            rounds = int(_ROUNDS.search(found)[1])  # type: ignore[index]  # the same
            if await self._resource(number, member, interval_s, rounds):
                tally.boots += 1
                return

    async def _resource(self, number: int, member: Member, interval_s: int, rounds: int) -> bool:
        """Config, method and tunnel; False sends it back to the LS."""
        for step in (CONFIG, METHOD):
            for again in range(rounds + 1):
                if again:
                    await asyncio.sleep(interval_s)
                if await self.ask("rs", member, step) is not None:
                    break
            else:
                return False
        for again in range(rounds + 1):
            if again:
                await asyncio.sleep(interval_s)
            if await self.tunnel(number, member):
                return True
        return False

    async def ask(self, door: str, member: Member, step: Step) -> bytes | None:
        """The answer to a pull when its result is 100."""
        order, key = self.order, LS_KEY if door == "ls" else RS_KEY
        protocol = _Ask(request(door, member, key, step))
        port = order.ls_port if door == "ls" else order.rs_port
        try:
            async with asyncio.timeout(2 * STAGE_S):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: protocol,
                    "127.0.0.1",
                    port,
                    ssl=self._tls,
                    local_addr=(address(order.net, member), 0),
                    ssl_handshake_timeout=STAGE_S,
                )
            async with asyncio.timeout(STAGE_S):
                answer = await protocol.answer
        except (OSError, ssl.SSLError, TimeoutError) as error:
            self.tally.failures[f"{step.type_}: {type(error).__name__}"] += 1
            return None
        found = _CODE.search(answer)
        code = found[1].decode() if found else answer[9:12].decode() or "nothing"
        self.tally.answers[f"{step.type_} {code}"] += 1
        transport.abort()
        if code != "100":
            return None
        self.tally.pulls.append(time.monotonic())
        return answer

    async def tunnel(self, number: int, member: Member) -> bool:
        """Open one, and keep it."""
        order = self.order
        protocol = _Tunnel(self, number, member)
        tls = self._tls if order.certificates is None else self._context(number)
        try:
            async with asyncio.timeout(2 * STAGE_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: protocol,
                    "127.0.0.1",
                    order.rs_port,
                    ssl=tls,
                    local_addr=(address(order.net, member), 0),
                    ssl_handshake_timeout=STAGE_S,
                )
            async with asyncio.timeout(STAGE_S):
                status = await protocol.opened
        except (OSError, ssl.SSLError, TimeoutError) as error:
            self.tally.failures[f"tunnel: {type(error).__name__}"] += 1
            return False
        self.tally.answers[f"tunnel {status}"] += 1
        if status == 200:
            self._tunnels.append(protocol)
        return status == 200

    async def echo(self) -> None:
        """Echoes of all tunnels, spread evenly over the interval."""
        interval_s = self.order.echo_interval_s
        while True:
            tunnels = list(self._tunnels)
            begun = time.monotonic()
            for number, tunnel in enumerate(tunnels):
                late_s = begun + interval_s * number / len(tunnels) - time.monotonic()
                if late_s > 0.005:
                    await asyncio.sleep(late_s)
                tunnel.echo()
            await asyncio.sleep(max(0.05, begun + interval_s - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Step:
    """A pull: its type and what stands in it."""

    type_: str
    body: str


LOCATION: Final = Step("rs-solicitation", "<trigger>power on boot</trigger>")
CONFIG: Final = Step(
    "config-solicitation",
    "<protocol-version>4.0</protocol-version><trigger>power on boot</trigger><firmware-info>5.66</firmware-info>",
)
METHOD: Final = Step(
    "push-method-query", "<push-method>https-simple</push-method><push-method>https-tunnel</push-method>"
)


def request(door: str, member: Member, key: str, step: Step) -> bytes:
    """A pull as the client writes it."""
    body = (
        f'<arms-message><arms-request type="{step.type_}"><distribution-id>{member.distribution_id}</distribution-id>'
        f"<description>armsd</description><{step.type_}-request>{step.body}</{step.type_}-request>"
        "</arms-request></arms-message>"
    ).encode()
    return (
        (
            f"POST /{door}/arms HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\nAuthorization: "
        ).encode()
        + _basic(member, key)
        + b"\r\n\r\n"
        + body
    )


def address(net: int, member: Member) -> str:
    """The adapter's own address on the loopback interface."""
    number = int(member.serial.rpartition("-")[2])
    return f"127.{net}.{number // 250}.{number % 250 + 1}"


def _basic(member: Member, key: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{member.distribution_id}:{key}".encode())


# --- the process ------------------------------------------------------------------------------------------------------


def run(pipe: Connection, order: Order) -> None:
    """Entry of the process. Each command is a tuple, each is answered when it is done; `stop` ends it."""
    if order.cpu is not None:
        os.sched_setaffinity(0, {order.cpu})
    allow_files()
    uvloop.run(_follow(pipe, order))


def allow_files() -> None:
    """As many open files as the machine lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _follow(pipe: Connection, order: Order) -> None:
    lean = Lean(order)
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: said.put_nowait(pipe.recv()))
    background: set[asyncio.Task[None]] = set()
    while True:
        command, number = await said.get()
        match command:
            case "boot":  # all, spread at random over so many seconds; `report` tells how far they are
                background.update(loop.create_task(_later(lean, index, number)) for index in range(len(order.members)))
            case "open":  # tunnels alone, so many at a time
                await _at_once(int(number), len(order.members), lambda index: _open(lean, order, index))
            case "echo":
                background.add(loop.create_task(lean.echo()))
            case "config" | "location" | "method":  # pulls for so many seconds, 96 at a time
                await _pulls(lean, command, number)
            case "whole":  # whole boots, so many at a time
                await _steady(lean, number)
            case "report":
                pass
            case _:
                break
        lean.tally.at_s = time.monotonic()
        os.set_blocking(
            pipe.fileno(), True
        )  # the loop made it non-blocking to watch it; a long tally does not fit at once
        pipe.send(lean.tally)
    for task in background:
        task.cancel()
    os._exit(0)  # ten thousand connections need no manners


async def _later(lean: Lean, index: int, spread_s: float) -> None:
    await asyncio.sleep(random.Random(index).uniform(0, spread_s))
    await lean.boot(index)


async def _open(lean: Lean, order: Order, index: int) -> None:
    await lean.tunnel(order.first + index, order.members[index])


AT_ONCE: Final = 96


async def _pulls(lean: Lean, command: str, seconds: float) -> None:
    step = {"config": CONFIG, "location": LOCATION, "method": METHOD}[command]
    ends = time.monotonic() + seconds
    members = itertools.cycle(lean.order.members)

    async def one() -> None:
        while time.monotonic() < ends:
            await lean.ask("ls" if command == "location" else "rs", next(members), step)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def _steady(lean: Lean, width: float) -> None:
    """Every adapter once: one that came again at once would be taken for two units with one identity (MPC-11)."""
    await _at_once(int(width), len(lean.order.members), lean.boot)


async def _at_once(width: int, count: int, work: object) -> None:
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await work(number)  # type: ignore[operator]

    await asyncio.gather(*(one() for _ in range(width)))
