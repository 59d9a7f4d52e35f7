"""A Prometheus remote-write request (version 0.1.0): Protocol Buffers in Snappy's block format.

Both are written here, the few parts that are needed (docs/adr/0017):
`WriteRequest { repeated TimeSeries timeseries = 1 }`,
`TimeSeries { repeated Label labels = 1; repeated Sample samples = 2 }`, `Label { string name = 1; string value = 2 }`,
`Sample { double value = 1; int64 timestamp = 2 }`. Snappy is used without compressing: one literal after another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LITERAL_AT_MOST = 65_536


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one series at one instant."""

    name: str
    labels: Mapping[str, str]
    value: float
    at_ms: int


def request_of(points: Iterable[Point]) -> bytes:
    """The body of a request."""
    return snappy(b"".join(_field(1, _series(point)) for point in points))


def snappy(plain: bytes) -> bytes:
    """Octets as a Snappy block of literals: the length, then pieces of up to 65,536 octets."""
    pieces = [_varint(len(plain))]
    for begin in range(0, len(plain), LITERAL_AT_MOST):
        piece = plain[begin : begin + LITERAL_AT_MOST]
        # Tag 00 with the length less one: in the tag itself up to 60, else in two octets after 61 << 2.
        last = len(piece) - 1
        pieces.append(bytes([last << 2]) if last < 60 else struct.pack("<BH", 61 << 2, last))
        pieces.append(piece)
    return b"".join(pieces)


def _series(point: Point) -> bytes:
    named = sorted({"__name__": point.name, **point.labels}.items())
    labels = (_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in named if value)
    sample = b"\x09" + struct.pack("<d", point.value) + b"\x10" + _varint(point.at_ms)
    return b"".join(labels) + _field(2, sample)


def _field(number: int, content: bytes) -> bytes:
    """A field of wire type 2: its tag, its length, its octets."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
