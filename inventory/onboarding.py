"""What the customer provides before control of an adapter starts (MPC-7.1, MPC-7.2, SMF-8.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, get_args

from inventory.catalogue import DeviceClass
from inventory.errors import BadInput

ChecklistItem = Literal["line", "site", "installation", "serial-number", "other", "device"]

_MEANING: Final[dict[ChecklistItem, str]] = {
    "line": "the designated line or environment",
    "site": "the site, its power and cabling",
    "installation": "the physical installation",
    "serial-number": "the serial number",
    "other": "other things that the provider names",
    "device": "the device, of the line's model",
}


def required(device_class: DeviceClass | None) -> tuple[ChecklistItem, ...]:
    """Items that must be there, in the order of the terms; class III also brings the device (MPC-7.2)."""
    common: tuple[ChecklistItem, ...] = ("line", "site", "installation", "serial-number", "other")
    return (*common, "device") if device_class == "III" else common


def missing(device_class: DeviceClass | None, provided: Collection[ChecklistItem]) -> tuple[ChecklistItem, ...]:
    """Items still missing, in the order of the terms; empty: control may start (MPC-7.3, SMF-8.2)."""
    return tuple(item for item in required(device_class) if item not in provided)


def meaning(item: ChecklistItem) -> str:
    """What the item is, in words."""
    return _MEANING[item]


def parse_item(text: str, device_class: DeviceClass | None) -> ChecklistItem:
    """The item of that name. Raises BadInput unless this class's checklist has it."""
    for item in get_args(ChecklistItem):
        if item == text and item in required(device_class):
            known: ChecklistItem = item
            return known
    raise BadInput(
        f"{text[:40]!r} is no item of this adapter's checklist",
        field="item",
        rule="MPC-7.1" if device_class else "SMF-8.1",
        next_step=f"Use one of {', '.join(required(device_class))}.",
    )
