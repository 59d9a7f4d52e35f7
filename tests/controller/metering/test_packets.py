"""Packets per second against the model's published figure: small packets fill a router before they fill its line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from controller.store import dayfigures, levels, modelfigures, proposalfacts, proposals
from controller.store.levels import LinkLevel
from controller.store.tables.inventory import adapters
from inventory.capacities import PublishedModel
from inventory.congestion import Cause, CauseFlag, Level
from inventory.counters import Flag, Increment
from inventory.linkdays import LinkDay, packet_words, packets_through
from inventory.links import Direction
from inventory.periods import TOKYO, day_of
from inventory.proposals import ModelOffer, Need, RemedyKind, remedy
from inventory.slotday import DAY_MS, SLOTS, DirectionDay, add, window
from inventory.timeslots import SLOT_MS, SlotSeries
from tests.controller.metering.conftest import EVERYTHING, Place
from tests.controller.metering.reporting import ON_SQLITE

MIDNIGHT = 1_735_689_600_000
PPS = 50_000
"""Published for the series 880; 60 % of it are used."""
OCTETS = 90
"""Of a small packet."""


def past(place: Place, days: int, busy_pps: int, *, told: bool = True, since: int = 0) -> bytes:
    """Readings of small packets, as many in as out: `busy_pps` of both together from 10 to 12, a tenth else.

    Packets are told from the day `since` on.
    """

    def lines() -> Iterator[str]:
        start, passed = place.today_ms(days), 0
        for number in range(days * SLOTS + 1):
            one: dict[str, object] = {"entry": f"E-{place.entry_id}", "interface": "wan1"}
            one |= {"at_ms": start + number * SLOT_MS, "in_octets": passed * OCTETS, "out_octets": passed * OCTETS}
            if told and number >= since * SLOTS:
                one |= {"in_packets": passed, "out_packets": passed}
            yield json.dumps(one) + "\n"
            passed += (busy_pps if 120 <= number % SLOTS < 144 else busy_pps // 10) * 300 // 2

    return "".join(lines()).encode()


async def seat(place: Place, model: str, hardware: str) -> None:
    async with place.database.write() as tx:
        await tx.execute(update(adapters).values(model=model, hardware=hardware))


async def judged(place: Place, body: bytes) -> tuple[LinkLevel | None, list[LinkDay]]:
    """Level and days of the device."""
    await place.metering.import_readings(EVERYTHING, body)
    await place.metering.close_days()
    today = day_of(place.clock.now_ms(), TOKYO)
    async with place.database.read() as tx:
        found = {one.direction: one for one in await levels.of_link(tx, place.link.id)}
    async with place.traffic.read() as tx:
        days = await dayfigures.of_link(tx, place.link.id, today - timedelta(days=40), today)
    return found.get(Direction.DEVICE), [day for day in days if day.direction is Direction.DEVICE]


async def evidence(place: Place) -> Mapping[str, Any]:
    async with place.database.read() as tx:
        (change,) = [one for one in await levels.changes(tx, EVERYTHING, place.link.id) if one.direction == "device"]
    return change.evidence


async def test_small_packets_fill_a_router_whose_line_is_a_fifth_full(place: Place) -> None:
    """27,000 of 30,000 packets per second are 90 %; their 19 Mbit/s are a sixth of what the router is taken for."""
    await seat(place, "cisco-ios", "C881")
    level, days = await judged(place, past(place, 4, 27_000))
    assert level is not None
    assert (level.level, level.causes) == (Level.CONGESTED, (CauseFlag(Cause.PACKETS, 4),))
    assert [(round(day.figures.packet_util or 0, 3), day.figures.packet_hot90) for day in days] == [(0.9, 24)] * 4
    assert all((day.figures.busy_util or 0) < 0.2 and day.figures.valid for day in days)
    told = await evidence(place)
    packets = told["capacity"]["packets"]
    assert (packets["nominal_pps"], packets["used_pps"], packets["said"][:14]) == (PPS, 30_000, "compared first")


@pytest.mark.parametrize(
    ("model", "hardware", "counted", "said"),
    [("cisco-ios", "C881", False, "the source does not tell"), ("fortigate", "FortiGate 40F", True, "no packets per")],
)
async def test_what_is_not_published_or_not_counted_is_not_guessed(
    place: Place, model: str, hardware: str, counted: bool, said: str
) -> None:
    await seat(place, model, hardware)
    level, days = await judged(place, past(place, 4, 27_000, told=counted))
    assert level is not None
    assert (level.level, {day.figures.packet_util for day in days}) == (Level.CALM, {None})
    (told,) = {packet_words(day)["said"] for day in days}
    assert str(told).startswith(said)


async def test_a_figure_of_the_operators_in_packets_alone_is_enough(place: Place) -> None:
    """SEIL models have no published figure: days are judged by packets as soon as somebody enters one."""
    await seat(place, "seil-x4", "SEIL/X4")
    none, _ = await judged(place, past(place, 4, 27_000))
    assert none is None
    figure = PublishedModel("SEIL/X4", "seil8", "laboratory", packets_per_s=PPS, origin="operator", model="seil-x4")
    async with place.database.write() as tx:
        await modelfigures.enter(tx, place.by(), figure, day_of(place.clock.now_ms(), TOKYO))
    await place.metering.rejudge(None, place.today_ms(30), place.clock.now_ms())
    level, days = await judged(place, b"")
    assert level is not None
    assert (level.level, level.causes[0].cause) == (Level.CONGESTED, Cause.PACKETS)
    assert {(day.figures.busy_util, day.figures.busy_start_slot, day.high_class) for day in days} == {(None, 120, 2)}


async def test_days_from_before_packets_were_told_hold_no_packets(place: Place) -> None:
    await seat(place, "cisco-ios", "C881")
    level, days = await judged(place, past(place, 4, 27_000, since=2))
    assert level is not None
    assert [day.figures.packet_util is None for day in days] == [True, True, False, False]
    assert level.level is Level.CALM, "two days are too few"


def bigger(packets_per_s: int | None) -> PublishedModel:
    """What an operator knows of another model of the range."""
    return PublishedModel(
        "C1111-8P",
        "ios",
        "laboratory",
        forwarding_bps=10**9,
        packets_per_s=packets_per_s,
        sold=True,
        origin="operator",
        model="cisco-ios",
    )


@ON_SQLITE
async def test_a_router_that_small_packets_fill_gets_a_model_with_more_of_them_and_none_without_a_figure(
    place: Place,
) -> None:
    await seat(place, "cisco-ios", "C881")
    today = day_of(place.clock.now_ms(), TOKYO)
    async with place.database.write() as tx:
        await modelfigures.enter(tx, place.by(), bigger(None), today)
    await place.metering.import_readings(EVERYTHING, past(place, 35, 33_000))
    await place.metering.tick()
    async with place.database.read() as tx:
        assert await proposals.page(tx, EVERYTHING) == []
        check = await proposalfacts.check(tx, place.link.id)
    assert check is not None
    assert (check.reason, check.facts["packets_per_s"]) == ("no-model-suffices", PPS)
    assert check.facts["device_need_pps"] == pytest.approx(33_000)

    async with place.database.write() as tx:
        await modelfigures.enter(tx, place.by(), bigger(200_000), today)
    (draft,) = await place.metering.draft_proposals()
    assert (draft.kind, draft.model, draft.reason) == ("model", "C1111-8P", "level")
    for said in (
        "judged against 30,000 packets/s (",
        "60 % of 50,000 packets/s).",
        "Busiest hour of packets: 110 % (14-day median), above 85 % on 7 of the last 7 measured days.",
        "Mbit/s and 33,000 packets/s through the device",
    ):
        assert said in draft.text
    assert "30,000 packets/s" in (draft.text_ja or "")
    assert "パケット数の最繁時の使用率は110 %" in (draft.text_ja or "")
    assert draft.evidence["remedy"]["notes"][-1] == "packets-per-second"
    assert (draft.evidence["need"]["device_pps"], draft.evidence["current"]["packets_per_s"]) == (33_000, PPS)
    assert draft.evidence["packets"]["said"].startswith("compared first")


OLD = ModelOffer("Old", "III", {"forwarding": 198e6}, None, None, 1_000, True, None, packets_per_s=50_000)
NEW = replace(OLD, model="New", figures_bps={"forwarding": 1e9}, packets_per_s=100_000, monthly_yen=2_000)
NEED = Need(2e7, 2e7, "forwarding", 1e8, "dhcp", 1, device_pps=40_000)


@pytest.mark.fast
def test_packets_refute_a_model_that_its_bits_would_not() -> None:
    found = remedy(OLD, [NEW], NEED)
    assert (found.kind, found.model, found.notes[-1]) == (RemedyKind.MODEL, "New", "packets-per-second")
    assert remedy(OLD, [NEW], replace(NEED, device_pps=30_000)).reason == "fits", "60 % of the figure, no less"
    assert remedy(OLD, [NEW], replace(NEED, device_pps=60_001)).reason == "no-model-suffices"
    assert remedy(OLD, [replace(NEW, packets_per_s=None)], NEED).reason == "no-model-suffices"
    both = remedy(OLD, [NEW], replace(NEED, line_rate_bps=1e7))
    assert (both.kind, both.model) == (RemedyKind.LINE_AND_MODEL, "New")


@pytest.mark.fast
def test_a_model_without_a_figure_in_packets_is_judged_by_bits_as_before() -> None:
    unknown = replace(OLD, packets_per_s=None)
    assert remedy(unknown, [NEW], NEED).reason == "fits"
    assert remedy(replace(unknown, figures_bps={}), [NEW], NEED).reason == "device-figure-unknown"
    only_packets = replace(OLD, figures_bps={})
    assert remedy(only_packets, [NEW], NEED).model == "New"
    assert remedy(only_packets, [NEW], replace(NEED, device_pps=1)).reason == "device-figure-unknown"
    full = replace(unknown, figures_bps={"forwarding": 1e6})
    assert remedy(full, [replace(NEW, packets_per_s=None)], NEED).model == "New"
    assert remedy(full, [replace(NEW, packets_per_s=50_000)], NEED).reason == "no-model-suffices"


@pytest.mark.fast
def test_a_slot_whose_packets_were_not_told_in_both_directions_is_unknown() -> None:
    def series(packets: int | None, octets: int) -> SlotSeries:
        day = DirectionDay(MIDNIGHT)
        told = Increment(MIDNIGHT, MIDNIGHT + SLOT_MS, octets, octets, Flag.MEASURED, packets=packets)
        later = replace(told, t0_ms=MIDNIGHT + SLOT_MS, t1_ms=MIDNIGHT + 2 * SLOT_MS, packets=7)
        add({MIDNIGHT: day}, [told, later], None)
        return window([day], MIDNIGHT, MIDNIGHT + DAY_MS)

    both = series(5, 500)
    assert packets_through(both, both)[:3] == [10, 14, None]
    assert packets_through(series(None, 500), both)[:2] == [None, 14], "octets without packets: nobody told them"
    assert packets_through(series(0, 0), both)[:2] == [5, 14], "an idle direction is a known nought"
