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
_BLANK: Final = _DIGEST_HEADER + bytes(20) + _ID_HEADER
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
_COUNTED: Final = Struct(">HQQ16xQQ")
_TRAFFIC_BYTES: Final = 50
_RATE: Final = 0x39
_CPU: Final = 0x33
_CPU_BYTES: Final = {0x33: 3, 0x34: 7}
"""Of the use of a processor, and of what it is used for, of which the idle share comes first."""
_TRAFFIC_TYPES: Final = (0x38, _RATE)


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
        return _known(self.tlvs)


def sender(datagram: bytes) -> DistributionId:
    """Who it says it is from; the key is looked up with it, nothing else is believed yet. Raises ProtocolViolation."""
    if len(datagram) > MAX_DATAGRAM:
        raise ProtocolViolation(f"a heartbeat has at most {MAX_DATAGRAM} bytes", reason="oversize")
    if datagram[:4] != _DIGEST_HEADER or len(datagram) < 24:
        raise ProtocolViolation("first TLV is not type 0x0001 length 20", reason="malformed")
    if datagram[24:28] != _ID_HEADER or len(datagram) < _FIRST:
        raise ProtocolViolation("distribution-id TLV missing", reason="malformed")
    return DistributionId(bytes(datagram[28:_FIRST]))


def _known(tlvs: Iterable[Tlv]) -> tuple[Statistic, ...]:
    found: dict[tuple[int, int], Statistic] = {}
    for tlv in tlvs:
        layout = tlv.layout
        if layout is not None:
            index, *values = layout.struct.unpack(tlv.value)
            found.setdefault((tlv.type, index), Statistic(layout.name, index, tuple(values)))
    return tuple(found.values())


def id_of(datagram: bytes) -> bytes | None:
    """The 16 bytes of the sender's id, not believed yet; None for what is no heartbeat by its first 44 bytes."""
    if datagram[:4] != _DIGEST_HEADER or datagram[24:28] != _ID_HEADER or len(datagram) < _FIRST:
        return None
    return datagram[28:_FIRST]


def proven(datagram: bytes, key: bytes) -> bool:
    """Whether the digest of a datagram that `id_of` accepts was made with this key; compared in constant time."""
    return hmac.compare_digest(hmac.digest(key, _BLANK + datagram[28:], "sha1"), datagram[4:24])


def intact(datagram: bytes) -> bool:
    """Whether the TLVs of a proven datagram fill it exactly, and it is not longer than it may be (§9)."""
    at, end = _FIRST, len(datagram)
    while at + 4 <= end:
        at += 4 + (datagram[at + 2] << 8 | datagram[at + 3])
    return at == end <= MAX_DATAGRAM


def content(datagram: bytes) -> bytes:
    """The statistics of a heartbeat as they came: the same for every receiver, whatever its key."""
    return datagram[_FIRST:]


def statistics(tlvs: bytes) -> tuple[Statistic, ...]:
    """What is known in the `content` of an intact heartbeat, the first of each (type, index)."""
    return _known(_tlvs(tlvs, 0))


def processor(tlvs: bytes) -> int | None:
    """How busy the busiest processor is, percent, by the `content` of an intact heartbeat; None where it does not tell.

    Values above 100 are sent by mistake and tell nothing. Where only the detail is sent, it is what is not idle.
    """
    found: int | None = None
    at, end = 0, len(tlvs)
    while at < end:
        length = tlvs[at + 2] << 8 | tlvs[at + 3]
        if tlvs[at] == 0 and length == _CPU_BYTES.get(tlvs[at + 1]) and tlvs[at + 6] <= 100:
            told = tlvs[at + 6] if tlvs[at + 1] == _CPU else 100 - tlvs[at + 6]
            found = max(found or 0, told)
        at += 4 + length
    return found


def traffic(tlvs: bytes) -> list[tuple[int, int, int, bool, int, int]]:
    """(ifindex, octets in, octets out, is a rate, errors in, errors out) of each interface in an intact `content`.

    Where an interface has count and rate, the count alone is told (metering §2.2); of repeated ones the first.
    """
    found: dict[int, tuple[int, int, int, bool, int, int]] = {}
    at, end = 0, len(tlvs)
    while at < end:
        length = tlvs[at + 2] << 8 | tlvs[at + 3]
        if length == _TRAFFIC_BYTES and tlvs[at] == 0 and tlvs[at + 1] in _TRAFFIC_TYPES:
            ifindex, octets_in, octets_out, errors_in, errors_out = _COUNTED.unpack_from(tlvs, at + 4)
            rate = tlvs[at + 1] == _RATE
            known = found.get(ifindex)
            if known is None or (known[3] and not rate):
                found[ifindex] = (ifindex, octets_in, octets_out, rate, errors_in, errors_out)
        at += 4 + length
    return list(found.values())


def decode(datagram: bytes, key: bytes) -> Heartbeat:
    """Digest first, in constant time, then the TLVs (§9). Raises ProtocolViolation; `digest` means a wrong key."""
    who = sender(datagram)
    digest = datagram[4:24]
    if not hmac.compare_digest(_digest(datagram, key), digest):
        raise ProtocolViolation("digest mismatch", reason="digest")
    return Heartbeat(who, digest, tuple(_tlvs(datagram, _FIRST)))


def _digest(datagram: bytes, key: bytes) -> bytes:
    return hmac.digest(key, datagram[:4] + bytes(20) + datagram[24:], "sha1")


def _tlvs(datagram: bytes, at: int) -> Iterable[Tlv]:
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
