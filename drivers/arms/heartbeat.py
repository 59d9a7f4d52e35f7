"""Heartbeat datagrams (arms-protocol §9): one packet of TLVs, HMAC-SHA1 first. UDP, never answered."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct, error, unpack_from
from typing import Final

from drivers.arms.ids import DistributionId
from inventory.errors import BadInput, ProtocolViolation

MAX_DATAGRAM = 1024
_DIGEST_HEADER: Final = b"\x00\x01\x00\x14"
_ID_HEADER: Final = b"\x00\x11\x00\x10"
_FIRST = 44
_TRAFFIC = ("ifindex", "in_octets", "out_octets", "in_packets", "out_packets", "in_errors", "out_errors")


@dataclass(frozen=True, slots=True)
class _Layout:
    name: str
    fields: tuple[str, ...]
    struct: Struct


LAYOUTS: Final[dict[int, _Layout]] = {
    0x0033: _Layout("cpu", ("index", "utilization"), Struct(">HB")),
    0x0034: _Layout("cpu-detail", ("index", "idle", "interrupt", "user", "system", "other"), Struct(">HBBBBB")),
    0x0035: _Layout("memory", ("index", "used", "free"), Struct(">HQQ")),
    0x0037: _Layout("disk", ("index", "used", "free"), Struct(">HQQ")),
    0x0038: _Layout("traffic-count", _TRAFFIC, Struct(">HQQQQQQ")),
    0x0039: _Layout("traffic-rate", _TRAFFIC, Struct(">HQQQQQQ")),
    0x002C: _Layout("radio-wave", ("ifindex", "status", "max", "min", "avg"), Struct(">HBBBB")),
}
"""Statistics by type. Utilisation in percent, memory and disk in bytes, counts absolute, rates per second."""


@dataclass(frozen=True, slots=True)
class Tlv:
    """One type-length-value as it came."""

    type: int
    value: bytes

    @property
    def layout(self) -> _Layout | None:
        """How to read it; None for an unknown type, and for a known type of another length: both are skipped."""
        layout = LAYOUTS.get(self.type)
        return layout if layout is not None and layout.struct.size == len(self.value) else None


@dataclass(frozen=True, slots=True)
class Statistic:
    """One reading. `values` are in the order of `LAYOUTS[type].fields` without the index, as sent: even 255 %."""

    name: str
    index: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A proven heartbeat."""

    distribution_id: DistributionId
    digest: bytes
    tlvs: tuple[Tlv, ...]
    """All TLVs behind the id, unknown ones included."""

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What is known, the first of each (type, index)."""
        found: dict[tuple[int, int], Statistic] = {}
        for tlv in self.tlvs:
            layout = tlv.layout
            if layout is not None:
                index, *values = layout.struct.unpack(tlv.value)
                found.setdefault((tlv.type, index), Statistic(layout.name, index, tuple(values)))
        return tuple(found.values())


def sender(datagram: bytes) -> DistributionId:
    """Who it says it is from; the key is looked up with it, nothing else is believed yet. Raises ProtocolViolation."""
    if len(datagram) > MAX_DATAGRAM:
        raise ProtocolViolation(f"a heartbeat has at most {MAX_DATAGRAM} bytes", reason="oversize")
    if datagram[:4] != _DIGEST_HEADER or len(datagram) < 24:
        raise ProtocolViolation("first TLV is not type 0x0001 length 20", reason="malformed")
    if datagram[24:28] != _ID_HEADER or len(datagram) < _FIRST:
        raise ProtocolViolation("distribution-id TLV missing", reason="malformed")
    return DistributionId(bytes(datagram[28:_FIRST]))


def decode(datagram: bytes, key: bytes) -> Heartbeat:
    """Digest first, in constant time, then the TLVs (§9). Raises ProtocolViolation; `digest` means a wrong key."""
    who = sender(datagram)
    digest = datagram[4:24]
    if not hmac.compare_digest(_digest(datagram, key), digest):
        raise ProtocolViolation("digest mismatch", reason="digest")
    return Heartbeat(who, digest, tuple(_tlvs(datagram)))


def _digest(datagram: bytes, key: bytes) -> bytes:
    return hmac.digest(key, datagram[:4] + bytes(20) + datagram[24:], "sha1")


def _tlvs(datagram: bytes) -> Iterable[Tlv]:
    at = _FIRST
    while at < len(datagram):
        try:
            type_, length = unpack_from(">HH", datagram, at)
        except error:
            length, type_ = MAX_DATAGRAM, 0
        if at + 4 + length > len(datagram):
            raise ProtocolViolation("TLV runs past the end of the datagram", reason="malformed")
        yield Tlv(type_, datagram[at + 4 : at + 4 + length])
        at += 4 + length


def encode(distribution_id: DistributionId, tlvs: Iterable[Tlv], key: bytes) -> bytes:
    """The datagram with its digest; the inverse of `decode`. Raises BadInput beyond 1024 bytes."""
    rest = _ID_HEADER + distribution_id.binary
    rest += b"".join(tlv.type.to_bytes(2, "big") + len(tlv.value).to_bytes(2, "big") + tlv.value for tlv in tlvs)
    blank = _DIGEST_HEADER + bytes(20) + rest
    if len(blank) > MAX_DATAGRAM:
        raise BadInput(f"a heartbeat of {len(blank)} bytes, more than {MAX_DATAGRAM}", field="tlvs")
    return _DIGEST_HEADER + _digest(blank, key) + rest
