"""Before a push an adapter is asked what it still has open: what is about to close is waited for, nothing else."""

from __future__ import annotations

import pytest

from drivers import plan
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import OpenTransactions
from drivers.push import Identity, PushJob
from drivers.registry import driver
from drivers.sessions import arms
from drivers.sessions.arms import ArmsDevice, Comparison
from inventory.errors import Conflict
from inventory.plans import ConfigText, PushState

FAMILY = driver("recipe")
TEXT = ConfigText.single("hostname: a\n")
JOB = PushJob("1", "SN-1", TEXT, TEXT, (), ())


class Listing:
    """A link to an adapter that lists these open transactions, one answer after the other; the last one stays."""

    def __init__(self, *answers: tuple[int, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def wait_ready(self, serial: str, *, timeout_s: float) -> None:
        """It is there."""

    async def request(self, serial: str, request: Request, *, timeout_s: float, failed_too: bool = False) -> Response:
        """The next list."""
        assert request.type == "check-transaction"
        self.asked += 1
        ids = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Response(request.type, 100, OpenTransactions((0, *ids)))

    async def wait_done(self, serial: str, transaction_id: int, *, timeout_s: float) -> Request:
        """Nothing is begun here."""
        raise AssertionError

    async def acknowledge(self, serial: str, transaction_id: int) -> None:
        """Nothing is begun here."""
        raise AssertionError


class Known(ArmsDevice):
    """An adapter that has said who it is."""

    async def identify(self) -> Identity:
        """As on record."""
        return Identity("SN-1", "SA-W2", "1.0")


def adapter(link: Listing) -> Known:
    compare = Comparison(
        lambda module, text: plan.canonical(FAMILY, module, text),
        lambda before, after: plan.difference_shown(FAMILY, before, after),
    )
    return Known(FAMILY, link, "SN-1", compare=compare)


async def test_a_reading_that_has_just_ended_is_no_reason_to_give_a_push_up() -> None:
    link = Listing((7,), (7,), ())
    step = await adapter(link).enter(PushState.PREFLIGHT, JOB)
    assert step.said == "ready, no transaction open"
    assert link.asked == 3


async def test_a_transaction_that_stays_open_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "CLOSING_S", (0.0, 0.0))
    link = Listing((7,))
    with pytest.raises(Conflict, match="Transaction 7 is still open"):
        await adapter(link).enter(PushState.PREFLIGHT, JOB)
    assert link.asked == 3
