"""What a switch of the model costs, and the day on which it is cheap (§7.4). Whole yen without tax.

A missing price makes the whole answer silent: half a sum would be read as the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from inventory.amounts import Amount
from inventory.calendar import period_end
from inventory.fees import Kind, Life, early_termination
from inventory.prices import Fee, Item, PriceList, adapter_item, rental_item

MINIMUM_MONTHS = 12
"""Of an adapter line and of a rental (MPC-5, SMF-16.1)."""


@dataclass(frozen=True, slots=True)
class OldLine:
    """The contract line of the adapter that would leave."""

    key: str
    item: Item
    """What its monthly fee is for today."""
    concluded_item: Item
    """What it was for when it was concluded: a rental's rest is charged by it (SMF-16.3)."""
    billing_start: date

    @property
    def kind(self) -> Kind:
        """An mpc adapter line or a smfsx rental."""
        return "adapter" if self.item.service == "mpc" else "adapter-rental"

    @property
    def free_from(self) -> date:
        """The first day on which it may end without a charge for the rest of its minimum period."""
        return period_end(self.billing_start, MINIMUM_MONTHS)


@dataclass(frozen=True, slots=True)
class On:
    """What switching on one day costs once."""

    name: str
    """`now`, `free`: the first day without a rest charge, or `saturation`."""
    day: date
    initial_yen: int
    """Initial fee of the new line."""
    rest: Amount
    """Rest of the old line's minimum period, all at once (MPC-16.1, SMF-16.2)."""

    @property
    def once_yen(self) -> int:
        """All that falls due once."""
        return self.initial_yen + self.rest.yen


@dataclass(frozen=True, slots=True)
class Money:
    """The money of a switch to another model."""

    line: str
    """The contract line that would end."""
    old_item: Item
    new_item: Item
    monthly_old_yen: int
    monthly_new_yen: int
    days: tuple[On, ...]
    """Now, the first free day, the forecast saturation; those that are known and not over."""
    recommended: On
    in_time: bool
    """Whether the recommended day is before the early end of the forecast. If not it is now, whatever it costs."""
    new_period_end: date
    """Last day of the new line's minimum period, if it is charged from the recommended day on."""

    @property
    def monthly_delta_yen(self) -> int:
        """What the monthly fee rises by; negative: falls."""
        return self.monthly_new_yen - self.monthly_old_yen


def item_for(service: str, device_class: str | None, model_key: str) -> Item:
    """The row of the price list of a lent model: an mpc adapter line, or a smfsx rental."""
    return adapter_item(device_class or "", model_key) if service == "mpc" else rental_item(model_key)


def money(
    old: OldLine, new: Item, prices: PriceList, *, today: date, saturation: date | None, early: date | None
) -> Money | None:
    """What it costs to let `old` end and to conclude a line of `new`; None if a price is missing.

    `saturation`, `early`: the forecast and the early end of its interval; None where there is no date. Only a day
    before `early` may be waited for; without one the link is hot already, and it is now.
    """
    monthly_old, monthly_new = (_price(prices, item, "monthly", today) for item in (old.item, new))
    if monthly_old is None or monthly_new is None:
        return None
    wanted: list[tuple[str, date]] = [("now", today)]
    if old.free_from > today:
        wanted.append(("free", old.free_from))
    if saturation is not None and saturation > today:
        wanted.append(("saturation", saturation))
    days = [_on(name, day, old, new, prices) for name, day in wanted]
    known: Sequence[On] = [one for one in days if one is not None]
    if len(known) != len(days):
        return None
    waiting = [one for one in known if early is not None and one.day < early]
    chosen = min(waiting, key=lambda one: (one.once_yen, one.day), default=known[0])
    return Money(
        line=old.key,
        old_item=old.item,
        new_item=new,
        monthly_old_yen=monthly_old,
        monthly_new_yen=monthly_new,
        days=tuple(known),
        recommended=chosen,
        in_time=bool(waiting),
        new_period_end=period_end(chosen.day, MINIMUM_MONTHS),
    )


def _price(prices: PriceList, item: Item, fee: Fee, day: date) -> int | None:
    found = prices.in_force(item, fee, day)
    return None if found is None else found.yen


def _on(name: str, day: date, old: OldLine, new: Item, prices: PriceList) -> On | None:
    initial = _price(prices, new, "initial", day)
    of_rest = _price(prices, old.concluded_item, "monthly", day)
    if initial is None or of_rest is None:
        return None
    rest = early_termination(
        Life(old.billing_start, day), MINIMUM_MONTHS, of_rest, service=old.item.service, kind=old.kind
    )
    if old.kind == "adapter-rental" and rest.parts:
        rest = replace(rest, rules=(*rest.rules, "SMF-16.3"))
    return On(name, day, initial, rest)


def money_facts(found: Money) -> dict[str, object]:
    """The same for the evidence of a proposal, JSON-ready; each sum with its arithmetic and its rules."""
    return {
        "line": found.line,
        "items": {"old": str(found.old_item), "new": str(found.new_item)},
        "monthly_yen": {"old": found.monthly_old_yen, "new": found.monthly_new_yen, "delta": found.monthly_delta_yen},
        "days": [
            {
                "name": one.name,
                "day": one.day.isoformat(),
                "initial_yen": one.initial_yen,
                "rest_yen": one.rest.yen,
                "rest_arithmetic": one.rest.arithmetic,
                "rules": list(one.rest.rules),
                "once_yen": one.once_yen,
            }
            for one in found.days
        ],
        "recommended": found.recommended.name,
        "recommended_day": found.recommended.day.isoformat(),
        "in_time": found.in_time,
        "new_minimum_period_end": found.new_period_end.isoformat(),
    }
