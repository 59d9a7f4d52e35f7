"""A running phone-home with a few adapters on record, and the plainest client that can be written."""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from controller import explaining
from controller.clock import Clock, SystemClock
from controller.keyring import Keyring
from controller.metering.service import MeteringService
from controller.phonehome.beats import Batch, Beat
from controller.phonehome.service import PhoneHome
from controller.settings import ArmsSettings
from controller.store import (
    adapters,
    boots,
    checklist,
    configs,
    contractors,
    counts,
    events,
    heartbeats,
    incidents,
    managements,
    modules,
    phonehome,
    slots,
    startups,
)
from controller.store import identities as rows
from controller.store.database import Database
from controller.store.scope import By, Scope
from controller.store.traffic import TrafficDatabase
from drivers.arms import framing, messages
from drivers.arms.ids import basic
from drivers.arms.messages import Message, Request, Response
from drivers.arms.parameters import (
    CommandResult,
    CommandResults,
    ConfigSolicitationAnswer,
    MdCommand,
    Module,
    ModuleList,
    PushConfirmationStart,
)
from drivers.arms.xml import DECLARATION
from inventory import onboarding
from inventory.adapters import Life, LifeEvent
from inventory.boots import Boot
from inventory.contacts import Claim, ContactRecord, RefusedBeats
from inventory.explain import Explanation
from inventory.incidents import Incident, IncidentKind
from inventory.modules import WantedModule
from inventory.plans import ConfigText
from inventory.replays import Told
from inventory.secrets import Secret
from inventory.startups import Served

ALL = Scope.everything()
BY = By("test", 1_760_745_600_000)
CONFIG = "hostname: osaka\ninterface.ge0.address: dhcp\n"
Seat = Literal["entry", "standby", "none"]
T = TypeVar("T")
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Unit:
    """One adapter on record, and the secrets that the device itself has."""

    adapter_id: int
    serial: str
    distribution_id: str
    ls_key: Secret
    rs_key: Secret
    passphrase: Secret
    entry_id: int | None
    standby_id: int | None
    management_id: int


async def until(found: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until something is so; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not found():  # noqa: ASYNC110  # the state is another's: there is no event to wait for
            await asyncio.sleep(0.005)


async def eventually(found: Callable[[], Awaitable[T]], *, seconds: float = 10.0) -> T:
    """Ask until the answer is a true one, and return it; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not (answer := await found()):  # noqa: ASYNC110  # it is in the database
            await asyncio.sleep(0.01)
        return answer


class Site:
    """Phone-home on loopback, its database, and what it was told."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        folder: Path,
        settings: ArmsSettings,
        pace: float,
        *,
        clock: Clock | None = None,
        node: str = "one",
    ) -> None:
        self.database = database
        self.node = node
        self.keyring = keyring
        self.arms_settings = settings
        self.folder = folder
        self.clock = clock or SystemClock(pace)
        self.started_ms = self.clock.now_ms()
        self.startups: dict[int, ConfigText] = {}
        self.traffic: TrafficDatabase | None = None
        """No metering runs here."""
        self.certificates: dict[str, Path] = {}
        """Certificate and key that units got with their last pull, by distribution id."""
        self._folder = folder
        self.metering: MeteringService | None = None
        """Where a story has one, heartbeats are kept by it, too, and it tells what was counted."""
        self.beats: list[Beat] = []
        self.devices: list[Device] = []
        """Held, so that a device lives until its site ends: a task alone is held by nobody."""
        self.takes_beats = asyncio.Event()
        """Cleared: whoever the beats are for is busy."""
        self.takes_beats.set()
        self._folder = folder
        self._settings = settings
        self.home = self._made()

    def _made(self) -> PhoneHome:
        return PhoneHome(
            settings=self._settings,
            clock=self.clock,
            keyring=self.keyring,
            database=self.database,
            folder=self._folder,
            startup=self._startup,
            keep=self._keep_batch,
            recall=self._recall,
            node=self.node,
        )

    async def restart(self) -> None:
        """The daemon stops and starts: only the database remembers."""
        await self.home.stop()
        self.home = self._made()
        await self.home.start()

    async def _startup(self, entry_id: int) -> Served | None:
        """What a test has put there by hand; else what the database says."""
        if entry_id in self.startups:
            return Served(self.startups[entry_id])
        async with self.database.read() as tx:
            return await startups.served(tx, self.keyring, entry_id)

    async def _keep_batch(self, batch: Batch) -> None:
        await self.takes_beats.wait()
        if self.metering is not None:
            await self.metering.keep(batch)
        self.beats += batch.beats()

    async def _recall(self, adapter_ids: Sequence[int]) -> Mapping[int, Told]:
        return {} if self.metering is None else await self.metering.recall(adapter_ids)

    # --- records ------------------------------------------------------------------------------------------------------

    async def unit(
        self,
        *,
        model: str = "SA-W2",
        seat: Seat = "entry",
        complete: bool = True,
        startup: str | None = CONFIG,
        serial: str | None = None,
        distribution_id: str | None = None,
        ls_key: Secret | None = None,
        contractor_of: Unit | None = None,
    ) -> Unit:
        """An adapter on record with an identity, in a management of its own with one entry and one standby; of a
        contractor of its own too, or of the one of another unit."""
        number = next(_NUMBERS)
        shown = serial or f"SN-{number:06}"
        id_ = distribution_id or f"0001-0000-0101-000B-0200-5EFF-{number // 65536:04X}-{number % 65536:04X}"
        service: Literal["mpc", "smfsx"] = "smfsx" if model == "SEIL/X1" else "mpc"
        device_class: Literal["I", "II"] = "II" if "x86" in model else "I"
        async with self.database.write() as tx:
            if contractor_of is None:
                owner = (await contractors.create(tx, ALL, BY, name=f"North Foods {number}")).id
            else:
                owner = (await adapters.get(tx, ALL, contractor_of.adapter_id)).contractor_id
            management = await counts.create_management(
                tx,
                ALL,
                BY,
                contractor_id=owner,
                service=service,
                classes=(device_class,) if service == "mpc" else (),
                name="Osaka",
                entry_count=1,
                standby_count=0 if device_class == "II" else 1,
            )
            adapter = await adapters.register(
                tx,
                ALL,
                BY,
                serial=shown,
                contractor_id=owner,
                service=service,
                device_class=device_class if service == "mpc" else None,
                model=model,
                distribution_id=id_,
                keyring=self.keyring,
            )
            if complete:
                for item in onboarding.required(adapter.device_class):
                    await checklist.tick(tx, ALL, BY, adapter.id, item)
            key = await rows.provision(tx, self.keyring, adapter.id, distribution_id=id_, at_ms=BY.at_ms, ls_key=ls_key)
            place = None
            if seat != "none":
                place = await slots.assign(tx, ALL, BY, adapter.id, management_id=management.id, kind=seat)
        async with self.database.read() as tx:
            identity = await rows.by_distribution_id(tx, self.keyring, id_)
        assert identity is not None
        if identity.entry_id is not None and startup is not None:
            self.startups[identity.entry_id] = ConfigText.single(startup)
        standby_id = place.slot_id if place is not None and place.slot_kind == "standby" else None
        return Unit(
            adapter.id,
            shown,
            id_,
            key,
            identity.rs_key,
            identity.passphrase,
            identity.entry_id,
            standby_id,
            management.id,
        )

    async def live(self, unit: Unit, event: LifeEvent) -> None:
        """Let something happen to the unit."""
        async with self.database.write() as tx:
            await adapters.set_life(tx, ALL, BY, unit.adapter_id, event)

    async def life(self, unit: Unit) -> Life:
        """Where it is in its life."""
        async with self.database.read() as tx:
            return (await adapters.get(tx, ALL, unit.adapter_id)).life

    async def suspend(self, unit: Unit) -> None:
        """Suspend its management."""
        async with self.database.write() as tx:
            await managements.suspend(tx, ALL, BY, unit.management_id, ground=1)

    async def shut_out(self, unit: Unit) -> None:
        """An operator shuts it out."""
        async with self.database.write() as tx:
            await rows.shut_out(tx, unit.adapter_id, "stolen goods suspected")

    async def contact(self, unit: Unit) -> ContactRecord:
        """What is on record of its contact, all notes written."""
        await self.home.ledger.flush()
        async with self.database.read() as tx:
            return await phonehome.contact(tx, ALL, unit.adapter_id)

    async def refused_beats(self, unit: Unit) -> list[RefusedBeats]:
        """Heartbeats that were refused in its name, all notes written."""
        await self.home.ledger.flush()
        async with self.database.read() as tx:
            return (await heartbeats.refused(tx, [unit.adapter_id])).get(unit.adapter_id, [])

    async def claims(self) -> list[Claim]:
        """All claims, all notes written."""
        await self.home.ledger.flush()
        async with self.database.read() as tx:
            return await phonehome.claims(tx)

    async def events(self, unit: Unit | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Kind and facts of the events of phone-home, all notes written."""
        await self.home.ledger.flush()
        async with self.database.write() as tx:
            await events.publish(tx)
        async with self.database.read() as tx:
            found = await events.page(
                tx, ALL, kind="phonehome", adapter_id=unit.adapter_id if unit else None, limit=1000
            )
        return [(event.kind, dict(event.facts)) for event in found]

    async def explained(self, unit: Unit) -> Explanation:
        """What is said of the unit, all notes written."""
        await self.home.ledger.flush()
        async with self.database.read() as tx:
            (told,) = await explaining.adapters(tx, self, [await adapters.get(tx, ALL, unit.adapter_id)])
        return told

    async def boots(self, unit: Unit) -> list[Boot]:
        """Its boots, the newest first, all notes written."""
        await self.home.ledger.flush()
        async with self.database.read() as tx:
            return await boots.page(tx, unit.adapter_id)

    async def release(self, unit: Unit, text: str) -> int:
        """Release a startup config for the place of the unit; the number of the version."""
        assert unit.entry_id is not None
        async with self.database.write() as tx:
            made = await configs.put(
                tx,
                ALL,
                self.keyring,
                unit.entry_id,
                kind="startup",
                config=ConfigText.single(text),
                digest=text,
                author="test",
                reason="",
                at_ms=self.clock.now_ms(),
            )
        return made.id

    async def want(self, unit: Unit, *wanted: WantedModule) -> None:
        """Say which module versions the place of the unit wants."""
        assert unit.entry_id is not None
        async with self.database.write() as tx:
            await modules.want(tx, ALL, BY, unit.entry_id, wanted, if_version=None)

    async def incidents(self, kind: IncidentKind) -> list[Incident]:
        """All incidents of a kind."""
        async with self.database.read() as tx:
            return await incidents.page(tx, ALL, kind=kind)

    # --- asking -------------------------------------------------------------------------------------------------------

    def tls(self, door: Literal["ls", "rs"], *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """What an adapter's TLS does: the chain is checked, names and dates are not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
        pki = self.home.pki
        context.load_verify_locations(cadata=pki.root_certificate if door == "ls" else pki.resource_ca_certificate)
        if version is not None:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # old TLS is the subject
                context.minimum_version = context.maximum_version = version
        return context

    async def connect(
        self, door: Literal["ls", "rs"], unit: Unit | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection to a door; a unit shows the certificate that its last pull gave it, as real clients do."""
        port = self.home.ports[0 if door == "ls" else 1]
        context = self.tls(door)
        shown = self.certificates.get(unit.distribution_id) if unit is not None and door == "rs" else None
        if shown is not None:
            context.load_cert_chain(shown)
        return await asyncio.open_connection("127.0.0.1", port, ssl=context)

    async def send(self, door: Literal["ls", "rs"], octets: bytes, *pieces: bytes, unit: Unit | None = None) -> bytes:
        """Everything that comes back for these bytes."""
        reader, writer = await self.connect(door, unit)
        try:
            writer.write(octets)
            for piece in pieces:
                await writer.drain()
                writer.write(piece)
            await writer.drain()
            async with asyncio.timeout(30):
                return await reader.read()
        finally:
            await hang_up(writer)

    async def ask(
        self,
        unit: Unit,
        type_: str,
        parameters: str = "",
        *,
        key: Secret | None = None,
        user: str | None = None,
        id_: str | None = None,
        door: Literal["ls", "rs"] | None = None,
    ) -> tuple[int, Response | None]:
        """One request as the reference client writes it: HTTP status, and the message if there is one."""
        where = door or ("ls" if type_ == "rs-solicitation" else "rs")
        secret = key or (unit.ls_key if where == "ls" else unit.rs_key)
        named = unit.distribution_id if id_ is None else id_
        body = (
            f'<arms-message><arms-request type="{type_}"><distribution-id>{named}</distribution-id>'
            f"<description>armsd</description><{type_}-request>{parameters}</{type_}-request>"
            "</arms-request></arms-message>"
        ).encode()
        return answer_of(
            await self.send(
                where,
                http10(f"/{where}/arms", unit.distribution_id if user is None else user, secret, body),
                unit=unit,
            )
        )

    async def locate(self, unit: Unit, **how: Any) -> tuple[int, Response | None]:
        """rs-solicitation."""
        return await self.ask(unit, "rs-solicitation", "<trigger>power on boot</trigger>", **how)

    async def pull(self, unit: Unit, *, trigger: str = "power on boot", **how: Any) -> tuple[int, Response | None]:
        """config-solicitation."""
        words = (
            f"<protocol-version>4.0</protocol-version><trigger>{trigger}</trigger><firmware-info>5.66</firmware-info>"
        )
        status, message = await self.ask(unit, "config-solicitation", words, **how)
        if message is not None and isinstance(message.parameters, ConfigSolicitationAnswer):
            self._keep(unit, message.parameters)
        return status, message

    def _keep(self, unit: Unit, told: ConfigSolicitationAnswer) -> None:
        """What the unit shows from now on."""
        if told.sa_certificate is not None and told.sa_private_key is not None:
            path = self._folder / f"{unit.serial}.pem"
            path.write_text(told.sa_private_key.reveal() + told.sa_certificate)
            self.certificates[unit.distribution_id] = path

    async def query(self, unit: Unit, **how: Any) -> tuple[int, Response | None]:
        """push-method-query."""
        offer = "<push-method>https-simple</push-method><push-method>https-tunnel</push-method>"
        return await self.ask(unit, "push-method-query", offer, **how)


def http10(path: str, user: str, key: Secret, body: bytes) -> bytes:
    """A request without Host, as in the pull phase."""
    head = (
        f"POST {path} HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: {basic(user, key)}\r\n\r\n"
    )
    return head.encode() + body


def answer_of(octets: bytes) -> tuple[int, Response | None]:
    """Status, and the message of a body that has one; status 0 when nothing came."""
    if not octets:
        return 0, None
    head, _, body = octets.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
    assert found is not None, octets[:80]
    assert f"Content-Length: {len(body)}".encode() in head
    message = messages.read(body) if body else None
    assert message is None or isinstance(message, Response)
    return int(found[1]), message


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close without waiting for manners."""
    writer.transport.abort()
    await asyncio.sleep(0)


class Device:
    """The device's end of a tunnel, with nothing but what the protocol asks for."""

    def __init__(self, site: Site, unit: Unit) -> None:
        site.devices.append(self)
        self.site = site
        self.unit = unit
        self.serial_shown = unit.serial
        self.requests: list[Request] = []
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._ids = itertools.count(2_000_000_000)
        self._decoder = framing.TunnelDecoder()
        self._assembler = framing.Assembler(limit=1 << 20)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.echoes = 0
        self.ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.answering = True
        """Whether it answers md-commands and confirmations by itself."""
        self.head = b""
        """Of our answer to its tunnel."""
        self.modules: tuple[Module, ...] | None = None
        """Its module list, if it tells that by itself too."""

    async def open(self, *, key: Secret | None = None, user: str | None = None) -> int:
        """Open the tunnel; the status that came is returned. 200 leaves it open."""
        self._reader, self._writer = await self.site.connect("rs", self.unit)
        secret = basic(user or self.unit.distribution_id, key or self.unit.rs_key)
        self._writer.write(
            b"POST /tunnel HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\nContent-Type: text/xml\r\n"
            b"Transfer-Encoding: chunked\r\nAuthorization: " + secret.encode() + b"\r\n\r\n"
        )
        async with asyncio.timeout(30):
            head = self.head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        if status == 200:
            assert head == framing.TUNNEL_ACCEPTED
            self._task = asyncio.create_task(self._read())
        return status

    async def _read(self) -> None:
        try:
            while octets := await self._reader.read(65536):
                for frame in self._decoder.feed(octets):
                    self._take(frame)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            self.ended.set()

    def _take(self, frame: framing.Frame) -> None:
        if isinstance(frame, framing.Echo):
            self.echoes += 1
        elif isinstance(frame, framing.Piece):
            document = self._assembler.add(frame)
            if document is not None:
                self._message(messages.read(document))

    def _message(self, message: Message) -> None:
        if isinstance(message, Request):
            self.requests.append(message)
            if self.answering and message.type == "push-confirmation-done":
                self.say(Response(message.type, 100, transaction_id=message.transaction_id))
                return
            if self.answering and message.type == "md-command":
                self.say(Response("md-command", 100, self._command(message)))
                return
            if self.answering and message.type == "read-module-list" and self.modules is not None:
                self.say(Response("read-module-list", 100, ModuleList(self.modules)))
                return
        self.inbox.put_nowait(message)

    def _command(self, message: Request) -> CommandResults:
        assert isinstance(message.parameters, MdCommand)
        command = message.parameters.commands[0].content
        if command == "show system":
            return CommandResults((CommandResult(0, f"SA-W2 Ver. 5.66\nSerial  : {self.serial_shown}\n"),))
        return CommandResults((CommandResult(0, f"  Distribution ID : {self.serial_shown}\n"),))

    def say(self, message: Message, *, pieces: int = 1) -> None:
        """Send a message: header, body and CRLF of each piece in writes of their own."""
        document = messages.write(message).removeprefix(DECLARATION)
        size = -(-len(document) // pieces)
        id_ = next(self._ids)
        for number in range(pieces):
            piece = document[number * size : (number + 1) * size]
            chunk = framing.encode(framing.Piece(id_, number == pieces - 1, piece))
            head, _, _ = chunk.partition(b"\r\n")
            for octets in (head + b"\r\n", piece, b"\r\n"):
                self._writer.write(octets)

    def raw(self, octets: bytes) -> None:
        """Send bytes."""
        self._writer.write(octets)

    async def confirm(self) -> None:
        """Confirm the tunnel, as after a pull and after a configure."""
        self.say(
            Request("push-confirmation-start", self.unit.distribution_id, PushConfirmationStart("https-tunnel")),
            pieces=2,
        )
        started = await self.next()
        assert isinstance(started, Response)
        assert (started.type, started.result_code) == ("push-confirmation-start", 100)

    async def ready(self) -> None:
        """Open, confirm, and be proven."""
        assert await self.open() == 200
        await self.confirm()
        await self.site.home.link.wait_ready(self.unit.serial, timeout_s=10)

    async def next(self) -> Message:
        """The next message that it does not answer by itself."""
        async with asyncio.timeout(10):
            return await self.inbox.get()

    async def cut(self) -> None:
        """Drop the connection without a word."""
        self._writer.transport.abort()
        if self._task is not None:
            await self._task
