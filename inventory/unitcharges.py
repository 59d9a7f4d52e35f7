"""What is charged for a unit that is lost, broken by its user or misused (MPC-10.2, 12.3, 13.2, SMF-9.2, 10.3, 11.2).

These fall due when they are invoiced; no consumption tax is on them (service-terms §6). Whole yen.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from inventory.amounts import Amount, Part
from inventory.catalogue import DeviceClass, Service
from inventory.errors import BadInput
from inventory.prices import PriceList, failure_item, loss_item


def loss_charge(service: Service, model_key: str, prices: PriceList, lost: date) -> Amount:
    """The loss charge of a lent unit, whatever the cause, at the price of the day from which it is lost.

    Raises NotFound where the list has no such price.
    """
    yen = prices.yen(loss_item(service, model_key), "one-time", lost)
    rules = ("MPC-13.2", "MPC-A1.3") if service == "mpc" else ("SMF-11.2",)
    return Amount((Part(f"1 × {yen:,}", Fraction(yen)),), rules)


def failure_charge(
    service: Service, model_key: str, prices: PriceList, day: date, *, by_customer: bool, cost_yen: int | None = None
) -> Amount:
    """A failure that is the customer's fault: mpc by its price list (MPC-12.3, MPC-A1.3), smfsx the actual cost, which
    is `cost_yen` (SMF-10.3). Nothing for any other failure. Raises BadInput for a cost that is missing, NotFound."""
    rules = ("MPC-12.3", "MPC-A1.3") if service == "mpc" else ("SMF-10.3",)
    if not by_customer:
        return Amount((), rules, "the failure is not the customer's fault")
    if service == "mpc":
        yen = prices.yen(failure_item(service, model_key), "one-time", day)
        return Amount((Part(f"1 × {yen:,}", Fraction(yen)),), rules)
    return _actual_cost(cost_yen, rules)


def breach_charge(service: Service, device_class: DeviceClass | None, cost_yen: int) -> Amount:
    """Recovery or repair after a breach of the duties for an adapter: its actual cost. mpc: class I only (MPC-10.2);
    smfsx: every adapter (SMF-9.2). Raises BadInput for a cost below 0."""
    rules = ("MPC-10.2",) if service == "mpc" else ("SMF-9.2",)
    if service == "mpc" and device_class != "I":
        return Amount((), rules, f"class {device_class} is not lent")
    return _actual_cost(cost_yen, rules)


def _actual_cost(cost_yen: int | None, rules: tuple[str, ...]) -> Amount:
    if cost_yen is None or cost_yen < 0:
        raise BadInput(
            "the actual cost is missing",
            field="cost_yen",
            rule=rules[0],
            next_step="Give what recovery or repair has cost, in whole yen.",
        )
    return Amount((Part(f"1 × {cost_yen:,}", Fraction(cost_yen)),), rules)
