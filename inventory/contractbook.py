"""The lines of one contractor as they stand on a day: a fold over what was recorded, with what the calendar adds.

Nothing here is stored. Billing starts, due changes, last days and what ends with them follow from the recorded events
and the day asked for, so that a line can be read as of any day, and a correction is one more event (service-terms §8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any, Final, cast

from inventory.calendar import parse_day
from inventory.catalogue import Service
from inventory.contractevents import (
    Abolition,
    Accept,
    BackInEntry,
    BillingStarts,
    ChangeCounts,
    ChangeDue,
    ChangeOption,
    ContractEvent,
    DayOver,
    DependencyEnds,
    LeavesEntry,
    Notice,
    ProviderTerminates,
    Refuse,
    Resume,
    Suspend,
    Withdraw,
    event_name,
)
from inventory.contracts import FINAL, Cause, Contract, Follows, State, apply, step
from inventory.errors import BadInput, FleetError
from inventory.fees import Kind
from inventory.optionrules import Bound, ends_together

RECORDED: Final[Mapping[str, type[ContractEvent]]] = {
    event_name(kind): kind
    for kind in (
        Accept,
        Refuse,
        Withdraw,
        ChangeCounts,
        Suspend,
        Resume,
        ChangeOption,
        LeavesEntry,
        BackInEntry,
        Notice,
        ProviderTerminates,
        Abolition,
    )
}
"""Events that somebody records; the others are the calendar's and follow from these."""
VOID: Final = "void"
"""A correction that takes an event back and puts nothing in its place."""
_DAYS: Final = frozenset({"billing_start", "until", "notified", "named", "effective", "first_day"})
_IN_FORCE: Final = frozenset({State.ACCEPTED, State.ACTIVE, State.SUSPENDED, State.DORMANT, State.TERMINATING})


# --- events as they are kept ------------------------------------------------------------------------------------------


def facts_of(event: ContractEvent) -> dict[str, object]:
    """What is kept of an event beside its name and day: JSON-ready."""
    found: dict[str, object] = {}
    for one in fields(event):
        value = getattr(event, one.name)
        if one.name not in {"day", "obstacles"} and value is not None:
            found[one.name] = value.isoformat() if isinstance(value, date) else value
    return found


def event_of(name: str, day: date, facts: Mapping[str, object]) -> ContractEvent:
    """The event that was kept. Raises BadInput for an unknown name, or facts that are missing or not its own."""
    kind = RECORDED.get(name)
    if kind is None:
        raise BadInput(
            f"{name[:40]!r} is no event of a contract line", field="event", next_step=f"One of {', '.join(RECORDED)}."
        )
    own = {one.name for one in fields(kind)} - {"day", "obstacles"}
    given: dict[str, Any] = {}
    for key, value in facts.items():
        if key not in own:
            raise BadInput(f"{name} has no {key}", field=key, next_step=f"It takes {', '.join(sorted(own)) or 'none'}.")
        given[key] = parse_day(str(value), key) if key in _DAYS else value
    try:
        return kind(day, **given)
    except TypeError:
        missing = sorted(own - given.keys())
        raise BadInput(
            f"{name} lacks a fact",
            field=missing[0] if missing else "event",
            next_step=f"It takes {', '.join(missing)}.",
        ) from None


# --- the book ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BookLine:
    """A contract line or option as it was applied for. Ids are those of the store."""

    id: int
    service: Service
    kind: Kind
    applied: date
    on: int | None = None
    """The adapter line, rental or management that an option is bound to."""
    group: int | None = None
    """The packet share group of a mobile access on that plan."""
    values: Mapping[str, str | int] = field(default_factory=dict)
    homes: tuple[tuple[date, int | None], ...] = ()
    """Of an Ultra Firewall without a rental: in which management's line its adapter sat, from which day on, ascending;
    None: in a management without one. Before the first of them it is bound to `on`."""

    def bound_to(self, day: date) -> int | None:
        """What it ends with on a day (SMF-23.3)."""
        known = [home for first_day, home in self.homes if first_day <= day]
        return known[-1] if known else self.on


@dataclass(frozen=True, slots=True)
class BookEvent:
    """A recorded event. `event` None takes back the one that it corrects."""

    id: int
    line: int
    event: ContractEvent | None
    corrects: int | None = None
    group: int | None = None
    """The group that a change to the packet-share plan joins (MPC-6.8)."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One step of a line: recorded, or the calendar's (`event_id` None)."""

    line: int
    day: date
    name: str
    rule: str
    follows: tuple[Follows, ...]
    alert: str | None
    event_id: int | None


@dataclass(frozen=True, slots=True)
class Book:
    """Lines as they stand at the end of a day."""

    contracts: Mapping[int, Contract]
    steps: tuple[Happened, ...]
    values: Mapping[int, tuple[tuple[date, Mapping[str, str | int]], ...]]
    """Of each line its values with their first day, ascending."""
    groups: Mapping[int, int | None]
    """Mobile access → its group."""
    on: Mapping[int, int | None]
    """Option → what it is bound to then, or was when it ended."""


@dataclass(frozen=True, slots=True)
class EndedElsewhere:
    """The management line of another contractor, in which an adapter of this one may have sat, has ended."""

    line: int
    last_day: date
    by_abolition: bool


def fold(
    lines: Iterable[BookLine], events: Sequence[BookEvent], until: date, elsewhere: Sequence[EndedElsewhere] = ()
) -> Book:
    """The lines at the end of the day `until`. Lines of one contractor, with all their events, in any order.

    A recorded event that does not fit (a correction took away what it rested on) changes nothing and is a step with an
    alert.
    """
    taken_back = {one.corrects for one in events if one.corrects is not None}
    kept = [one for one in events if one.event is not None and one.id not in taken_back]
    folding = _Folding([one for one in lines if one.applied <= until], kept, elsewhere)
    folding.run(until)
    return Book(
        folding.contracts,
        tuple(folding.steps),
        {line: tuple(found) for line, found in folding.values.items()},
        folding.groups,
        {
            number: one.bound_to(min(until, folding.contracts[number].effective or until))
            for number, one in folding.lines.items()
        },
    )


class _Folding:
    def __init__(
        self, lines: Sequence[BookLine], events: Sequence[BookEvent], elsewhere: Sequence[EndedElsewhere]
    ) -> None:
        self._elsewhere = sorted(elsewhere, key=lambda one: (one.last_day, one.line), reverse=True)
        self.lines = {one.id: one for one in lines}
        self.contracts = {one.id: apply(one.service, one.kind, one.applied, one.values) for one in lines}
        self.groups: dict[int, int | None] = {one.id: one.group for one in lines}
        self.values: dict[int, list[tuple[date, Mapping[str, str | int]]]] = {
            one.id: [(one.applied, dict(one.values))] for one in lines
        }
        self.steps: list[Happened] = []
        self._joining: dict[int, int | None] = {}
        known = (one for one in events if one.line in self.lines)
        self._waiting = sorted(known, key=lambda one: (_day(one), one.id), reverse=True)

    def run(self, until: date) -> None:
        """Day after day on which something happens, until the last one asked for."""
        while (day := self._next_day()) is not None and day <= until:
            self._calendar(day)
            while self._waiting and _day(self._waiting[-1]) == day:
                self._recorded(self._waiting.pop())
                self._calendar(day)

    def _next_day(self) -> date | None:
        days = [day for contract in self.contracts.values() for day in _due_days(contract)]
        if self._waiting:
            days.append(_day(self._waiting[-1]))
        if self._elsewhere:
            days.append(self._elsewhere[-1].last_day + timedelta(days=1))
        return min(days, default=None)

    def _recorded(self, one: BookEvent) -> None:
        assert one.event is not None
        try:
            self._step(one.line, one.event, one.id)
            if isinstance(one.event, ChangeOption) and one.event.what == "plan":
                self._joining[one.line] = one.group
        except FleetError as error:
            name = event_name(one.event)
            alert = f"no longer fits: {error.message}"
            self.steps.append(Happened(one.line, one.event.day, name, error.rule or "", (), alert, one.id))

    def _calendar(self, day: date) -> None:
        """What the day brings by itself, until nothing is due: last days first, then starts, then changes."""
        while self._elsewhere and self._elsewhere[-1].last_day < day:
            self._end_with(self._elsewhere.pop())
        for line, contract in sorted(self.contracts.items()):
            if contract.state is State.TERMINATING and contract.effective is not None and contract.effective < day:
                self._step(line, DayOver(day), None)
                self._end_together(line, self.contracts[line])
        for line, contract in sorted(self.contracts.items()):
            if _starts(contract) and contract.billing_start is not None and contract.billing_start <= day:
                self._start(line, contract.billing_start, day)
        for line, contract in sorted(self.contracts.items()):
            if any(one.first_day <= day for one in contract.pending):
                self._change(line, contract, day)

    def _end_with(self, ended: EndedElsewhere) -> None:
        for number, one in self.lines.items():
            sat_there = one.applied <= ended.last_day and one.bound_to(ended.last_day) == ended.line
            if sat_there and self.contracts[number].state not in FINAL:
                self._depend(number, ended.last_day, by_abolition=ended.by_abolition)

    def _start(self, line: int, first_day: date, day: date) -> None:
        """A group that nobody is in when it begins never does: who was to join it has changed its mind (MPC-6.7)."""
        lonely = self.lines[line].kind == "packet-share-group" and not self._members(line)
        if lonely and not self._joiners(line, first_day):
            self._depend(line, first_day - timedelta(days=1), by_abolition=False)
        else:
            self._step(line, BillingStarts(day), None)

    def _change(self, line: int, contract: Contract, day: date) -> None:
        first_day = min(one.first_day for one in contract.pending)
        if self._groupless(line, contract, day):
            kept = tuple(one for one in contract.pending if one.what != "plan")
            self.contracts[line] = contract = replace(contract, pending=kept)
            alert = "no change to the packet-share plan: its group is not in force"
            self.steps.append(Happened(line, day, event_name(ChangeDue), "MPC-6.8", (), alert, None))
            if not any(one.first_day <= day for one in kept):
                return
        self._step(line, ChangeDue(day), None)
        now = self.contracts[line].values
        self.values[line].append((first_day, now))
        if now.get("plan") == contract.values.get("plan"):
            return
        left, self.groups[line] = self.groups[line], None
        if now.get("plan") == "packet-share":
            self.groups[line] = self._joining.get(line)
        elif left is not None and not self._members(left) and not self._joiners(left, first_day):
            self._depend(left, first_day - timedelta(days=1), by_abolition=False)

    def _groupless(self, line: int, contract: Contract, day: date) -> bool:
        """Whether a change to the packet-share plan comes due whose group has ended meanwhile (MPC-6.8)."""
        due = any(
            one.value == "packet-share" for one in contract.pending if one.what == "plan" and one.first_day <= day
        )
        group = self.contracts.get(self._joining.get(line) or 0)
        return due and (group is None or group.state not in _IN_FORCE)

    def _joiners(self, group: int, day: date) -> list[int]:
        """Who is to be a member from that day on, or an earlier one."""
        return [
            line
            for line, joined in self._joining.items()
            if joined == group
            and any(one.first_day <= day and one.value == "packet-share" for one in self.contracts[line].pending)
        ]

    def _members(self, group: int) -> list[int]:
        return [one for one, of in self.groups.items() if of == group and self.contracts[one].state in _IN_FORCE]

    def _end_together(self, line: int, ended: Contract) -> None:
        assert ended.effective is not None
        bound = {
            str(one): Bound(
                self.lines[one].kind, _text(self.lines[one].bound_to(ended.effective)), _text(self._group_of(one))
            )
            for one, contract in self.contracts.items()
            if contract.state not in FINAL or one == line
        }
        together = [line, *(int(name) for name in ends_together(bound, [str(line)]))]
        # Who has only applied keeps no group alive, and falls with it.
        together += [one for one, of in self.groups.items() if of in together and self._applied(one)]
        for one in together[1:]:
            self._depend(one, ended.effective, by_abolition=ended.cause is Cause.ABOLITION)

    def _group_of(self, line: int) -> int | None:
        return None if self._applied(line) else self.groups[line]

    def _applied(self, line: int) -> bool:
        return self.contracts[line].state is State.APPLIED

    def _depend(self, line: int, day: date, *, by_abolition: bool) -> None:
        if self.contracts[line].is_option:
            self._step(line, DependencyEnds(day, by_abolition=by_abolition), None)

    def _step(self, line: int, event: ContractEvent, event_id: int | None) -> None:
        done = step(self.contracts[line], event)
        self.contracts[line] = done.contract
        self.steps.append(Happened(line, event.day, event_name(event), done.rule, done.follows, done.alert, event_id))


def _starts(contract: Contract) -> bool:
    return not contract.started and contract.state in {State.ACCEPTED, State.TERMINATING}


def _due_days(contract: Contract) -> Iterator[date]:
    """Days on which the calendar brings something to a line."""
    if contract.state is State.TERMINATING and contract.effective is not None:
        yield contract.effective + timedelta(days=1)
    if _starts(contract) and contract.billing_start is not None:
        yield max(contract.billing_start, contract.concluded or contract.billing_start)
    if contract.state in {State.ACTIVE, State.TERMINATING}:
        yield from (one.first_day for one in contract.pending)


def _day(one: BookEvent) -> date:
    return cast("ContractEvent", one.event).day


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
