"""`kill -9` of the daemon at each journalled state of a push over ARMS; the adapter lives on in a process of its own.

After the restart the push ends in the true state, and the adapter's own log shows the change at most once.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.keyring import Keyring
from controller.phonehome.pki import Pki
from controller.store import adapters, checklist, configs, phonehome, pushes
from controller.store.database import Database
from drivers.simulator.control import ask_control
from inventory import onboarding
from inventory.plans import ConfigText, Outcome, Phase, PushState
from tests.controller.push import adapter_process, arms_daemon_process
from tests.controller.push.arms_daemon_process import Halt
from tests.controller.push.place import ENTRY_ID
from tests.controller.push.processes import Journal, child
from tests.controller.store.fleet import ALL, BY, Fleet

pytestmark = pytest.mark.slow

BASE = "hostname: osaka\ninterface.ge0.address: dhcp\n"
INTENT = "hostname: osaka\ninterface.ge0.address: dhcp\ninterface.ge1.address: 192.0.2.1/24\n"
CHANGE = "interface.ge1.address"
PACE = 30.0
"""Thirty seconds between an adapter's retries are one."""
STATES = (
    PushState.PREFLIGHT,
    PushState.BASELINED,
    PushState.ARMED,
    PushState.APPLYING,
    PushState.APPLIED,
    PushState.REACHABLE,
    PushState.CONFIRMED,
    PushState.VERIFIED,
    PushState.SAVED,
)
LONG_AWAY_S = 12.0
"""Real seconds after which an adapter that could not rebuild its tunnel has rolled back and pulls."""


@dataclass(frozen=True)
class Site:
    """An adapter, and the data directory of the daemon that it phones home to."""

    folder: Path
    arms: dict[str, Any]
    control: int

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "kajitori.db")

    async def daemon_until(self, halt: Halt) -> None:
        """A daemon plans and starts the push, and is killed where it stands still."""
        arguments = (self.folder, PACE, self.arms, halt, True)
        async with child(arms_daemon_process.main, *arguments) as daemon:
            assert await daemon.tells() == "halted"
        assert self.journal.rows()[-1] == (halt.state.value, Phase.INTENTION.value)

    async def daemon_to_the_end(self, *, start: bool = False) -> None:
        async with child(arms_daemon_process.main, self.folder, PACE, self.arms, None, start):
            await self.journal.ends()

    async def must_tell_the_truth(self) -> PushState:
        """What is reported against what the adapter itself holds; returns the state."""
        keyring = Keyring.open(self.folder / "master.key")
        database = await Database.open(f"sqlite:///{self.folder / 'kajitori.db'}")
        try:
            async with database.read() as tx:
                push = await pushes.get(tx, ALL, 1)
                startup = await configs.latest_text(tx, ALL, keyring, ENTRY_ID, "startup")
        finally:
            await database.close()
        truth: Any = await ask_control("127.0.0.1", self.control, "truth")
        log: Any = await ask_control("127.0.0.1", self.control, "log")
        applied = [
            record
            for record in log["records"]
            if record["what"] == "applied" and record["detail"]["how"] == "configure"
        ]
        assert len(applied) <= 1, applied
        assert truth["open_transactions"] == {}
        assert startup is not None
        running = truth["modules"][0]["running"]
        if push.outcome is Outcome.DONE:
            assert CHANGE in running
            assert CHANGE in startup.text()
            assert len(applied) == 1
        else:
            assert push.outcome is Outcome.NOT_DONE
            assert CHANGE not in running
            assert CHANGE not in startup.text()
        return push.state


def free_ports() -> tuple[int, int, int]:
    """Ports that are free now; a daemon that comes back must be found where it was."""
    held = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    location, resource, heartbeat = (int(one.getsockname()[1]) for one in held)
    for one in held:
        one.close()
    return location, resource, heartbeat


async def prepare(folder: Path) -> str:
    """The adapter on record in E-1 with its startup and working config; returns its LS key."""
    keyring = Keyring.open(folder / "master.key")
    database = await Database.open(f"sqlite:///{folder / 'kajitori.db'}")
    fleet = Fleet(database, keyring)
    unit = adapter_process.UNIT
    try:
        owner = await fleet.contractor()
        management = await fleet.management(owner, entry_count=1, standby_count=1)
        async with database.write() as tx:
            adapter = await adapters.register(
                tx,
                ALL,
                BY,
                serial=unit.serial_number,
                contractor_id=owner.id,
                service="mpc",
                device_class="I",
                model="SA-W2",
                distribution_id=unit.distribution_id,
                keyring=keyring,
            )
            for item in onboarding.required(adapter.device_class):
                await checklist.tick(tx, ALL, BY, adapter.id, item)
            ls_key = await phonehome.provision(
                tx, keyring, adapter.id, distribution_id=unit.distribution_id, at_ms=BY.at_ms
            )
        await fleet.assign(adapter, management=management)
        kinds: tuple[tuple[configs.Kind, str], ...] = (("startup", BASE), ("working", INTENT))
        async with database.write() as tx:
            for kind, text in kinds:
                await configs.put(
                    tx,
                    ALL,
                    keyring,
                    ENTRY_ID,
                    kind=kind,
                    config=ConfigText.single(text),
                    digest=kind,
                    author="ann",
                    reason="test",
                    at_ms=BY.at_ms,
                )
    finally:
        await database.close()
    return ls_key.reveal()


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Site]:
    shutil.copyfile(sqlite_template, tmp_path / "kajitori.db")
    ls_key = await prepare(tmp_path)
    root = Pki.open(tmp_path, now_ms=SystemClock().now_ms()).root_certificate
    location, resource, heartbeat = free_ports()
    arms = {"ls_port": location, "rs_port": resource, "heartbeat_port": heartbeat}
    url = f"https://127.0.0.1:{location}/"
    async with child(adapter_process.main, url, root, ls_key, PACE) as adapter:
        yield Site(tmp_path, arms, await adapter.tells())


async def test_not_killed_it_goes_straight_to_its_end(site: Site) -> None:
    await site.daemon_to_the_end(start=True)
    assert await site.must_tell_the_truth() is PushState.DONE
    assert "reconcile" not in {state for state, _ in site.journal.rows()}


@pytest.mark.parametrize("state", STATES)
async def test_killed_and_started_again_at_once(site: Site, state: PushState) -> None:
    await site.daemon_until(Halt(state, "after"))
    await site.daemon_to_the_end()
    ended = await site.must_tell_the_truth()
    assert ended is (PushState.REVERTED if state is PushState.ARMED else PushState.DONE)


@pytest.mark.parametrize("state", [PushState.APPLYING, PushState.REACHABLE, PushState.CONFIRMED])
async def test_killed_before_the_adapter_was_asked(site: Site, state: PushState) -> None:
    await site.daemon_until(Halt(state, "before"))
    await site.daemon_to_the_end()
    ended = await site.must_tell_the_truth()
    assert ended is (PushState.REVERTED if state is PushState.APPLYING else PushState.DONE)


@pytest.mark.parametrize("state", [PushState.APPLYING, PushState.REACHABLE])
async def test_killed_and_away_until_the_adapter_has_rolled_back(site: Site, state: PushState) -> None:
    await site.daemon_until(Halt(state, "after"))
    await asyncio.sleep(LONG_AWAY_S)  # the adapter's own patience, which no event ends
    await site.daemon_to_the_end()
    assert await site.must_tell_the_truth() is PushState.REVERTED
