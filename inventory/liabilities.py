"""What a contractor pays for one unit: lost, failed by its fault, damaged (MPC-10.2, 12.3, 13.2, SMF-9.2, 10.3, 11.2).

Such charges fall due when they are invoiced, and are not taxed unless that is switched on (service-terms §6).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

from inventory.adapters import Holding
from inventory.amounts import Amount, Part
from inventory.billing import Charge
from inventory.calendar import Month
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput, RuleViolation
from inventory.prices import PriceList, failure_item, loss_item

Liability = Literal["loss", "failure", "damage"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit that is charged for."""

    serial: str
    service: Service
    device_class: DeviceClass | None
    model_key: str
    holding: Holding


def liability_rule(unit: Unit, what: Liability) -> str:
    """The rule that charges it. Raises RuleViolation where the terms charge nothing.

    Loss: lent units (MPC-13.2: class I; SMF-11.2: rented). A failure that is the contractor's fault: lent units
    (MPC-12.3, SMF-10.3). Loss or damage through a breach of the duties of care: mpc class I only, smfsx every adapter
    (MPC-10.2, SMF-9.2).
    """
    rules = {"loss": ("MPC-13.2", "SMF-11.2"), "failure": ("MPC-12.3", "SMF-10.3"), "damage": ("MPC-10.2", "SMF-9.2")}
    rule = rules[what][0 if unit.service == "mpc" else 1]
    every_adapter = what == "damage" and unit.service == "smfsx"
    if unit.holding != "lent" and not every_adapter:
        raise RuleViolation(
            f"the terms charge no {what} of a unit that is not lent",
            rule=rule,
            field="what",
            next_step="It is the contractor's own, or software: nothing has to be paid for it.",
        )
    return rule


def require_cost(unit: Unit, what: Liability, cost_yen: int | None) -> None:
    """Raises BadInput for a cost where the price list speaks, or none where the actual cost is charged.

    The list speaks for losses and for failures of mpc units (MPC-A1.3(2)); smfsx failures, and recovery or repair of
    either service, are charged at their actual cost.
    """
    listed = what == "loss" or (what == "failure" and unit.service == "mpc")
    if listed and cost_yen is not None:
        raise BadInput(f"the price list has the {what} charge", field="cost_yen", next_step="Leave the cost out.")
    if not listed and cost_yen is None:
        raise BadInput(
            f"the actual cost of the {what} is charged", field="cost_yen", next_step="Give the cost in whole yen."
        )


def liability_charge(unit: Unit, what: Liability, day: date, prices: PriceList, cost_yen: int | None = None) -> Charge:
    """One charge for one unit, on the invoice of the month of `day`. Raises RuleViolation, BadInput, or NotFound for a
    price that is missing."""
    rule = liability_rule(unit, what)
    require_cost(unit, what, cost_yen)
    rules: tuple[str, ...] = (rule,)
    if cost_yen is None:
        item = loss_item if what == "loss" else failure_item
        cost_yen = prices.yen(item(unit.service, unit.model_key), "one-time", day)
        rules = (rule, "MPC-A1.3(2)" if what == "failure" else "MPC-A1.3") if unit.service == "mpc" else (rule,)
        words = f"{cost_yen:,} by the price list of {day}"
    else:
        words = f"{cost_yen:,} as it cost"
    return Charge(what, f"{what} of {unit.serial}", Month.of(day), Amount((Part(words, Fraction(cost_yen)),), rules))
