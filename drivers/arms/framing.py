"""Bytes on the wire: HTTP heads and bodies (arms-protocol §5.1, §5.4) and the chunks of the tunnel (§5.3).

All decoders are incremental: they give the same result however the bytes are cut, and refuse with ProtocolViolation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from inventory.errors import BadInput, ProtocolViolation

MAX_HEAD = 8192
MAX_CHUNK_LINE = 256
MAX_CHUNK = 65_536
MAX_OPEN_MESSAGES = 16
MAX_ID = 2**31 - 1
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,2048}) HTTP/(1\.[01])")
_STATUS = re.compile(rb"HTTP/(1\.[01]) ([1-5][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_EXTENSION = re.compile(rb"(?:id=[0-9]{1,10}|[a-z][a-z-]{0,31})")


def _refuse(message: str, reason: str = "malformed") -> ProtocolViolation:
    return ProtocolViolation(message, reason=reason)


# --- HTTP heads ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """A request line (`method`, `target`) or a status line (`status`), and the header fields as they came."""

    version: str
    method: str = ""
    target: str = ""
    status: int = 0
    phrase: str = ""
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # has the Authorization header

    def get(self, name: str) -> str | None:
        """Value of a header field, found in any case. Raises ProtocolViolation if it stands there twice."""
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        if len(found) > 1:
            raise _refuse(f"the header {name} stands there {len(found)} times")
        return found[0] if found else None

    @property
    def chunked(self) -> bool:
        """Whether the body says to be in chunks. Raises ProtocolViolation for any other transfer coding."""
        coding = self.get("Transfer-Encoding")
        if coding is not None and coding.lower() != "chunked":
            raise _refuse(f"transfer coding {coding[:40]!r} is not known")
        return coding is not None


class HeadDecoder:
    """Takes bytes until the blank line; what follows it is handed back untouched."""

    def __init__(self, *, limit: int = MAX_HEAD) -> None:
        self._limit = limit
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> tuple[Head, bytes] | None:
        """The head and the bytes after it, once it is complete. Raises ProtocolViolation."""
        start = max(0, len(self._bytes) - 3)
        self._bytes += piece
        end = self._bytes.find(b"\r\n\r\n", start)
        if (end if end >= 0 else len(self._bytes)) > self._limit:
            raise _refuse(f"the head is longer than {self._limit} bytes", "oversize")
        if end < 0:
            return None
        return _head(bytes(self._bytes[:end])), bytes(self._bytes[end + 4 :])


def _head(block: bytes) -> Head:
    first, *lines = block.split(b"\r\n")
    fields = tuple(_field(line) for line in lines)
    if request := _REQUEST.fullmatch(first):
        return Head(version=request[3].decode(), method=request[1].decode(), target=request[2].decode(), fields=fields)
    if status := _STATUS.fullmatch(first):
        phrase = (status[3] or b"").decode("latin-1")
        return Head(version=status[1].decode(), status=int(status[2]), phrase=phrase, fields=fields)
    raise _refuse("the first line is neither a request nor a status of HTTP/1")


def _field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name) or b"\r" in value or b"\n" in value or b"\0" in value:
        raise _refuse("a header line is malformed")
    return name.decode("ascii"), value.strip(b" \t").decode("latin-1")


def response(status: int, phrase: str, body: bytes, *, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A whole answer in the form that every client reads: one Content-Length, then close (§5.2)."""
    lines = [f"HTTP/1.0 {status} {phrase}"]
    if body:
        lines.append("Content-Type: text/xml")
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in extra]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


TUNNEL_ACCEPTED: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
"""The answer to a tunnel request; one write, and nothing else with it (§5.3)."""


def push_request_head(authorization: str, length: int) -> bytes:
    """Head of a request to an adapter in https-simple: never chunked, this spelling exactly (§5.4)."""
    return (
        f"POST / HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n"
        f"Authorization: {authorization}\r\n\r\n"
    ).encode("ascii")


# --- HTTP bodies --------------------------------------------------------------------------------------------------


class BodyDecoder(Protocol):
    """Gives the body's bytes as they come."""

    done: bool
    """The body is complete; bytes after it are not taken."""

    def feed(self, piece: bytes) -> bytes:
        """Body bytes in this piece. Raises ProtocolViolation."""
        ...

    def close(self) -> None:
        """The peer has closed. Raises ProtocolViolation when the body was not complete."""
        ...


class _Counted:
    def __init__(self, length: int, limit: int) -> None:
        if length > limit:
            raise _refuse(f"the body has {length} bytes, more than {limit}", "oversize")
        self._left = length
        self.done = length == 0

    def feed(self, piece: bytes) -> bytes:
        taken = piece[: self._left]
        self._left -= len(taken)
        self.done = self._left == 0
        return taken

    def close(self) -> None:
        if not self.done:
            raise _refuse(f"the connection ended {self._left} bytes before the end of the body", "cut")


class _UntilClose:
    def __init__(self, limit: int) -> None:
        self._left = limit
        self._limit = limit
        self.done = False

    def feed(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise _refuse(f"the body is longer than {self._limit} bytes", "oversize")
        return piece

    def close(self) -> None:
        self.done = True


class _Chunked:
    """Plain HTTP chunks: any number of them, extensions ignored, no trailers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._chunks = _ChunkReader(limit)
        self.done = False

    def feed(self, piece: bytes) -> bytes:
        if self.done:
            return b""
        out = []
        for chunk in self._chunks.feed(piece):
            if chunk.body is None:
                self.done = True
                break
            self._size += len(chunk.body)
            if self._size > self._limit:
                raise _refuse(f"the body is longer than {self._limit} bytes", "oversize")
            out.append(chunk.body)
        return b"".join(out)

    def close(self) -> None:
        if not self.done:
            raise _refuse("the connection ended before the last chunk", "cut")


def body_decoder(head: Head, *, limit: int) -> BodyDecoder:
    """The decoder that the head calls for. Raises ProtocolViolation when it contradicts itself, or is too long."""
    length = head.get("Content-Length")
    if head.chunked:
        if length is not None:
            raise _refuse("the head has both a length and a transfer coding")
        return _Chunked(limit)
    if length is not None:
        if not re.fullmatch(r"[0-9]{1,12}", length):
            raise _refuse("the content length is no number")
        return _Counted(int(length), limit)
    return _UntilClose(limit) if head.status else _Counted(0, limit)


# --- chunks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chunk:
    extensions: tuple[bytes, ...]
    body: bytes | None  # None: the chunk of size 0, the end


class _ChunkReader:
    """Cuts a stream into chunks. State: `_need` is None while a size line is awaited, else the body's size."""

    __slots__ = ("_bytes", "_extensions", "_limit", "_need")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._need: int | None = None
        self._extensions: tuple[bytes, ...] = ()

    def feed(self, piece: bytes) -> list[_Chunk]:
        self._bytes += piece
        found: list[_Chunk] = []
        while (chunk := self._next()) is not None:
            found.append(chunk)
            if chunk.body is None:  # what follows the end is not read, however it came
                break
        return found

    @property
    def between(self) -> bool:
        """Nothing is half read."""
        return self._need is None and not self._bytes

    def _next(self) -> _Chunk | None:
        if self._need is None and not self._read_line():
            return None
        assert self._need is not None
        if len(self._bytes) < self._need + 2:
            tail = self._bytes[self._need :]
            if tail and tail != b"\r":
                raise _refuse("a chunk does not end where its size says")
            return None
        if self._bytes[self._need : self._need + 2] != b"\r\n":
            raise _refuse("a chunk does not end where its size says")
        size, self._need = self._need, None
        body = bytes(self._bytes[:size])
        del self._bytes[: size + 2]
        return _Chunk(self._extensions, body if size else None)

    def _read_line(self) -> bool:
        end = self._bytes.find(b"\r\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(self._bytes) >= MAX_CHUNK_LINE:
                raise _refuse("a chunk line is too long", "oversize")
            if self._bytes and not _SIZE.match(self._bytes):
                raise _refuse("a chunk does not begin with its size in hex")
            return False
        size, *extensions = bytes(self._bytes[:end]).split(b";")
        if not _SIZE.fullmatch(size):
            raise _refuse("a chunk does not begin with its size in hex")
        self._need = int(size, 16)
        if self._need > self._limit:
            raise _refuse(f"a chunk of {self._need} bytes, more than {self._limit}", "oversize")
        self._extensions = tuple(extensions)
        del self._bytes[: end + 2]
        return True


# --- the tunnel ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a message. All pieces of one message have one id; the last has the trail."""

    id: int | None
    last: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Echo:
    """`echo-request` comes from the adapter, `echo-response` (or `echo`) goes to it."""

    kind: Literal["echo-request", "echo-response", "echo"]
    body: bytes = b"echo"


@dataclass(frozen=True, slots=True)
class End:
    """The chunk of size 0: the sender is about to close."""


Frame = Piece | Echo | End


def encode(frame: Frame) -> bytes:
    """One chunk of the tunnel; send it with one write (§5.3).

    The size is lower-case hex without a leading 0: adapters fail on both others (§5.2). Raises BadInput for an empty
    piece, which would read as the end, and for an id outside 0…2147483647.
    """
    if isinstance(frame, End):
        return b"0\r\n\r\n"
    if isinstance(frame, Echo):
        return f"{len(frame.body):x};{frame.kind};trail\r\n".encode() + frame.body + b"\r\n"
    if not frame.body:
        raise BadInput("an empty piece would end the tunnel", field="body")
    if frame.id is not None and not 0 <= frame.id <= MAX_ID:
        raise BadInput(f"chunk id {frame.id} is outside 0…{MAX_ID}", field="id")
    name = "" if frame.id is None else f";id={frame.id}"
    trail = ";trail" if frame.last else ""
    return f"{len(frame.body):x}{name}{trail}\r\n".encode() + frame.body + b"\r\n"


def encode_message(message: bytes, *, id: int, chunk_bytes: int = 8000) -> list[bytes]:
    """The chunks of a message, each to be sent with one write; header, body and CRLF stay within 8192 bytes (§5.3)."""
    pieces = [message[start : start + chunk_bytes] for start in range(0, len(message), chunk_bytes)]
    return [encode(Piece(id, number == len(pieces) - 1, piece)) for number, piece in enumerate(pieces)]


class TunnelDecoder:
    """Bytes of one direction of a tunnel into frames, in order. After `End` nothing is read any more."""

    __slots__ = ("_chunks", "_ended")

    def __init__(self, *, chunk_limit: int = MAX_CHUNK) -> None:
        self._chunks = _ChunkReader(chunk_limit)
        self._ended = False

    def feed(self, piece: bytes) -> list[Frame]:
        """The frames that these bytes complete. Raises ProtocolViolation."""
        found: list[Frame] = []
        if self._ended:
            return found
        for chunk in self._chunks.feed(piece):
            frame = _frame(chunk)
            found.append(frame)
            if isinstance(frame, End):
                self._ended = True
                break
        return found

    @property
    def between(self) -> bool:
        """No chunk is half read."""
        return self._ended or self._chunks.between


def _frame(chunk: _Chunk) -> Frame:
    if chunk.body is None:
        return End()
    if not all(_EXTENSION.fullmatch(extension) for extension in chunk.extensions):
        raise _refuse("a chunk extension is malformed")
    ids = [int(extension[3:]) for extension in chunk.extensions if extension.startswith(b"id=")]
    if len(ids) > 1 or any(number > MAX_ID for number in ids):
        raise _refuse("a chunk has two ids, or one above 2147483647")
    kinds: tuple[Literal["echo-request", "echo-response", "echo"], ...] = (
        "echo-request",
        "echo-response",
        "echo",
    )
    for kind in kinds:
        if kind.encode() in chunk.extensions:
            return Echo(kind, chunk.body)
    return Piece(ids[0] if ids else None, b"trail" in chunk.extensions, chunk.body)


class Assembler:
    """Joins pieces to messages by id; pieces of different messages may be interleaved.

    `limit` bounds the bytes of all unfinished messages together: a tunnel is one adapter, so it may spend it as it
    likes. At most 16 messages are open at a time.
    """

    __slots__ = ("_limit", "_open")

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._open: dict[int | None, bytearray] = {}

    def add(self, piece: Piece) -> bytes | None:
        """The whole message when this was its last piece. Raises ProtocolViolation."""
        message = self._open.setdefault(piece.id, bytearray())
        message += piece.body
        if self.bytes > self._limit:
            raise _refuse(f"unfinished messages are longer than {self._limit} bytes", "oversize")
        if len(self._open) > MAX_OPEN_MESSAGES:
            raise _refuse(f"more than {MAX_OPEN_MESSAGES} unfinished messages", "oversize")
        return bytes(self._open.pop(piece.id)) if piece.last else None

    @property
    def bytes(self) -> int:
        """Bytes of all unfinished messages together."""
        return sum(map(len, self._open.values()))

    @property
    def unfinished(self) -> int:
        """Number of messages of which the last piece has not come."""
        return len(self._open)
