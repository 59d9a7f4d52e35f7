"""Links: what is judged, and the capacity it is judged by (metering specification §1, §4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from inventory.congestion import Level
from inventory.errors import BadInput
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
class Member:
    """One interface of a group: a port of a LAG, or one of an active/standby pair."""

    interface: str
    port_speed_bps: int | None = None
    ifindex: int | None = None


MEMBERS_AT_MOST = 16


def require_members(interface: str, members: Sequence[Member]) -> None:
    """Raises BadInput unless a group has 2 to 16 members, each named once and none like the group itself."""
    names = [one.interface for one in members]
    if not members:
        return
    if not 2 <= len(members) <= MEMBERS_AT_MOST:
        raise BadInput(
            f"a group has 2 to {MEMBERS_AT_MOST} interfaces, not {len(members)}",
            field="members",
            next_step="Name the interfaces that are summed; a link of one interface has no members.",
        )
    if len(set(names)) != len(names) or interface in names:
        raise BadInput(
            "an interface stands twice in the group, or the group is named like one of its interfaces",
            field="members",
            next_step="Name each interface once, and give the group a name of its own, such as lag1.",
        )


@dataclass(frozen=True, slots=True)
class Link:
    """One interface of an entry that is judged, or a group of them that is judged as their sum."""

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
    members: tuple[Member, ...] = ()
    """Interfaces whose octets are summed slot by slot; empty: the link is its own interface."""

    @property
    def ports(self) -> tuple[Member, ...]:
        """The interfaces that count: the members, or the link's own interface."""
        return self.members or (Member(self.interface, self.port_speed_bps, self.ifindex),)

    @property
    def speed_bps(self) -> int | None:
        """Port speed of the link: of a group the sum of its members'; None if one of them is unknown."""
        speeds = [port.port_speed_bps for port in self.ports]
        known = [speed for speed in speeds if speed]
        return sum(known) if len(known) == len(speeds) else None


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
    packets_per_s: int | None = None
    """Published for the model, both directions together; None: nothing is published, or it is no model's."""

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Governing:
    """The capacity that one direction is judged by on one day."""

    kind: CapacityKind
    nominal_bps: int
    """0: the model has a figure in packets per second only."""
    since: date
    """First day of it: levels begin a new history there."""
    nominal_pps: int | None = field(default=None, compare=False)
    """Packets per second of the model, for the device; None: nothing is published, so none are compared.

    It makes no other capacity: days that were judged before there was one are of the same history.
    """

    @property
    def used_bps(self) -> int:
        """Nominal figure times the share taken as real."""
        return self.nominal_bps * USED_PERCENT[self.kind] // 100

    @property
    def used_pps(self) -> int | None:
        """The same share of the packets per second."""
        return None if self.nominal_pps is None else self.nominal_pps * USED_PERCENT[self.kind] // 100

    @property
    def ceiling(self) -> Level:
        return CEILINGS[self.kind]


def _learned(capacities: Iterable[Capacity], direction: Direction, day: date) -> list[Governing]:
    """A ceiling that was learned counts only where neither line nor shaper is known (§4)."""
    rates = (
        (one, one.up_bps if direction is Direction.UP else one.down_bps)
        for one in capacities
        if one.kind is CapacityKind.LEARNED and one.holds_on(day)
    )
    return [Governing(CapacityKind.LEARNED, bps, one.valid_from) for one, bps in rates if bps]


def governing(link: Link, capacities: Sequence[Capacity], direction: Direction, day: date) -> Governing | None:
    """The tightest of line, shaped and port rates on that day, the more trusted on ties; None if none is known.

    The port is the one entered, else the link's port speed. A published figure governs only the device. A learned
    ceiling counts only where neither line nor shaper is known.
    """
    kinds: tuple[CapacityKind, ...] = (CapacityKind.LINE, CapacityKind.SHAPED, CapacityKind.PORT)
    if direction is Direction.DEVICE:
        kinds = (CapacityKind.MODEL,)
    found = []
    for capacity in capacities:
        bps = capacity.up_bps if direction is Direction.UP else capacity.down_bps
        if capacity.kind in kinds and capacity.holds_on(day) and (bps or capacity.packets_per_s):
            found.append(Governing(capacity.kind, bps or 0, capacity.valid_from, capacity.packets_per_s))
    if CapacityKind.PORT in kinds and link.speed_bps:
        found.append(Governing(CapacityKind.PORT, link.speed_bps, date.min))
    if direction is not Direction.DEVICE and not {g.kind for g in found} & {CapacityKind.LINE, CapacityKind.SHAPED}:
        found += _learned(capacities, direction, day)
    return min(found, key=lambda g: (g.used_bps, _TRUST.index(g.kind)), default=None)
