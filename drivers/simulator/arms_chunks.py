"""Chunks of the tunnel, written and read as the reference client does it (arms-protocol §5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

CHUNK_LIMIT_OCTETS = 8192
ECHO_REQUEST = b"4;echo-request;trail\r\necho\r\n"
END = b"0\r\n\r\n"
MESSAGE_END = b"</arms-message>"


class BrokenStream(Exception):
    """The client cannot make sense of the stream and drops the tunnel."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A complete chunk from the server."""

    kind: Literal["message", "echo", "end"]
    chunk_id: int | None
    body: bytes


def frame(chunk_id: int, body: bytes, *, last: bool) -> tuple[bytes, bytes, bytes]:
    """A message chunk as the three writes of the client: header, body, line end; a TLS record each."""
    trail = b";trail" if last else b""
    return b"%x;id=%d%s\r\n" % (len(body), chunk_id, trail), body, b"\r\n"


class ChunkReader:
    """Takes what one TLS read returned and yields the chunks that are complete.

    A body may be spread over any number of reads, a header line may not: the client looks for its end in
    the same read only.
    """

    def __init__(self) -> None:
        self._header: re.Match[bytes] | None = None
        self._body = bytearray()
        self._missing = 0
        self._line_end = 0

    def feed(self, octets: bytes) -> Iterator[Chunk]:
        """Raises BrokenStream for a header that is cut, or is none."""
        at = 0
        while at < len(octets):
            if self._line_end:
                skipped = min(self._line_end, len(octets) - at)
                self._line_end -= skipped
                at += skipped
            elif self._header is None:
                at = self._take_header(octets, at)
            else:
                taken = octets[at : at + self._missing]
                self._body += taken
                self._missing -= len(taken)
                at += len(taken)
            if self._header is not None and not self._missing:
                yield self._complete()

    def _take_header(self, octets: bytes, at: int) -> int:
        end = octets.find(b"\r\n", at)
        if end < 0:
            raise BrokenStream(f"chunk header is cut: {octets[at : at + 40]!r}")
        header = re.fullmatch(rb"([0-9A-Fa-f]+)((?:;[^;]*)*)", octets[at:end])
        if header is None:
            raise BrokenStream(f"no chunk header: {octets[at : at + 40]!r}")
        self._header, self._missing = header, int(header[1], 16)
        return end + 2

    def _complete(self) -> Chunk:
        assert self._header is not None
        extensions = self._header[2].split(b";")[1:]
        body, self._header, self._body, self._line_end = bytes(self._body), None, bytearray(), 2
        if not body:
            return Chunk("end", None, b"")
        if b"echo-response" in extensions or b"echo" in extensions:
            return Chunk("echo", None, body)
        ids = [each[3:] for each in extensions if each.startswith(b"id=")]
        return Chunk("message", int(ids[0]) if ids and ids[0].isdigit() else None, body)


class Assembler:
    """Joins message chunks by id; a message is over at `</arms-message>`, whatever `trail` says."""

    def __init__(self) -> None:
        self._open: dict[int | None, bytes] = {}
        self._firsts: dict[int | None, bytes] = {}

    def add(self, chunk: Chunk) -> tuple[bytes, bytes] | None:
        """The whole message and its first chunk when this chunk ends it, else None."""
        first = self._firsts.setdefault(chunk.chunk_id, chunk.body)
        whole = self._open.get(chunk.chunk_id, b"") + chunk.body
        if not whole.rstrip().endswith(MESSAGE_END):
            self._open[chunk.chunk_id] = whole
            return None
        self._open.pop(chunk.chunk_id, None)
        del self._firsts[chunk.chunk_id]
        return whole, first
