"""What every reader of interface counters promises, however it asks: SNMP, or a REST interface of the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """Counters of one interface from one answer, at the middle of request and answer."""

    name: str
    t_ms: int
    in_octets: int
    out_octets: int
    counter_bits: Literal[32, 64]
    uptime_cs: int | None
    discontinuity: int | None
    speed_bps: int | None
    up: bool | None
    in_packets: int | None = None
    """Packets received; with `out_packets` what passed through the device."""
    out_packets: int | None = None
    out_drops: int | None = None
    """Packets that the device threw away on their way out; with `out_packets` the evidence of bursts."""
    in_errors: int | None = None
    out_errors: int | None = None
    """Frames with an error, received and sent: the evidence of a fault."""
    last_change: int | None = None
    """When the interface came to its state, by the device's uptime; None where the device does not tell."""
    round_trip_ms: int = 0


@dataclass(frozen=True, slots=True)
class FoundInterface:
    """An interface that a device has. It is known by its name; the index may change with every restart."""

    name: str
    ifindex: int | None
    alias: str
    speed_bps: int | None
    up: bool | None
    half_duplex: bool | None = None
    """Whether it sends and receives by turns only; None where the device does not tell."""


class CounterReader(Protocol):
    """One device's counters. Calls wait for each other: one request is in flight per device."""

    async def discover(self) -> list[FoundInterface]:
        """The device's interfaces. Raises DeviceError."""
        ...

    async def read(self, names: Sequence[str]) -> list[InterfaceCounters]:
        """Counters of the interfaces that exist, in the order asked for; one that is gone is left out.

        Raises Unreachable after the last attempt, AuthenticationFailed (never tried again), ProtocolViolation for
        an answer of wrong types, Truncated for one without counters.
        """
        ...
