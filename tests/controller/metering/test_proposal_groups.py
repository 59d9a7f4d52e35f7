"""What one contractor is told of others: ten or more of them, and never by way of a difference (metering §7.7)."""

from __future__ import annotations

import pytest

from controller.metering import outlooks
from controller.store import backtests
from controller.store.backtests import Kept
from inventory.backtest import Record
from inventory.links import Direction, Link, LinkRole

pytestmark = pytest.mark.fast

LINK = Link(1, 1, "wan1", LinkRole.WAN, None, None, "dhcp")
MINE = backtests.Place(500, "fortigate", "dhcp")


def links(first: int, count: int, line_type: str) -> list[Kept]:
    """One link with one origin for each of `count` contractors."""
    return [
        Kept(100 + n, Direction.DOWN, backtests.Place(n, "fortigate", line_type), Record(1))
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize(
    ("same", "other", "told", "origins"),
    [
        (9, 0, "nobody", None),
        (10, 0, "group", 10),
        (10, 10, "group", 10),
        (10, 9, "fleet", 19),
        (12, 1, "fleet", 13),
        (9, 1, "fleet", 10),
    ],
)
def test_a_group_that_leaves_a_few_of_the_fleet_is_not_told(
    same: int, other: int, told: str, origins: int | None
) -> None:
    kept = links(0, same, "dhcp") + links(50, other, "pppoe")
    record, of = outlooks.chosen(kept, LINK, Direction.DOWN, MINE)
    assert of == told
    assert (record.origins if record else None) == origins
