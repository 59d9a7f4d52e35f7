"""Stories of the year with a fixed day: each makes a rule speak that an ordinary day may leave silent.

They are about contractors 1 (mpc), 2 (smfsx), 3 (mpc guest) and 4 (smfsx guest).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Final

from controller.demo import yearbase as base
from controller.demo import yearhappens as happens
from controller.demo import yearproposals, yearrecords
from controller.demo.yearbooks import ONE, Books, Line
from controller.demo.yearmoney import suspend
from inventory.adapters import LifeEvent, SerialNumber
from inventory.catalogue import DeviceClass, Service
from inventory.contractevents import Abolition, ChangeOption, Notice, ProviderTerminates
from inventory.deadlines import require_notice
from inventory.eligibility import InvoiceAddressee
from inventory.fees import Kind
from inventory.onboarding import ChecklistItem, missing
from inventory.prices import parse_price
from inventory.slots import Management, require_placement
from inventory.unitcharges import breach_charge, failure_charge

Story = Callable[[Books, random.Random, date], None]


def _held(books: Books, owner: int, kind: Kind) -> Line:
    return next(one for one in books.of_owner[owner] if one.kind == kind and one.live)


def _refusals(books: Books, rng: random.Random, day: date) -> None:
    for reason in range(1, 8):
        happens.refuses(books, [base.rental(books, 2, day, "seil-x1")], day, reason)
        happens.refuses(books, [base.adapter(books, 1, day, "I", "sa-w2")], day, reason)
    happens.refuses(books, [base.rental(books, 2, day, "seil-x1")], day, 8)


def _obstacles(books: Books, rng: random.Random, day: date) -> None:
    """Applications that cannot be accepted, one for each rule of eligibility."""

    def asks(*wanted: Line, addressee: InvoiceAddressee | None = None) -> None:
        assert not books.decide(list(wanted), day, day + ONE * 9, () if addressee is None else (addressee,))

    def class_one(key: str = "seil-x4", device_class: DeviceClass = "I", owner: int = 1) -> Line:
        return base.adapter(books, owner, day, device_class, key)

    asks(class_one("seil-x1"))
    asks(base.rental(books, 2, day, "sa-w2"))
    bare = base.management(books, 1, "mpc", day, 0, 1)
    bare.classes = ("III",)
    asks(bare)
    classed = base.management(books, 2, "smfsx", day, 1, 0)
    classed.classes = ("I",)
    asks(classed)
    leased = class_one("seil-ca10", "III")
    asks(leased, base.send_back(books, leased, day, None))
    wrong = class_one()
    asks(wrong, base.mobile(books, wrong, day, "packet-share"))
    asks(base.packet_group(books, 1, day, 20))
    plain = base.rental(books, 2, day, "seil-b1")
    asks(plain, base.firewall(books, plain, day))
    nowhere = base.firewall(books, plain, day)
    asks(nowhere)
    nobody = InvoiceAddressee("K-9", consent=True, approved=False)
    asks(base.management(books, 1, "mpc", day, 1, 0), addressee=nobody)
    asks(base.management(books, 2, "smfsx", day, 1, 0), addressee=nobody)
    foreign = books.new_line(1, "mpc", "adapter-rental", day)
    foreign.model = "seil-x1"
    asks(foreign)
    guest = class_one(owner=3)
    guest.management_of = "K-1"
    asks(guest)
    guest = base.rental(books, 4, day, "seil-x1")
    guest.management_of = "K-2"
    asks(guest)
    asks(base.adapter(books, NEWCOMER, day, "I", "seil-x4"))


def _guests(books: Books, rng: random.Random, day: date) -> None:
    """Adapters of contractors 3 and 4 sit in managements of 1 and 2, with their recorded consent (MPC-6.2, SMF-13)."""
    host = _held(books, 1, "management")
    guest = base.adapter(books, 3, day, "I", "seil-x4")
    guest.management_of, guest.consent = "K-1", True
    assert base.accepted(books, [guest], day, day + ONE * 10, host)
    host = _held(books, 2, "management")
    rented = base.rental(books, 4, day, "seil-x2")
    rented.management_of, rented.consent = "K-2", True
    assert base.accepted(books, [rented], day, day + ONE * 10, host)


def _fleet(books: Books, rng: random.Random, day: date) -> None:
    """What contractors 1 and 2 need for the stories that follow."""
    start = day + ONE * 7
    mobile_on = [base.adapter(books, 1, day, "I", "sa-w2l") for _ in range(6)]
    first, second = (base.packet_group(books, 1, day, 60) for _ in range(2))
    wanted = [
        *mobile_on,
        first,
        second,
        base.send_back(books, mobile_on[0], day),
        base.mobile(books, mobile_on[0], day, "10GB"),
        base.mobile(books, mobile_on[1], day, "packet-share", group=first),
        base.mobile(books, mobile_on[2], day, "packet-share", group=first),
        base.mobile(books, mobile_on[3], day, "packet-share", group=second),
        base.mobile(books, mobile_on[4], day, "normal"),
        base.mobile(books, mobile_on[5], day, "backup", "fixed-ip"),
        base.adapter(books, 1, day, "I", "sa-w2l"),
    ]
    assert base.accepted(books, wanted, day, start)
    rented = [
        base.rental(books, 2, day, key) for key in ("seil-x1", "seil-x2", "seil-turbo", "seil-x1", "seil-x2", ABOLISHED)
    ]
    walls = [base.firewall(books, one, day) for one in rented[:3]]
    assert base.accepted(books, [*rented, *walls], day, start)
    transition = base.rental(books, 2, date(2009, 10, 20), "seil-x1")  # acknowledged long after its conclusion
    assert base.accepted(books, [transition], date(2009, 10, 20), start)
    books.later(start + ONE * 40, lambda when: _notice(books, transition, when))
    books.later(start + ONE * 3, lambda when: _options_change(books, wanted, when))
    books.later(start + ONE * 5, lambda when: _units(books, rng, wanted, rented, when))
    books.later(start + ONE * 9, lambda when: _walls(books, rng, rented, walls, when))
    books.later(start + ONE * 25, lambda when: _ends(books, wanted, rented, when))


def _notice(books: Books, line: Line, day: date) -> None:
    books.step(line, Notice(day))


def _options_change(books: Books, wanted: list[Line], day: date) -> None:
    first, second, _, ten, one, two, alone, normal, fixed = wanted[6:-1]
    happens.change(books, ten, day, "plan", "30GB")
    happens.change(books, ten, day, "plan", "50GB")
    happens.change(books, ten, day, "plan", "10GB")
    happens.change(books, normal, day, "plan", "backup")
    happens.change(books, normal, day, "network-type", "fixed-ip")
    happens.change(books, fixed, day, "network-type", "dynamic-ip")
    happens.change(books, fixed, day, "network-type", "dynamic-ip")
    happens.change(books, first, day, "packs-gb", 80)
    happens.change(books, second, day, "packs-gb", 10)
    happens.change(books, alone, day, "plan", "normal")  # the last member leaves: its group ends (MPC-9.7)
    books.step(one, Notice(day))
    books.step(two, Notice(day, day + ONE * 40))  # the group ends with it


def _units(books: Books, rng: random.Random, wanted: list[Line], rented: list[Line], day: date) -> None:
    """Failures, losses and returns of both services."""
    for line in (wanted[4], rented[3]):
        unit = line.unit
        assert unit is not None
        books.live(line, unit, LifeEvent.FAILURE_REPORTED, day)
        happens.replaced(books, line, unit, day + ONE * 4, line.model, 50, True)
    for line in (wanted[5], rented[4]):
        unit = line.unit
        assert unit is not None
        happens.loses(books, rng, line, day)
        books.later(day + ONE * 30, partial(happens.found, books, line, unit))
        happens.charge_unit(books, line, breach_charge(line.contract.service, line.device_class, 8_000))
    books.attempt(lambda: failure_charge("smfsx", "seil-x1", books.price_list(2), day, by_customer=True))


def _walls(books: Books, rng: random.Random, rented: list[Line], walls: list[Line], day: date) -> None:
    """Ultra Firewall sleeps in a standby, never changes its target, and ends with its rental."""
    happens.set_count(books, _held(books, 2, "management"), "standby", 9, day, day)
    happens.swaps_seat(books, rng, rented[0], day)
    books.step(walls[1], ChangeOption(day, "adapter", "a1"))
    books.step(rented[2], Notice(day))


def _ends(books: Books, wanted: list[Line], rented: list[Line], day: date) -> None:
    """Ends inside the minimum period, and units that come back too late."""
    late = base.mobile(books, wanted[-1], day, "30GB")
    assert base.accepted(books, [late], day, day + ONE * 25)
    books.step(wanted[-1], Notice(day))
    books.step(wanted[0], Notice(day))
    books.step(rented[1], Notice(day))
    books.step(wanted[3], ProviderTerminates(day, day + ONE * 3, "harassment", day))
    books.step(rented[3], ProviderTerminates(day, day + ONE * 3, "insolvency", day))
    books.step(rented[4], ProviderTerminates(day, day - ONE, "insolvency", day))
    for line in (wanted[0], rented[1]):
        books.later(day + ONE * 61, partial(happens.not_returned, books, line))


def _slots(books: Books, rng: random.Random, day: date) -> None:
    """Counts and places that the terms forbid."""
    for owner in (1, 2):
        line = _held(books, owner, "management")
        happens.set_count(books, line, "entry", 0, day, day)
        happens.set_count(books, line, "entry", 60, day, day + ONE * 10)
        happens.set_count(books, line, "entry", 50, day, day + ONE * 20)  # young slots: charged for a month
        happens.set_count(books, line, "entry", 70, day, day + ONE * 20)
        happens.set_count(books, line, "entry", 70, day, day - ONE)
    third = Management(1, 1, "mpc", ("III",), "", 1, 0, None, 0, 1)
    rented = Management(2, 2, "smfsx", (), "", 1, 0, None, 0, 1)
    books.attempt(lambda: require_placement(third, "mpc", "I", "entry", consented=True))
    books.attempt(lambda: require_placement(third, "mpc", "III", "standby", consented=True))
    books.attempt(lambda: require_placement(third, "mpc", "III", "entry", consented=False))
    books.attempt(lambda: require_placement(rented, "mpc", "III", "entry", consented=True))
    books.attempt(lambda: require_placement(rented, "smfsx", None, "entry", consented=False))


def _onboarding(books: Books, rng: random.Random, day: date) -> None:
    """A checklist that is not complete, and contact before it is."""
    books.attempt(lambda: SerialNumber.parse("no\tserial"))
    for owner, service, device_class in CHECKED:
        if service == "mpc":
            line = base.adapter(books, owner, day, "III", "seil-x4")
        else:
            line = base.rental(books, owner, day, "seil-x1")
        assert books.decide([line], day, day + ONE * 20)
        host = _held(books, owner, "management")
        base.installs(books, line, host, day + ONE * 20)
        unit = line.unit
        assert unit is not None
        base.arrives(books, line, unit, day)
        books.live(line, unit, LifeEvent.FIRST_CONTACT, day)
        books.live(line, unit, LifeEvent.CHECKLIST_COMPLETE, day, missing=missing(device_class, ("line", "site")))
        most: tuple[ChecklistItem, ...] = ("line", "site", "installation", "serial-number", "other")
        books.live(line, unit, LifeEvent.CHECKLIST_COMPLETE, day, missing=missing(device_class, most))


def _outages(books: Books, rng: random.Random, day: date) -> None:
    """One for each way that a claim can go, of both services; a credit so large that it is carried."""
    for owner in (1, 2):
        line = _held(books, owner, "management")
        happens.outage(books, line, day, hours=60, known_after=13, claimed_after=10)
        happens.outage(books, line, day + ONE * 5, hours=20, known_after=0, claimed_after=6)
        happens.outage(books, line, day + ONE * 9, hours=24, known_after=0, claimed_after=110)
        happens.outage(books, line, day + ONE * 12, hours=30, known_after=1, claimed_after=0, attributable=False)


def _addressees(books: Books, rng: random.Random, day: date) -> None:
    """Every fifth management's invoices go to an adapter user: named, consenting, approved (MPC-6.3, SMF-14.1)."""
    for line in books.of_kind["management"]:
        if line.live and (line.owner in {1, 2} or line.owner % 5 == 0):
            line.redirected = True


def _emergency(books: Books, rng: random.Random, day: date) -> None:
    suspend(books, _held(books, 3, "management"), day, ground=2, days=4, emergency=True)
    suspend(books, _held(books, 4, "management"), day, ground=5, days=4)


def _announcements(books: Books, rng: random.Random, day: date) -> None:
    """Planned work and an abolition, each announced too late and then in time (SMF-20, SMF-22)."""
    books.attempt(lambda: require_notice("planned-interruption", day + ONE * 13, day))
    books.attempt(lambda: require_notice("planned-interruption", day + ONE * 14, day))
    for line in list(books.of_kind["adapter-rental"]):
        if line.model == ABOLISHED and line.live:
            books.step(line, Abolition(day, day + ONE * 60, day))
            books.step(line, Abolition(day, day + ONE * 100, day))


def _prices(books: Books, rng: random.Random, day: date) -> None:
    """Rows that no list has."""
    books.attempt(lambda: parse_price("mpc", "lobby", "monthly", 100, day, None))
    books.attempt(lambda: parse_price("smfsx", "lobby", "monthly", 100, day, None))


def _records(books: Books, rng: random.Random, day: date) -> None:
    """What the terms want on record, a unit that comes with its standby, an image that runs twice, delegated work,
    configurations with their approvers."""
    yearrecords.keeps(books, day)
    yearrecords.spare(books, day)
    yearrecords.two_instances(books, day)
    yearrecords.delegates(books, day)
    yearrecords.configures(books, day)


CHECKED: Final[tuple[tuple[int, Service, DeviceClass | None], ...]] = ((1, "mpc", "III"), (2, "smfsx", None))
ABOLISHED: Final = "seil-neu-2fe-plus"
"""The model whose rentals end in this year (SMF-22)."""
NEWCOMER: Final = 100_000
"""Holds nothing."""

STORIES: Final[tuple[tuple[int, int, Story], ...]] = (
    (1, 8, _refusals),
    (1, 10, _addressees),
    (1, 14, _obstacles),
    (1, 20, _fleet),
    (2, 3, _guests),
    (2, 12, _slots),
    (3, 5, _onboarding),
    (3, 10, _outages),
    (4, 2, _announcements),
    (5, 9, _emergency),
    (6, 2, _prices),
    (7, 7, _records),
    (8, 20, _outages),
    (10, 6, yearproposals.proposes),
)
"""Month, day, what happens."""
