"""What fuzzing begins with: the published vectors, and real requests of the adapters on the doorstep."""

from __future__ import annotations

import re
from pathlib import Path

from drivers.arms.ids import basic
from tests.controller.phonehome.site import Unit, http10

VECTORS = Path(__file__).parents[1] / "vectors/arms"
VECTOR_ID = b"0001-0000-0101-0000-0200-00FF-FE12-3456"
_HEAD_OF_TUNNEL = (
    "POST /tunnel HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\nContent-Type: text/xml\r\n"
    "Transfer-Encoding: chunked\r\nAuthorization: {}\r\n\r\n"
)


def documents() -> list[bytes]:
    """The bodies of all message vectors."""
    return [path.read_bytes() for path in sorted((VECTORS / "messages").glob("*.xml"))]


def framed(folder: str) -> list[bytes]:
    """The byte streams of a folder, `http` or `tunnel`."""
    return [path.read_bytes() for path in sorted((VECTORS / folder).glob("*.bin"))]


def heartbeats() -> list[bytes]:
    """All datagrams, good and bad."""
    return [bytes.fromhex("".join(path.read_text().split())) for path in sorted(VECTORS.glob("heartbeat-*.hex"))]


def named(document: bytes, unit: Unit) -> bytes:
    """The message as that adapter would send it."""
    return document.replace(VECTOR_ID, unit.distribution_id.encode())


def request(door: str, document: bytes, unit: Unit) -> bytes:
    """A whole request of that adapter, with its key."""
    return http10(f"/{door}/arms", unit.distribution_id, unit.ls_key if door == "ls" else unit.rs_key, document)


def tunnel(unit: Unit, stream: bytes) -> bytes:
    """A tunnel of that adapter, its key in the head, and what it says then."""
    return _HEAD_OF_TUNNEL.format(basic(unit.distribution_id, unit.rs_key)).encode() + stream


def chunk(document: bytes) -> bytes:
    """A message as one chunk of a tunnel."""
    return f"{len(document):x};id=7;trail\r\n".encode() + document + b"\r\n"


def dictionary() -> list[bytes]:
    """Words that mutations may put in: every tag and attribute of the vectors, and a few numbers."""
    words = {b"0", b"-1", b"2147483648", b"99999999999999999999", b"&#0;", b"<!DOCTYPE a>", b"]]>", b"\xff", b"\x00"}
    for document in documents():
        words |= set(re.findall(rb"</?[a-z-]+(?: [^<>]*)?>", document))
    return sorted(words)
