"""Price lists: dated, per contractor, falling back to the default list (service-terms §6). Whole yen without tax."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

from inventory.catalogue import MODELS, SERVICES, Service
from inventory.errors import BadInput, NotFound
from inventory.optionrules import MOBILE_PLANS

Fee = Literal["initial", "monthly", "monthly-per-gb", "one-time"]
FEES: Final[tuple[Fee, ...]] = get_args(Fee)


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """What a price is for: `mpc entry`, `mpc adapter:I:seil-x4`, `mpc mobile-access:dynamic-ip:10GB`, …"""

    service: Service
    name: str

    def __str__(self) -> str:
        """Service and name."""
        return f"{self.service} {self.name}"


def entry_item(service: Service) -> Item:
    """An entry slot."""
    return Item(service, "entry")


def standby_item(service: Service) -> Item:
    """A standby slot."""
    return Item(service, "standby")


def adapter_item(device_class: str, model_key: str) -> Item:
    """An mpc adapter line: one price for each model and class (MPC-A1)."""
    return Item("mpc", f"adapter:{device_class}:{model_key}")


def rental_item(model_key: str) -> Item:
    """A smfsx adapter rental."""
    return Item("smfsx", f"adapter-rental:{model_key}")


def firewall_item(model_key: str) -> Item:
    """Ultra Firewall on a designated model (SMF-A1)."""
    return Item("smfsx", f"ultra-firewall:{model_key}")


def mobile_item(plan: str, network_type: str) -> Item:
    """Mobile Access: a row for each plan with a dynamic address, one row for a fixed one (MPC-A1)."""
    return Item("mpc", "mobile-access:fixed-ip" if network_type == "fixed-ip" else f"mobile-access:dynamic-ip:{plan}")


SEND_BACK: Final = Item("mpc", "ultra-send-back")
PACKS: Final = Item("mpc", "packet-share-group")
TO_FIXED: Final = Item("mpc", "network-type:dynamic-ip:fixed-ip")
TO_DYNAMIC: Final = Item("mpc", "network-type:fixed-ip:dynamic-ip")
"""Costs 0 yen by the terms (MPC-A1.3(1)(ii)), so no list holds it."""


def loss_item(service: Service, model_key: str) -> Item:
    """The loss charge of a lent model (MPC-13.2, SMF-11.2)."""
    return Item(service, f"loss:{model_key}")


def failure_item(service: Service, model_key: str) -> Item:
    """A failure that is the customer's fault (MPC-A1.3(2)); smfsx charges the actual cost instead."""
    return Item(service, f"failure:{model_key}")


def rows() -> Iterator[tuple[Item, Fee]]:
    """Every row that a complete list has (MPC-A1, SMF-A1)."""
    for service in SERVICES:
        for item in (entry_item(service), standby_item(service)):
            yield item, "initial"
            yield item, "monthly"
    for model in MODELS:
        for line in model.lines:
            yield from _model_rows(model.key, line.line, line.device_class)
    yield from ((SEND_BACK, "initial"), (SEND_BACK, "monthly"))
    for item in [mobile_item(plan, "dynamic-ip") for plan in MOBILE_PLANS] + [mobile_item("", "fixed-ip")]:
        yield from ((item, "initial"), (item, "monthly"))
    yield from ((PACKS, "monthly-per-gb"), (TO_FIXED, "one-time"))


def _model_rows(key: str, line: str, device_class: str | None) -> Iterator[tuple[Item, Fee]]:
    match line:
        case "adapter":
            item, lent = adapter_item(device_class or "", key), device_class == "I"
        case "adapter-rental":
            item, lent = rental_item(key), True
        case _:
            item, lent = firewall_item(key), False
    yield from ((item, "initial"), (item, "monthly"))
    if lent:
        yield loss_item(item.service, key), "one-time"
        if item.service == "mpc":
            yield failure_item(item.service, key), "one-time"


_KNOWN: Final = frozenset(rows())


@dataclass(frozen=True, slots=True)
class Price:
    """One dated price; `contractor_id` None: of the default list. It holds until a later one of the same row."""

    item: Item
    fee: Fee
    yen: int
    first_day: date
    contractor_id: int | None = None


def parse_price(service: str, name: str, fee: str, yen: int, first_day: date, contractor_id: int | None) -> Price:
    """A price as entered. Raises BadInput for a row that no list has, or a price below 0."""
    known = next(((item, of) for item, of in _KNOWN if (item.service, item.name, of) == (service, name, fee)), None)
    if known is None:
        raise BadInput(
            f"no price list has a row {service} {name} {fee}"[:160],
            field="item",
            rule="MPC-A1" if service == "mpc" else "SMF-A1",
            next_step="GET /api/v1/price-lists/rows lists every row.",
        )
    if yen < 0:
        raise BadInput(f"{yen} yen is no price", field="yen", next_step="Give whole yen from 0.")
    return Price(*known, yen, first_day, contractor_id)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A price as it was recorded. `yen` None takes back what was recorded for this row and day before."""

    item: Item
    fee: Fee
    yen: int | None
    first_day: date
    contractor_id: int | None
    recorded_ms: int


def known(recorded: Iterable[PriceRow], at_ms: int | None = None) -> tuple[Price, ...]:
    """The prices as they were known at an instant (None: all that is recorded): of several rows for one item, fee, day
    and contractor the newest counts, of equally old ones the last. What is recorded later never changes the answer."""
    newest: dict[tuple[Item, Fee, date, int | None], PriceRow] = {}
    for one in recorded:
        key = (one.item, one.fee, one.first_day, one.contractor_id)
        if (at_ms is None or one.recorded_ms <= at_ms) and (
            key not in newest or one.recorded_ms >= newest[key].recorded_ms
        ):
            newest[key] = one
    return tuple(
        Price(one.item, one.fee, one.yen, one.first_day, one.contractor_id)
        for one in newest.values()
        if one.yen is not None
    )


@dataclass(frozen=True, slots=True)
class PriceList:
    """All prices that can matter to one contractor: its own and the default ones."""

    prices: Sequence[Price]

    def in_force(self, item: Item, fee: Fee, day: date) -> Price | None:
        """The price in force on a day: the contractor's own, else the default; None if no list has one."""
        found = [one for one in self.prices if (one.item, one.fee) == (item, fee) and one.first_day <= day]
        own = [one for one in found if one.contractor_id is not None]
        return max(own or found, key=lambda one: one.first_day, default=None)

    def yen(self, item: Item, fee: Fee, day: date) -> int:
        """The price in force on a day: the contractor's own, else the default. Raises NotFound."""
        if item == TO_DYNAMIC:
            return 0
        found = self.in_force(item, fee, day)
        if found is None:
            raise NotFound(
                f"no {fee} price for {item} is in force on {day}",
                field="item",
                rule="MPC-A1" if item.service == "mpc" else "SMF-A1",
                next_step="Enter the price in the contractor's list or in the default one.",
            )
        return found.yen
