"""Nothing is changed without an author and an approver (SMF-12.1, MPC-18.1)."""

from __future__ import annotations

import pytest

from inventory.catalogue import Service
from inventory.errors import Conflict
from inventory.plans import require_approvals

pytestmark = pytest.mark.fast


@pytest.mark.rule("SMF-12.1", "MPC-18.1")
@pytest.mark.parametrize(("service", "rule"), [("mpc", "MPC-18.1"), ("smfsx", "SMF-12.1")])
def test_what_nobody_approved_is_not_carried_out(service: Service, rule: str) -> None:
    require_approvals("plan 4", 1, 1, (), service)
    with pytest.raises(Conflict, match=r"plan 4 lacks 1 of 1 approvals$") as refused:
        require_approvals("plan 4", 0, 1, (), service)
    assert (refused.value.rule, refused.value.next_step) == (rule, "Have it approved.")


def test_a_doubtful_plan_says_whose_approval_is_missing_and_why() -> None:
    require_approvals("plan 4", 2, 2, ("it could not be proven",))
    with pytest.raises(Conflict, match="lacks 1 of 2 approvals: it could not be proven") as refused:
        require_approvals("plan 4", 1, 2, ("it could not be proven",))
    assert refused.value.next_step == "Have it approved by two people."
