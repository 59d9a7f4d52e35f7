"""What all parts of one simulated ARMS client share: settings, time, sockets, state, and its one thread."""

from __future__ import annotations

import asyncio
import random
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drivers.simulator.arms_answers import Location
from drivers.simulator.arms_faults import ArmsFaults
from drivers.simulator.arms_http import Endpoint, basic
from drivers.simulator.arms_log import GroundTruth, wall_clock_ms
from drivers.simulator.arms_messages import Writer
from drivers.simulator.arms_operations import SCRIPT_LIMIT_S, Operations
from drivers.simulator.arms_tls import SaCertificate, TlsVersions, dialling_context
from drivers.simulator.arms_unit import ArmsUnit
from drivers.simulator.identity import ArmsIdentity
from drivers.simulator.tls_stream import TlsStream, connect_tls
from inventory.secrets import Secret

OctetCounter = Callable[[int], tuple[int, int]]
"""Instant in milliseconds UTC to octets in and out since the device was made; never falling."""


@dataclass(frozen=True, slots=True)
class ArmsSettings:
    """What an installer sets, and how fast the simulated world turns."""

    ls_urls: tuple[str, ...]
    root_ca_pem: str
    pace: float = 1.0
    """Divides every wait; the values in messages stay as they are."""
    shortest_timeout_s: float = 5.0
    """Time-outs are divided by `pace` too, but not below this: sockets and servers do not get faster."""
    boot_s: float = 20.0
    ls_retry_interval_s: int = 3
    ls_retry_max: int = 3
    tls: TlsVersions = field(default_factory=TlsVersions)
    local_host: str | None = None
    """Address that this device calls from, such as 127.0.0.7; None leaves it to the system."""
    methods: tuple[str, ...] = ("https-simple", "https-tunnel")
    """Push methods it offers."""
    proxy: tuple[str, int] | None = None
    """Numeric address and port of a web proxy that every connection goes through; then only the tunnel is offered."""
    push_port: int = 0
    """Port of the https-simple listener; 0 lets the system choose."""
    base64_mode: bool = False
    remembers_location: bool = True
    """Whether the saved state survives a restart, so that the LS is skipped (§1)."""


@dataclass(slots=True)
class ArmsRuntime:
    """One running client. `thread` is its single thread: whoever holds it keeps all others waiting (§5.3)."""

    identity: ArmsIdentity
    settings: ArmsSettings
    interfaces: Mapping[int, OctetCounter]
    faults: ArmsFaults = field(default_factory=ArmsFaults)
    now_ms: Callable[[], int] = wall_clock_ms
    instance: int = 0
    """Tells a clone from its original: other random numbers, same identity."""

    unit: ArmsUnit = field(init=False)
    truth_log: GroundTruth = field(init=False)
    writer: Writer = field(init=False)
    operations: Operations = field(init=False)
    chance: random.Random = field(init=False)
    open_transactions: dict[int, str] = field(default_factory=dict)
    state: str = "INITIAL"
    location: Location | None = None
    sa_certificate: SaCertificate | None = None
    heartbeats_sent: int = 0
    last_result_url: str | None = None
    """The one global that a bad result-url poisons (§6.5)."""
    thread: asyncio.Lock = field(default_factory=asyncio.Lock)
    streams: set[TlsStream] = field(default_factory=set)

    def __post_init__(self) -> None:
        seed = zlib.crc32(f"{self.identity.distribution_id}/{self.instance}".encode())
        self.chance = random.Random(seed)  # noqa: S311 – transaction ids and load of a fake device
        self.truth_log = GroundTruth(self.now_ms)
        self.unit = ArmsUnit(self.identity, self.faults, self.now_ms)
        self.writer = Writer(self.identity.distribution_id, self.identity.model.name)
        self.operations = Operations(self, self.writer, self.chance, self.settings.base64_mode)

    @property
    def methods(self) -> tuple[str, ...]:
        """Push methods that it offers (§5.5)."""
        return self.settings.methods if self.settings.proxy is None else ("https-tunnel",)

    # -- time --------------------------------------------------------------------------------------------

    async def wait(self, seconds: float) -> None:
        """Let protocol time pass, divided by `pace`."""
        await asyncio.sleep(seconds / self.settings.pace)

    def timeout_s(self, seconds: float) -> float:
        """Real length of a protocol time-out."""
        return max(seconds / self.settings.pace, min(seconds, self.settings.shortest_timeout_s))

    async def script(self) -> bool:
        """Run a device script; False if the client killed it at its limit."""
        length = self.faults.slow_script_s
        if length:
            await self.wait(min(length, SCRIPT_LIMIT_S))
        return length <= SCRIPT_LIMIT_S

    # -- connections -------------------------------------------------------------------------------------

    def context(self) -> ssl.SSLContext:
        """For the RS and tunnels."""
        ca_pem = (self.location and self.location.rs_ca_pem) or self.settings.root_ca_pem
        return dialling_context(ca_pem, self.settings.tls, self.sa_certificate)

    def rs_authorization(self) -> bytes:
        assert self.location is not None
        return basic(self.identity.distribution_id, self.location.rs_key)

    def ls_authorization(self) -> bytes:
        key = self.identity.ls_key
        return basic(self.identity.distribution_id, Secret("not-the-key") if self.faults.wrong_ls_key else key)

    async def dial(self, target: Endpoint, context: ssl.SSLContext) -> TlsStream:
        """Raises LinkLost."""
        for stream in [each for each in self.streams if each.is_closed]:
            self.streams.discard(stream)
        stream = await connect_tls(
            target.host,
            target.port,
            context,
            local_host=self.settings.local_host,
            timeout_s=self.timeout_s(30),
            proxy=self.settings.proxy,
        )
        self.streams.add(stream)
        return stream

    async def drop_streams(self) -> None:
        """Abort every connection and wait until the sockets are gone."""
        streams, self.streams = self.streams, set()
        for stream in streams:
            await stream.aclose()

    def enter(self, state: str) -> None:
        """Move to a state of §1 and note it."""
        if state != self.state:
            self.state = state
            self.truth_log.note("state", state=state)
