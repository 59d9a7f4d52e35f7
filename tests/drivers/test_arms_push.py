"""A push over ARMS to a simulated SA-W2 behind a real tunnel, told from what the adapter holds (arms-protocol §6.5)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.arms import messages
from drivers.arms.messages import Request, Response
from drivers.driver import Driver
from drivers.push import PushJob
from drivers.recipe import DRIVER
from drivers.seil import DRIVER as SEIL
from drivers.sessions.arms import ArmsDevice, ArmsLimits, Comparison, identity_of
from drivers.simulator import arms_client
from drivers.simulator.arms_client import ArmsSettings
from drivers.simulator.identity import AYAME, SA_W2, ArmsModel, fleet_member
from inventory.errors import Conflict, IdentityMismatch, OutcomeUnknown, RolledBack, StalePlan, Truncated
from inventory.plans import ARMS_ORDER, ConfigText, PushState
from tests.drivers.simulator.arms.fake_server import FakeServer, TunnelPeer

SENDING = ARMS_ORDER[1:-1]
WANTED = "hostname: pushed\n"
LIMITS = ArmsLimits(ready_s=10, answer_s=10, command_s=10, done_s=10, read_done_s=10)


class OneTunnel:
    """An `ArmsLink` over one tunnel of the fake server; nothing but the codec is shared with the controller."""

    def __init__(self, server: FakeServer, distribution_id: str) -> None:
        self._server = server
        self._id = distribution_id
        self._tunnel: TunnelPeer | None = None
        self._confirmed = False
        self._configuring: set[int] = set()
        self.sent: list[Request] = []

    async def wait_ready(self, serial: str, *, timeout_s: float) -> None:
        if self._tunnel is None:
            self._tunnel = await self._server.tunnel()
        if not self._confirmed:
            await self._tunnel.confirm(self._id)
            self._confirmed = True

    async def request(self, serial: str, request: Request, *, timeout_s: float, failed_too: bool = False) -> Response:
        tunnel = self._open()
        self.sent.append(request)
        body = messages.write(replace(request, distribution_id=self._id, description="push"))
        tunnel.writer.write(b"%x;id=9;trail\r\n%s\r\n" % (len(body), body))
        answer = self._decoded(await tunnel.expect(request.type))
        assert isinstance(answer, Response)
        if request.type == "configure-start" and answer.result_code == 100:
            assert answer.transaction_id is not None
            self._configuring.add(answer.transaction_id)
            self._confirmed = False
        return answer

    async def wait_done(self, serial: str, transaction_id: int, *, timeout_s: float) -> Request:
        if transaction_id not in self._configuring:
            tunnel = self._open()
            done = self._decoded(await tunnel.expect("read-storage-done"))
            tunnel.respond("read-storage-done", number=str(transaction_id))
        else:
            self._tunnel = await self._server.tunnel()
            done = self._decoded(await self._tunnel.expect("configure-done"))
        assert isinstance(done, Request)
        assert done.transaction_id == transaction_id
        return done

    async def acknowledge(self, serial: str, transaction_id: int) -> None:
        self._open().respond("configure-done", number=str(transaction_id))

    async def lose_the_tunnel_until_it_rolled_back(self) -> TunnelPeer:
        """Nobody answers configure-done: the adapter repeats it, goes back, and says so."""
        tunnel = await self._server.tunnel()
        while (await tunnel.expect("configure-done")).findtext("transaction-result") != "414":
            pass
        return tunnel

    def _open(self) -> TunnelPeer:
        assert self._tunnel is not None
        return self._tunnel

    @staticmethod
    def _decoded(inner: ET.Element) -> messages.Message:
        whole = ET.Element("arms-message")
        whole.append(inner)
        return messages.read(ET.tostring(whole))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    fake = await FakeServer(tmp_path).start()
    yield fake
    await fake.stop()


class Site:
    """A simulated adapter that phoned home, and the device as the controller holds it."""

    def __init__(self, server: FakeServer, model: ArmsModel, driver: Driver) -> None:
        settings = ArmsSettings(
            ls_urls=(server.ls_url,), root_ca_pem=server.root.pem, pace=50.0, shortest_timeout_s=0.5, boot_s=1.0
        )
        self.adapter = arms_client.ArmsDevice(fleet_member(model, 1), settings)
        self.link = OneTunnel(server, self.adapter.identity.distribution_id)
        self.serial = self.adapter.identity.serial_number
        self.driver = driver

    def device(self, serial: str | None = None, distribution_id: str | None = None) -> ArmsDevice:
        compare = Comparison(
            canonical=lambda _module, text: "\n".join(sorted(text.splitlines())),
            difference=lambda before, after: f"{before.text()!r} became {after.text()!r}",
        )
        return ArmsDevice(
            self.driver,
            self.link,
            self.serial if serial is None else serial,
            compare=compare,
            distribution_id=distribution_id,
            limits=LIMITS,
        )


@pytest.fixture
async def site(server: FakeServer) -> AsyncIterator[Site]:
    site = Site(server, SA_W2, DRIVER)
    site.adapter.start()
    yield site
    await site.adapter.stop()


async def job_for(device: ArmsDevice, text: str = WANTED) -> PushJob:
    await device.identify()
    base = await device.read()
    return PushJob("P-11", "unused", base, ConfigText.single(text), (), ())


async def enter(device: ArmsDevice, job: PushJob, *states: PushState) -> PushJob:
    """Enter states one by one; the transaction id is journalled as the engine does."""
    for state in states:
        step = await device.enter(state, job)
        if step.transaction_id is not None:
            job = replace(job, transaction_id=step.transaction_id)
    return job


def up_to(state: PushState) -> tuple[PushState, ...]:
    return SENDING[: SENDING.index(state) + 1]


async def test_a_push_is_applied_answered_and_read_back(site: Site) -> None:
    device = site.device()
    job = await job_for(device)

    await enter(device, job, *SENDING)

    assert site.adapter.running() == WANTED
    applied = [record.detail["how"] for record in site.adapter.log if record.what == "applied"]
    assert applied == ["pull", "configure"]


async def test_letters_that_text_mode_does_not_tell_do_not_fail_a_push(site: Site) -> None:
    device = site.device()
    job = await job_for(device, "hostname: pushed\nsite: 大阪\n")

    step = await device.enter(PushState.VERIFIED, await enter(device, job, *up_to(PushState.CONFIRMED)))

    assert site.adapter.running() == "hostname: pushed\nsite: 大阪\n"
    assert step.said.endswith("it tells letters beyond ASCII as ?")
    assert await device.read() == job.intent
    fresh = site.device()
    assert (await fresh.read()).text() == "hostname: pushed\nsite: ??????\n"
    await fresh.guard_pending(job)
    assert await fresh.read() == job.intent


async def test_a_change_of_nothing_but_such_letters_is_read_as_what_was_sent(site: Site) -> None:
    device = site.device()
    job = await enter(device, await job_for(device, "site: 大阪\n"), *SENDING)
    job = PushJob("P-12", "unused", job.intent, ConfigText.single("site: 東京\n"), (), ())

    await enter(device, job, *SENDING)

    assert site.adapter.running() == "site: 東京\n"
    assert await device.read() == job.intent


async def test_another_text_with_more_letters_is_still_another_text(site: Site) -> None:
    device = site.device()
    job = await job_for(device, "hostname: pushed\nsite: 大阪\n")
    await enter(device, job, *up_to(PushState.CONFIRMED))

    with pytest.raises(Conflict, match="differs from the intent"):
        await device.enter(
            PushState.VERIFIED, replace(job, intent=ConfigText.single("hostname: pushed\nsite: 大阪市\n"))
        )


async def test_a_configure_names_every_module_and_carries_no_content_type(site: Site) -> None:
    device = site.device()
    job = await enter(device, await job_for(device), *up_to(PushState.APPLIED))

    sent = next(request.parameters for request in site.link.sent if request.type == "configure-start")
    text = messages.write(Request("configure-start", "x", sent)).decode()
    assert job.transaction_id is not None
    assert '<module id="0" version="5.66.0-0">' in text
    assert text.index("<module ") < text.index("<md-config ")
    assert "content-type" not in text


async def test_another_fresh_device_finishes_what_a_crash_left_open(site: Site) -> None:
    device = site.device()
    job = await enter(device, await job_for(device), *up_to(PushState.REACHABLE))

    await enter(site.device(), job, PushState.CONFIRMED, PushState.VERIFIED, PushState.SAVED)

    assert site.adapter.running() == WANTED


async def test_a_configuration_that_the_adapter_does_not_take_ends_rolled_back(site: Site) -> None:
    device = site.device()
    job = await job_for(device)
    before = site.adapter.running()
    site.adapter.faults.refuse_config = True

    with pytest.raises(RolledBack, match="411"):
        await enter(device, job, *SENDING)

    assert site.adapter.running() == before


async def test_a_moved_base_stops_the_push(site: Site) -> None:
    device = site.device()
    job = await job_for(device)

    with pytest.raises(StalePlan):
        await device.enter(PushState.BASELINED, replace(job, base=job.intent))


async def test_a_module_left_out_is_never_sent(server: FakeServer) -> None:
    site = Site(server, SA_W2, SEIL)
    device = site.device()
    job = PushJob("P-12", "unused", ConfigText.single("a"), ConfigText.single("b"), (), ())

    with pytest.raises(Conflict, match="module 1"):
        await device.enter(PushState.APPLYING, job)

    assert site.link.sent == []


async def test_a_reading_without_a_module_of_the_family_is_discarded(site: Site) -> None:
    await site.device().identify()
    site.driver = SEIL

    with pytest.raises(Truncated, match="module 1"):
        await site.device().read()


async def test_another_serial_number_behind_the_id_is_a_mismatch(site: Site) -> None:
    with pytest.raises(IdentityMismatch):
        await site.device(serial="1W99999999").identify()


async def test_a_push_after_the_answer_is_taken_back_by_a_push_of_its_own(site: Site) -> None:
    device = site.device()
    job = await job_for(device)
    before = site.adapter.running()
    job = await enter(device, job, *up_to(PushState.VERIFIED))

    step = await device.revert(job)
    again = await device.revert(job)

    assert site.adapter.running() == before
    assert "sent back" in step.said
    assert again.said == "the adapter runs the base"


async def test_without_the_id_of_its_transaction_nothing_is_answered(site: Site) -> None:
    device = site.device()
    job = await job_for(device)

    with pytest.raises(OutcomeUnknown, match="was lost"):
        await device.enter(PushState.CONFIRMED, job)


async def test_no_answer_means_that_the_adapter_goes_back_by_itself(site: Site) -> None:
    device = site.device()
    job = await job_for(device)
    before = site.adapter.running()
    await enter(device, job, *up_to(PushState.APPLIED))

    await site.link.lose_the_tunnel_until_it_rolled_back()

    assert site.adapter.running() == before


async def test_a_software_router_is_known_by_its_distribution_id(server: FakeServer) -> None:
    site = Site(server, AYAME, DRIVER)
    site.adapter.start()
    try:
        identity = await site.device("SOFT-1", site.adapter.identity.distribution_id).identify()
        assert identity.serial is None
        assert identity.distribution_id is not None
        with pytest.raises(IdentityMismatch):
            await site.device("SOFT-1", "0001-0000-0000-0086-0001-0000-0000-0042").identify()
    finally:
        await site.adapter.stop()


def test_the_monitor_line_of_an_x1_is_not_its_version() -> None:
    identity = identity_of(
        "# show system\nSEIL/X1 IPL Monitor version 1.05\nSEIL/X1 Ver. 5.40 (WallofJericho)\n\n"
        'Serial  : AD9010J-BAA0001230001\n\nHost    : "branch-101"\n',
        "",
    )

    assert (identity.model, identity.version, identity.serial) == ("SEIL/X1", "5.40", "AD9010J-BAA0001230001")
    assert identity.hostname == "branch-101"
