"""A link is judged by the tightest capacity that somebody vouches for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.capacities import PUBLISHED, published, usual_traffic
from inventory.links import Capacity, CapacityKind, Direction, Governing, Link, LinkRole, governing

pytestmark = pytest.mark.fast

DAY = date(2025, 6, 1)
LINK = Link(1, 1, "ge0", LinkRole.WAN, 1_000_000_000, None, "pppoe")
LINE = Capacity(CapacityKind.LINE, 100_000_000, 50_000_000, date(2025, 1, 1))


def test_a_line_rate_below_the_port_governs_each_direction_by_its_own_figure() -> None:
    assert governing(LINK, [LINE], Direction.DOWN, DAY) == Governing(CapacityKind.LINE, 100_000_000, LINE.valid_from)
    up = governing(LINK, [LINE], Direction.UP, DAY)
    assert up is not None
    assert (up.used_bps, up.ceiling) == (50_000_000, 3)


def test_a_slower_port_wins_over_an_optimistic_line_rate() -> None:
    found = governing(replace(LINK, port_speed_bps=100_000_000), [LINE], Direction.DOWN, DAY)
    assert found is not None
    assert (found.kind, found.used_bps) == (CapacityKind.PORT, 95_000_000)


def test_a_past_day_is_judged_by_the_capacity_of_that_day() -> None:
    upgrade = Capacity(CapacityKind.LINE, 200_000_000, 200_000_000, date(2025, 6, 10))
    dated = [replace(LINE, valid_to=date(2025, 6, 10)), upgrade]
    for day, bps in ((date(2025, 6, 9), 100_000_000), (date(2025, 6, 10), 200_000_000)):
        found = governing(LINK, dated, Direction.DOWN, day)
        assert found is not None
        assert found.used_bps == bps


def test_a_published_figure_judges_the_device_and_not_the_line() -> None:
    model = Capacity(CapacityKind.MODEL, 600_000_000, None, date(2025, 1, 1))
    link = replace(LINK, port_speed_bps=None)
    assert governing(link, [model], Direction.DOWN, DAY) is None
    device = governing(link, [model], Direction.DEVICE, DAY)
    assert device is not None
    assert (device.used_bps, device.ceiling) == (360_000_000, 2)


@pytest.mark.parametrize(
    ("name", "inspected", "forwarding"),
    [
        ("FortiGate-60F", 700_000_000, 10_000_000_000),
        ("60f", 700_000_000, 10_000_000_000),
        ("cisco 881", None, 198_000_000),
        ("C881-K9", None, 198_000_000),
        ("CISCO887-K9", None, 198_000_000),
        ("CISCO1921/K9", None, 2.77e9),
    ],
)
def test_hardware_is_found_however_the_device_spells_itself(
    name: str, inspected: float | None, forwarding: float
) -> None:
    found = published(name)
    assert found is not None
    assert (found.figures_bps.get("inspected"), found.figures_bps["forwarding"]) == (inspected, forwarding)


def test_what_nobody_published_is_not_invented() -> None:
    assert published("SEIL/X4") is None
    assert published("C1111-8P") is None
    assert all(model.source for model in PUBLISHED)
    assert usual_traffic("fortios") == "inspected"
