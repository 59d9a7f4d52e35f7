"""Pushes over https-simple: the server dials the device (arms-protocol §5.4)."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import xml.etree.ElementTree as ET
from dataclasses import replace

from drivers.simulator.arms_client import ArmsDevice
from tests.drivers.simulator.arms.conftest import Workshop
from tests.drivers.simulator.arms.fake_server import RS_KEY, FakeServer

MODULE_0 = '<module id="0" version="5.66.0-0">SA-W2 5.66</module>'


class Dialler:
    """The server's side of https-simple for one device."""

    def __init__(self, server: FakeServer, device: ArmsDevice) -> None:
        self.server, self.device = server, device
        self.identity = device.identity.distribution_id
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.load_verify_locations(cadata=server.sa_ca.pem)
        self.port = 0

    async def find(self) -> None:
        """Wait for the next announcement and remember the endpoint."""
        await self.server.next_of("push-confirmation-start")
        endpoint = self.server.of("push-confirmation-start")[-1].text("push-endpoint")
        found = re.fullmatch(r"https://127\.0\.0\.1:(\d+)/", endpoint or "")
        assert found is not None
        self.port = int(found[1])

    async def raw(self, head: str, body: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
        writer.write(f"POST / HTTP/1.0\r\n{head}\r\n{body}".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def push(self, kind: str, parameters: str = "", *, result_url: str | None = None) -> ET.Element:
        user = base64.b64encode(f"{self.identity}:{RS_KEY}".encode()).decode()
        body = (
            f'<?xml version="1.0" encoding="US-ASCII"?>\n<arms-message><arms-request type="{kind}">'
            f"<distribution-id>{self.identity}</distribution-id>"
            f"<result-url>{result_url or self.server.rs_url}</result-url>"
            f"<{kind}-request>{parameters}</{kind}-request></arms-request></arms-message>"
        )
        head = f"Content-Length: {len(body)}\r\nAuthorization: Basic {user}\r\n"
        answer = await self.raw(head, body)
        assert answer.startswith(b"HTTP/1.0 200 OK\r\nServer: armsd\r\n")
        declaration, _, message = answer.partition(b"\r\n\r\n")[2].partition(b"\r")
        assert declaration == b'<?xml version="1.0" encoding="US-ASCII" ?>'
        return ET.fromstring(message)[0]

    async def confirm(self) -> None:
        await self.find()
        answer = await self.push("push-confirmation-done")
        assert answer.find("transaction-id") is None


async def confirmed(server: FakeServer, workshop: Workshop) -> Dialler:
    server.method = "https-simple"
    device = workshop.device(change=lambda s: replace(s, shortest_timeout_s=0.5))
    device.start()
    dialler = Dialler(server, device)
    await dialler.confirm()
    await device.ground_truth.until("confirmed")
    return dialler


async def test_a_device_announces_its_endpoint_in_chunks_and_is_dialled_there(
    server: FakeServer, workshop: Workshop
) -> None:
    dialler = await confirmed(server, workshop)
    head = server.of("push-confirmation-start")[0].head
    assert f"Host: 127.0.0.1:{server.rs_port}\r\nConnection: close\r\n" in head
    assert "Transfer-Encoding: chunked\r\n" in head
    assert len(await server.heartbeat()) == 88
    listed = await dialler.push("read-module-list")
    assert [each.get("version") for each in listed.iter("module")] == ["5.66.0-0"]


async def test_results_come_on_a_connection_of_their_own(server: FakeServer, workshop: Workshop) -> None:
    dialler = await confirmed(server, workshop)
    start = await dialler.push("read-storage-start", "<storage>running</storage>")
    done = await server.next_of("read-storage-done")
    assert done.text("transaction-id") == start.findtext("transaction-id")
    assert done.text("md-config") == "hostname: first\n"
    await dialler.device.ground_truth.until("reported", code=100)


async def test_a_push_is_reported_and_confirmed_again_with_a_fresh_heartbeat(
    server: FakeServer, workshop: Workshop
) -> None:
    dialler = await confirmed(server, workshop)
    await server.heartbeat()
    await dialler.push("configure-start", f'{MODULE_0}<md-config id="0">hostname: pushed\n</md-config>')
    done = await server.next_of("configure-done")
    assert done.text("transaction-result") == "100"
    await dialler.confirm()
    await dialler.device.ground_truth.until("heartbeat-started", count=2)
    assert dialler.device.running() == "hostname: pushed\n"


async def test_credentials_must_be_spelled_exactly_and_requests_not_chunked(
    server: FakeServer, workshop: Workshop
) -> None:
    dialler = await confirmed(server, workshop)
    user = base64.b64encode(f"{dialler.identity}:{RS_KEY}".encode()).decode()
    wrong = await dialler.raw("Content-Length: 0\r\nAuthorization: Basic bm8=\r\n", "")
    assert wrong == (
        b'HTTP/1.0 401 Authorization Required\r\nWWW-Authenticate: Basic realm=""\r\nServer: armsd\r\n'
        b'Connection: close\r\nContent-Type: text/xml\r\n\r\n<?xml version="1.0" encoding="US-ASCII" ?>\r'
    )
    lower = await dialler.raw(f"Content-Length: 0\r\nauthorization: basic {user}\r\n", "")
    assert lower.startswith(b"HTTP/1.0 401 ")
    chunked = await dialler.raw(f"Authorization: Basic {user}\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert b"Transfer-Encoding: chunked\r\n" in chunked


async def test_a_result_url_that_cannot_be_used_loses_the_result(server: FakeServer, workshop: Workshop) -> None:
    dialler = await confirmed(server, workshop)
    parameters = "<storage>running</storage>"
    start = await dialler.push("read-storage-start", parameters, result_url="http://127.0.0.1/x")
    assert start.findtext("result-code") == "100"
    await dialler.device.ground_truth.until("lost", message="read-storage-done")
    start = await dialler.push("read-storage-start", parameters, result_url="ftp://127.0.0.1/x")
    assert start.findtext("result-code") == "203"


async def test_after_a_reboot_request_nobody_listens_until_the_next_confirmation(
    server: FakeServer, workshop: Workshop
) -> None:
    dialler = await confirmed(server, workshop)
    await dialler.push("reboot")
    await dialler.device.ground_truth.until("leaving", to="reboot")
    with_old_port = asyncio.open_connection("127.0.0.1", dialler.port)
    try:
        _, writer = await with_old_port
    except ConnectionRefusedError:
        pass
    else:
        writer.close()
        raise AssertionError("the old port still answers")
    await dialler.confirm()


async def test_a_device_that_nobody_dials_gives_the_method_up(server: FakeServer, workshop: Workshop) -> None:
    server.method = "https-simple"
    device = workshop.device(change=lambda s: replace(s, shortest_timeout_s=0.2, pace=300.0))
    device.start()
    await device.ground_truth.until("method-failed", method="https-simple")
    await server.next_of("push-confirmation-start")
    await device.ground_truth.until("leaving", trigger="push server not found")
