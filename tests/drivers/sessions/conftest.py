"""What the stories of sessions share."""

from __future__ import annotations

import pytest

from tests.drivers.sessions.carriers import SHELLS, Opener


@pytest.fixture(params=list(SHELLS.values()), ids=list(SHELLS))
def opener(request: pytest.FixtureRequest) -> Opener:
    """How a login is made: by each of the carriers."""
    chosen: Opener = request.param
    return chosen
