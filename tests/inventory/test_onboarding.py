"""The checklist before control of an adapter starts."""

from __future__ import annotations

import pytest

from inventory import onboarding
from inventory.catalogue import DeviceClass
from inventory.errors import BadInput

pytestmark = pytest.mark.fast


@pytest.mark.rule("MPC-7.2")
def test_class_three_also_brings_the_device() -> None:
    assert onboarding.missing("III", ["line", "site", "installation", "serial-number", "other"]) == ("device",)
    assert onboarding.missing("I", ["line", "site", "installation", "serial-number", "other"]) == ()


@pytest.mark.rule("MPC-7.1", "SMF-8.1")
def test_missing_items_come_in_the_order_of_the_terms() -> None:
    assert onboarding.missing(None, ["site"]) == ("line", "installation", "serial-number", "other")


@pytest.mark.parametrize(("item", "device_class", "rule"), [("device", "I", "MPC-7.1"), ("power", None, "SMF-8.1")])
def test_an_item_of_another_checklist_is_refused(item: str, device_class: DeviceClass | None, rule: str) -> None:
    with pytest.raises(BadInput) as refused:
        onboarding.parse_item(item, device_class)
    assert refused.value.rule == rule


def test_each_item_has_its_words() -> None:
    assert all(onboarding.meaning(item) for item in onboarding.required("III"))
    assert onboarding.parse_item("device", "III") == "device"
