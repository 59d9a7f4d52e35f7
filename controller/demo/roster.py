"""Who is in the simulated fleet: units, the places they are meant for, and whose traffic is metered.

The same size gives the same roster, so that the process with the devices, the tour and the summary agree without
talking to each other. What only a running device knows (its port, its LS key) is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from drivers.simulator.identity import AYAME, SA_W2, SEIL_X1, ArmsModel, fleet_member
from drivers.simulator.traffic import Profile
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput

Family = Literal["seil", "ayame", "sa-w2", "ios", "fortios"]
Slot = Literal["entry", "standby"]

FAMILIES: Final[tuple[Family, ...]] = ("seil", "ayame", "sa-w2", "ios", "fortios")
SHARES: Final[dict[Family, int]] = {"seil": 16, "ayame": 10, "sa-w2": 14, "ios": 5, "fortios": 5}
"""Units of each family in a fleet of 50."""
STANDBYS: Final[dict[Family, int]] = {"seil": 2, "sa-w2": 2}
"""Units of a fleet of 50 that sit in standbys: class I and smfsx only (MPC-3.1)."""
LEAST: Final = 10
MOST: Final = 500
WAN_IFINDEX: Final = 1
"""Index by which heartbeats name the WAN interface."""
_CITIES: Final = (
    "Sapporo",
    "Sendai",
    "Niigata",
    "Kanazawa",
    "Nagoya",
    "Kyoto",
    "Osaka",
    "Kobe",
    "Hiroshima",
    "Fukuoka",
)
ARMS_MODELS: Final[dict[Family, ArmsModel]] = {"seil": SEIL_X1, "ayame": AYAME, "sa-w2": SA_W2}


@dataclass(frozen=True, slots=True)
class Metered:
    """A line whose traffic is made up, and the rate that was contracted for it."""

    interface: str
    line_type: str
    line_bps: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class Unit:
    """One device and the place it is meant for. `number` counts within its family, from 1."""

    family: Family
    number: int
    serial: str
    model: str
    service: Service
    device_class: DeviceClass | None
    slot: Slot
    site: str
    hostname: str
    distribution_id: str | None = None
    hardware: str = ""
    metered: Metered | None = None

    @property
    def is_arms(self) -> bool:
        """Whether it phones home; the others are reached over SSH."""
        return self.family in ARMS_MODELS


@dataclass(frozen=True, slots=True)
class Management:
    """A contractor's management, and the families that sit in it."""

    contractor: str
    name: str
    service: Service
    classes: tuple[DeviceClass, ...]
    families: tuple[Family, ...]


MANAGEMENTS: Final = (
    Management("Aoba Clinics", "clinics", "smfsx", (), ("seil",)),
    Management("Midori Stores", "stores", "mpc", ("I", "II"), ("ayame", "sa-w2")),
    Management("Kumo Systems", "offices", "mpc", ("III",), ("ios", "fortios")),
)


def roster(size: int) -> tuple[Unit, ...]:
    """A fleet of `size` units, 10 to 500, in the shares of a fleet of 50. Raises BadInput for any other size."""
    if not LEAST <= size <= MOST:
        raise BadInput(f"a fleet has {LEAST} to {MOST} adapters, not {size}", field="adapters")
    counts = {family: max(1, size * share // 50) for family, share in SHARES.items()}
    counts["seil"] += size - sum(counts.values())
    return tuple(
        _unit(family, number, counts[family], _standbys(family, counts[family]))
        for family in FAMILIES
        for number in range(1, counts[family] + 1)
    )


def counts(units: tuple[Unit, ...], management: Management) -> tuple[int, int]:
    """Entries and standbys that a management needs for its units."""
    slots = [unit.slot for unit in units if unit.family in management.families]
    return slots.count("entry"), slots.count("standby")


def _standbys(family: Family, units: int) -> int:
    return max(1, units * STANDBYS[family] // SHARES[family]) if family in STANDBYS else 0


def _unit(family: Family, number: int, units: int, standbys: int) -> Unit:
    city = _CITIES[(number + FAMILIES.index(family)) % len(_CITIES)]
    if family in ARMS_MODELS:
        member = fleet_member(ARMS_MODELS[family], number)
        serial, distribution_id, model = member.serial_number, member.distribution_id, member.model.name
    else:
        serial = f"FDO2645{number:04d}" if family == "ios" else f"FGT40FTK2609{number:04d}"
        distribution_id, model = None, "Cisco IOS" if family == "ios" else "FortiGate"
    slot: Slot = "standby" if number > units - standbys else "entry"
    classes: dict[Family, DeviceClass] = {"ayame": "II", "sa-w2": "I", "ios": "III", "fortios": "III"}
    return Unit(
        family=family,
        number=number,
        serial=serial,
        model=model,
        service="smfsx" if family == "seil" else "mpc",
        device_class=classes.get(family),
        slot=slot,
        site=f"{city} {number}",
        hostname=f"{family}-{number:04d}",
        distribution_id=distribution_id,
        hardware={"ios": "Cisco 2921", "fortios": "FortiGate 40F"}.get(family, ""),
        metered=_METERED.get(family) if number == 1 and slot == "entry" else None,
    )


_METERED: Final[dict[Family, Metered]] = {
    "seil": Metered("pppoe0", "pppoe", 100_000_000, Profile(11, "office", 100_000_000, 0.35)),
    "sa-w2": Metered("ge0", "dhcp", 200_000_000, Profile(12, "home", 200_000_000, 0.45)),
    "ios": Metered("GigabitEthernet0/0", "static", 100_000_000, Profile(13, "office", 100_000_000, 0.3)),
    # A 40F inspects 600 Mbit/s in the laboratory; 60 % of that is taken as real. The line has room, the unit has not.
    "fortios": Metered("wan1", "static", 1_000_000_000, Profile(14, "office", 1_000_000_000, 0.36, 0.005)),
}
"""Lines with a history: the first entry of a family."""
