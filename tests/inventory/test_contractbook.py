"""The lines of one contractor as of any day: what was recorded, what the calendar adds, and corrections."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.contractbook import Book, BookEvent, BookLine, EndedElsewhere, event_of, facts_of, fold
from inventory.contractevents import (
    Abolition,
    Accept,
    ChangeOption,
    ContractEvent,
    Notice,
    ProviderTerminates,
    Resume,
    Suspend,
)
from inventory.contracts import Cause, Follows, State, step
from inventory.errors import BadInput, RuleViolation

pytestmark = pytest.mark.fast

START = date(2025, 4, 1)
ACCEPT = Accept(date(2025, 3, 20), billing_start=START)
MANAGEMENT = BookLine(1, "mpc", "management", date(2025, 3, 10))
ADAPTER = BookLine(2, "mpc", "adapter", date(2025, 3, 10))
MOBILE = BookLine(
    3, "mpc", "mobile-access", date(2025, 3, 10), on=2, values={"plan": "normal", "network-type": "dynamic-ip"}
)
GROUP = BookLine(4, "mpc", "packet-share-group", date(2025, 3, 10), values={"packs-gb": 50})
MEMBER = BookLine(5, "mpc", "mobile-access", date(2025, 3, 10), on=2, group=4, values={"plan": "packet-share"})
LINES = (MANAGEMENT, ADAPTER, MOBILE)


def accepted(*lines: BookLine) -> list[BookEvent]:
    return [BookEvent(number, line.id, ACCEPT) for number, line in enumerate(lines, start=1)]


def played(*more: BookEvent, until: date, lines: tuple[BookLine, ...] = LINES) -> Book:
    return fold(lines, [*accepted(*lines), *more], until)


def names(book: Book, line: int) -> list[tuple[str, date]]:
    return [(one.name, one.day) for one in book.steps if one.line == line]


def test_a_line_reads_as_of_any_day_without_anybody_having_run_the_calendar() -> None:
    notice = BookEvent(9, 2, Notice(date(2025, 5, 10)))
    states = [
        played(notice, until=day).contracts[2].state
        for day in (date(2025, 3, 15), date(2025, 3, 31), START, date(2025, 5, 10), date(2025, 6, 9), date(2025, 6, 10))
    ]
    assert states == [
        State.APPLIED,
        State.ACCEPTED,
        State.ACTIVE,
        State.TERMINATING,
        State.TERMINATING,
        State.ENDED,
    ]
    assert 2 not in played(notice, until=date(2025, 3, 9)).contracts


def test_options_end_with_their_adapter_on_its_last_day() -> None:
    book = played(BookEvent(9, 2, Notice(date(2025, 5, 10))), until=date(2025, 6, 30))
    assert (book.contracts[3].state, book.contracts[3].effective) == (State.ENDED, date(2025, 6, 9))
    assert book.contracts[3].cause is Cause.DEPENDENCY
    assert book.contracts[1].state is State.ACTIVE
    (over,) = [one for one in book.steps if one.line == 2 and one.name == "day-over"]
    assert over.event_id is None
    assert {Follows.RETURN_DUE, Follows.OPTIONS_END, Follows.MINIMUM_PERIOD_SUM} <= set(over.follows)


def test_abolition_of_an_adapter_ends_its_options_without_a_sum() -> None:
    gone = BookEvent(9, 2, Abolition(date(2025, 4, 10), effective=date(2025, 8, 31), notified=date(2025, 4, 10)))
    book = played(gone, until=date(2025, 9, 1))
    assert {book.contracts[one].cause for one in (2, 3)} == {Cause.ABOLITION}
    assert not any(Follows.MINIMUM_PERIOD_SUM in one.follows for one in book.steps)


def test_a_change_of_plan_waits_for_its_day_and_is_kept_with_it() -> None:
    change = BookEvent(9, 3, ChangeOption(date(2025, 5, 10), "plan", "10GB"))
    before, after = (played(change, until=day) for day in (date(2025, 5, 31), date(2025, 6, 1)))
    assert before.contracts[3].values["plan"] == "normal"
    assert after.contracts[3].values["plan"] == "10GB"
    assert [(first, values["plan"]) for first, values in after.values[3]] == [
        (date(2025, 3, 10), "normal"),
        (date(2025, 6, 1), "10GB"),
    ]


def test_a_group_ends_before_the_month_in_which_its_last_member_changes_plan() -> None:
    lines = (MANAGEMENT, ADAPTER, GROUP, MEMBER)
    change = BookEvent(9, 5, ChangeOption(date(2025, 5, 10), "plan", "normal"))
    book = played(change, until=date(2025, 6, 1), lines=lines)
    assert (book.contracts[4].state, book.contracts[4].effective) == (State.ENDED, date(2025, 5, 31))
    assert book.contracts[5].state is State.ACTIVE
    assert book.groups[5] is None


@pytest.mark.rule("MPC-9.8")
def test_who_has_only_applied_for_a_group_keeps_it_not_alive_and_is_withdrawn_with_it() -> None:
    waiting = BookLine(6, "mpc", "mobile-access", date(2025, 4, 10), on=2, group=4, values={"plan": "packet-share"})
    lines = (MANAGEMENT, ADAPTER, GROUP, MEMBER)
    events = [*accepted(*lines), BookEvent(9, 5, Notice(date(2025, 5, 10)))]
    book = fold((*lines, waiting), events, date(2025, 6, 30))
    assert {number: book.contracts[number].state for number in (4, 5, 6)} == {
        4: State.ENDED,
        5: State.ENDED,
        6: State.WITHDRAWN,
    }
    assert book.contracts[2].state is State.ACTIVE


def test_a_mobile_access_joins_the_group_named_with_its_change() -> None:
    lines = (MANAGEMENT, ADAPTER, MOBILE, GROUP, MEMBER)
    join = BookEvent(8, 3, ChangeOption(date(2025, 5, 10), "plan", "packet-share"), group=4)
    leave = BookEvent(9, 5, ChangeOption(date(2025, 6, 10), "plan", "normal"))
    book = played(join, leave, until=date(2025, 7, 2), lines=lines)
    assert book.groups == {1: None, 2: None, 3: 4, 4: None, 5: None}
    assert book.contracts[4].state is State.ACTIVE
    ended = played(join, leave, BookEvent(10, 4, Notice(date(2025, 7, 2))), until=date(2025, 8, 2), lines=lines)
    assert ended.contracts[3].state is State.ENDED
    assert ended.contracts[5].state is State.ACTIVE


@pytest.mark.rule("MPC-6.7")
def test_a_group_whose_only_member_changed_its_mind_never_begins() -> None:
    new = BookLine(6, "mpc", "packet-share-group", date(2025, 5, 10), values={"packs-gb": 60})
    opened = BookEvent(8, 6, Accept(date(2025, 5, 10), billing_start=date(2025, 6, 1)))
    join = BookEvent(9, 3, ChangeOption(date(2025, 5, 10), "plan", "packet-share"), group=6)
    instead = BookEvent(10, 3, ChangeOption(date(2025, 5, 20), "plan", "10GB"))
    lines = (*LINES, new)
    kept = fold(lines, [*accepted(*LINES), opened, join], date(2025, 6, 1))
    assert (kept.contracts[6].state, kept.groups[3]) == (State.ACTIVE, 6)
    book = fold(lines, [*accepted(*LINES), opened, join, instead], date(2025, 6, 1))
    gone = book.contracts[6]
    assert (gone.state, gone.started, gone.effective) == (State.ENDED, False, date(2025, 5, 31))
    assert (book.contracts[3].values["plan"], book.groups[3]) == ("10GB", None)
    assert [(one.rule, one.follows) for one in book.steps if one.line == 6 and one.event_id is None] == [
        ("MPC-9.7", (Follows.TOGETHER_ENDS,))
    ]


@pytest.mark.rule("MPC-9.7")
@pytest.mark.parametrize("joins", [3, 7])
def test_a_group_goes_on_when_one_joins_on_the_day_on_which_the_last_one_leaves(joins: int) -> None:
    other = BookLine(joins, "mpc", "mobile-access", date(2025, 3, 10), on=2, values={"plan": "normal"})
    lines = (MANAGEMENT, ADAPTER, GROUP, MEMBER, other)
    leave = BookEvent(8, 5, ChangeOption(date(2025, 5, 10), "plan", "normal"))
    join = BookEvent(9, joins, ChangeOption(date(2025, 5, 12), "plan", "packet-share"), group=4)
    book = played(leave, join, until=date(2025, 6, 1), lines=lines)
    assert book.contracts[4].state is State.ACTIVE
    assert (book.groups[joins], book.groups[5]) == (4, None)
    late = BookEvent(9, joins, ChangeOption(date(2025, 6, 2), "plan", "packet-share"), group=4)
    assert played(leave, late, until=date(2025, 6, 2), lines=lines).contracts[4].state is State.ENDED


@pytest.mark.rule("MPC-6.8")
def test_a_change_that_no_longer_fits_takes_nobody_out_of_the_group_that_it_is_to_join() -> None:
    lines = (MANAGEMENT, ADAPTER, MOBILE, GROUP, MEMBER)
    join = BookEvent(8, 3, ChangeOption(date(2025, 5, 10), "plan", "packet-share"), group=4)
    unfit = BookEvent(9, 3, ChangeOption(date(2025, 5, 31), "plan", "10GB"))  # not on the last day of a month
    book = played(join, unfit, until=date(2025, 6, 1), lines=lines)
    assert (book.contracts[3].values["plan"], book.groups[3]) == ("packet-share", 4)
    assert [one.event_id for one in book.steps if one.alert] == [9]


@pytest.mark.rule("MPC-6.8")
def test_a_change_into_a_group_that_has_ended_meanwhile_changes_nothing_and_says_so() -> None:
    lines = (MANAGEMENT, ADAPTER, MOBILE, GROUP, MEMBER)
    join = BookEvent(8, 3, ChangeOption(date(2025, 5, 10), "plan", "packet-share"), group=4)
    fixed = BookEvent(9, 3, ChangeOption(date(2025, 5, 31), "network-type", "fixed-ip"))
    ends = BookEvent(10, 4, ProviderTerminates(date(2025, 5, 12), date(2025, 5, 20), "unavoidable", date(2025, 5, 12)))
    book = played(join, fixed, ends, until=date(2025, 6, 2), lines=lines)
    assert book.contracts[3].values == {"plan": "normal", "network-type": "fixed-ip"}
    assert (book.contracts[3].pending, book.groups[3], book.contracts[3].state) == ((), None, State.ACTIVE)
    (alert,) = [one for one in book.steps if one.alert]
    assert (alert.line, alert.day, alert.rule) == (3, date(2025, 6, 1), "MPC-6.8")


@pytest.mark.rule("SMF-23.3")
@pytest.mark.parametrize(
    ("homes", "ends"),
    [
        ((), True),
        (((date(2025, 3, 20), 1), (date(2025, 5, 1), 2)), False),
        (((date(2025, 3, 20), 2), (date(2025, 6, 9), 1)), True),
        (((date(2025, 3, 20), 1), (date(2025, 6, 10), 2)), True),
        (((date(2025, 3, 20), 1), (date(2025, 6, 9), None)), False),
        (((date(2025, 6, 20), 2),), True),
    ],
)
def test_ultra_firewall_without_a_rental_ends_with_the_management_that_its_adapter_sits_in_then(
    homes: tuple[tuple[date, int | None], ...], ends: bool
) -> None:
    day = date(2025, 3, 10)
    here, there = (BookLine(number, "smfsx", "management", day) for number in (1, 2))
    wall = BookLine(3, "smfsx", "ultra-firewall", day, on=1, homes=homes)
    book = played(BookEvent(9, 1, Notice(date(2025, 5, 10))), until=date(2025, 6, 30), lines=(here, there, wall))
    assert book.contracts[1].effective == date(2025, 6, 9)
    assert (book.contracts[3].state is State.ENDED) is ends


@pytest.mark.rule("SMF-23.3")
@pytest.mark.parametrize(("homes", "ends"), [(((date(2025, 3, 20), 9),), True), (((date(2025, 3, 20), 1),), False)])
@pytest.mark.parametrize("by_abolition", [False, True])
def test_ultra_firewall_in_another_contractors_management_ends_with_that(
    homes: tuple[tuple[date, int | None], ...], ends: bool, by_abolition: bool
) -> None:
    day, last = date(2025, 3, 10), date(2025, 6, 9)
    lines = (BookLine(1, "smfsx", "management", day), BookLine(3, "smfsx", "ultra-firewall", day, on=1, homes=homes))
    elsewhere = [EndedElsewhere(9, last, by_abolition)]
    on_it = fold(lines, accepted(*lines), last, elsewhere).contracts[3]
    assert on_it.state is State.ACTIVE
    after = fold(lines, accepted(*lines), last + timedelta(days=1), elsewhere).contracts[3]
    assert (after.state is State.ENDED) is ends
    if ends:
        assert (after.effective, after.cause) == (last, Cause.ABOLITION if by_abolition else Cause.DEPENDENCY)


def test_a_corrected_notice_gives_another_last_day_and_the_old_one_stays_known() -> None:
    wrong = BookEvent(9, 2, Notice(date(2025, 5, 10)))
    right = BookEvent(10, 2, Notice(date(2025, 5, 1)), corrects=9)
    assert played(wrong, until=date(2025, 7, 1)).contracts[2].effective == date(2025, 6, 9)
    assert played(wrong, right, until=date(2025, 7, 1)).contracts[2].effective == date(2025, 5, 31)
    void = BookEvent(11, 2, None, corrects=9)
    assert played(wrong, void, until=date(2025, 7, 1)).contracts[2].state is State.ACTIVE


def test_what_rested_on_a_corrected_event_changes_nothing_and_says_so() -> None:
    suspend = BookEvent(9, 1, Suspend(date(2025, 5, 1), ground=1, emergency=True))
    resume = BookEvent(10, 1, Resume(date(2025, 5, 9)))
    book = played(suspend, resume, BookEvent(11, 1, None, corrects=9), until=date(2025, 6, 1))
    assert book.contracts[1].state is State.ACTIVE
    (unfit,) = [one for one in book.steps if one.alert]
    assert (unfit.event_id, unfit.name) == (10, "resume")
    assert unfit.alert is not None
    assert "no longer fits" in unfit.alert


def test_a_line_that_ends_before_it_starts_never_starts() -> None:
    early = BookEvent(9, 2, ProviderTerminates(date(2025, 3, 21), date(2025, 3, 25), "unavoidable", date(2025, 3, 21)))
    book = played(early, until=date(2025, 5, 1))
    assert (book.contracts[2].state, book.contracts[2].started) == (State.ENDED, False)
    assert "billing-starts" not in [name for name, _ in names(book, 2)]
    assert "billing-starts" in [name for name, _ in names(book, 1)]


def test_an_event_is_kept_and_read_again_unchanged() -> None:
    for event in (
        Notice(date(2025, 5, 1), named=date(2025, 7, 1)),
        Suspend(date(2025, 5, 1), ground=2, until=date(2025, 6, 1), notified=date(2025, 4, 30)),
        ProviderTerminates(date(2025, 5, 1), date(2025, 6, 1), "insolvency", date(2025, 5, 1)),
        ChangeOption(date(2025, 5, 1), "packs-gb", 100),
        Resume(date(2025, 5, 1)),
    ):
        name = {"Notice": "notice", "Suspend": "suspend", "Resume": "resume"}.get(type(event).__name__)
        names_ = [name] if name else ["provider-terminates", "change-option"]
        assert any(_read(one, event) == event for one in names_)


def _read(name: str, event: ContractEvent) -> ContractEvent | None:
    try:
        return event_of(name, event.day, facts_of(event))
    except BadInput:
        return None


@pytest.mark.parametrize(
    ("name", "facts"), [("transfer", {}), ("notice", {"reason": "x"}), ("suspend", {}), ("notice", {"named": "soon"})]
)
def test_an_event_with_facts_that_are_not_its_own_is_no_event(name: str, facts: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        event_of(name, START, facts)


EVENTS = st.one_of(
    st.builds(Notice, st.dates(date(2025, 3, 1), date(2026, 3, 1))),
    st.builds(lambda day: Suspend(day, ground=1, emergency=True), st.dates(date(2025, 3, 1), date(2026, 3, 1))),
    st.builds(Resume, st.dates(date(2025, 3, 1), date(2026, 3, 1))),
    st.builds(
        ChangeOption,
        st.dates(date(2025, 3, 1), date(2026, 3, 1)),
        st.just("plan"),
        st.sampled_from(["normal", "backup", "10GB", "packet-share"]),
    ),
)


@given(
    st.lists(st.tuples(st.integers(1, 5), EVENTS), max_size=8),
    st.integers(0, 500),
    st.integers(0, 500),
)
def test_whatever_was_recorded_the_book_ends_and_the_past_is_the_same_from_any_later_day(
    recorded: list[tuple[int, ContractEvent]], day: int, later: int
) -> None:
    lines = (MANAGEMENT, ADAPTER, MOBILE, GROUP, MEMBER)
    events = [*accepted(*lines), *(BookEvent(50 + at, line, event) for at, (line, event) in enumerate(recorded))]
    until = START + timedelta(days=day)
    early = fold(lines, events, until)
    late = fold(lines, events, until + timedelta(days=later))
    steps = [one for one in late.steps if one in early.steps]
    assert steps == list(early.steps)
    for contract in late.contracts.values():
        assert contract.state is not State.ENDED or contract.effective is not None


@pytest.mark.rule("SMF-21", "SMF-23.1")
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("suspend", {"ground": "harassment", "emergency": True}),
        ("suspend", {"ground": True, "until": "2025-05-01", "notified": "2025-04-01"}),
        ("suspend", {"ground": 5, "emergency": True}),
        ("provider-terminates", {"ground": 2, "effective": "2025-06-01", "notified": "2025-05-01"}),
        ("provider-terminates", {"ground": "spite", "effective": "2025-06-01", "notified": "2025-05-01"}),
    ],
)
def test_a_ground_that_is_none_of_the_terms_is_refused_as_such(name: str, facts: dict[str, object]) -> None:
    contract = played(until=START).contracts[2]
    with pytest.raises(RuleViolation) as refused:
        step(contract, event_of(name, date(2025, 4, 20), facts))
    assert refused.value.field == "ground"
