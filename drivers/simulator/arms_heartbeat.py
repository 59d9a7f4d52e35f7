"""Heartbeat datagrams as a device writes them (arms-protocol §9)."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import astuple, dataclass

LIMIT_OCTETS = 1024
_HEAD_OCTETS = 24
_MAX64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Counters:
    """Absolute counters of an interface, or with `rate` the same fields per second."""

    in_octets: int
    out_octets: int
    in_packets: int
    out_packets: int
    in_errors: int = 0
    out_errors: int = 0


def cpu(index: int, percent: int) -> bytes:
    return _tlv(0x33, struct.pack(">HB", index, percent))


def cpu_detail(index: int, *, idle: int, interrupt: int, user: int, system: int, other: int) -> bytes:
    return _tlv(0x34, struct.pack(">H5B", index, idle, interrupt, user, system, other))


def memory(index: int, used: int, free: int) -> bytes:
    return _tlv(0x35, struct.pack(">HQQ", index, used, free))


def disk(index: int, used: int, free: int) -> bytes:
    return _tlv(0x37, struct.pack(">HQQ", index, used, free))


def traffic_count(ifindex: int, counters: Counters) -> bytes:
    """Counters wrap at 64 bits."""
    return _tlv(0x38, struct.pack(">H6Q", ifindex, *(each & _MAX64 for each in astuple(counters))))


def traffic_rate(ifindex: int, rates: Counters) -> bytes:
    return _tlv(0x39, struct.pack(">H6Q", ifindex, *(each & _MAX64 for each in astuple(rates))))


def radio_wave(ifindex: int, status: int, strongest: int, weakest: int, average: int) -> bytes:
    return _tlv(0x2C, struct.pack(">H4B", ifindex, status, strongest, weakest, average))


def datagram(
    distribution_id: bytes, passphrase: bytes, statistics: Iterable[bytes] = (), *, cut_octets: int = 0
) -> bytes:
    """One datagram for one server: digest, identity, and as many statistics as fit into 1024 bytes.

    What does not fit is left out whole, in order. `cut_octets` drops that many bytes from the end before the
    digest is made: a datagram that is authentic and broken.
    """
    body = _tlv(0x11, distribution_id)
    for each in statistics:
        if _HEAD_OCTETS + len(body) + len(each) > LIMIT_OCTETS:
            break
        body += each
    body = body[: len(body) - cut_octets]
    head = struct.pack(">HH", 0x01, 20)
    digest = hmac.new(passphrase, head + bytes(20) + body, hashlib.sha1).digest()
    return head + digest + body


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">HH", kind, len(value)) + value
