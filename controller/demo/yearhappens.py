"""What happens to a contractor base on an ordinary day: applications, changes, notices, failures, losses, outages.

Each function is one kind of happening for one line. Requests that do not fit are made too: refusals count.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Final, get_args

from controller.demo import yearbase
from controller.demo.yearbooks import ONE, Books, Line, Unit, count_on
from controller.demo.yearmoney import suspend
from inventory.adapters import Life, LifeEvent
from inventory.amounts import Amount
from inventory.billing import Version
from inventory.calendar import TOKYO
from inventory.contractevents import (
    BackInEntry,
    ChangeCounts,
    ChangeOption,
    Notice,
    ProviderGround,
    ProviderTerminates,
    Refuse,
)
from inventory.contracts import State
from inventory.fees import Kind
from inventory.optionrules import MOBILE_PLANS
from inventory.outageclaims import ClaimState, OutageClaim, arrives, decide, look, usable_again
from inventory.prices import entry_item, standby_item
from inventory.slots import SlotKind, require_count, require_day, require_occupancy
from inventory.unitcharges import failure_charge, loss_charge

Happening = Callable[[Books, random.Random, Line, date], None]


# --- lines ------------------------------------------------------------------------------------------------------------


def applies(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """The contractor of a management applies for one more adapter, often with an option; some are refused."""
    start = day + ONE * rng.randrange(5, 40)
    if line.contract.service == "mpc":
        key = rng.choice(yearbase.MODELS_OF["I"])
        wanted = [yearbase.adapter(books, line.owner, day, "I", key)]
        if rng.random() < 0.5:
            wanted.append(yearbase.send_back(books, wanted[0], day, rng.choice(("site 1", "site 2", None))))
        if rng.random() < 0.5:
            wanted.append(yearbase.mobile(books, wanted[0], day, rng.choice(("normal", "30GB", "packet-share"))))
    else:
        wanted = [yearbase.rental(books, line.owner, day, rng.choice(yearbase.RENTALS))]
        if rng.random() < 0.6:
            wanted.append(yearbase.firewall(books, wanted[0], day))
    if rng.random() < 0.1:
        refuses(books, wanted, day, rng.randrange(1, 8))
        return
    yearbase.accepted(books, wanted, day, start, line if line.live else None)


def refuses(books: Books, wanted: list[Line], day: date, reason: int) -> None:
    """The provider refuses an application for one of the seven reasons."""
    for one in wanted:
        books.step(one, Refuse(day, reason))


def changes_count(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """More or fewer entries or standbys, from today or from a later day."""
    kind: SlotKind = rng.choice(("entry", "standby"))
    to = count_on(line.entries if kind == "entry" else line.standbys, day) + rng.randrange(-4, 6)
    set_count(books, line, kind, max(0, to), day, day + ONE * rng.randrange(0, 15))


def set_count(books: Books, line: Line, kind: SlotKind, count: int, day: date, first_day: date) -> bool:
    """Ask for a count; whether it was granted."""
    service = line.contract.service
    counts = line.entries if kind == "entry" else line.standbys

    def ask() -> None:
        require_count(service, line.classes, kind, count)
        require_day(service, day, first_day, [known for known, _ in counts])
        require_occupancy(service, kind, count, books.occupants(line, kind))

    if not books.attempt(ask) or books.step(line, ChangeCounts(day, first_day)) is None:
        return False
    counts.append((first_day, count))
    counts.sort()
    return True


def changes_option(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """Another plan, network type or number of packs."""
    if line.kind == "packet-share-group":
        change(books, line, day, "packs-gb", rng.randrange(40, 150))
    elif rng.random() < 0.5:
        change(books, line, day, "network-type", rng.choice(("dynamic-ip", "fixed-ip")))
    else:
        change(books, line, day, "plan", rng.choice([one for one in MOBILE_PLANS if one != "packet-share"]))


def change(books: Books, line: Line, day: date, what: str, value: str | int) -> None:
    """Ask for a change of an option; it comes on its day."""
    done = books.step(line, ChangeOption(day, what, value))
    if done is not None:
        for pending in done.contract.pending:
            if pending.what == what:
                books.later(pending.first_day, lambda when: books.change_due(line, when))


def gives_notice(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A termination notice arrives, naming a day or none."""
    named = rng.choice((None, day + ONE * rng.randrange(5, 90)))
    books.step(line, Notice(day, named))


def provider_ends(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """The provider terminates."""
    ground: ProviderGround = rng.choice(get_args(ProviderGround))
    books.step(line, ProviderTerminates(day, day + ONE * rng.randrange(-2, 20), ground, day))


def suspends(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A suspension of some days."""
    suspend(books, line, day, ground=rng.randrange(1, 5), days=rng.randrange(3, 20), emergency=rng.random() < 0.2)


def swaps_seat(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A rental goes to a standby and comes back some days later: its Ultra Firewall sleeps meanwhile (SMF-2)."""
    unit, management = line.unit, line.management
    if unit is None or management is None or unit.seat != "entry":
        return
    room = count_on(books.line(management).standbys, day) - len(books.occupants(books.line(management), "standby"))
    if room < 1:
        return
    unit.seat = "standby"
    books.firewall_follows(line, day)
    books.later(day + ONE * rng.randrange(2, 20), lambda when: back_in_entry(books, line, unit, when))


def back_in_entry(books: Books, line: Line, unit: Unit, day: date) -> None:
    """The unit sits in an entry again."""
    if not line.live or unit is not line.unit or line.management is None:
        return
    unit.seat = "entry"
    for option in books.of_owner[line.owner]:
        if option.on == line.number and option.contract.state is State.DORMANT:
            books.step(option, BackInEntry(day))


# --- units ------------------------------------------------------------------------------------------------------------


def fails(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A unit fails; it is repaired in place, or replaced and sent back, in time or not."""
    unit = line.unit
    if unit is None or books.live(line, unit, LifeEvent.FAILURE_REPORTED, day) is None or unit.life is not Life.FAILED:
        return
    if unit.held != "lent" or rng.random() < 0.2:
        books.live(line, unit, LifeEvent.REPAIRED, day)
        return
    if rng.random() < 0.1:
        books.live(line, unit, LifeEvent.REPAIRED, day, replacement_sent=True)  # too late: it is on its way
    other = rng.choice(yearbase.RENTALS) if line.kind == "adapter-rental" and rng.random() < 0.3 else line.model
    by_customer = rng.random() < 0.3
    sent_back = rng.randrange(5, 45)
    books.later(day + ONE * 4, lambda when: replaced(books, line, unit, when, other, sent_back, by_customer))


def replaced(
    books: Books, line: Line, failed: Unit, day: date, key: str, sent_back_after: int, by_customer: bool
) -> None:
    """The replacement arrives and takes the place; the failed unit is due within thirty days."""
    if not line.live or failed.life is not Life.FAILED:
        return
    done = books.live(line, failed, LifeEvent.REPLACEMENT_ARRIVES, day)
    assert done is not None
    assert done.due_day is not None
    fresh = books.new_unit(line, f"R-{len(books.units) + 1:06d}", "lent")
    fresh.model, fresh.seat, failed.seat = key, failed.seat, None
    for event in (LifeEvent.ORDER, LifeEvent.DELIVER, LifeEvent.CHECKLIST_COMPLETE, LifeEvent.FIRST_CONTACT):
        books.live(line, fresh, event, day)
    if key != line.model:
        line.model = key
        line.versions = [*(one for one in line.versions if one.first_day < day), Version(day, model=key)]
        _firewall_of(books, line, day)
    books.later(done.due_day + ONE, lambda when: _overdue(books, line, failed, when))
    books.later(day + ONE * sent_back_after, lambda when: sent_back(books, line, failed, when, by_customer=by_customer))


def _firewall_of(books: Books, line: Line, day: date) -> None:
    for option in books.of_owner[line.owner]:
        if option.on == line.number and option.kind == "ultra-firewall" and option.live:
            if line.model in yearbase.DESIGNATED:
                option.model = line.model
                option.versions = [*(o for o in option.versions if o.first_day < day), Version(day, model=line.model)]
            else:
                books.firewall_follows(line, day)


def _overdue(books: Books, line: Line, unit: Unit, day: date) -> None:
    if unit.life is Life.SEND_BACK_DUE:
        books.live(line, unit, LifeEvent.SEND_BACK_OVERDUE, day)


def sent_back(books: Books, line: Line, unit: Unit, day: date, *, by_customer: bool) -> None:
    """The failed unit is back; a failure that was the customer's fault is charged."""
    if unit.life is Life.SEND_BACK_DUE:
        books.live(line, unit, LifeEvent.SENT_BACK, day)
        service = line.contract.service
        prices = books.price_list(line.owner)
        charge_unit(
            books,
            line,
            failure_charge(service, unit.model, prices, day, by_customer=by_customer, cost_yen=23_400),
        )


def loses(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A unit is lost; a replacement comes, and sometimes the lost one turns up."""
    unit = line.unit
    if unit is None or books.live(line, unit, LifeEvent.LOSS_REPORTED, day) is None or unit.life is not Life.LOST:
        return
    seat, unit.seat = unit.seat, None
    charge_unit(books, line, loss_charge(line.contract.service, unit.model, books.price_list(line.owner), day))
    if line.live:
        fresh = books.new_unit(line, f"R-{len(books.units) + 1:06d}", "lent")
        fresh.model, fresh.seat = unit.model, seat
        for event in (LifeEvent.ORDER, LifeEvent.DELIVER, LifeEvent.CHECKLIST_COMPLETE, LifeEvent.FIRST_CONTACT):
            books.live(line, fresh, event, day)
    if rng.random() < 0.5:
        books.later(day + ONE * 20, lambda when: found(books, line, unit, when))


def found(books: Books, line: Line, unit: Unit, day: date) -> None:
    """A lost unit has turned up."""
    books.live(line, unit, LifeEvent.FOUND, day)


def returns(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A unit that is due comes back, or is lost from the day after its return date on."""
    unit = line.unit
    if unit is None or unit.life is not Life.RETURN_DUE or line.contract.effective is None:
        return
    if rng.random() < 0.85:
        books.live(line, unit, LifeEvent.RECEIVED, day)


def not_returned(books: Books, line: Line, day: date) -> None:
    """The return date of a unit has passed."""
    unit = line.unit
    if unit is not None and unit.life is Life.RETURN_DUE:
        books.live(line, unit, LifeEvent.RETURN_OVERDUE, day)
        charge_unit(books, line, loss_charge(line.contract.service, unit.model, books.price_list(line.owner), day))


def charge_unit(books: Books, line: Line, amount: Amount) -> None:
    """Goes untaxed on the next invoice."""
    books.spoke(amount)
    if amount.parts:
        books.unit_charges[line.owner, line.contract.service].append(amount)


# --- outages ----------------------------------------------------------------------------------------------------------


def fails_wholly(books: Books, rng: random.Random, line: Line, day: date) -> None:
    """A management cannot be used for some hours; its contractor claims early, late or never."""
    outage(
        books,
        line,
        day,
        hours=rng.randrange(8, 90),
        known_after=rng.randrange(0, 12),
        claimed_after=rng.choice((0, 10, 60, 88, 120, None)),
        attributable=rng.random() < 0.8,
    )


def outage(
    books: Books,
    line: Line,
    day: date,
    *,
    hours: int,
    known_after: int,
    claimed_after: int | None,
    attributable: bool = True,
) -> None:
    """One outage, its end, its claim and the decision, each on its day."""
    if not line.contract.entitled:
        return
    began = datetime.combine(day, time(9), TOKYO)
    at = len(books.claims)
    books.claims.append((line, OutageClaim(line.contract.service, began, began + timedelta(hours=known_after))))
    ended = began + timedelta(hours=hours)
    books.later(ended.date(), lambda _: _set(books, at, usable_again(books.claims[at][1], ended)))
    if claimed_after is not None:
        books.later(day + ONE * claimed_after, lambda when: _claims(books, at, when))
    books.later(day + ONE * 130, lambda when: _set(books, at, look(books.claims[at][1], _night(when))))
    decided = max(ended.date(), day + ONE * (claimed_after or 0)) + ONE * 5
    books.later(decided, lambda when: _decides(books, at, when, attributable=attributable))


def _night(day: date) -> datetime:
    return datetime.combine(day, time(23, 59), TOKYO)


def _set(books: Books, at: int, claim: OutageClaim) -> None:
    books.claims[at] = (books.claims[at][0], claim)
    books.touch(claim.rule)
    books.steps += 1


def _claims(books: Books, at: int, day: date) -> None:
    books.attempt(lambda: _set(books, at, arrives(look(books.claims[at][1], _night(day)), day)))


def _decides(books: Books, at: int, day: date, *, attributable: bool) -> None:
    line, claim = books.claims[at]
    claim = look(claim, _night(day))
    _set(books, at, claim)
    if claim.state is not ClaimState.CLAIMED:
        return
    done = decide(claim, management_yen(books, line, claim.began.date()), attributable=attributable, reason="reviewed")
    _set(books, at, done)
    if done.credit is not None:
        books.spoke(done.credit)
        books.credits_yen[line.owner, line.contract.service] += done.credit.yen
        books.granted_yen += done.credit.yen


def management_yen(books: Books, line: Line, day: date) -> int:
    """The whole management's monthly fee on a day, entries and standbys."""
    prices, service = books.price_list(line.owner), line.contract.service
    return sum(
        count_on(counts, day) * prices.yen(item, "monthly", day)
        for item, counts in ((entry_item(service), line.entries), (standby_item(service), line.standbys))
    )


# --- a day ------------------------------------------------------------------------------------------------------------

RATES: Final[tuple[tuple[Happening, tuple[Kind, ...], float], ...]] = (
    (applies, ("management",), 0.7),
    (changes_count, ("management",), 1.2),
    (changes_option, ("mobile-access", "packet-share-group"), 1.0),
    (gives_notice, ("adapter", "adapter-rental"), 0.5),
    (gives_notice, ("ultra-send-back", "mobile-access", "ultra-firewall"), 0.3),
    (gives_notice, ("management",), 0.03),
    (provider_ends, ("adapter", "adapter-rental", "mobile-access"), 0.06),
    (suspends, ("management", "adapter", "adapter-rental"), 0.15),
    (swaps_seat, ("adapter-rental",), 0.6),
    (fails, ("adapter", "adapter-rental"), 1.2),
    (loses, ("adapter", "adapter-rental"), 0.15),
    (fails_wholly, ("management",), 0.15),
)
"""What happens, to which kinds of lines, and how often on a day in a base of a thousand lines."""


def ordinary_day(books: Books, rng: random.Random, day: date, thousands: float) -> None:
    """Everything that happens on a day to contractors that no story is about."""
    for happening, kinds, rate in RATES:
        expected = rate * thousands
        times = int(expected) + (rng.random() < expected % 1)
        for _ in range(times):
            kind = rng.choice(kinds)
            known = books.of_kind[kind]
            line = rng.choice(known) if known else None
            if line is not None and line.owner > 4 and line.contract.state is not State.REFUSED:
                happening(books, rng, line, day)


def evening(books: Books, rng: random.Random, day: date) -> None:
    """Units that are due come back, or pass their return date."""
    for line in books.lines:
        unit, effective = line.unit, line.contract.effective
        if unit is None or unit.life is not Life.RETURN_DUE or effective is None:
            continue
        if day == effective + ONE * 31:
            not_returned(books, line, day)
        elif day == effective + ONE * (3 + line.number % 25):
            returns(books, rng, line, day)
