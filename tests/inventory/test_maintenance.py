"""Windows that interrupt the service carry their notice, and come too late without it (SMF-20)."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from inventory.calendar import TOKYO
from inventory.errors import BadInput, RuleViolation
from inventory.maintenance import Interruption, Work, require_notified

pytestmark = pytest.mark.fast

START_MS = int(datetime(2025, 6, 15, 0, 30, tzinfo=TOKYO).timestamp()) * 1000


@pytest.mark.rule("SMF-20")
@pytest.mark.parametrize(
    ("work", "notified", "emergency", "allowed"),
    [
        ("planned", date(2025, 6, 1), False, True),
        ("planned", date(2025, 6, 2), False, False),
        ("planned", date(2025, 6, 2), True, True),
        ("planned", None, False, False),
        ("planned", None, True, True),
        ("fault", date(2025, 6, 15), False, True),
        ("fault", date(2025, 6, 16), False, False),
        ("fault", date(2025, 6, 16), True, True),
        ("fault", None, False, False),
        ("fault", None, True, True),
    ],
)
def test_planned_work_is_notified_fourteen_days_before_and_a_fault_before_it_begins(
    work: Work, notified: date | None, emergency: bool, allowed: bool
) -> None:
    found = Interruption(work, notified, emergency)
    if allowed:
        require_notified("maintenance", START_MS, "new power supply", found)
        return
    with pytest.raises(RuleViolation) as refused:
        require_notified("maintenance", START_MS, "new power supply", found)
    assert refused.value.rule == "SMF-20"


@pytest.mark.rule("SMF-20")
def test_an_interruption_has_a_reason_and_hours_that_are_full_are_none() -> None:
    found = Interruption("planned", date(2025, 1, 1))
    with pytest.raises(BadInput) as refused:
        require_notified("maintenance", START_MS, " ", found)
    assert (refused.value.field, refused.value.rule) == ("reason", "SMF-20")
    with pytest.raises(BadInput) as strange:
        require_notified("bulk", START_MS, "backup", found)
    assert strange.value.field == "work"
