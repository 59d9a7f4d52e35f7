"""The simulated client in https-simple and in the tunnel: both address families, several addresses, a web proxy."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from controller.clock import Clock
from controller.keyring import Keyring
from controller.phonehome.tunnel import Tunnel
from controller.push.reaching import FleetReach
from controller.push.service import PushService
from controller.push.texts import TextPlanner
from controller.settings import ArmsSettings, PushMethod
from controller.store import arms_keys, configs
from controller.store import identities as rows
from controller.store.database import Database
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import Command, CommandResults, MdCommand, ReadStorage, StoredConfigs
from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.arms_tls import TlsVersions
from drivers.simulator.identity import SA_W2, fleet_member
from inventory.errors import OutcomeUnknown, RolledBack
from inventory.explain import Contact
from inventory.plans import ConfigText, Outcome, PushState
from tests.controller.phonehome.devices import FIRST, free_on, record, settings_of
from tests.controller.phonehome.proxy import ConnectProxy
from tests.controller.phonehome.site import ALL, Site, Unit, eventually, until

SECOND = "hostname: second\n"
SIMPLE: tuple[PushMethod, ...] = ("https-simple", "https-tunnel")
TUNNEL: tuple[PushMethod, ...] = ("https-tunnel", "https-simple")
HOST = {4: "127.0.0.1", 6: "::1"}
SHOW = Request("md-command", "", MdCommand((Command(0, "show config running"),)))


def arms(**more: Any) -> ArmsSettings:
    """Free ports, quick echoes, any port of a device."""
    usual: dict[str, Any] = {"heartbeat_interval_s": 10, "echo_interval_s": 10, "push_ports": "1024-65535"}
    ports = free_on(*more["hosts"]) if "hosts" in more else {"ls_port": 0, "rs_port": 0, "heartbeat_port": 0}
    return ArmsSettings(pulls_per_s=10_000, **{**usual, **ports, **more})


@pytest.fixture
def pace() -> float:
    return 30.0


Make = Callable[..., ArmsDevice]


@pytest.fixture
async def make(site: Site) -> AsyncIterator[Make]:
    """Makes devices that know the LS and switches them on; powers them off at the end."""
    made: list[ArmsDevice] = []

    def device(number: int, host: str = "127.0.0.1", **more: Any) -> ArmsDevice:
        made.append(ArmsDevice(fleet_member(SA_W2, number), settings_of(site, host=host, **more)))
        made[-1].start()
        return made[-1]

    yield device
    for each in made:
        await each.stop()


async def shown(site: Site, unit: Unit) -> str:
    """What the device says it runs, asked over its push path."""
    response = await site.home.link.request(unit.serial, SHOW, timeout_s=60)
    assert isinstance(response.parameters, CommandResults)
    content = response.parameters.results[0].content
    return content if isinstance(content, str) else content.decode()


async def read_back(site: Site, unit: Unit) -> list[str | bytes]:
    """read-storage, whose result comes apart from its start."""
    asked = Request("read-storage-start", "", ReadStorage("running"))
    started = await site.home.link.request(unit.serial, asked, timeout_s=60)
    assert started.transaction_id
    done = await site.home.link.wait_done(unit.serial, started.transaction_id, timeout_s=600)
    assert isinstance(done.parameters, StoredConfigs)
    return [config.content for config in done.parameters.configs]


async def push(site: Site, unit: Unit, working: str) -> tuple[PushService, int]:
    """Plan, approve, and start a push of a working config."""
    assert unit.entry_id is not None
    kinds: tuple[tuple[configs.Kind, str], ...] = (("startup", FIRST), ("working", working))
    async with site.database.write() as tx:
        for kind, text in kinds:
            await configs.put(
                tx,
                ALL,
                site.keyring,
                unit.entry_id,
                kind=kind,
                config=ConfigText.single(text),
                digest=kind,
                author="ann",
                reason="test",
                at_ms=0,
            )
    clock: Clock = site.clock
    reach = FleetReach(site.database, site.keyring, clock, site.home.link)
    service = PushService(database=site.database, keyring=site.keyring, clock=clock, reach=reach, planner=TextPlanner())
    plan = await service.make_plan(ALL, unit.entry_id, "ann")
    for person in ("bob", "carol")[: plan.approvals_needed]:
        await service.approve(ALL, plan.id, person)
    return service, await service.start(ALL, plan.id, "ann")


async def to_its_end(service: PushService, push_id: int) -> tuple[PushState, Outcome | None]:
    """Advance until it is finished."""
    while not await service.advance(push_id):
        pass
    ended = await service.status(ALL, push_id)
    return ended.state, ended.outcome


@pytest.mark.parametrize("methods", [SIMPLE, TUNNEL], ids=["simple", "tunnel"])
@pytest.mark.parametrize("family", [4, 6])
class TestBoot:
    """LS → RS → method query → confirmation → heartbeat, and a request and a result over it."""

    @pytest.fixture
    def arms_settings(self, methods: tuple[PushMethod, ...], family: int) -> ArmsSettings:
        host = HOST[family]
        return arms(host=host, address=host, push_methods=methods)

    async def test_a_device_boots_and_is_pushed_to(
        self, site: Site, make: Make, methods: tuple[PushMethod, ...], family: int
    ) -> None:
        unit = await record(site, SA_W2, 31)
        device = make(31, HOST[family])
        await site.home.link.wait_ready(unit.serial, timeout_s=600)

        assert "first" in await shown(site, unit)
        assert await read_back(site, unit) == [FIRST]
        await device.ground_truth.until("confirmed", method=methods[0])
        contact = await site.contact(unit)
        assert (contact.stage, contact.proven_serial) == (Contact.READY, unit.serial)
        assert contact.source == HOST[family]
        assert contact.tunnel_open is (methods is TUNNEL)
        literal = "[::1]" if family == 6 else "127.0.0.1"
        assert (contact.push_endpoint or "").startswith(f"https://{literal}:" if methods is SIMPLE else "")
        assert (contact.push_endpoint is None) is (methods is TUNNEL)
        await until(lambda: len(site.beats) >= 2)


class TestBothFamilies:
    """One server with addresses of both families, and devices of either."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        hosts = ("127.0.0.1", "::1")
        return arms(hosts=hosts, addresses=("::1", "127.0.0.1"), push_methods=SIMPLE)

    @pytest.mark.parametrize("family", [4, 6])
    async def test_a_device_stays_in_the_family_in_which_it_asked(self, site: Site, make: Make, family: int) -> None:
        unit = await record(site, SA_W2, 32)
        make(32, HOST[family])
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        assert await read_back(site, unit) == [FIRST]
        contact = await site.contact(unit)
        assert contact.source == HOST[family]
        assert ("[" in (contact.push_endpoint or "")) is (family == 6)
        await until(lambda: len(site.beats) >= 2)


class TestSeveralAddresses:
    """The first of three is dead; the others are ours."""

    ADDRESSES = ("127.0.0.9", "127.0.0.1", "127.0.0.2")

    @pytest.fixture(params=[SIMPLE, TUNNEL], ids=["simple", "tunnel"])
    def arms_settings(self, request: pytest.FixtureRequest) -> ArmsSettings:
        return arms(hosts=self.ADDRESSES[1:], addresses=self.ADDRESSES, push_methods=request.param)

    async def test_the_others_serve(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 33)
        make(33)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        assert await read_back(site, unit) == [FIRST]
        peer = site.home._context.peers[unit.adapter_id]
        if (await site.contact(unit)).tunnel_open:
            await until(lambda: len(peer.confirmed) == 2)
            assert {path.key for path in peer.confirmed} == {"/tunnel/2", "/tunnel/3"}


class TestTwoTunnels:
    """Both addresses are alive."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        both = ("127.0.0.1", "127.0.0.2")
        return arms(hosts=both, addresses=both, push_methods=TUNNEL)

    async def test_both_are_confirmed_and_when_one_dies_the_other_serves(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 34)
        make(34)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        peer = site.home._context.peers[unit.adapter_id]
        await until(lambda: len(peer.confirmed) == 2)
        newest = peer.confirmed[-1]
        assert isinstance(newest, Tunnel)

        newest.drop("its cable is cut")
        assert peer.ready.is_set()
        assert "first" in await shown(site, unit)
        assert (await site.contact(unit)).tunnel_open
        await until(lambda: len(peer.confirmed) == 2)

    async def test_a_configure_cuts_one_and_both_are_confirmed_again(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 35)
        device = make(35)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        peer = site.home._context.peers[unit.adapter_id]
        await until(lambda: len(peer.confirmed) == 2)
        service, id_ = await push(site, unit, SECOND)
        assert await to_its_end(service, id_) == (PushState.DONE, Outcome.DONE)
        assert device.running() == SECOND
        assert device.ground_truth.count("tunnel-closed-to-configure") == 1
        await until(lambda: len(peer.confirmed) == 2)


class TestProxy:
    """Everything goes through a web proxy: only the tunnel can work."""

    @pytest.fixture(params=[4, 6])
    def family(self, request: pytest.FixtureRequest) -> int:
        return int(request.param)

    @pytest.fixture
    def arms_settings(self, family: int) -> ArmsSettings:
        return arms(host=HOST[family], address=HOST[family], push_methods=SIMPLE)

    async def test_a_device_behind_a_web_proxy_uses_the_tunnel(self, site: Site, make: Make, family: int) -> None:
        proxy = await ConnectProxy().start()
        try:
            unit = await record(site, SA_W2, 36)
            device = make(36, HOST[family], proxy=proxy.address)
            await site.home.link.wait_ready(unit.serial, timeout_s=600)
            assert await read_back(site, unit) == [FIRST]
            assert {host for host, _ in proxy.targets} == {HOST[family]}
            assert len(proxy.targets) == 4  # LS, pull, method query, tunnel
            assert (await site.contact(unit)).tunnel_open
            await device.stop()
        finally:
            await proxy.stop()


class TestSimple:
    """Operations over https-simple."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return arms(push_methods=SIMPLE, rs_retry_max=1)

    async def test_a_restarted_device_skips_the_ls_and_is_pushed_to_at_its_new_port(
        self, site: Site, make: Make
    ) -> None:
        unit = await record(site, SA_W2, 37)
        device = make(37)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        before = (await site.contact(unit)).push_endpoint
        await device.unplug()
        await device.plug()
        await device.ground_truth.until("confirmed", count=2)

        async def moved() -> bool:
            contact = await site.contact(unit)
            return contact.stage is Contact.READY and contact.push_endpoint not in {None, before}

        await eventually(moved)
        assert "first" in await shown(site, unit)
        states = [entry.detail["state"] for entry in device.log if entry.what == "state"]
        assert states.count("LSPULL") == 1
        assert states.count("RSPULL") == 2

    @pytest.mark.parametrize("at_once", [False, True], ids=["in time", "at once"])
    async def test_a_device_that_we_dial_is_told_of_its_new_key_with_the_one_that_it_has(
        self, site: Site, make: Make, at_once: bool
    ) -> None:
        unit = await record(site, SA_W2, 43 + at_once)
        device = make(43 + at_once)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        async with site.database.write() as tx:
            now_ms = site.clock.now_ms()
            await arms_keys.rotate(tx, site.keyring, unit.adapter_id, "rs", at_ms=now_ms, at_once=at_once)

        await site.home.key_rotated(unit.adapter_id)

        await device.ground_truth.until("confirmed", count=2, timeout_s=60)
        async with site.database.read() as tx:
            (identity,) = await rows.by_adapter(tx, site.keyring, [unit.adapter_id])
        assert not identity.rs_keys.in_flight
        assert identity.rs_key != unit.rs_key
        states = [entry.detail["state"] for entry in device.log if entry.what == "state"]
        assert states.count("LSPULL") == 2
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        assert "first" in await shown(site, unit)

    async def test_a_config_push_is_carried_out_and_confirmed_again(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 38)
        device = make(38)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        service, id_ = await push(site, unit, SECOND)
        assert await to_its_end(service, id_) == (PushState.DONE, Outcome.DONE)
        assert device.running() == SECOND
        assert (await site.contact(unit)).stage is Contact.READY
        assert not (await site.contact(unit)).tunnel_open

    async def test_a_configure_done_that_comes_too_late_is_a_rollback(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 39)
        device = make(39, shortest_timeout_s=1.0)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        service, id_ = await push(site, unit, SECOND)
        device.faults.drop_configure_done = True
        ending = asyncio.create_task(to_its_end(service, id_))
        async with asyncio.timeout(60):
            await device.ground_truth.until("rolled-back", timeout_s=60)
        device.faults.drop_configure_done = False  # its next report gets through: 414
        assert await ending == (PushState.REVERTED, Outcome.NOT_DONE)
        assert device.running() == FIRST
        assert any("414" in row.said + row.detail for row in await service.journal(ALL, id_))

    async def test_a_device_that_hangs_in_its_answer_is_reported_and_serves_the_next(
        self, site: Site, make: Make
    ) -> None:
        unit = await record(site, SA_W2, 40)
        device = make(40)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        device.faults.hang_in_answer = True
        with pytest.raises(OutcomeUnknown, match="hung in the middle"):
            await shown(site, unit)
        assert "first" in await shown(site, unit)

    async def test_after_a_restart_of_the_node_its_devices_are_found_where_they_were(
        self, site: Site, make: Make, arms_settings: ArmsSettings, tmp_path: Path
    ) -> None:
        unit = await record(site, SA_W2, 41)
        device = make(41)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        ports = site.home.ports
        await site.home.stop()
        folder = Path(shutil.copytree(tmp_path / "pki", tmp_path / "again"))
        names = ("ls_port", "rs_port", "heartbeat_port")
        same = arms_settings.model_copy(update=dict(zip(names, ports, strict=True)))
        again = Site(site.database, site.keyring, folder, same, site.clock.pace)
        again.startups = site.startups
        await again.home.start()
        try:
            await again.home.link.wait_ready(unit.serial, timeout_s=600)
            assert await read_back(again, unit) == [FIRST]
            assert device.ground_truth.count("confirmed") == 1  # it has not noticed
            assert device.ground_truth.count("boot") == 1
        finally:
            await again.home.stop()

    async def test_a_pull_ends_the_path_until_it_is_confirmed_again(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 42)
        device = make(42)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=60)
        assert not site.home._context.peers[unit.adapter_id].ready.is_set()
        await device.ground_truth.until("confirmed", count=2)
        await site.home.link.wait_ready(unit.serial, timeout_s=600)


class TestOldTls:
    """Devices that know TLS 1.0 and nothing newer are dialled too, where an operator allows it."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return arms(push_methods=SIMPLE, tls_floor="1.0")

    async def test_an_old_device_is_dialled_with_the_floor_of_the_listeners(self, site: Site, make: Make) -> None:
        unit = await record(site, SA_W2, 43)
        make(43, tls=TlsVersions.legacy())
        await site.home.link.wait_ready(unit.serial, timeout_s=600)
        assert await read_back(site, unit) == [FIRST]
        assert (await site.contact(unit)).push_endpoint is not None


def test_the_same_under_uvloop_which_the_daemon_runs_on(sqlite_url: str, keyring: Keyring, folder: Path) -> None:
    async def story() -> None:
        database = await Database.open(sqlite_url)
        site = Site(database, keyring, folder, arms(push_methods=SIMPLE), 30.0)
        await site.home.start()
        unit = await record(site, SA_W2, 44)
        device = ArmsDevice(fleet_member(SA_W2, 44), settings_of(site))
        device.start()
        try:
            await site.home.link.wait_ready(unit.serial, timeout_s=600)
            service, id_ = await push(site, unit, SECOND)
            assert await to_its_end(service, id_) == (PushState.DONE, Outcome.DONE)
            device.faults.hang_in_answer = True
            with pytest.raises(OutcomeUnknown):
                await shown(site, unit)
            assert not (await site.contact(unit)).tunnel_open
        finally:
            await device.stop()
            await site.home.stop()
            await database.close()

    uvloop.run(story())


async def test_a_late_414_after_a_100_that_nobody_answered_is_a_rollback(site: Site) -> None:
    """The caller was told 100 and was too slow; the device rolled back and says so on its next try."""
    unit = await site.unit()
    identity = await site.home._context.identity(unit.distribution_id)
    assert identity is not None
    peer = site.home._context.peer(identity)
    answered: list[int] = []

    def answer(response: Response) -> bool:
        answered.append(response.result_code)
        return True

    def done(result: int) -> None:
        request = Request("configure-done", unit.distribution_id, transaction_result=result, transaction_id=9)
        peer.finished(request, answer)

    waiting = asyncio.create_task(peer.wait_done(9, timeout_s=5))
    await asyncio.sleep(0)
    done(100)
    assert (await waiting).transaction_result == 100
    done(414)
    with pytest.raises(RolledBack, match="414"):
        peer.acknowledge(9)
    assert answered == [100]


async def test_a_late_303_after_a_100_that_nobody_answered_is_no_rollback(site: Site) -> None:
    """The device syncs its modules and restarts: that is progress, and what it runs is read after its next boot."""
    unit = await site.unit()
    identity = await site.home.context.identity(unit.distribution_id)
    assert identity is not None
    peer = site.home.context.peer(identity)

    def done(result: int) -> None:
        request = Request("configure-done", unit.distribution_id, transaction_result=result, transaction_id=9)
        peer.finished(request, lambda _: True)

    waiting = asyncio.create_task(peer.wait_done(9, timeout_s=5))
    await asyncio.sleep(0)
    done(100)
    await waiting
    done(303)
    with pytest.raises(OutcomeUnknown, match=r"303 Module syncing.*which is progress"):
        peer.acknowledge(9)
