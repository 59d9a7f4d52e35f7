"""What one contract line is charged, month by month (service-terms §6). Each charge is one invoice line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Final, Literal

from inventory.amounts import Amount, Part, prorated
from inventory.calendar import Month
from inventory.contracts import MINIMUM_MONTHS, Cause, Contract
from inventory.errors import BadInput
from inventory.fees import (
    TRANSITION_DAY,
    Life,
    charges_whole_month,
    early_termination,
    last_day_charged,
    slot_fee,
)
from inventory.prices import (
    PACKS,
    SEND_BACK,
    TO_DYNAMIC,
    TO_FIXED,
    Item,
    PriceList,
    adapter_item,
    entry_item,
    firewall_item,
    mobile_item,
    rental_item,
    standby_item,
)

What = Literal["initial", "monthly", "one-time", "minimum-period-sum", "loss", "failure", "damage"]
TAXABLE: Final = frozenset({"initial", "monthly", "one-time"})
"""Minimum-period sums, loss, failure and damage are not, unless switched on (service-terms §6)."""

Counts = Sequence[tuple[date, int]]


@dataclass(frozen=True, slots=True)
class Version:
    """What a line is from `first_day` on: a rental's registered model, a mobile plan and type, a group's packs."""

    first_day: date
    model: str = ""
    plan: str = ""
    network_type: str = ""
    packs_gb: int = 0


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A contract line with all its dated facts. Counts are those of a management; versions ascend."""

    contract: Contract
    device_class: str | None = None
    versions: tuple[Version, ...] = ()
    entries: Counts = ()
    standbys: Counts = ()
    exempt: bool = False
    """Article 28(2)/(3) of the general terms holds (MPC-16.1)."""

    @property
    def life(self) -> Life | None:
        """When it is charged; None before its billing start date is known."""
        start = self.contract.billing_start
        return None if start is None else Life(start, self.contract.effective)

    def version(self, day: date) -> Version:
        """What it is on a day; the first version before that."""
        known = [one for one in self.versions if one.first_day <= day]
        return known[-1] if known else self.versions[0]


@dataclass(frozen=True, slots=True)
class Charge:
    """One invoice line."""

    what: What
    words: str
    month: Month
    amount: Amount

    @property
    def taxable(self) -> bool:
        """Whether consumption tax is on it."""
        return self.what in TAXABLE


def charges(line: BilledLine, prices: PriceList, month: Month) -> tuple[Charge, ...]:
    """Everything that the line is charged for in one month of service. Raises NotFound for a price that is missing.

    An initial fee goes with the month of the billing start date (SMF-15.1), a minimum-period sum with the month of the
    effective day.
    """
    life = line.life
    if life is None:
        return ()
    found = [
        *(_initial(line, prices) if Month.of(life.billing_start) == month else ()),
        *_monthly(line, life, prices, month),
        *_one_time(line, prices, month),
    ]
    if life.ended is not None and Month.of(life.ended) == month:
        found += _minimum_period_sum(line, life, prices)
    return tuple(one for one in found if one.amount.parts)


def item_of(line: BilledLine, version: Version) -> Item:
    """The row of the price list for what a line is; managements have two, entries and standbys."""
    match line.contract.kind:
        case "adapter":
            return adapter_item(line.device_class or "", version.model)
        case "adapter-rental":
            return rental_item(version.model)
        case "ultra-firewall":
            return firewall_item(version.model)
        case "mobile-access":
            return mobile_item(version.plan, version.network_type)
        case "packet-share-group":
            return PACKS
        case "ultra-send-back":
            return SEND_BACK
        case "management":
            raise BadInput("a management has no price of its own: its slots have", field="kind")


# --- initial and one-time fees ----------------------------------------------------------------------------------------


def _initial(line: BilledLine, prices: PriceList) -> Iterator[Charge]:
    """Falls due with the acceptance, at the price of that day (MPC-15, SMF-15.2)."""
    contract = line.contract
    assert contract.billing_start is not None
    month, day = Month.of(contract.billing_start), contract.concluded or contract.billing_start
    rules = ("MPC-15",) if contract.service == "mpc" else ("SMF-15.2",)
    if contract.kind == "management":
        pairs = [(entry_item(contract.service), line.entries), (standby_item(contract.service), line.standbys)]
        for item, counts in pairs:
            if counts and counts[0][1]:
                yield Charge(
                    "initial",
                    f"initial fee {item}",
                    month,
                    _once(prices.yen(item, "initial", day), counts[0][1], rules),
                )
    elif contract.kind != "packet-share-group":
        item = item_of(line, line.versions[0])
        yield Charge("initial", f"initial fee {item}", month, _once(prices.yen(item, "initial", day), 1, rules))


def _once(yen: int, count: int, rules: tuple[str, ...]) -> Amount:
    return Amount((Part(f"{count} × {yen:,}", Fraction(count * yen)),), rules)


def _one_time(line: BilledLine, prices: PriceList, month: Month) -> Iterator[Charge]:
    """A change of the network type (MPC-A1.3(1))."""
    for before, after in zip(line.versions, line.versions[1:], strict=False):
        if Month.of(after.first_day) == month and before.network_type != after.network_type:
            item = TO_FIXED if after.network_type == "fixed-ip" else TO_DYNAMIC
            yen = prices.yen(item, "one-time", after.first_day)
            yield Charge("one-time", f"{item}", month, _once(yen, 1, ("MPC-A1.3(1)",)))


# --- monthly fees -----------------------------------------------------------------------------------------------------


def _monthly(line: BilledLine, life: Life, prices: PriceList, month: Month) -> Iterator[Charge]:
    day = max(month.first, life.billing_start)
    if not life.charged_at_all or day > month.last or (life.ended is not None and month > Month.of(life.ended)):
        return
    contract = line.contract
    if contract.kind != "management":
        yield Charge("monthly", f"monthly fee {contract.kind}", month, _dated_fee(line, life, prices, month, day))
        return
    for item, counts in ((entry_item(contract.service), line.entries), (standby_item(contract.service), line.standbys)):
        if any(count for _, count in counts):
            amount = slot_fee(prices.yen(item, "monthly", day), counts, month, life.ended)
            yield Charge("monthly", f"monthly fee {item}", month, amount)


def _yen_of(line: BilledLine, version: Version, prices: PriceList, day: date) -> int:
    if line.contract.kind == "packet-share-group":
        return version.packs_gb * prices.yen(PACKS, "monthly-per-gb", day)
    return prices.yen(item_of(line, version), "monthly", day)


def _dated_fee(line: BilledLine, life: Life, prices: PriceList, month: Month, day: date) -> Amount:
    """The month's days, each at the fee of what the line was on it; whole from its start where MPC-9.6 says so."""
    last = month.last if life.ended is None else min(life.ended, month.last)
    stopped = last < month.last and charges_whole_month(line.contract.kind, line.version(last).plan)
    first = day
    if stopped:
        first, last = month.first, month.last
    parts: list[Part] = []
    spans = [one.first_day for one in line.versions[1:] if first < one.first_day <= last]
    for begin, end in zip([first, *spans], [*(each - timedelta(days=1) for each in spans), last], strict=True):
        yen = _yen_of(line, line.version(begin), prices, day)
        parts.append(prorated(month, (end - begin).days + 1, yen))
    rules = [
        "SMF-15.3",
        *(["SMF-15.4"] if (last - first).days + 1 < month.days else []),
        *(["MPC-9.6"] if stopped else []),
    ]
    return Amount(tuple(parts), tuple(rules))


# --- before the minimum period is over --------------------------------------------------------------------------------


def _minimum_period_sum(line: BilledLine, life: Life, prices: PriceList) -> Iterator[Charge]:
    """By the counts and the prices of the effective day (service-terms §6)."""
    contract = line.contract
    assert life.ended is not None
    if contract.cause is Cause.ABOLITION or not life.charged_at_all:
        return
    version = line.version(life.ended) if line.versions else None
    plan = version.plan if version else None
    yen = 0
    if contract.kind == "management":
        for item, counts in (
            (entry_item(contract.service), line.entries),
            (standby_item(contract.service), line.standbys),
        ):
            count = _count_on(counts, life.ended)
            yen += count * prices.yen(item, "monthly", life.ended) if count else 0
    elif version is not None:
        yen = _yen_of(line, _at_conclusion(line) or version, prices, life.ended)
    amount = early_termination(
        life,
        MINIMUM_MONTHS[contract.kind],
        yen,
        service=contract.service,
        kind=contract.kind,
        plan=plan,
        exempt=line.exempt,
    )
    if amount.parts and contract.kind == "adapter-rental":
        concluded = contract.concluded or life.billing_start
        by_model = "SMF-S2009-11.2" if concluded < TRANSITION_DAY else "SMF-16.3"
        amount = replace(amount, rules=(*amount.rules, by_model))
    covered = last_day_charged(contract.kind, life.ended, plan)
    yield Charge("minimum-period-sum", f"minimum period after {covered}", Month.of(life.ended), amount)


def _at_conclusion(line: BilledLine) -> Version | None:
    """A rental's sum uses the model of its conclusion (SMF-16.3, SMF-S2009-11.2); other lines what they are."""
    concluded = line.contract.concluded
    if line.contract.kind != "adapter-rental" or concluded is None:
        return None
    return line.version(TRANSITION_DAY if concluded < TRANSITION_DAY else concluded)


def _count_on(counts: Counts, day: date) -> int:
    known = [count for first_day, count in counts if first_day <= day]
    return known[-1] if known else 0
