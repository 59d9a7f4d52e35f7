"""Proposals of the year: a place fills up, another model is proposed, and its switch is ordered (MPC-19, SMF-24).

The figures of the models are the demo's own: none is published for them. A proposal changes nothing by itself; the
contractor that accepts it applies for a new line and gives notice of the old one (service-terms §4).
"""

from __future__ import annotations

import random
from datetime import date
from typing import Final

from controller.demo import yearbase as base
from controller.demo.yearbooks import ONE, Books, Line
from inventory.catalogue import Service
from inventory.contractevents import Notice
from inventory.proposalmoney import OldLine, item_for, money
from inventory.proposals import (
    Circumstances,
    Demand,
    ModelOffer,
    Need,
    RemedyKind,
    Situation,
    need_bps,
    remedy,
    silence,
    trigger,
)

MBPS: Final = 1_000_000
PLACES: Final[tuple[tuple[int, Service, str, str], ...]] = (
    (1, "mpc", "sa-w2l", "seil-ca10"),
    (2, "smfsx", "seil-x1", "seil-x2"),
)
"""Contractor, service, the model that fills up, the larger one."""
RULES: Final[dict[Service, str]] = {"mpc": "MPC-19", "smfsx": "SMF-24"}


def proposes(books: Books, rng: random.Random, day: date) -> None:
    """One place of each service: measured on a quiet and on a busy day; the busy one is proposed and accepted."""
    for owner, _, key, larger in PLACES:
        line = next(one for one in books.of_owner[owner] if one.live and one.model == key and one.unit is not None)
        for busy_bps in (100 * MBPS, rng.randrange(700, 900) * MBPS):
            if _wanted(books, line, larger, busy_bps, day):
                _switches(books, line, larger, day)


def _wanted(books: Books, line: Line, larger: str, busy_bps: int, day: date) -> bool:
    """Whether the rules propose the larger model, with its money; measuring is what the rule says, either way."""
    service = line.contract.service
    books.touch(RULES[service])
    level = 3 if busy_bps > 500 * MBPS else 0
    quiet = silence(Circumstances(ends=line.contract.effective), day)
    if not trigger(Situation(level, "port", 35, silence=quiet)).propose:
        return False
    found = remedy(_offer(line, line.model, 600), [_offer(line, larger, 2_000)], _need(busy_bps))
    if found.kind is not RemedyKind.MODEL or found.model != larger:
        return False
    start = line.contract.billing_start
    assert start is not None
    now, concluded, new = (item_for(service, "I", key) for key in (line.model, line.versions[0].model, larger))
    old = OldLine(f"L-{line.number}", now, concluded, start)
    cost = money(old, new, books.price_list(line.owner), today=day, saturation=None, early=None)
    if cost is None:
        return False
    for one in cost.days:
        books.spoke(one.rest)
    books.touch(RULES[service])
    return True


def _switches(books: Books, line: Line, larger: str, day: date) -> None:
    """Accepted: an ordinary application for another line, and a notice for the old one."""
    new = (
        base.adapter(books, line.owner, day, "I", larger)
        if line.contract.service == "mpc"
        else base.rental(books, line.owner, day, larger)
    )
    place = None if line.management is None else books.line(line.management)
    assert base.accepted(books, [new], day, day + ONE * 14, place)
    books.step(line, Notice(day, day + ONE * 30))


def _offer(line: Line, key: str, mbps: int) -> ModelOffer:
    return ModelOffer(
        key,
        line.device_class or "",
        {"forwarding": float(mbps * MBPS)},
        None,
        None,
        None,
        current=True,
        line_types=None,
        service=line.contract.service,
    )


def _need(busy_bps: int) -> Need:
    bps = need_bps([Demand(0.9 * busy_bps, (float(busy_bps),) * 14)])
    return Need(bps, bps, "forwarding", None, "ethernet", 2)
