"""What the stories of pushes share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controller.keyring import Keyring
from tests.controller.push.house import House, furnished
from tests.controller.push.leap import LeapClock
from tests.controller.push.program import Program


@pytest.fixture
async def house(database_url: str, keyring: Keyring) -> AsyncIterator[House]:
    """One device in its place, on each database, whose daemon's clock leaps."""
    async with furnished(database_url, keyring, Program(LeapClock())) as made:
        yield made
