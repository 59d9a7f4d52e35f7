"""What every test may ask for: a database of either kind, a clock that stands still, a key ring."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from controller.keyring import KEY_BYTES, Keyring
from controller.store.database import Database
from controller.store.migrate import upgrade
from controller.store.traffic import TrafficDatabase
from tests import postgres
from tests.clock import ManualClock

# Properties are about values. How long an example takes says how busy the machine is, and nothing else.
settings.register_profile("values", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("values")

# Five thousand tests and what they import stay until the end: the collector need not look through them again and again.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """From here on there is garbage."""
    gc.freeze()
    gc.enable()


BOTH = (pytest.param("sqlite", id="sqlite"), pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgres))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker gets a run of the items and steals when it is done: long stories go to the heads of the runs, so that
    none of them runs alone at the end. The order is as random as before."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    dealt: list[pytest.Item] = []
    for worker in range(workers):
        head = long[worker::workers]
        count = max(0, (len(items) - len(dealt)) // (workers - worker) - len(head))
        dealt += head + rest[:count]
        del rest[:count]
    items[:] = dealt + rest


@pytest.fixture
def clock() -> ManualClock:
    """2025-10-18T00:00:00Z, until the test moves it."""
    return ManualClock()


@pytest.fixture
def keyring() -> Keyring:
    """A key ring whose key is known: do not use it for anything but tests."""
    return Keyring(bytes(range(KEY_BYTES)))


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """Folder of the socket of a PostgreSQL server; skips (with CI=true fails) where none is installed."""
    if postgres.programs() is None:
        missing = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with postgres.cluster() as socket:
        yield socket


@pytest.fixture(scope="session")
def postgres_template(postgres_socket: Path) -> str:
    """How to name a database at head, with the tables of readings, in `CREATE DATABASE`: it is copied."""
    _administer(postgres_socket, "CREATE DATABASE template_head")
    asyncio.run(_fill(_url(postgres_socket, "template_head")))
    with psycopg.connect(f"host={postgres_socket} user=postgres dbname=postgres") as connection:
        by_file = connection.info.server_version >= 150_000  # half the work; older servers know nothing else
    return "template_head" + (" STRATEGY FILE_COPY" if by_file else "")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file at head, to be copied."""
    path = tmp_path_factory.mktemp("template") / "head.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


_numbers = itertools.count(1)


@pytest.fixture
def postgres_url(postgres_socket: Path, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database at head for one test."""
    name = f"test_{next(_numbers)}"
    _administer(postgres_socket, f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield _url(postgres_socket, name)
    _administer(postgres_socket, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgres_url(postgres_socket: Path) -> Iterator[str]:
    """A PostgreSQL database without tables for one test."""
    name = f"test_{next(_numbers)}"
    _administer(postgres_socket, f"CREATE DATABASE {name}")
    yield _url(postgres_socket, name)
    _administer(postgres_socket, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """An SQLite file at head for one test."""
    shutil.copyfile(sqlite_template, tmp_path / "kajitori.db")
    return f"sqlite:///{tmp_path / 'kajitori.db'}"


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """Address of a database at head; the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a database that nobody has upgraded yet; both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database at head; the test runs once on SQLite and once on PostgreSQL."""
    database = await Database.open(database_url)
    try:
        yield database
    finally:
        await database.close()


async def _fill(url: str) -> None:
    await upgrade(url)
    await (await TrafficDatabase.open(url)).close()


def _url(socket: Path, name: str) -> str:
    return f"postgresql://postgres@/{name}?host={socket}"


def _administer(socket: Path, statement: str) -> None:
    with psycopg.connect(f"host={socket} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(statement.encode())
