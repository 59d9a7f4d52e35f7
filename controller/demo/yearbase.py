"""The contractor base: who applies for what, units and their way to the site. One generator makes every choice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from controller.demo.yearbooks import ONE, Books, Line, Unit
from inventory.adapters import Holding, Life, LifeEvent
from inventory.billing import Version
from inventory.catalogue import MODELS, DeviceClass, Service
from inventory.onboarding import missing, required
from inventory.optionrules import MOBILE_PLANS, TRANSITIONS, transitional
from inventory.prices import Item, Price, entry_item, rows, standby_item

MODELS_OF: Final[dict[DeviceClass, tuple[str, ...]]] = {
    device_class: tuple(
        one.key for one in MODELS for row in one.lines if (row.service, row.device_class) == ("mpc", device_class)
    )
    for device_class in ("I", "II", "III")
}
RENTALS: Final = tuple(one.key for one in MODELS for row in one.lines if row.line == "adapter-rental")
DESIGNATED: Final = tuple(one.key for one in MODELS for row in one.lines if row.line == "ultra-firewall")


def price_list(rng: random.Random, year: int) -> list[Price]:
    """A complete default list, and dearer slots from July on."""
    opened = date(2009, 1, 1)
    found = []
    for item, fee in sorted(rows()):
        yen = 90 if fee == "monthly-per-gb" else rng.randrange(20, 120) * (100 if fee == "monthly" else 500)
        found.append(Price(item, fee, yen, opened))
    for service in ("mpc", "smfsx"):
        for item in (entry_item(service), standby_item(service)):
            found.append(Price(item, "monthly", rng.randrange(25, 60) * 100, date(year, 7, 1)))
    return found


def own_prices(rng: random.Random, owner: int, day: date) -> list[Price]:
    """What one contractor has agreed on: cheaper slots."""
    items: list[Item] = [entry_item("mpc"), entry_item("smfsx")]
    return [Price(item, "monthly", rng.randrange(15, 40) * 100, day, owner) for item in items]


# --- lines of an application ------------------------------------------------------------------------------------------


def management(books: Books, owner: int, service: Service, day: date, entries: int, standbys: int) -> Line:
    """A management; an mpc one serves every class."""
    line = books.new_line(owner, service, "management", day)
    line.classes = ("I", "II", "III") if service == "mpc" else ()
    line.entries, line.standbys = [(day, entries)], [(day, standbys)]
    return line


def adapter(books: Books, owner: int, day: date, device_class: DeviceClass, key: str) -> Line:
    """An mpc adapter line."""
    line = books.new_line(owner, "mpc", "adapter", day)
    line.model, line.device_class, line.versions = key, device_class, [Version(day, model=key)]
    return line


def rental(books: Books, owner: int, day: date, key: str) -> Line:
    """A smfsx rental."""
    line = books.new_line(owner, "smfsx", "adapter-rental", day)
    line.model, line.versions = key, [Version(day, model=key)]
    return line


def firewall(books: Books, on: Line, day: date) -> Line:
    """Ultra Firewall on a rental."""
    line = books.new_line(on.owner, "smfsx", "ultra-firewall", day)
    line.on, line.model, line.versions = on.number, on.model, [Version(day, model=on.model)]
    return line


def send_back(books: Books, on: Line, day: date, site: str | None = "head office") -> Line:
    """Ultra Send-back on an adapter line."""
    line = books.new_line(on.owner, "mpc", "ultra-send-back", day)
    line.on, line.site, line.versions = on.number, site, [Version(day)]
    return line


def mobile(
    books: Books, on: Line, day: date, plan: str, network_type: str = "dynamic-ip", group: Line | None = None
) -> Line:
    """Mobile Access on an adapter line."""
    line = books.new_line(on.owner, "mpc", "mobile-access", day, plan=plan, network_type=network_type)
    line.on, line.group = on.number, None if group is None else group.number
    line.versions = [Version(day, plan=plan, network_type=network_type)]
    return line


def packet_group(books: Books, owner: int, day: date, packs_gb: int) -> Line:
    """A packet share group."""
    line = books.new_line(owner, "mpc", "packet-share-group", day, packs_gb=packs_gb)
    line.versions = [Version(day, packs_gb=packs_gb)]
    return line


# --- units ------------------------------------------------------------------------------------------------------------


def installs(books: Books, line: Line, seat: Line | None, day: date, *, standby: bool = False) -> None:
    """Order or register the unit of an accepted line, and bring it to its site until `day`."""
    held = holding_of(line)
    unit = books.new_unit(line, f"{line.contract.service}-{len(books.units) + 1:06d}", held)
    if seat is not None:
        line.management, unit.seat = seat.number, "standby" if standby else "entry"
    books.live(line, unit, LifeEvent.ORDER if held == "lent" else LifeEvent.REGISTER, line.contract.applied)
    books.later(day - ONE * 3, lambda when: arrives(books, line, unit, when))
    books.later(day, lambda when: starts(books, line, unit, when))


def holding_of(line: Line) -> Holding:
    """Lent unless it is class II or III."""
    held: dict[DeviceClass | None, Holding] = {"II": "issued", "III": "own"}
    return held.get(line.device_class, "lent")


def arrives(books: Books, line: Line, unit: Unit, day: date) -> None:
    """A lent unit is delivered."""
    if unit.life is Life.ORDERED:
        books.live(line, unit, LifeEvent.DELIVER, day)


def starts(books: Books, line: Line, unit: Unit, day: date) -> None:
    """The checklist is complete, and the unit makes contact."""
    if unit.life is Life.DELIVERED:
        provided = required(line.device_class)
        books.live(line, unit, LifeEvent.CHECKLIST_COMPLETE, day, missing=missing(line.device_class, provided))
        books.live(line, unit, LifeEvent.FIRST_CONTACT, day)


# --- the base ---------------------------------------------------------------------------------------------------------


EARLIER: Final = {1: date(2024, 2, 9), 3: date(2023, 6, 1), 4: date(2011, 3, 1)}
"""Contractors whose lines were concluded under earlier terms (service-terms §2.4)."""


def build(books: Books, rng: random.Random, contractors: int, lines: int, opening: date) -> None:
    """Contractors with lines in force on the opening day: `lines` accepted ones in all.

    Contractors 1 to 4 are small and known: the stories of the year are theirs.
    """
    for owner in range(1, contractors + 1):
        left, owners_left = lines - len(books.lines), contractors - owner + 1
        wanted = max(4, left // owners_left + (rng.randrange(-3, 4) if owners_left > 1 else 0))
        service: Service = "mpc" if owner in {1, 3} or (owner > 4 and rng.random() < 0.6) else "smfsx"
        concluded = EARLIER.get(owner, opening - timedelta(days=rng.randrange(20, 700)))
        if rng.random() < 0.1:
            books.own_prices[owner] = own_prices(rng, owner, opening - ONE * rng.randrange(400))
        (_mpc if service == "mpc" else _smfsx)(books, rng, owner, concluded, wanted)
        _transition(books, service, concluded, opening)


def _transition(books: Books, service: Service, concluded: date, opening: date) -> None:
    line = "mpc" if service == "mpc" else "smf"
    if transitional(line, concluded, opening) is not None:
        books.touch(TRANSITIONS[line].rule)


def _mpc(books: Books, rng: random.Random, owner: int, day: date, wanted: int) -> None:
    start = day + ONE * rng.randrange(1, 19)
    lines = [management(books, owner, "mpc", day, wanted, rng.randrange(0, 3))]
    group: Line | None = None
    if owner in EARLIER:
        lines.append(adapter(books, owner, day, "I", "sa-w2l"))
        lines.append(_mobile_of_base(books, rng, lines[-1], day, "normal", None))
    while len(lines) < wanted:
        device_class: DeviceClass = rng.choice(("I", "I", "I", "II", "III"))
        key = rng.choice(MODELS_OF[device_class])
        line = adapter(books, owner, day, device_class, key)
        lines.append(line)
        if key == "sa-w2l" and len(lines) + 2 <= wanted and rng.random() < 0.8:
            plan = rng.choice(MOBILE_PLANS)
            if plan == "packet-share" and group is None:
                group = packet_group(books, owner, day, rng.randrange(50, 120))
                lines.append(group)
            lines.append(_mobile_of_base(books, rng, line, day, plan, group if plan == "packet-share" else None))
        elif device_class == "I" and len(lines) < wanted and rng.random() < 0.2:
            lines.append(send_back(books, line, day))
    accepted(books, lines, day, start)


def _mobile_of_base(books: Books, rng: random.Random, on: Line, day: date, plan: str, group: Line | None) -> Line:
    """With a dynamic address where earlier terms say so (MPC-S2024-03.2)."""
    chosen = rng.choice(("dynamic-ip", "dynamic-ip", "fixed-ip"))
    found = transitional("mobile-access", day, books.today)
    if found is not None:
        books.touch(TRANSITIONS["mobile-access"].rule)
    return mobile(books, on, day, plan, found or chosen, group)


def _smfsx(books: Books, rng: random.Random, owner: int, day: date, wanted: int) -> None:
    start = day + ONE * rng.randrange(1, 19)
    lines = [management(books, owner, "smfsx", day, wanted, 2)]
    while len(lines) < wanted:
        key = rng.choice(RENTALS)
        line = rental(books, owner, day, key)
        lines.append(line)
        if key in DESIGNATED and len(lines) < wanted and rng.random() < 0.5:
            lines.append(firewall(books, line, day))
    accepted(books, lines, day, start)


def accepted(books: Books, lines: Sequence[Line], day: date, start: date, seat: Line | None = None) -> bool:
    """Decide an application; if it is accepted, its units go to a management of the contractor, or to `seat`."""
    if not books.decide(list(lines), day, start):
        return False
    for line in lines:
        if line.kind == "management":
            line.entries, line.standbys = [(start, line.entries[0][1])], [(start, line.standbys[0][1])]
    held = [one for one in books.of_owner[lines[0].owner] if one.kind == "management" and one.live]
    place = seat or next((one for one in held if one.contract.service == lines[0].contract.service), None)
    for line in lines:
        if line.kind in {"adapter", "adapter-rental"}:
            installs(books, line, place, start)
    return True
