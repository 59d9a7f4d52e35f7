"""The site of phone-home, and a service on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.controller.operations.asking import Asking, asking
from tests.controller.phonehome.conftest import arms_settings, certificates, folder, nodes, pace, site
from tests.controller.phonehome.site import Site

__all__ = ["arms_settings", "asker", "certificates", "folder", "nodes", "pace", "site"]


@pytest.fixture
async def asker(site: Site) -> AsyncIterator[Asking]:
    """Operations on this site."""
    async with asking(site) as made:
        yield made
