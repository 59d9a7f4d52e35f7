"""One item of an application: what its form must say, and how eligibility reads it (MPC-9.1, SMF-3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from inventory.catalogue import DeviceClass, Service
from inventory.eligibility import (
    AdapterLine,
    Item,
    ManagementLine,
    MobileAccess,
    PacketGroup,
    SendBack,
    UltraFirewall,
)
from inventory.errors import BadInput
from inventory.fees import Kind, a_kind

ADAPTER_KINDS: Final = frozenset[Kind]({"adapter", "adapter-rental"})
_NEEDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "management": ("entries",),
    "adapter": ("name", "device_class", "model"),
    "adapter-rental": ("name", "model"),
    "ultra-send-back": ("on", "site"),
    "mobile-access": ("on", "plan"),
    "packet-share-group": ("name", "packs_gb"),
    "ultra-firewall": (),
}
_MAY: Final[Mapping[Kind, frozenset[str]]] = {
    "management": frozenset({"name", "classes", "standbys", "management_id"}),
    "adapter": frozenset({"management_id"}),
    "adapter-rental": frozenset({"management_id"}),
    "ultra-send-back": frozenset({"name"}),
    "mobile-access": frozenset({"name", "group", "network_type"}),
    "packet-share-group": frozenset(),
    "ultra-firewall": frozenset({"name", "on", "serial_number"}),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line or option as applied for; what its kind does not have is empty."""

    kind: Kind
    name: str = ""
    classes: tuple[DeviceClass, ...] = ()
    entries: int | None = None
    standbys: int | None = None
    device_class: DeviceClass | None = None
    model: str | None = None
    management_id: int | None = None
    """Of an adapter: another contractor's management (MPC-6.2, SMF-13). Of a management: the one that it takes over."""
    on: str | None = None
    """Name of the adapter line that an option is for."""
    serial_number: str | None = None
    """Of an Ultra Firewall: the contractor's own adapter, without a rental, that it is for."""
    site: str | None = None
    plan: str | None = None
    network_type: str | None = None
    group: str | None = None
    packs_gb: int | None = None

    @property
    def values(self) -> dict[str, str | int]:
        """What can change later: plan, network type, packs."""
        found: dict[str, str | int] = {}
        if self.kind == "mobile-access":
            found = {"plan": self.plan or "", "network-type": self.network_type or "dynamic-ip"}
        if self.kind == "packet-share-group":
            found = {"packs-gb": self.packs_gb or 0}
        return found

    def item(self, *, values: Mapping[str, str | int], group: str | None, other: str | None, consent: bool) -> Item:
        """The same for eligibility, with the values and the group of the day. `other`: key of another contractor."""
        match self.kind:
            case "management":
                return ManagementLine(self.entries or 0, self.standbys or 0, self.classes)
            case "adapter" | "adapter-rental":
                rental = self.kind == "adapter-rental"
                return AdapterLine(self.name, self.model or "", self.device_class, other, consent, rental)
            case "ultra-send-back":
                return SendBack(self.on or "", self.site)
            case "mobile-access":
                return MobileAccess(self.on or "", str(values.get("plan", "")), group)
            case "packet-share-group":
                return PacketGroup(self.name, int(values.get("packs-gb", 0)))
            case _:
                return UltraFirewall(self.on or self.serial_number or "")


def require_complete(service: Service, wanted: Wanted, place: str) -> None:
    """Raises BadInput, naming the field below `place`, unless the form of this item is complete."""
    given = {
        name: value
        for name in Wanted.__slots__
        if name != "kind" and (value := getattr(wanted, name)) not in (None, (), "")
    }
    for name in _NEEDS[wanted.kind]:
        if name not in given:
            raise BadInput(
                f"{a_kind(wanted.kind)} is applied for with its {name}",
                field=f"{place}.{name}",
                rule="MPC-9.1" if service == "mpc" else "SMF-3.1",
                next_step="Complete the form.",
            )
    if wanted.kind == "ultra-firewall" and len(given.keys() & {"on", "serial_number"}) != 1:
        raise BadInput(
            "an ultra-firewall is for a rental, or for one adapter of the contractor's own",
            field=f"{place}.on",
            rule="SMF-4.2",
            next_step="Name the rental, or give the serial number.",
        )
    for name in given.keys() - set(_NEEDS[wanted.kind]) - _MAY[wanted.kind]:
        raise BadInput(f"{a_kind(wanted.kind)} has no {name}", field=f"{place}.{name}", next_step="Leave it out.")
