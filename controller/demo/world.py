"""What the steps of the tour share: both processes, the roster, and what was learnt on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.demo.processes import DaemonProcess, FleetProcess
from controller.demo.rest import Json, Rest
from controller.demo.roster import Family, Unit


@dataclass(slots=True)
class World:
    """`places` and `contractors`: keys by serial number, as intended."""

    rest: Rest
    daemon: DaemonProcess
    fleet: FleetProcess
    units: tuple[Unit, ...]
    history_start_ms: int
    history_end_ms: int
    places: dict[str, str] = field(default_factory=dict)
    contractors: dict[str, str] = field(default_factory=dict)
    ls_keys: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, Json] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    """Number of the link by the serial number of the unit that was first in its entry."""
    report_paths: list[str] = field(default_factory=list)

    def of(self, family: Family) -> list[Unit]:
        """Units of a family, by number."""
        return [unit for unit in self.units if unit.family == family]

    def entry_of(self, unit: Unit) -> str:
        """Key of the entry that the unit was first put into."""
        return self.places[unit.serial]

    @property
    def arms(self) -> list[Unit]:
        """Units that phone home."""
        return [unit for unit in self.units if unit.is_arms]

    @property
    def ssh(self) -> list[Unit]:
        """Units that are reached over SSH."""
        return [unit for unit in self.units if not unit.is_arms]

    @property
    def metered(self) -> list[Unit]:
        """Units whose line has a history."""
        return [unit for unit in self.units if unit.metered is not None]
