"""What the form of an application must say."""

from __future__ import annotations

import pytest

from inventory.applications import Wanted, require_complete
from inventory.errors import BadInput

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (Wanted("management", name="x"), "items.0.entries"),
        (Wanted("adapter", name="x", model="SA-W2"), "items.0.device_class"),
        (Wanted("ultra-send-back", on="edge"), "items.0.site"),
        (Wanted("mobile-access", on="edge"), "items.0.plan"),
        (Wanted("packet-share-group", packs_gb=50), "items.0.name"),
        (Wanted("adapter-rental", name="x", model="SEIL/X1", plan="normal"), "items.0.plan"),
    ],
)
@pytest.mark.rule("MPC-9.1", "SMF-3.1")
def test_an_incomplete_form_is_named_by_its_field(item: Wanted, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        require_complete("mpc", item, "items.0")
    assert refused.value.field == field


def test_a_complete_form_is_complete() -> None:
    for item in (
        Wanted("management", entries=0, standbys=0),
        Wanted("adapter", name="edge", device_class="I", model="SA-W2"),
        Wanted("mobile-access", on="edge", plan="packet-share", group="all", network_type="fixed-ip"),
        Wanted("packet-share-group", name="all", packs_gb=50),
        Wanted("ultra-firewall", on="box"),
    ):
        require_complete("mpc", item, "items.0")
