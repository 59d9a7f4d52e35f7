"""HTTP as the reference client speaks it: requests with its quirks, responses read its way (§5.1, §5.2)."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
from dataclasses import dataclass

from drivers.simulator.arms_chunks import MESSAGE_END
from drivers.simulator.arms_messages import MalformedMessage, Pieces, ServerMessage, parse
from drivers.simulator.tls_stream import LinkLost, TlsStream
from inventory.secrets import Secret

HEADER_LINE_OCTETS = 1023
RESPONSE_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL the client can use: https, a literal address, a port, a path (§4)."""

    host: str
    port: int
    path: str

    @property
    def family(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.host).version

    @property
    def host_header(self) -> str:
        """Without brackets for IPv6, as the client writes it."""
        return f"{self.host}:{self.port}"


def endpoint(url: str) -> Endpoint | None:
    """Read a URL within the client's limits; None for one that it cannot use."""
    found = re.fullmatch(r"https://(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(\d{1,6}))?(/.*)?", url)
    if found is None:
        return None
    host, path = found[1] or found[2], found[4] or "/"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    port = int(found[3] or 443)
    if len(host) > 79 or len(path) > 79 or port > 65535:
        return None
    return Endpoint(host, port, path)


def basic(distribution_id: str, key: Secret) -> bytes:
    """Value of the Authorization header, scheme included."""
    return b"Basic " + base64.b64encode(f"{distribution_id}:{key.reveal()}".encode())


def pull_request(target: Endpoint, authorization: bytes, message: Pieces) -> list[bytes]:
    """HTTP/1.0 without Host, head and body in one write each."""
    body = b"".join(message)
    head = b"POST %s HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: %d\r\nAuthorization: %s\r\n\r\n" % (
        target.path.encode(),
        len(body),
        authorization,
    )
    return [head, body]


def chunked_head(target: Endpoint, authorization: bytes) -> bytes:
    """Head of confirmation and `-done` requests, and of the tunnel."""
    return (
        b"POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: text/xml\r\n"
        b"Transfer-Encoding: chunked\r\nAuthorization: %s\r\n\r\n"
        % (target.path.encode(), target.host_header.encode(), authorization)
    )


def chunked_request(target: Endpoint, authorization: bytes, message: Pieces) -> list[bytes]:
    """HTTP/1.1, a chunk for each piece, each header, body and line end a write of its own."""
    writes = [chunked_head(target, authorization)]
    for piece in message:
        writes += [b"%x\r\n" % len(piece), piece, b"\r\n"]
    return [*writes, b"0\r\n\r\n"]


class Unanswered(Exception):
    """No usable answer: an HTTP status, or a body that the client cannot read."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


async def exchange(stream: TlsStream, writes: list[bytes], *, step_timeout_s: float) -> ServerMessage:
    """Send a request, read the response, close. Raises LinkLost or Unanswered.

    `step_timeout_s` bounds each send and each receive, not the whole.
    """
    try:
        for each in writes:
            async with asyncio.timeout(step_timeout_s):
                await stream.write(each)
        return parse(await _body(stream, step_timeout_s))
    except TimeoutError as error:
        raise LinkLost("time-out in an exchange") from error
    except MalformedMessage as error:
        raise Unanswered(f"answer: {error}") from error
    finally:
        await stream.close()


async def _body(stream: TlsStream, step_timeout_s: float) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += await _more(stream, step_timeout_s)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", lines[0])
    if status is None or status[1] != b"200":
        raise Unanswered(f"status line {lines[0][:80]!r}", int(status[1]) if status else None)
    if any(len(line) + 2 > HEADER_LINE_OCTETS for line in lines):
        raise Unanswered("header line too long")
    if b"Transfer-Encoding: chunked" in lines:
        return await _only_chunk(stream, body, step_timeout_s)
    while MESSAGE_END not in body:
        body += await _more(stream, step_timeout_s)
    return body[: body.index(MESSAGE_END) + len(MESSAGE_END)]


async def _only_chunk(stream: TlsStream, body: bytes, step_timeout_s: float) -> bytes:
    """The client reads one chunk, whose size starts with a digit 1–9 or a lower-case letter (§5.2)."""
    while b"\r\n" not in body:
        body += await _more(stream, step_timeout_s)
    line, _, body = body.partition(b"\r\n")
    size = re.fullmatch(rb"[1-9a-f][0-9A-Fa-f]*", line)
    if size is None:
        raise Unanswered(f"chunk size {line[:20]!r}")
    while len(body) < int(size[0], 16):
        body += await _more(stream, step_timeout_s)
    body = body[: int(size[0], 16)]
    if MESSAGE_END not in body:
        raise Unanswered("answer in more than one chunk")
    return body


async def _more(stream: TlsStream, step_timeout_s: float) -> bytes:
    async with asyncio.timeout(step_timeout_s):
        octets = await stream.read()
    if not octets:
        raise LinkLost("the server closed before its answer was whole")
    return octets
