"""A running phone-home for each story."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.keyring import Keyring
from controller.phonehome.pki import Pki
from controller.settings import ArmsSettings
from controller.store.database import Database
from tests.controller.phonehome.site import Site


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set of certificates for all stories: five RSA keys take a while."""
    folder = tmp_path_factory.mktemp("pki")
    Pki.open(folder, now_ms=1_760_745_600_000)
    return folder


@pytest.fixture
def arms_settings() -> ArmsSettings:
    """Free ports, and so many pulls that no story waits; a story may override it."""
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000)


@pytest.fixture
def pace() -> float:
    """Deadlines of 30 s take 3 s; stories that wait for one override it."""
    return 10.0


@pytest.fixture
def folder(certificates: Path, tmp_path: Path) -> Path:
    """A folder of certificates that the story may change."""
    return Path(shutil.copytree(certificates, tmp_path / "pki"))


@pytest.fixture
async def site(
    sqlite_url: str, keyring: Keyring, folder: Path, arms_settings: ArmsSettings, pace: float
) -> AsyncIterator[Site]:
    """Phone-home on SQLite, started."""
    database = await Database.open(sqlite_url)
    site = Site(database, keyring, folder, arms_settings, pace)
    await site.home.start()
    try:
        yield site
    finally:
        await site.home.stop()
        await database.close()
