"""What a contractor pays for one unit, as an invoice line: lost, failed by its fault, damaged (service-terms §5).

The rules and their arithmetic are in `unitcharges`. Here: for which units they may be asked for at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from inventory.adapters import Holding
from inventory.billing import Charge
from inventory.calendar import Month
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput, RuleViolation
from inventory.prices import PriceList
from inventory.unitcharges import breach_charge, failure_charge, loss_charge

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
    """Losses, and failures of mpc units, are charged by the price list (MPC-A1.3); failures of smfsx units, and
    recovery or repair, at their actual cost. Raises BadInput for a cost that is missing or not asked for."""
    listed = what == "loss" or (what == "failure" and unit.service == "mpc")
    rule = liability_rule(unit, what)
    if listed and cost_yen is not None:
        raise BadInput(
            f"the price list has the {what} charge", field="cost_yen", rule=rule, next_step="Leave the cost out."
        )
    if not listed and (cost_yen is None or cost_yen < 0):
        raise BadInput(
            "the actual cost is missing, or below 0",
            field="cost_yen",
            rule=rule,
            next_step="Give what it has cost, in whole yen.",
        )


def liability_charge(unit: Unit, what: Liability, day: date, prices: PriceList, cost_yen: int | None = None) -> Charge:
    """One charge for one unit, in the month of `day`.

    Raises RuleViolation, BadInput for a cost that is missing or not asked for, NotFound for a price that is missing.
    """
    require_cost(unit, what, cost_yen)
    if what == "loss":
        amount = loss_charge(unit.service, unit.model_key, prices, day)
    elif what == "failure":
        amount = failure_charge(unit.service, unit.model_key, prices, day, by_customer=True, cost_yen=cost_yen)
    else:
        amount = breach_charge(unit.service, unit.device_class, cost_yen or 0)
    return Charge(what, f"{what} of {unit.serial}", Month.of(day), amount)
