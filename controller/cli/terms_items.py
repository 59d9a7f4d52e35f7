"""The entries of `holds` and `wants` in an eligibility vector (service-terms §9), each field named or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast, get_args

from inventory.catalogue import CLASSES, DeviceClass
from inventory.eligibility import (
    AdapterLine,
    InvoiceAddressee,
    Item,
    ManagementLine,
    MobileAccess,
    PacketGroup,
    SendBack,
    UltraFirewall,
)
from inventory.errors import BadInput

_FIELDS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "management": (frozenset({"entries", "standbys"}), frozenset({"classes"})),
    "adapter": (frozenset({"name", "model"}), frozenset({"class", "management_of", "consent"})),
    "adapter-rental": (frozenset({"name", "model"}), frozenset({"management_of", "consent"})),
    "ultra-send-back": (frozenset({"on"}), frozenset({"site"})),
    "mobile-access": (frozenset({"on", "plan"}), frozenset({"group"})),
    "packet-share-group": (frozenset({"name", "packs_gb"}), frozenset()),
    "ultra-firewall": (frozenset({"on"}), frozenset()),
    "invoice-addressee": (frozenset(), frozenset({"adapter_user", "consent", "approved"})),
}
_TYPES: Final[Mapping[str, type]] = {
    "entries": int,
    "standbys": int,
    "packs_gb": int,
    "classes": list,
    "consent": bool,
    "approved": bool,
}


def item_of(found: object, place: str) -> Item:
    """One entry. Raises BadInput for a kind or field that the specification does not name."""
    if not isinstance(found, dict) or found.get("kind") not in _FIELDS:
        raise BadInput(f"{place} holds an entry of no known kind", field=place)
    given = {name: value for name, value in found.items() if name != "kind" and value is not None}
    required, optional = _FIELDS[found["kind"]]
    for name in given.keys() - required - optional:
        raise BadInput(f"{place}: {found['kind']} has no field {name}", field=name)
    for name in required - given.keys():
        raise BadInput(f"{place}: {found['kind']} lacks {name}", field=name)
    for name, value in given.items():
        if name == "packs_gb" and isinstance(value, float):
            continue
        if type(value) is not _TYPES.get(name, str):
            raise BadInput(f"{place}: {name} has the wrong type", field=name)
    return _made(found["kind"], given)


def _made(kind: str, given: dict[str, object]) -> Item:
    match kind:
        case "management":
            classes = cast("list[object]", given.get("classes", []))
            if any(one not in CLASSES for one in classes):
                raise BadInput("a class is none of I, II, III", field="classes")
            served = tuple(cast("list[DeviceClass]", classes))
            return ManagementLine(cast("int", given["entries"]), cast("int", given["standbys"]), served)
        case "adapter" | "adapter-rental":
            return _adapter(kind, given)
        case "ultra-send-back":
            return SendBack(_text(given, "on"), cast("str | None", given.get("site")))
        case "mobile-access":
            return MobileAccess(_text(given, "on"), _text(given, "plan"), cast("str | None", given.get("group")))
        case "packet-share-group":
            packs = cast("int | float", given["packs_gb"])
            # Packs are whole GB (MPC-9.2(3)): any other number is less than a group may have.
            return PacketGroup(_text(given, "name"), int(packs) if packs == int(packs) else 0)
        case "ultra-firewall":
            return UltraFirewall(_text(given, "on"))
        case _:
            user = cast("str | None", given.get("adapter_user"))
            return InvoiceAddressee(user, given.get("consent") is True, given.get("approved") is True)


def _adapter(kind: str, given: dict[str, object]) -> AdapterLine:
    device_class = given.get("class")
    if device_class is not None and device_class not in get_args(DeviceClass):
        raise BadInput("the class is none of I, II, III", field="class")
    return AdapterLine(
        _text(given, "name"),
        _text(given, "model"),
        cast("DeviceClass | None", device_class),
        cast("str | None", given.get("management_of")),
        consent=given.get("consent") is True,
        rental=kind == "adapter-rental",
    )


def _text(given: Mapping[str, object], name: str) -> str:
    return cast("str", given[name])
