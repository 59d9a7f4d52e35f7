"""What a proposal says in both languages: the same figures, and nothing that is not known (metering §7.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from inventory.backtest import Record
from inventory.capacities import ModelBook, PublishedModel
from inventory.catalogue import outside
from inventory.congestion import DayFigures, Level
from inventory.forecast import NoDate, Outlook
from inventory.linkdays import Hour, LinkDay, usual_busy_hour
from inventory.links import CapacityKind, Direction, Governing
from inventory.metering import Interval
from inventory.proposalreasons import WORDS, WORDS_JA
from inventory.proposals import LineNeed, ModelOffer, Need, Remedy, RemedyKind
from inventory.proposaltext import Facts, TrackRecord, evidence, sentence
from inventory.proposalwords import sentence_ja

pytestmark = pytest.mark.fast

FIRST = date(2026, 5, 1)
LINE = Governing(CapacityKind.LINE, 100_000_000, date(2025, 2, 3))
MBPS = 37_500_000
"""Octets of a slot at 1 Mbit/s."""


def day(number: int, util: float = 0.88, start: int = 240, busy_hour: int = 20, valid: bool = True) -> LinkDay:
    hours = tuple(Hour(9 if hour == busy_hour else 1, 9, 1, 3_600_000, 0) for hour in range(24))
    return LinkDay(
        1,
        Direction.DOWN,
        FIRST + timedelta(days=number),
        DayFigures(valid, start, util, 8, 0),
        Level.CONGESTED,
        LINE,
        10**9,
        10**9,
        (),
        86_400_000,
        288,
        (0,) * 6,
        ("snmp",),
        hours=hours,
    )


GROWING = Outlook(date(2026, 8, 6), 0, 900_000.0, 80_000_000.0, 4.1, date(2026, 7, 1), date(2026, 10, 2))
FACTS = Facts(
    interface="ge0",
    direction=Direction.DOWN,
    capacity=LINE,
    days=tuple(day(n) for n in range(28)),
    p95=Interval(3_116_250_000, 3_127_500_000),
    outlook=GROWING,
    current=ModelOffer("SEIL/X4", "I", {}, None, None, 3_000, True, None),
    need=Need(120_000_000, 0, "forwarding", 100_000_000, "ipoe", 1),
    remedy=Remedy(RemedyKind.LINE, line_rate_bps=200_000_000),
    record=TrackRecord("group", 20, 15, 41.0, 60),
    place="Osaka 2",
)


def test_the_text_says_where_since_when_at_which_hour_how_sure_how_fast_and_how_often_it_came_true() -> None:
    assert sentence(FACTS) == (
        "ge0 (down) at Osaka 2: judged against 100.0 Mbit/s (line rate entered by the operator from 2025-02-03 on, "
        "100 % of 100.0 Mbit/s). Busy hour 20:00–21:00: 88 % (14-day median), above 85 % on 7 of the last 7 measured "
        "days. 95th percentile of the last 28 days 83.1 Mbit/s to 83.4 Mbit/s (coverage 100.0 %, grade A). At the "
        "present growth (0.9 Mbit/s per week, Z = 4.1) 85 % is reached on 2026-08-06 (80 % interval 2026-07-01 to "
        "2026-10-02). Recommended: a line of 200.0 Mbit/s; the router's figure is not the limit; the model "
        "can stay. Back-test: of 20 such warnings on comparable links 15 came true, median 41 days ahead."
    )
    japanese = sentence_ja(FACTS)
    for figure in (
        "Osaka 2のge0（下り）",
        "2025-02-03から",
        "20:00–21:00",
        "88 %",
        "83.1 Mbit/s～83.4 Mbit/s",
        "100.0 %",
    ):
        assert figure in japanese
    for figure in ("0.9 Mbit/s、Z = 4.1", "2026-08-06", "2026-07-01～2026-10-02", "20件のうち15件", "41日前"):
        assert figure in japanese


def test_what_is_not_known_is_not_said() -> None:
    bare = replace(
        FACTS,
        days=(day(0, valid=False),),
        capacity=Governing(CapacityKind.PORT, 10**9, date.min),
        p95=Interval(MBPS, None),
        outlook=Outlook(NoDate.NONE),
        record=None,
        place="",
    )
    for text in (sentence(bare), sentence_ja(bare)):
        for word in ("Busy hour", "最繁時", "0001-01-01", "yen", "円", "Back-test", "検証", "growth", "増加"):
            assert word not in text
    assert "at least 1.0 Mbit/s" in sentence(bare)
    open_end = replace(FACTS, outlook=replace(GROWING, late=NoDate.NONE))
    assert "interval 2026-07-01 to none" in sentence(open_end)
    assert "2026-07-01～なし" in sentence_ja(open_end)


def test_a_price_difference_is_told_where_no_contract_line_would_end() -> None:
    found = replace(FACTS, remedy=Remedy(RemedyKind.MODEL, model="SEIL CA10", monthly_delta_yen=1_400))
    assert "The monthly fee changes by +1,400 yen" in sentence(found)
    assert "差額は+1,400円" in sentence_ja(found)
    assert evidence(found)["money"] is None


def test_counts_of_others_are_rounded_to_5_and_one_s_own_are_not() -> None:
    found = Record(origins=63, warnings=18, came_true=17, lead_days=(40, 42))
    assert TrackRecord.told(found, "group") == TrackRecord("group", 20, 15, 41.0, 65)
    assert TrackRecord.told(found, "link") == TrackRecord("link", 18, 17, 41.0, 63)
    assert "no such warning on this link in 63 trials" in sentence(
        replace(FACTS, record=TrackRecord.told(replace(found, warnings=0), "link"))
    )


def test_the_usual_busy_hour_is_that_of_the_last_fourteen_valid_days() -> None:
    days = [day(n, busy_hour=9) for n in range(20)] + [day(20 + n, busy_hour=21) for n in range(8)]
    assert usual_busy_hour(days) == 21
    assert usual_busy_hour(days[:20] + [day(20 + n, valid=False, busy_hour=3) for n in range(9)]) == 9
    assert usual_busy_hour([day(0, valid=False)]) is None


def test_an_operator_s_figure_goes_before_a_published_one_figure_by_figure() -> None:
    mine = PublishedModel("fortigate-60f", "fortios", "lab", forwarding_bps=3 * 10**9, model="fortigate", ports=10)
    lent = PublishedModel("SEIL/X4", "recipe", "lab", forwarding_bps=10**9, model="seil-x4")
    book = ModelBook([mine, lent])
    found = book.find("FGT60F", "fortigate")
    assert found is not None
    assert (found.hardware, found.forwarding_bps, found.inspected_bps, found.ports) == (
        "FortiGate 60F",
        3 * 10**9,
        700_000_000,
        10,
    )
    assert [one.hardware for one in book.of("seil-x4")] == ["SEIL/X4"]
    assert book.find("", "seil-x4") == lent
    assert book.find("", "fortigate") is None  # a range of hardware, not one
    assert len(book.all()) == len(ModelBook().all()) + 1


def test_figures_of_one_box_of_an_outside_driver_are_not_those_of_all_its_boxes() -> None:
    box = outside("frr", "indented")
    book = ModelBook([PublishedModel("lab server", "frr", "lab", forwarding_bps=10**10, model=box.key)])
    found = book.find("lab server", box.key)
    assert (found is not None, book.find("another", box.key)) == (True, None)


def uneven(up_bps: float | None, offered_bps: float | None = None) -> Facts:
    """The line is wide down; up it lets through less, or nobody said what."""
    directions = (LineNeed(Direction.DOWN, 1e9, 300e6), LineNeed(Direction.UP, up_bps, 90e6))
    return replace(
        FACTS,
        need=replace(FACTS.need, line_bps=300e6, directions=directions),
        remedy=Remedy(RemedyKind.LINE, line_rate_bps=offered_bps),
    )


def test_of_an_uneven_line_both_rates_are_named_and_the_one_that_is_short() -> None:
    assert (
        "Recommended: a line of 352.9 Mbit/s or more down and 105.9 Mbit/s or more up (now down 1,000.0 Mbit/s, "
        "enough; up 100.0 Mbit/s, short); the router's" in sentence(uneven(100e6))
    )
    assert (
        "提案：下り352.9 Mbit/s以上・上り105.9 Mbit/s以上の回線"
        "（現在は下り1,000.0 Mbit/sで十分、上り100.0 Mbit/sで不足）。" in sentence_ja(uneven(100e6))
    )
    offered = uneven(100e6, offered_bps=500e6)
    assert "a line of 500.0 Mbit/s in each direction (now down" in sentence(offered)
    assert "上り下りとも500.0 Mbit/sの回線（現在は" in sentence_ja(offered)
    assert evidence(offered)["need"]["directions"][1] == {  # type: ignore[index]  # JSON-ready, so of objects
        "direction": "up",
        "rate_bps": 100e6,
        "need_bps": 90e6,
        "least_bps": 90e6 / 0.85,
        "short": True,
    }


def test_a_rate_that_nobody_said_is_neither_short_nor_enough() -> None:
    assert "; up not known)" in sentence(uneven(None))
    assert "上りは不明）" in sentence_ja(uneven(None))


def test_of_an_even_line_one_rate_is_enough() -> None:
    even = uneven(1e9)
    assert "a line of 352.9 Mbit/s or more; the router's" in sentence(even)
    assert "提案：352.9 Mbit/s以上の回線。" in sentence_ja(even)


@pytest.mark.parametrize("reason", sorted(WORDS_JA))
def test_a_reason_is_told_in_words_and_not_by_its_code(reason: str) -> None:
    for kind in (RemedyKind.LINE, RemedyKind.NONE):
        found = replace(FACTS, remedy=Remedy(kind, reason))
        assert WORDS[reason] in sentence(found)
        assert WORDS_JA[reason] in sentence_ja(found)
        assert reason not in sentence_ja(found)
