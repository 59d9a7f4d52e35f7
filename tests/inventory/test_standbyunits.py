"""Which unit may come with a standby (MPC-1, SMF-2)."""

from __future__ import annotations

import pytest

from inventory.errors import NotEligible
from inventory.standbyunits import require_standby_unit

pytestmark = pytest.mark.fast


@pytest.mark.rule("MPC-1", "SMF-2")
def test_a_class_one_unit_of_the_contractor_comes_with_an_mpc_standby_and_nothing_else() -> None:
    require_standby_unit("mpc", "I", of_contractor=True)
    with pytest.raises(NotEligible) as refused:
        require_standby_unit("smfsx", None, of_contractor=True)
    assert refused.value.rule == "SMF-2"
    for device_class, mine in (("I", False), ("II", True), ("III", True), (None, True)):
        with pytest.raises(NotEligible) as refused:
            require_standby_unit("mpc", device_class, of_contractor=mine)  # type: ignore[arg-type] # the loop's literals are classes
        assert (refused.value.rule, refused.value.field) == ("MPC-1", "serial_number")
