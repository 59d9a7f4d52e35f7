"""One daemon for all tests that only talk to it; it starts once per session."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.controller.house import Fleet, House, serving


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running daemon with whatever earlier tests left in it."""
    with serving(tmp_path_factory.mktemp("house") / "data", LOG_LEVEL="debug") as house:
        yield house


@pytest.fixture(scope="session")
def api(house: House) -> httpx.Client:
    """A client of it with the admin key."""
    return house.client()


@pytest.fixture
def fleet(api: httpx.Client) -> Fleet:
    """Fresh things in it."""
    return Fleet(api)
