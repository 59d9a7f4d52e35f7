"""Who may be dialled and who gets the key: endpoints that are not what they should be (arms-protocol §5.4, §12)."""

from __future__ import annotations

import asyncio
from asyncio import StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from controller import explaining
from controller.main import Daemon
from controller.phonehome.certificates import Pair
from controller.phonehome.pki import RESOURCE, Pki
from controller.settings import ArmsSettings
from controller.store import adapters
from drivers.arms.ids import basic
from drivers.arms.messages import Request, Response, write
from drivers.arms.parameters import Ping, PushMethodAnswer
from drivers.arms.xml import DECLARATION
from inventory.contacts import ContactRecord
from inventory.errors import CommandRejected, OutcomeUnknown, Unreachable
from inventory.explain import Contact, Explanation
from inventory.secrets import Secret
from tests.controller.phonehome.devices import certified
from tests.controller.phonehome.endpoint import OK_HEAD, Answering, Endpoint, answer_to
from tests.controller.phonehome.site import ALL, Site, Unit, answer_of, eventually, hang_up, http10, until

NOW_MS = 1_760_745_600_000
REFUSED = b"HTTP/1.0 401 Authorization Required\r\n\r\n"


@pytest.fixture
def arms_settings() -> ArmsSettings:
    return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, push_ports="1024-65535")


async def confirming(request: bytes, writer: StreamWriter) -> None:
    """Say 100 to the confirmation, and who it is when asked."""
    writer.write(answer_to("push-confirmation-done" if b"push-confirmation-done" in request else "md-command"))


Open = Callable[[Pair, Answering], Awaitable[Endpoint]]


@pytest.fixture
async def listen(site: Site) -> AsyncIterator[Open]:
    """Opens endpoints."""
    made: list[Endpoint] = []

    async def open_(pair: Pair, answering: Answering) -> Endpoint:
        made.append(await Endpoint(pair, site.home.pki.resource_ca_certificate, answering).start())
        return made[-1]

    yield open_
    for each in made:
        await each.stop()


async def announce(
    site: Site, unit: Unit, endpoint: str | None, *, method: str = "https-simple", source: str = "127.0.0.1"
) -> tuple[int, Response | None]:
    """push-confirmation-start as the client writes it: HTTP/1.1 in chunks."""
    port = site.home.ports[1]
    named = "" if endpoint is None else f"<push-endpoint>{endpoint}</push-endpoint>"
    body = (
        '<arms-message><arms-request type="push-confirmation-start">'
        f"<distribution-id>{unit.distribution_id}</distribution-id><description>armsd</description>"
        f"<push-confirmation-start-request><push-method>{method}</push-method>{named}"
        "</push-confirmation-start-request></arms-request></arms-message>"
    )
    head = (
        f"POST /rs/arms HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: text/xml\r\n"
        f"Transfer-Encoding: chunked\r\nAuthorization: {basic(unit.distribution_id, unit.rs_key)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=site.tls("rs"), local_addr=(source, 0))
    try:
        writer.write(f"{head}{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode())
        async with asyncio.timeout(30):
            return answer_of(await reader.read())
    finally:
        await hang_up(writer)


async def code_of(site: Site, unit: Unit, endpoint: str | None, *, source: str = "127.0.0.1") -> int:
    """The result code of an announcement."""
    status, message = await announce(site, unit, endpoint, source=source)
    assert status == 200
    assert message is not None
    return message.result_code


async def refused(site: Site, unit: Unit) -> ContactRecord:
    """The contact once it says that it was refused."""

    async def seen() -> ContactRecord | None:
        found = await site.contact(unit)
        return found if found.stage is Contact.REFUSED else None

    found = await eventually(seen)
    assert found is not None
    return found


async def explained(site: Site, unit: Unit) -> Explanation:
    """What `explain` says."""
    daemon = cast(Daemon, site)  # it has the clock, and no more is asked of it
    async with site.database.read() as tx:
        return (await explaining.adapters(tx, daemon, [await adapters.get(tx, ALL, unit.adapter_id)]))[0]


async def own(site: Site, unit: Unit) -> Pair:
    """A certificate like the one that the adapter was given."""
    return await asyncio.to_thread(site.home.pki.issue, unit.distribution_id, now_ms=NOW_MS)


async def test_the_confirmation_carries_key_id_and_result_url_to_the_adapter_alone(site: Site, listen: Open) -> None:
    unit = await site.unit()
    endpoint = await listen(await own(site, unit), confirming)

    status, message = await announce(site, unit, endpoint.url)

    assert (status, message and message.result_code) == (200, 100)
    assert message is not None
    assert message.transaction_id
    peer = site.home._context.peers[unit.adapter_id]
    await until(lambda: bool(peer.confirmed))
    asked = endpoint.received[0].decode()
    head, _, body = asked.partition("\r\n\r\n")
    assert head.split("\r\n") == [
        "POST / HTTP/1.0",
        "Content-Type: text/xml",
        f"Content-Length: {len(body)}",
        f"Authorization: {basic(unit.distribution_id, unit.rs_key)}",
    ]
    assert f"<transaction-id>{message.transaction_id}</transaction-id>" in body
    assert f"<result-url>https://127.0.0.1:{site.home.ports[1]}/rs/arms</result-url>" in body
    assert endpoint.callers[0] == RESOURCE
    assert (await site.contact(unit)).push_endpoint == endpoint.url
    assert f"it is dialled for pushes at {endpoint.url} (https-simple)" in [
        fact.text for fact in (await explained(site, unit)).facts
    ]


async def test_an_endpoint_elsewhere_is_never_dialled(site: Site, listen: Open) -> None:
    unit = await site.unit()
    endpoint = await listen(await own(site, unit), confirming)
    assert await code_of(site, unit, endpoint.url, source="127.0.0.9") == 301
    found = await refused(site, unit)
    assert "its address is not 127.0.0.9" in (found.refusal or "")
    assert "its address is not 127.0.0.9" in (await explained(site, unit)).summary
    assert (found.refusal or "").startswith("301: ")
    assert endpoint.connections == 0
    assert found.push_endpoint is None


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1:443/", "http://127.0.0.1:10443/", "https://lab:10443/", None])
async def test_a_port_outside_the_range_or_a_strange_url_is_refused(site: Site, endpoint: str | None) -> None:
    unit = await site.unit()
    assert await code_of(site, unit, endpoint) == 301
    assert "is refused" in ((await refused(site, unit)).refusal or "")
    assert not site.home._context.peers


async def test_the_certificate_of_another_adapter_gets_no_key(site: Site, listen: Open) -> None:
    unit, other = await site.unit(), await site.unit()
    endpoint = await listen(await own(site, other), confirming)
    assert await code_of(site, unit, endpoint.url) == 100
    found = await refused(site, unit)
    assert f"its certificate is that of '{other.distribution_id}'" in (found.refusal or "")
    told = await explained(site, unit)
    assert told.word == "refused"
    assert found.refusal is not None
    assert found.refusal in told.summary
    await until(lambda: endpoint.connections == 1)
    assert endpoint.received in ([], [b""])
    assert ("phonehome.endpoint-failed", endpoint.url) in [
        (kind, facts.get("endpoint")) for kind, facts in await site.events(unit)
    ]


async def test_a_certificate_of_another_ca_gets_no_key(site: Site, listen: Open, tmp_path: Path) -> None:
    unit = await site.unit()
    elsewhere = await asyncio.to_thread(lambda: Pki.open(tmp_path / "else", now_ms=NOW_MS))
    endpoint = await listen(elsewhere.issue(unit.distribution_id, now_ms=NOW_MS), confirming)
    assert await code_of(site, unit, endpoint.url) == 100
    assert "not of our adapter CA" in ((await refused(site, unit)).refusal or "")
    assert b"".join(endpoint.received) == b""
    assert not site.home._context.peers[unit.adapter_id].confirmed


async def test_an_endpoint_at_which_nobody_listens_is_said_so(site: Site, listen: Open) -> None:
    unit = await site.unit()
    endpoint = await listen(await own(site, unit), confirming)
    url = endpoint.url
    await endpoint.stop()
    assert await code_of(site, unit, url) == 100
    assert "cannot be dialled" in ((await refused(site, unit)).refusal or "")


async def test_a_confirmation_that_is_not_answered_with_100_confirms_nothing(site: Site, listen: Open) -> None:
    unit = await site.unit()

    async def mismatch(_: bytes, writer: StreamWriter) -> None:
        writer.write(answer_to("push-confirmation-done", 423))

    endpoint = await listen(await own(site, unit), mismatch)
    assert await code_of(site, unit, endpoint.url) == 100
    assert "answered the confirmation with 423" in ((await refused(site, unit)).refusal or "")
    with pytest.raises(Unreachable):
        await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=1)


async def test_an_adapter_without_a_place_is_not_dialled(site: Site, listen: Open) -> None:
    unit = await site.unit(seat="standby")
    endpoint = await listen(await own(site, unit), confirming)
    assert await code_of(site, unit, endpoint.url) == 404
    assert endpoint.connections == 0


async def test_a_method_that_belongs_into_a_tunnel_is_malformed_here(site: Site) -> None:
    assert await announce(site, await site.unit(), None, method="https-tunnel") == (400, None)


class TestMethods:
    """The method query: our order, of what is offered."""

    async def methods(self, site: Site, unit: Unit, *offered: str) -> tuple[int, tuple[str, ...]]:
        """Code, and the methods in their order."""
        words = "".join(f"<push-method>{each}</push-method>" for each in offered)
        _, message = await site.ask(unit, "push-method-query", words)
        assert message is not None
        parameters = message.parameters
        return message.result_code, parameters.methods if isinstance(parameters, PushMethodAnswer) else ()

    async def certified(self, site: Site) -> Unit:
        """A unit that can be dialled."""
        unit = await site.unit()
        await certified(site, unit)
        return unit

    async def test_they_come_in_our_order_and_only_those_that_it_offers(self, site: Site) -> None:
        unit = await self.certified(site)
        both = ("https-tunnel", "https-simple")
        assert await self.methods(site, unit, "https-simple", "pigeon", "https-tunnel") == (100, both)
        assert await self.methods(site, unit, "https-simple") == (100, ("https-simple",))
        assert await self.methods(site, unit, "https-tunnel") == (100, ("https-tunnel",))
        assert await self.methods(site, unit, "pigeon") == (301, ())
        assert await self.methods(site, unit) == (301, ())

    async def test_without_a_certificate_it_is_not_told_to_be_dialled(self, site: Site) -> None:
        unit = await site.unit()
        assert await self.methods(site, unit, "https-simple", "https-tunnel") == (100, ("https-tunnel",))
        assert await self.methods(site, unit, "https-simple") == (301, ())

    class TestOneAlone:
        """An operator wants no tunnels."""

        @pytest.fixture
        def arms_settings(self) -> ArmsSettings:
            return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, push_methods=("https-simple",))

        async def test_a_device_that_has_only_the_tunnel_is_told_to_come_back(self, site: Site) -> None:
            methods = TestMethods()
            unit = await methods.certified(site)
            assert await methods.methods(site, unit, "https-tunnel") == (301, ())
            assert await methods.methods(site, unit, "https-tunnel", "https-simple") == (100, ("https-simple",))


class TestPushing:
    """Requests to an endpoint that was confirmed and proven."""

    @pytest.fixture
    def pace(self) -> float:
        return 60.0

    async def pushed(self, site: Site, listen: Open, answering: Answering) -> tuple[Unit, Endpoint]:
        """A unit that is ready; what comes after that is answered by `answering`."""
        unit = await site.unit()

        async def first_confirm(request: bytes, writer: StreamWriter) -> None:
            await (confirming if b"push-confirmation-done" in request else answering)(request, writer)

        endpoint = await listen(await own(site, unit), first_confirm)
        assert await code_of(site, unit, endpoint.url) == 100
        peer = site.home._context.peers[unit.adapter_id]
        await until(lambda: bool(peer.confirmed))
        peer.prove()
        return unit, endpoint

    @pytest.mark.parametrize("pace", [10.0])
    async def test_a_script_that_runs_to_its_limit_after_the_head_of_the_answer_is_waited_for(
        self, site: Site, listen: Open
    ) -> None:
        async def slow(_: bytes, writer: StreamWriter) -> None:
            whole = answer_to("read-module-list")
            writer.write(whole[: len(OK_HEAD)])
            await writer.drain()
            await site.clock.wait(33.0)  # its own limit is 30 s, and it has to write as well
            writer.write(whole[len(OK_HEAD) :])

        unit, _ = await self.pushed(site, listen, slow)
        asked = Request("read-module-list", "")
        assert (await site.home.link.request(unit.serial, asked, timeout_s=90)).result_code == 100

    async def test_an_adapter_that_hangs_in_its_answer_has_an_unknown_outcome(self, site: Site, listen: Open) -> None:
        async def hang(_: bytes, writer: StreamWriter) -> None:
            writer.write(answer_to("reboot")[:-20])
            await writer.drain()
            await asyncio.Event().wait()

        unit, _ = await self.pushed(site, listen, hang)
        with pytest.raises(OutcomeUnknown, match="hung in the middle of its answer"):
            await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=900)

    async def test_an_answer_that_is_cut_has_an_unknown_outcome(self, site: Site, listen: Open) -> None:
        async def cut(_: bytes, writer: StreamWriter) -> None:
            writer.write(answer_to("reboot")[:-20])

        unit, _ = await self.pushed(site, listen, cut)
        with pytest.raises(OutcomeUnknown, match=r"ended in the middle|broke"):
            await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=60)

    async def test_a_400_that_says_chunked_and_is_not_is_a_400(self, site: Site, listen: Open) -> None:
        octets = (Path(__file__).parents[2] / "vectors/arms/http").glob("push-response-400*.bin")
        answer = next(octets).read_bytes()

        async def bad(_: bytes, writer: StreamWriter) -> None:
            writer.write(answer)

        unit, _ = await self.pushed(site, listen, bad)
        with pytest.raises(CommandRejected) as rejected:
            await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=60)
        assert rejected.value.facts["http_status"] == 400

    @pytest.mark.parametrize("fetched", [False, True])
    async def test_while_the_key_is_rotated_it_is_asked_with_the_one_that_it_has(
        self, site: Site, listen: Open, *, fetched: bool
    ) -> None:
        unit, endpoint = await self.pushed(site, listen, confirming)
        peer = site.home._context.peers[unit.adapter_id]
        new = Secret("the-key-that-the-ls-hands-out-now")
        has = basic(unit.distribution_id, new if fetched else unit.rs_key).encode()
        asked: list[bool] = []

        async def only_its_own(request: bytes, writer: StreamWriter) -> None:
            if b"read-module-list" in request:
                asked.append(has in request)
            writer.write(answer_to("read-module-list") if has in request else REFUSED)

        endpoint.answering = only_its_own
        keys = peer.identity.rs_keys.rotate(new, site.clock.now_ms())
        peer.identity = replace(peer.identity, rs_keys=keys)
        response = await peer.confirmed[-1].ask(Request("read-module-list", unit.distribution_id), timeout_s=10)
        assert response.result_code == 100
        assert asked == ([False, True] if fetched else [True])

    async def test_an_endpoint_that_is_gone_was_sent_nothing(self, site: Site, listen: Open) -> None:
        unit, endpoint = await self.pushed(site, listen, confirming)
        await endpoint.stop()
        with pytest.raises(Unreachable, match="cannot be dialled"):
            await site.home.link.request(unit.serial, Request("reboot", ""), timeout_s=60)

    async def test_a_result_may_come_before_the_answer_to_its_start(self, site: Site, listen: Open) -> None:
        async def early(_: bytes, writer: StreamWriter) -> None:
            status, message = await tell_ping(site, unit, 77)
            assert (status, message and message.result_code) == (200, 100)
            started = Response("ping-start", 100, transaction_id=77)
            writer.write(answer_to("ping-start").partition(b"<arms-message>")[0] + written(started))

        unit, _ = await self.pushed(site, listen, early)
        started = await site.home.link.request(
            unit.serial, Request("ping-start", "", Ping("192.0.2.1", 1)), timeout_s=60
        )
        assert started.transaction_id == 77
        done = await site.home.link.wait_done(unit.serial, 77, timeout_s=60)
        assert done.transaction_result == 100


def written(response: Response) -> bytes:
    """A response without declaration."""
    return write(response).removeprefix(DECLARATION)


async def tell_ping(site: Site, unit: Unit, id_: int) -> tuple[int, Response | None]:
    """A ping-done over the RS."""
    body = (
        '<arms-message><arms-request type="ping-done"><transaction-result>100</transaction-result>'
        f"<distribution-id>{unit.distribution_id}</distribution-id><transaction-id>{id_}</transaction-id>"
        "<ping-done-request><success>1</success><failure>0</failure></ping-done-request>"
        "</arms-request></arms-message>"
    ).encode()
    return answer_of(await site.send("rs", http10("/rs/arms", unit.distribution_id, unit.rs_key, body)))
