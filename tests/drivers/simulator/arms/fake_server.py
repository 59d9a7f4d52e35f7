"""A scripted LS, RS and heartbeat receiver on real sockets, just enough to test a device against.

It shares no code with the device: messages are literal text, chunks are taken apart by hand.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import re
import ssl
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RS_KEY = "rs-secret-4242"
HEARTBEAT_KEY = "hb-pass-phrase"


@dataclass(frozen=True, slots=True)
class Party:
    """A certificate with its key, and both as one PEM file."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, form, plain).decode()

    def context(self, folder: Path, *, ask_for: str | None = None) -> ssl.SSLContext:
        """A server context that shows this certificate, and may ask for one of that CA."""
        file = folder / f"{self.certificate.serial_number}.pem"
        file.write_text(self.key_pem + self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if ask_for is not None:
            context.load_verify_locations(cadata=ask_for)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


def party(name: str, signer: Party | None = None, *, expired: bool = False) -> Party:
    """A certificate authority without `signer`, else a leaf signed by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(day)
        .not_valid_after(day + datetime.timedelta(days=1 if expired else 36500))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]), critical=False)
    )
    return Party(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it came."""

    head: str
    raw_body: bytes
    message: ET.Element

    @property
    def kind(self) -> str:
        return self.message[0].get("type", "")

    def text(self, name: str) -> str | None:
        return self.message.findtext(f".//{name}")


def framed(inner: str) -> bytes:
    """A message in one chunk, as it goes through a tunnel."""
    body = f"<arms-message>{inner}</arms-message>".encode()
    return b"%x;id=77;trail\r\n%s\r\n" % (len(body), body)


def requesting(identity: str, kind: str, parameters: str = "", *, number: int | None = None) -> str:
    """A request of the server's, without its frame."""
    transaction = f"<transaction-id>{number}</transaction-id>" if number else ""
    return (
        f'<arms-request type="{kind}"><distribution-id>{identity}</distribution-id>{transaction}'
        f"<description>push</description><{kind}-request>{parameters}</{kind}-request></arms-request>"
    )


@dataclass(eq=False, slots=True)
class TunnelPeer:
    """The server's end of one tunnel."""

    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answers_echo: bool = True
    echoes: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    log: list[bytes] = field(default_factory=list)
    """Bodies of the message chunks as they came."""

    async def receive(self) -> ET.Element | None:
        """Next message of the device; None at its `0` chunk. Raises IncompleteReadError when it is cut."""
        whole = b""
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode().strip()
            body = await self.reader.readexactly(int(line.split(";")[0], 16))
            await self.reader.readexactly(2)
            if not body:
                return None
            if "echo-request" in line:
                self.echoes.put_nowait(line)
                if self.answers_echo:
                    self.writer.write(b"4;echo-response;trail\r\necho\r\n")
                continue
            self.log.append(body)
            whole += body
            if line.endswith(";trail"):
                cleaned = re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", whole)
                return ET.fromstring(cleaned)[0]

    async def expect(self, kind: str) -> ET.Element:
        message = await self.receive()
        assert message is not None, f"tunnel ended instead of {kind}"
        assert message.get("type") == kind, ET.tostring(message)
        return message

    def send(self, inner: str) -> None:
        self.writer.write(framed(inner))

    def request(self, identity: str, kind: str, parameters: str = "", *, number: int | None = None) -> None:
        self.send(requesting(identity, kind, parameters, number=number))

    def respond(self, kind: str, code: int = 100, *, number: str | None = None) -> None:
        transaction = f"<transaction-id>{number}</transaction-id>" if number else ""
        self.send(
            f'<arms-response type="{kind}">{transaction}<result-code>{code}</result-code>'
            f"<{kind}-response></{kind}-response></arms-response>"
        )

    async def confirm(self, identity: str, *, start: ET.Element | None = None) -> None:
        """Go through a confirmation that the device begins."""
        if start is None:
            await self.expect("push-confirmation-start")
        self.respond("push-confirmation-start", number="555001")
        self.request(identity, "push-confirmation-done", number=555001)
        await self.expect("push-confirmation-done")

    async def ask(self, identity: str, kind: str, parameters: str = "") -> ET.Element:
        self.request(identity, kind, parameters)
        return await self.expect(kind)

    async def operate(
        self, identity: str, kind: str, parameters: str = "", *, code: int = 100
    ) -> tuple[ET.Element, ET.Element]:
        """An asynchronous operation: start response and done request; the latter is answered with `code`."""
        start = await self.ask(identity, f"{kind}-start", parameters)
        done = await self.expect(f"{kind}-done")
        self.respond(f"{kind}-done", code, number=done.findtext("transaction-id"))
        return start, done


class _Heartbeats(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.queue.put_nowait((data, addr))


@dataclass(eq=False)
class FakeServer:
    """Answers from `codes` (a list for each message type, then 100) and from the texts below."""

    folder: Path
    method: str = "https-tunnel"
    retry_max: int = 1
    retry_interval_s: int = 1
    echo_interval_s: int = 10
    heartbeat_interval_s: int = 30
    tunnel_count: int = 1
    modules: str = '<module id="0" version="5.66.0-0">SA-W2 5.66</module>'
    configs: dict[int, str] = field(default_factory=lambda: {0: "hostname: first\n"})
    codes: dict[str, list[int]] = field(default_factory=dict)
    http_status: list[int] = field(default_factory=list)
    tunnel_status: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    client_names: list[str | None] = field(default_factory=list)
    ls_name: str = "Location Server 1"
    expired: bool = False

    async def start(self) -> FakeServer:
        self.root, self.rs_ca, self.sa_ca = party("ARMS Root CA"), party("RS CA"), party("SA CA")
        ls = party(self.ls_name, self.root, expired=self.expired)
        rs = party("rs", self.rs_ca, expired=self.expired)
        self.sa = party("sa", self.sa_ca)
        self.ls_context = ls.context(self.folder)
        self.rs_context = rs.context(self.folder, ask_for=self.sa_ca.pem)
        self._servers = [
            await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.ls_context),
            await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.rs_context),
        ]
        self.ls_port, self.rs_port = (each.sockets[0].getsockname()[1] for each in self._servers)
        loop = asyncio.get_running_loop()
        self._udp, self.heartbeats = await loop.create_datagram_endpoint(_Heartbeats, local_addr=("127.0.0.1", 0))
        self.heartbeat_port = self._udp.get_extra_info("sockname")[1]
        self.tunnels: asyncio.Queue[TunnelPeer] = asyncio.Queue()
        self._arrived: dict[str, asyncio.Queue[Request]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        return self

    async def stop(self) -> None:
        self._udp.close()
        for server in self._servers:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        for server in self._servers:
            await server.wait_closed()

    @property
    def ls_url(self) -> str:
        return f"https://127.0.0.1:{self.ls_port}/ls/arms"

    def of(self, kind: str) -> list[Request]:
        return [each for each in self.requests if each.kind == kind]

    async def tunnel(self) -> TunnelPeer:
        return await asyncio.wait_for(self.tunnels.get(), 10)

    def _queue(self, kind: str) -> asyncio.Queue[Request]:
        return self._arrived.setdefault(kind, asyncio.Queue())

    async def next_of(self, kind: str) -> Request:
        """The next request of that type that nobody asked for yet."""
        return await asyncio.wait_for(self._queue(kind).get(), 10)

    async def heartbeat(self) -> bytes:
        return (await asyncio.wait_for(self.heartbeats.queue.get(), 10))[0]

    # -- serving -----------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("POST /tunnel"):
                self._take_tunnel(head, reader, writer)
                return
            body = await _body(head, reader)
            request = Request(head, body, ET.fromstring(body))
            self.requests.append(request)
            self._queue(request.kind).put_nowait(request)
            peer = writer.get_extra_info("peercert")
            self.client_names.append(peer["subject"][0][0][1] if peer else None)
            writer.write(self._answer(request))
            await writer.drain()
            writer.close()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    def _take_tunnel(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status = self.tunnel_status.pop(0) if self.tunnel_status else 200
        if status != 200:
            writer.write(b"HTTP/1.1 %d No\r\n\r\n" % status)
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.tunnels.put_nowait(TunnelPeer(head, reader, writer))

    def _answer(self, request: Request) -> bytes:
        if self.http_status:
            return b"HTTP/1.0 %d No\r\nContent-Length: 0\r\n\r\n" % self.http_status.pop(0)
        kind = request.kind
        code = self.codes[kind].pop(0) if self.codes.get(kind) else 100
        inner = {
            "rs-solicitation": self._location,
            "config-solicitation": self._startup,
            "push-method-query": self._method,
        }.get(kind, str)()
        number = request.text("transaction-id") or "555001"
        body = (
            f'<arms-message><arms-response type="{kind}"><transaction-id>{number}</transaction-id>'
            f"<result-code>{code}</result-code><{kind}-response>{inner if code == 100 else ''}"
            f"</{kind}-response></arms-response></arms-message>"
        )
        return f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    @property
    def rs_url(self) -> str:
        return f"https://127.0.0.1:{self.rs_port}/rs/arms"

    def _location(self) -> str:
        return (
            f"<rs-preshared-key>{RS_KEY}</rs-preshared-key><ll-timeout>30</ll-timeout>"
            f"<rs-retry-max>{self.retry_max}</rs-retry-max>"
            f"<rs-retry-interval>{self.retry_interval_s}</rs-retry-interval>"
            f"<rs-info><url>{self.rs_url}</url><md-config>line-dhcp {{\n\tifindex 0;\n}};\n"
            f"rs-certificate {{\n{self.rs_ca.pem}}};\n</md-config></rs-info>"
        )

    def _startup(self) -> str:
        configs = "".join(f'<md-config id="{at}">{text}</md-config>' for at, text in self.configs.items())
        return (
            f"<sa-certificate>{self.sa.pem}</sa-certificate>"
            f"<sa-private-key>{self.sa.key_pem}</sa-private-key>"
            f"<heartbeat-info><host>127.0.0.1</host><port>{self.heartbeat_port}</port>"
            f"<passphrase>{HEARTBEAT_KEY}</passphrase><interval>{self.heartbeat_interval_s}</interval>"
            f"</heartbeat-info><rs-pull-server-url>{self.rs_url}</rs-pull-server-url>"
            f"{self.modules}{configs}"
        )

    def _method(self) -> str:
        tunnel = f"<https-tunnel-url>https://127.0.0.1:{self.rs_port}/tunnel</https-tunnel-url>"
        return (
            f"<push-method>{self.method}</push-method>{tunnel * self.tunnel_count}"
            f"<https-tunnel-echo-interval>{self.echo_interval_s}</https-tunnel-echo-interval>"
        )


async def _body(head: str, reader: asyncio.StreamReader) -> bytes:
    length = re.search(r"Content-Length: (\d+)", head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    whole = b""
    while True:
        size = int(await reader.readuntil(b"\r\n"), 16)
        whole += await reader.readexactly(size)
        await reader.readexactly(2)
        if not size:
            return re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", whole)
