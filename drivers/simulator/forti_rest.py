"""The REST API of a simulated FortiGate: the same configuration as its command line, over HTTPS with a certificate."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drivers.simulator.forti_tree import Printer, of_unit

if TYPE_CHECKING:
    from drivers.simulator.forti_cli import FortiDevice

PAGE: Final = "<!DOCTYPE html><html><body>login</body></html>"


class FortiRest:
    """Listens beside a `FortiDevice`. `requests` is what came, token left out; `tokens` what credentials were shown.

    Switches: `backup_verb` (the only verb that gives a backup), `answer` (status for everything, or "page" for a web
    page with 200), `absent` (paths that this model has not), `cut_after` (octets of an answer before the connection is
    cut), `silent` (accepts and says nothing).
    """

    def __init__(self, device: FortiDevice, token: str) -> None:
        self._device = device
        self._token = token
        self.backup_verb = "POST"
        self.answer: int | str | None = None
        self.absent: tuple[str, ...] = ()
        self.cut_after: int | None = None
        self.silent = False
        self.requests: list[str] = []
        self.tokens: list[str] = []
        self.port = 0
        self.fingerprint = ""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        context, der = _own_certificate(self._device.own_serial)
        self.fingerprint = hashlib.sha256(der).hexdigest()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._open), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
            )
            body = await reader.readexactly(length)
            if self.silent:
                await reader.read()
                return
            await self._reply(writer, *self._carry_out(head, body))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()
            self._open.discard(writer)

    async def _reply(self, writer: asyncio.StreamWriter, status: int, kind: str, text: str) -> None:
        octets = text.encode("utf-8", "surrogateescape")
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(octets)}\r\nConnection: close\r\n\r\n"
        )
        whole = head.encode() + octets
        if self.cut_after is not None:
            writer.write(whole[: self.cut_after])
            self.cut_after = None
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.transport.abort()
            return
        writer.write(whole)
        await writer.drain()

    def _carry_out(self, head: str, body: bytes) -> tuple[int, str, str]:
        first, *rest = head.split("\r\n")
        method, target, _ = first.split(" ")
        path = target.partition("?")[0]
        self.requests.append(f"{method} {target}")
        shown = [line.partition(":")[2].strip() for line in rest if line.lower().startswith("authorization:")]
        self.tokens += shown
        if self.answer == "page":
            return 200, "text/html", PAGE
        if isinstance(self.answer, int):
            return self.answer, "application/json", json.dumps({"http_status": self.answer, "status": "error"})
        if shown != [f"Bearer {self._token}"]:
            return 401, "text/html" if "access_token" in target else "application/json", "{}"
        if path in self.absent:
            return 404, "application/json", json.dumps({"http_status": 404, "status": "error"})
        if path == "/api/v2/monitor/system/status":
            return 200, "application/json", json.dumps(self._status())
        if path == "/api/v2/monitor/system/config/backup":
            if method != self.backup_verb:
                return 405, "application/json", json.dumps({"http_status": 405, "status": "error"})
            whole = self._backup()
            return 200, "application/octet-stream", whole.rpartition("end")[0] if self.answer == "cut" else whole
        if path.startswith("/api/v2/cmdb/") and method == "PUT":
            return self._put(path.removeprefix("/api/v2/cmdb/").replace("/", " ", 1), body)
        return 404, "application/json", json.dumps({"http_status": 404, "status": "error"})

    def _status(self) -> dict[str, object]:
        device = self._device
        kind, _, number = device.model.partition("-")
        return {
            "http_method": "GET",
            "results": {"hostname": device.current_hostname(), "model_name": kind, "model_number": number},
            "vdom": "root",
            "path": "system",
            "name": "status",
            "status": "success",
            "serial": device.serial,
            "version": device.version.partition(",")[0],
            "build": int(device.version.partition("build")[2].partition(",")[0]),
        }

    def _backup(self) -> str:
        device = self._device
        return "\n".join([*device.header("api"), *Printer(codec=device.codec).tree(device.running), ""])

    def _put(self, path: str, body: bytes) -> tuple[int, str, str]:
        """Set plain fields of one object without entries."""
        part = of_unit(self._device.running).parts.get(path)
        if part is None:
            return 404, "application/json", json.dumps({"http_status": 404, "error": -3})
        for name, value in json.loads(body).items():
            part.own.fields[name] = [str(value)]
        self._device.committed("")
        return 200, "application/json", json.dumps({"http_status": 200, "status": "success"})


def _own_certificate(serial: str) -> tuple[ssl.SSLContext, bytes]:
    """A self-signed certificate with the serial number as its name, as units come from the factory."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, serial)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(Path(file.name))
    return context, certificate.public_bytes(serialization.Encoding.DER)
