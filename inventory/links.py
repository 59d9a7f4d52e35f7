"""Links: what is judged, and the capacity it is judged by (metering specification §1, §4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.congestion import Level
from inventory.periods import TOKYO


class LinkRole(StrEnum):
    """Which side of the device: on a WAN interface, received is down."""

    WAN = "wan"
    LAN = "lan"


class Direction(StrEnum):
    """What is judged by itself: each direction of the line, and the device on the sum of both."""

    DOWN = "down"
    UP = "up"
    DEVICE = "device"


class CapacityKind(StrEnum):
    """Where a capacity comes from, in order of trust; it travels with the number."""

    LINE = "line"
    SHAPED = "shaped"
    PORT = "port"
    MODEL = "model"
    LEARNED = "learned"


CEILINGS = {
    CapacityKind.LINE: Level.CRITICAL,
    CapacityKind.SHAPED: Level.CRITICAL,
    CapacityKind.PORT: Level.CRITICAL,
    CapacityKind.MODEL: Level.CONGESTED,
    CapacityKind.LEARNED: Level.WATCH,
}
"""The highest level that each kind may raise."""
USED_PERCENT = {
    CapacityKind.LINE: 100,
    CapacityKind.SHAPED: 100,
    CapacityKind.PORT: 95,
    CapacityKind.MODEL: 60,
    CapacityKind.LEARNED: 100,
}
"""Share of the nominal figure that is taken as real."""
_TRUST = tuple(CapacityKind)


@dataclass(frozen=True, slots=True)
class Link:
    """One interface of an entry that is judged."""

    id: int
    entry_id: int
    interface: str
    role: LinkRole
    port_speed_bps: int | None
    """Negotiated speed: the physical bound for what nobody counted. None: unknown."""
    ifindex: int | None
    """Index by which heartbeats name it; None: heartbeats do not."""
    line_type: str
    """How the line is set up: `pppoe`, `dhcp`, `ipoe`, `static`, `mobile`."""
    zone: str = TOKYO
    version: int = 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """A dated capacity of a link: local days [valid_from, valid_to). None for a direction it says nothing of."""

    kind: CapacityKind
    down_bps: int | None
    up_bps: int | None
    valid_from: date
    valid_to: date | None = None
    actor: str = ""
    reason: str = ""

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Governing:
    """The capacity that one direction is judged by on one day."""

    kind: CapacityKind
    nominal_bps: int
    since: date
    """First day of it: levels begin a new history there."""

    @property
    def used_bps(self) -> int:
        """Nominal figure times the share taken as real."""
        return self.nominal_bps * USED_PERCENT[self.kind] // 100

    @property
    def ceiling(self) -> Level:
        return CEILINGS[self.kind]


def governing(link: Link, capacities: Iterable[Capacity], direction: Direction, day: date) -> Governing | None:
    """The tightest of line, shaped and port rates on that day, the more trusted on ties; None if none is known.

    The port is the one entered, else the link's port speed. A published figure governs only the device.
    """
    kinds: tuple[CapacityKind, ...] = (CapacityKind.LINE, CapacityKind.SHAPED, CapacityKind.PORT)
    if direction is Direction.DEVICE:
        kinds = (CapacityKind.MODEL,)
    found = []
    for capacity in capacities:
        bps = capacity.up_bps if direction is Direction.UP else capacity.down_bps
        if capacity.kind in kinds and capacity.holds_on(day) and bps:
            found.append(Governing(capacity.kind, bps, capacity.valid_from))
    if CapacityKind.PORT in kinds and link.port_speed_bps:
        found.append(Governing(CapacityKind.PORT, link.port_speed_bps, date.min))
    return min(found, key=lambda g: (g.used_bps, _TRUST.index(g.kind)), default=None)
