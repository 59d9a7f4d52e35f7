"""Reports go to a server that can be trusted, or not at all: neither log-in nor a word of them before that."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.reports import mailing, webhooks
from controller.reports.sending import Outcome, Parcel
from controller.settings import MailSettings
from controller.store.deliveries import Delivery, Recipient, Way

HERE = "127.0.0.1"


@dataclass
class Server:
    """A mail server that can STARTTLS if it has a certificate; what it was told before and after."""

    context: ssl.SSLContext | None
    at_once: bool = False
    """In TLS from the first octet."""
    said: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                if self.at_once and self.context:
                    await writer.start_tls(self.context)
                writer.write(b"220 here\r\n")
                while line := (await reader.readline()).decode("ascii").strip():
                    await self._told(line.partition(" ")[0], reader, writer)
        finally:
            writer.close()

    async def _told(self, verb: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.said.append(verb)
        match verb:
            case "EHLO":
                offered = b"250-STARTTLS\r\n" if self.context and not self.at_once else b""
                writer.write(b"250-here\r\n" + offered + b"250 AUTH PLAIN\r\n")
            case "STARTTLS" if self.context:
                writer.write(b"220 go on\r\n")
                await writer.start_tls(self.context)
            case "DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 kept\r\n")
            case "AUTH":
                writer.write(b"235 welcome\r\n")
            case _:
                writer.write(b"250 well\r\n")


@contextlib.asynccontextmanager
async def listening(server: Server) -> AsyncIterator[int]:
    """The server on a port of its own."""
    opened = await asyncio.start_server(server.serve, HERE, 0)
    try:
        yield opened.sockets[0].getsockname()[1]
    finally:
        opened.close()


def certified(folder: Path, address: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own for an address, and the file of that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
    certificate = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "server.pem").write_bytes(private + public)
    (folder / "ca.pem").write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context, folder / "ca.pem"


def message() -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = "noc@isp.example", "noc@bakery.example"
    made.set_content("well")
    return made


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["nothing", "unknown to us", "of another address"])
async def test_a_certificate_decides_whether_log_in_and_message_go_out(
    tmp_path: Path, security: Literal["starttls", "tls"], wrong: str
) -> None:
    context, ca = certified(tmp_path, "192.0.2.7" if wrong == "of another address" else HERE)
    (tmp_path / "password").write_text("hardly a word")
    server = Server(context, security == "tls")
    async with listening(server) as port:
        settings = MailSettings(
            host=HERE,
            port=port,
            security=security,
            ca_file=None if wrong == "unknown to us" else ca,
            username="noc",
            password_file=tmp_path / "password",
            timeout_s=20,
        )
        tried = await mailing.send(message(), settings)
    if wrong == "nothing":
        assert (tried.outcome, tried.said) == (Outcome.SENT, "250 kept")
        assert {"AUTH", "MAIL", "DATA"} <= set(server.said)
    else:
        assert tried.outcome is Outcome.FAILED
        assert "certificate" in tried.said.lower(), tried.said
        assert {"AUTH", "MAIL", "DATA"} & set(server.said) == set()


async def test_a_server_without_starttls_is_not_spoken_to_in_clear_text(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hardly a word")
    server = Server(None)
    async with listening(server) as port:
        settings = MailSettings(host=HERE, port=port, username="noc", password_file=tmp_path / "password", timeout_s=20)
        tried = await mailing.send(message(), settings)
    assert tried.outcome is Outcome.FAILED
    assert "STARTTLS" in tried.said
    assert {"AUTH", "MAIL", "DATA"} & set(server.said) == set()


async def test_a_webhook_whose_certificate_nobody_vouches_for_gets_nothing_and_the_record_says_why(
    tmp_path: Path,
) -> None:
    context, _ = certified(tmp_path, HERE)
    server = Server(context, at_once=True)
    mine = Recipient(1, "daily", Way.WEBHOOK, "shown", (), signed=False, added_ms=0, removed_ms=None)
    waiting = Delivery(1, "daily/day/2026-01-01", mine, "", False, "waiting", 0, 0, 0, None, "", ())
    async with listening(server) as port:
        url = f"https://{HERE}:{port}/hooks/4711"
        tried = await webhooks.post(Parcel(waiting, b"{}", []), url, None, now_ms=0, timeout_s=20)
    assert tried.outcome is Outcome.FAILED
    assert "certificate" in tried.said.lower()
    assert "4711" not in tried.said
    assert server.said == []
