"""A running phone-home for each story."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.keyring import Keyring
from controller.phonehome.pki import Pki
from controller.settings import ArmsSettings
from controller.store import nodes as leases
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


@pytest.fixture
async def nodes(
    postgres_url: str, keyring: Keyring, folder: Path, arms_settings: ArmsSettings, pace: float
) -> AsyncIterator[tuple[Site, Site]]:
    """Two nodes with a database connection and ports each, one set of certificates."""
    one, two = await Database.open(postgres_url), await Database.open(postgres_url)
    first = Site(one, keyring, folder, arms_settings, pace, node="first")
    second = Site(two, keyring, folder, arms_settings, pace, node="second")
    second.startups = first.startups
    for site in (first, second):
        await lives(site)
        await site.home.start()
    try:
        yield first, second
    finally:
        await first.home.stop()
        await second.home.stop()
        await one.close()
        await two.close()


async def lives(site: Site) -> None:
    """Its node has a lease."""
    now_ms = site.clock.now_ms()
    async with site.database.write() as tx:
        await leases.begin(tx, site.node, f"token of {site.node}", now_ms=now_ms, until_ms=now_ms + 3_600_000)
