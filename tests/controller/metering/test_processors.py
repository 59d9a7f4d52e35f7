"""Where nobody published what a device carries, its processor is the witness; a size is never claimed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import update

from controller.metering.service import MeteringService
from controller.store import beats, proposals
from controller.store.tables.inventory import adapters
from drivers.arms import heartbeat
from drivers.simulator.traffic import Profile
from inventory.congestion import DayFigures, Level
from inventory.linkdays import LinkDay
from inventory.links import Direction
from inventory.periods import TOKYO, day_start_ms
from inventory.processors import is_witness, strained_days
from inventory.proposals import ModelOffer, Need, RemedyKind, remedy
from inventory.timeslots import SLOT_MS
from tests.controller.metering.conftest import DAY_MS, EVERYTHING, Place

DAY = date(2025, 6, 2)


def day(number: int, util: float, *, valid: bool = True) -> LinkDay:
    figures = DayFigures(valid, 120, util, 0, 0)
    return LinkDay(1, Direction.DOWN, DAY.replace(day=2 + number), figures, Level.CALM, None, 1, 1, (), 1, 288, (), ())


def busy(*numbers: int, slots: int = 6) -> set[int]:
    """Slots of a busy processor, in the busy hour of some days."""
    return {
        day_start_ms(DAY.replace(day=2 + number), TOKYO) // SLOT_MS + 120 + slot
        for number in numbers
        for slot in range(slots)
    }


@pytest.mark.fast
@pytest.mark.parametrize(
    ("utils", "strained", "slots", "told"),
    [
        ([0.5] * 7, (0, 3, 6), 6, 3),
        ([0.5] * 7, (0, 3, 6), 5, 0),
        ([0.7] * 7, (0, 3, 6), 6, 0),
        ([0.5] * 9, (0, 1, 8), 12, 1),
    ],
)
def test_days_count_on_which_the_processor_was_busy_and_the_line_was_not(
    utils: list[float], strained: tuple[int, ...], slots: int, told: int
) -> None:
    """The last seven valid days; half of the busy hour; the line below 70 %."""
    days = [day(number, util) for number, util in enumerate(utils)]
    assert strained_days(days, busy(*strained, slots=slots), TOKYO) == told
    assert is_witness(told) == (told >= 3)


OLD = ModelOffer("SEIL/X4", "I", {}, None, None, 3_000, True, None, service="mpc")
NEED = Need(5e7, 5e7, "forwarding", 1e8, "pppoe", 2, strained_days=3, ladder=("SA-W2", "SEIL/X4", "SEIL CA10", "Big"))
CA10, BIG = replace(OLD, model="SEIL CA10", monthly_yen=4_000), replace(OLD, model="Big", monthly_yen=9_000)


@pytest.mark.fast
def test_the_next_model_of_the_ladder_is_named_and_no_size_is_claimed() -> None:
    found = remedy(OLD, [BIG, CA10], NEED)
    assert (found.kind, found.model, found.monthly_delta_yen) == (RemedyKind.MODEL, "SEIL CA10", 1_000)
    assert "processor-witness" in found.notes
    assert remedy(OLD, [BIG, replace(CA10, current=False)], NEED).model == "Big"
    for silent in (
        replace(NEED, strained_days=2),
        replace(NEED, ladder=()),
        replace(NEED, ladder=("SEIL CA10", "SEIL/X4")),
    ):
        assert remedy(OLD, [BIG, CA10], silent).reason == "device-figure-unknown"
    both = remedy(OLD, [CA10], replace(NEED, line_rate_bps=4e7))
    assert (both.kind, both.model) == (RemedyKind.LINE_AND_MODEL, "SEIL CA10")
    known = replace(OLD, figures_bps={"forwarding": 1e9})
    assert remedy(known, [CA10], NEED).reason == "fits", "a figure goes before the witness"


@pytest.mark.fast
def test_a_heartbeat_tells_its_busiest_processor_and_nonsense_tells_nothing() -> None:
    one, two, mad = (bytes([0, 0x33, 0, 3, 0, n, percent]) for n, percent in ((0, 40), (1, 91), (2, 255)))
    detail = bytes([0, 0x34, 0, 7, 0, 0, 4, 1, 50, 40, 5])
    assert heartbeat.processor(one + two + mad) == 91
    assert heartbeat.processor(detail + one) == 96
    assert heartbeat.processor(mad) is None
    assert heartbeat.processor(b"") is None


async def test_busy_slots_are_kept_once_and_for_five_weeks(place: Place) -> None:
    now_ms = place.clock.now_ms()
    old = (now_ms - 36 * DAY_MS) // SLOT_MS
    for _ in range(2):
        async with place.traffic.write() as tx:
            await beats.put_busy(tx, {(1, now_ms // SLOT_MS), (1, old), (2, old)})
    await MeteringService(place.database, place.traffic, place.clock).tick()
    async with place.traffic.read() as tx:
        assert await beats.busy_slots(tx, 1, 0) == {now_ms // SLOT_MS}
        assert await beats.busy_slots(tx, 2, 0) == set()


async def test_a_router_that_drops_at_half_load_with_a_busy_processor_gets_the_next_model_proposed(
    place: Place,
) -> None:
    half = Profile(seed=3, kind="office", capacity_bps=10**8, busy_share=0.5, bursts=False)
    past = [json.loads(line) for line in place.past(half, 35).splitlines()]
    told = [
        {
            **one,
            "in_octets": one["out_octets"],
            "out_octets": one["in_octets"],
            "out_packets": number * 100_000,
            "out_drops": number * 1_000,
        }
        for number, one in enumerate(past)
    ]
    async with place.database.write() as tx:
        await tx.execute(update(adapters).values(model="seil-x4", hardware=""))
    first, last = past[0]["at_ms"] // SLOT_MS, past[-1]["at_ms"] // SLOT_MS
    async with place.traffic.write() as tx:
        await beats.put_busy(tx, {(place.adapter_id, slot) for slot in range(first, last)})
    ladder = ("seil-x4", "SEIL CA10")
    metering = MeteringService(place.database, place.traffic, place.clock, model_ladder=ladder)
    await metering.import_readings(EVERYTHING, b"".join(json.dumps(one).encode() + b"\n" for one in told))
    await metering.tick()
    async with place.database.read() as tx:
        (draft,) = await proposals.page(tx, EVERYTHING)
    assert (draft.kind, draft.model, draft.reason) == ("model", "SEIL CA10", "level")
    assert "its processor was at 85 % and more" in draft.text
    assert "プロセッサ使用率が85 %以上" in (draft.text_ja or "")
    assert draft.evidence["need"]["strained_days"] == 7
    assert draft.evidence["remedy"]["notes"][-1] == "processor-witness"
