"""The books of the year: lines, units, invoices and credits of a synthetic base, kept by the pure rules alone.

Whatever happens goes through `inventory`; what the rules answer is counted by rule id, a refusal too. Tokyo days.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Final

from controller.demo.yearbill import Bill, MonthTotals
from inventory import adapters, promises
from inventory.adapters import Holding, Life, LifeEvent, LifeStep, SerialNumber
from inventory.amounts import Amount
from inventory.billing import BilledLine, Charge, Version
from inventory.catalogue import DeviceClass, Service
from inventory.contractevents import (
    Accept,
    BillingStarts,
    ChangeDue,
    ContractEvent,
    DayOver,
    DependencyEnds,
    LeavesEntry,
    Withdraw,
)
from inventory.contracts import FINAL, Cause, Contract, ContractStep, Follows, State, apply, step
from inventory.eligibility import (
    AdapterLine,
    Item,
    ManagementLine,
    MobileAccess,
    PacketGroup,
    SendBack,
    UltraFirewall,
    obstacles,
)
from inventory.errors import FleetError
from inventory.fees import Kind
from inventory.onboarding import ChecklistItem
from inventory.optionrules import Bound, ends_together
from inventory.outageclaims import OutageClaim
from inventory.prices import Price, PriceList
from inventory.records import NewRecord
from inventory.slots import Occupant, SlotKind
from inventory.terms import RULES

ONE: Final = timedelta(days=1)


@dataclass(slots=True)
class Unit:
    """A physical adapter. `model` is its key; `seat` None: in no slot."""

    serial: SerialNumber
    model: str
    held: Holding
    life: Life | None = None
    seat: SlotKind | None = None
    failed_in: Life | None = None


@dataclass(slots=True)
class Line:
    """A contract line or option of one contractor, with its dated facts."""

    number: int
    owner: int
    contract: Contract
    model: str = ""
    """Key of the catalogue, of an adapter or rental, and of an Ultra Firewall's adapter."""
    device_class: DeviceClass | None = None
    classes: tuple[DeviceClass, ...] = ()
    versions: list[Version] = field(default_factory=list)
    entries: list[tuple[date, int]] = field(default_factory=list)
    standbys: list[tuple[date, int]] = field(default_factory=list)
    on: int | None = None
    group: int | None = None
    site: str | None = None
    management: int | None = None
    """The management whose slot an adapter sits in; it may be another contractor's."""
    management_of: str | None = None
    consent: bool = False
    redirected: bool = False
    """A management's invoices go to an adapter user (MPC-6.3, SMF-14.1)."""
    exempt: bool = False
    unit: Unit | None = None

    @property
    def kind(self) -> Kind:
        """Of its contract."""
        return self.contract.kind

    @property
    def live(self) -> bool:
        """It has been accepted and has not ended."""
        return self.contract.state not in FINAL | {State.APPLIED}

    def item(self) -> Item:
        """As eligibility sees it."""
        match self.kind:
            case "management":
                standbys = self.standbys[-1][1] if self.standbys else 0
                return ManagementLine(self.entries[-1][1], standbys, self.classes)
            case "adapter" | "adapter-rental":
                return AdapterLine(
                    f"a{self.number}",
                    self.model,
                    self.device_class,
                    self.management_of,
                    self.consent,
                    rental=self.kind == "adapter-rental",
                )
            case "ultra-send-back":
                return SendBack(f"a{self.on}", self.site)
            case "mobile-access":
                plan = str(self.contract.values["plan"])
                return MobileAccess(f"a{self.on}", plan, None if self.group is None else f"g{self.group}")
            case "packet-share-group":
                return PacketGroup(f"g{self.number}", int(self.contract.values["packs-gb"]))
            case "ultra-firewall":
                return UltraFirewall(f"a{self.on}")

    def billed(self) -> BilledLine:
        """As the amounts see it."""
        return BilledLine(
            self.contract, self.device_class, tuple(self.versions), self.entries, self.standbys, exempt=self.exempt
        )


@dataclass(slots=True)
class Books:
    """Everything that is known, and how often each rule has spoken."""

    prices: list[Price]
    own_prices: dict[int, list[Price]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    of_owner: dict[int, list[Line]] = field(default_factory=lambda: defaultdict(list))
    of_kind: dict[Kind, list[Line]] = field(default_factory=lambda: defaultdict(list))
    units: list[Unit] = field(default_factory=list)
    agenda: dict[date, list[Callable[[date], None]]] = field(default_factory=lambda: defaultdict(list))
    rules: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    steps: int = 0
    today: date = date.min
    claims: list[tuple[Line, OutageClaim]] = field(default_factory=list)
    unit_charges: dict[tuple[int, Service], list[Amount]] = field(default_factory=lambda: defaultdict(list))
    """Of the month that goes on: untaxed, by contractor and service."""
    credits_yen: Counter[tuple[int, Service]] = field(default_factory=Counter)
    """Granted and not yet taken off an invoice."""
    granted_yen: int = 0
    bills: list[Bill] = field(default_factory=list)
    charges: list[tuple[int, Charge]] = field(default_factory=list)
    """Line number and charge, in the order in which they were made."""
    months: list[MonthTotals] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)
    """Texts for customers that say what no such text may say."""
    configured: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """What was configured, and who approved it."""
    records: list[tuple[NewRecord, str]] = field(default_factory=list)
    """With the version of the terms that was in force."""

    # --- rules --------------------------------------------------------------------------------------------------------

    def touch(self, rule: str | None) -> None:
        """A rule has spoken; an item of a paragraph counts as its paragraph where the list has no such item."""
        if rule is not None:
            self.rules[rule if rule in RULES else rule.partition("(")[0]] += 1

    def spoke(self, amount: Amount) -> None:
        """The rules of an amount have spoken."""
        for rule in amount.rules:
            self.touch(rule)

    def read(self, service: Service, text: str) -> None:
        """A customer reads a text of ours: it promises neither availability nor freedom from faults."""
        self.touch(promises.RULE[service])
        if promises.promised(text):
            self.promises.append(text)

    def attempt(self, request: Callable[[], object]) -> bool:
        """Make a request; a refusal is counted with its rule. Whether it was granted."""
        try:
            request()
        except FleetError as refused:
            self.refuse(refused)
            return False
        return True

    def refuse(self, refused: FleetError) -> None:
        """A request was refused."""
        self.touch(refused.rule)
        self.refused[refused.rule or refused.code] += 1

    def later(self, day: date, act: Callable[[date], None]) -> None:
        """Do it on that day; at once if it has come already, in the name of that day."""
        if day <= self.today:
            act(day)
        else:
            self.agenda[day].append(act)

    def price_list(self, owner: int) -> PriceList:
        """What matters to one contractor."""
        return PriceList(self.prices + self.own_prices.get(owner, []))

    # --- contract lines -----------------------------------------------------------------------------------------------

    def new_line(self, owner: int, service: Service, kind: Kind, day: date, **values: str | int) -> Line:
        """A line that is being applied for."""
        named = {name.replace("_", "-"): value for name, value in values.items()}
        line = Line(len(self.lines) + 1, owner, apply(service, kind, day, named))
        self.lines.append(line)
        self.of_owner[owner].append(line)
        self.of_kind[kind].append(line)
        return line

    def line(self, number: int) -> Line:
        """By its number."""
        return self.lines[number - 1]

    def decide(self, wanted: list[Line], day: date, billing_start: date, extra: tuple[Item, ...] = ()) -> bool:
        """Accept an application as a whole, or let it be withdrawn when something stands against it."""
        service, owner = wanted[0].contract.service, wanted[0].owner
        holds = [one.item() for one in self.of_owner[owner] if one.live and one.contract.service == service]
        found = obstacles(service, holds, [*(one.item() for one in wanted), *extra])
        for one in found:
            self.touch(one.rule)
            self.refused[one.rule] += 1
        if found:
            for line in wanted:
                self.attempt(partial(step, line.contract, Accept(day, billing_start, found)))
                self.step(line, Withdraw(day))
            return False
        for line in wanted:
            self.step(line, Accept(day, billing_start))
        for line in wanted:
            self.later(billing_start, partial(self._starts, line))
        return True

    def _starts(self, line: Line, day: date) -> None:
        if line.live:
            in_entry = line.kind != "ultra-firewall" or self.acts(line)
            self.step(line, BillingStarts(day, in_entry))

    def acts(self, firewall: Line) -> bool:
        """Whether the adapter of an Ultra Firewall sits in an entry."""
        unit = self.line(firewall.on or 0).unit
        return unit is None or unit.seat == "entry"

    def step(self, line: Line, event: ContractEvent) -> ContractStep | None:
        """One event and all that follows from it; None if it is refused."""
        before = line.contract
        try:
            done = step(before, event)
        except FleetError as refused:
            self.refuse(refused)
            return None
        line.contract = done.contract
        self.steps += 1
        self.touch(done.rule)
        self.alerts += done.alert is not None
        effective = line.contract.effective
        if line.contract.state is State.TERMINATING and effective != before.effective and effective is not None:
            self.later(effective + ONE, lambda day: self._over(line, day))
        if line.contract.state is State.ENDED:
            self._ended(line, done.follows)
        return done

    def _over(self, line: Line, day: date) -> None:
        effective = line.contract.effective
        if line.contract.state is State.TERMINATING and effective is not None and day > effective:
            self.step(line, DayOver(day))

    def _ended(self, line: Line, follows: tuple[Follows, ...]) -> None:
        contract = line.contract
        assert contract.effective is not None
        if Follows.OPTIONS_END in follows or Follows.TOGETHER_ENDS in follows:
            self.end_with(line, contract.effective, by_abolition=contract.cause is Cause.ABOLITION)
        if Follows.RETURN_DUE in follows and line.unit is not None:
            self.live(line, line.unit, LifeEvent.LINE_ENDED, contract.effective)
        if Follows.SLOTS_FREED in follows:
            for other in self.lines:
                if other.management == line.number and other.unit is not None:
                    other.unit.seat, other.management = None, None
                    self.firewall_follows(other, contract.effective)

    def end_with(self, line: Line, day: date, *, by_abolition: bool = False) -> None:
        """Options and groups that end with a line on its last day."""
        bounds = {
            str(one.number): Bound(
                one.kind,
                None if one.on is None else str(one.on),
                None if one.group is None else str(one.group),
            )
            for one in self.of_owner[line.owner]
            if one is line or one.contract.state not in FINAL
        }
        for name in ends_together(bounds, [str(line.number)]):
            other = self.line(int(name))
            if other.contract.state not in FINAL:
                self.step(other, DependencyEnds(day, by_abolition))

    def firewall_follows(self, adapter: Line, day: date) -> None:
        """Ultra Firewall on it sleeps as soon as the adapter is out of its entry (SMF-2)."""
        for option in self.of_owner[adapter.owner]:
            if (
                option.on == adapter.number
                and option.contract.state is State.ACTIVE
                and option.kind == "ultra-firewall"
            ):
                self.step(option, LeavesEntry(day))

    def change_due(self, line: Line, day: date) -> None:
        """The day of a pending change has come: another version; a group whose last member left has ended before."""
        if not line.live or not any(one.first_day <= day for one in line.contract.pending):
            return
        done = self.step(line, ChangeDue(day))
        if done is None:
            return
        values = line.contract.values
        line.versions = [one for one in line.versions if one.first_day < day]
        line.versions.append(
            Version(
                day,
                plan=str(values.get("plan", "")),
                network_type=str(values.get("network-type", "")),
                packs_gb=int(values.get("packs-gb", 0)),
            )
        )
        if Follows.TOGETHER_ENDS in done.follows and line.group is not None:
            group, line.group = self.line(line.group), None
            if group.live and not any(one.group == group.number and one.live for one in self.of_owner[line.owner]):
                self.step(group, DependencyEnds(day - ONE))

    # --- units --------------------------------------------------------------------------------------------------------

    def new_unit(self, line: Line, serial: str, held: Holding) -> Unit:
        """A unit for the line, in no state yet."""
        unit = Unit(SerialNumber.parse(serial), line.model, held)
        self.units.append(unit)
        line.unit = unit
        return unit

    def live(
        self,
        line: Line,
        unit: Unit,
        event: LifeEvent,
        day: date,
        *,
        missing: tuple[ChecklistItem, ...] = (),
        replacement_sent: bool = False,
    ) -> LifeStep | None:
        """One event of a unit's life and what follows from it; None if it is refused."""
        before = unit.life
        try:
            done = adapters.live(
                unit.life,
                event,
                service=line.contract.service,
                held=unit.held,
                on=day,
                missing=missing,
                seated=unit.seat is not None,
                failed_in=unit.failed_in,
                replacement_sent=replacement_sent,
            )
        except FleetError as refused:
            self.refuse(refused)
            return None
        self.steps += 1
        self.touch(done.rule)
        self.alerts += done.alert is not None
        unit.life = done.life
        if event is LifeEvent.FAILURE_REPORTED and done.life is Life.FAILED:
            unit.failed_in = before
        return done

    def occupants(self, management: Line, kind: SlotKind) -> list[Occupant]:
        """Who sits in the slots of a kind."""
        found = [one for one in self.lines if one.management == management.number and one.unit is not None]
        return [
            Occupant(f"L-{one.number}", one.unit.serial.shown) for one in found if one.unit and one.unit.seat == kind
        ]


def count_on(counts: list[tuple[date, int]], day: date) -> int:
    """The count in force on a day; 0 before the first."""
    known = [count for first_day, count in counts if first_day <= day]
    return known[-1] if known else 0
