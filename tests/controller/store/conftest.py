"""The small fleet of the store's stories."""

from __future__ import annotations

import pytest

from controller.keyring import Keyring
from controller.store.database import Database
from tests.controller.store.fleet import Fleet


@pytest.fixture
def fleet(database: Database, keyring: Keyring) -> Fleet:
    """An empty fleet, once on each database."""
    return Fleet(database, keyring)
