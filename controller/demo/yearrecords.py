"""Records of the year, kept by the rules that ask for them: each kind once in time and once too late or incomplete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Final

from controller.demo.yearbooks import ONE, Books
from inventory.adapters import Life, LifeEvent, live
from inventory.calendar import TOKYO
from inventory.catalogue import DeviceClass, Service
from inventory.clones import Lately, Sighting, judge
from inventory.people import actor, require_delegation
from inventory.plans import AUTHORED, require_approvals
from inventory.records import NewRecord, RecordKind, require_duty, require_record
from inventory.standbyunits import require_standby_unit
from inventory.terms import VERSIONS

ABOUT: Final = frozenset({"contractor", "line", "management", "adapter", "company"})
KEPT: Final[tuple[tuple[RecordKind, Service, Mapping[str, object]], ...]] = (
    ("name-change", "mpc", {"name": "North Foods KK", "proof": "register extract 17", "cause": "merger"}),
    ("address-change", "smfsx", {"address": "Osaka", "proof": "register extract 18"}),
    ("serial-number", "smfsx", {"serial_number": "S-0O1"}),
    ("mobile-limit", "mpc", {"how": "200 kbit/s", "carrier": "the carrier's network was down"}),
    ("duty-consent", "mpc", {"duty": 2, "what": "lent to a subsidiary", "proof": "letter 4"}),
    ("duty-consent", "smfsx", {"duty": 1, "what": "opened for a test", "proof": "letter 5"}),
    ("disclosure", "smfsx", {"to": "an auditor", "what": "list of adapters", "consent": "letter 6"}),
    ("usage-sharing", "mpc", {"what": "uses Mobile Access"}),
    ("restriction", "smfsx", {"what": "no pushes", "reason": "earthquake", "priority": "disaster relief"}),
    ("interruption", "mpc", {"reason": "new power supply", "work": "planned"}),
    ("harassment", "smfsx", {"number": 3, "what": "threats on the phone", "told": "police"}),
    ("count-refusal", "mpc", {"reason": 1, "asked": "40 entries"}),
    ("terms-change", "mpc", {"version": "2026-04-01"}),
    ("secrecy-release", "smfsx", {"what": "the manual", "to": "its integrator", "consent": "mail 7"}),
    ("publication", "mpc", {"what": "scans a day", "purpose": "safety", "contractors": 40, "identifies": False}),
    ("exemption", "mpc", {"clause": "28(2)", "reason": "the carrier gave up the area"}),
    ("planned-notice", "mpc", {"of": "abolition", "what": "SEIL/neu 2FE Plus"}),
)
REFUSED: Final[tuple[tuple[RecordKind, Service, Mapping[str, object]], ...]] = (
    ("name-change", "smfsx", {"name": "North Foods KK"}),
    ("name-change", "mpc", {"name": "Third Party KK", "proof": "contract of sale", "cause": "transfer"}),
    ("disclosure", "mpc", {"to": "a broker", "what": "list of adapters"}),
    ("publication", "smfsx", {"what": "scans a day", "purpose": "safety", "contractors": 9, "identifies": False}),
    ("exemption", "smfsx", {"clause": "28(3)", "reason": "the sum of SMF-16.2 knows none"}),
    ("count-refusal", "smfsx", {"reason": 8, "asked": "40 entries"}),
)
DUTIES: Final[tuple[tuple[Service, DeviceClass | None, int], ...]] = (
    ("mpc", "I", 3),
    ("mpc", "II", 3),
    ("smfsx", None, 3),
    ("mpc", "III", 1),
)
CONFIGURED: Final[tuple[tuple[int, Service], ...]] = ((1, "mpc"), (2, "smfsx"))
"""Contractors that have a place configured in this year."""
DELEGATE: Final = "Works KK"
SPARES: Final[tuple[tuple[Service, DeviceClass | None], ...]] = (("mpc", "I"), ("mpc", "III"), ("smfsx", None))
"""Duties of care that no consent lifts, and a class that has none (MPC-10.1, MPC-10.4, SMF-9.1)."""


def keeps(books: Books, day: date) -> None:
    """Every kind of record: notified thirty days before, kept with its rule and the version of the terms (SMF-27)."""
    for kind, service, facts in (*KEPT, *REFUSED):
        over = service == "smfsx"  # the duties of secrecy go on for a contractor that has left (SMF-17.5)
        new = NewRecord(kind, service, day + ONE * 30, facts, notified=day, until=day + ONE * 30, after_contract=over)
        if books.attempt(partial(require_record, new, ABOUT)):
            for rule in new.rules:
                books.touch(rule)
            books.touch("SMF-27")
            books.records.append((new, VERSIONS[service]))
    for service, device_class, duty in DUTIES:
        books.attempt(partial(require_duty, service, device_class, duty))


def configures(books: Books, day: date) -> None:
    """A contractor of each service has its place configured: never without an approver, then by its own author."""
    for owner, service in CONFIGURED:
        approvers: list[str] = []
        for approver in (None, actor(7, "night shift", DELEGATE)):
            approvers += [approver] if approver else []
            what = f"configuration by K-{owner} on {day}"
            if books.attempt(partial(require_approvals, what, len(approvers), 1, (), service)):
                books.touch(AUTHORED[service])
                books.configured.append((what, tuple(approvers)))


def delegates(books: Books, day: date) -> None:
    """Work is delegated to a named company, and nobody begins for one that it was taken from (SMF-18)."""
    for company, ended in ((DELEGATE, False), ("Former Works KK", True)):
        if books.attempt(partial(require_delegation, company, ended=ended)):
            books.touch("SMF-18")


def spare(books: Books, day: date) -> None:
    """A unit comes with a standby of mpc and is due back with it; none comes with one of smfsx, none of class III."""
    for service, device_class in SPARES:
        if books.attempt(partial(require_standby_unit, service, device_class, of_contractor=True)):
            books.touch("MPC-1")
            life: Life | None = None
            for event in (LifeEvent.ORDER, LifeEvent.DELIVER, LifeEvent.CHECKLIST_COMPLETE, LifeEvent.LINE_ENDED):
                step = live(life, event, service=service, held="lent", on=day)
                books.touch(step.rule)
                life = step.life


def two_instances(books: Books, day: date) -> None:
    """One image runs twice: its heartbeats come from two sources, each in a rhythm of its own (MPC-11)."""
    noon = datetime.combine(day, time(12), TOKYO)
    beats = [
        Sighting(int((noon + timedelta(minutes=minute)).timestamp() * 1000), source)
        for minute, source in enumerate(("192.0.2.1", "198.51.100.7") * 6)
    ]
    for found in (judge(Lately(tuple(beats)), 120_000, beats[-1].at_ms), judge(Lately(), 120_000, beats[-1].at_ms)):
        if found is not None:
            books.touch("MPC-11")
            books.alerts += 1
