"""The client's end of https-simple: a listener that serves one connection at a time (arms-protocol §5.4)."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl

from drivers.simulator import arms_messages as messages
from drivers.simulator.arms_answers import Pulled
from drivers.simulator.arms_configure import ConfigureStory
from drivers.simulator.arms_http import Endpoint, Unanswered, chunked_request, endpoint, exchange
from drivers.simulator.arms_messages import MalformedMessage, Pieces, ServerMessage
from drivers.simulator.arms_operations import SYNCHRONOUS, Started, read_message
from drivers.simulator.arms_reactions import Departure, Reaction, after_done, after_pull_step, departure
from drivers.simulator.arms_runtime import ArmsRuntime
from drivers.simulator.arms_tls import listening_context
from drivers.simulator.arms_tunnel import CONFIRMATION_S, MethodFailed, Owner
from drivers.simulator.tls_stream import LinkLost, TlsStream, accept_tls

DECLARATION = b'<?xml version="1.0" encoding="US-ASCII" ?>\r'
REQUEST_OCTETS = 16 * 1024 * 1024
_STATUS = {200: b"OK", 400: b"Bad Request", 401: b"Authorization Required"}


class SimpleListener:
    """Listens, confirms to every pull URL, and serves the server's pushes in turn."""

    def __init__(self, runtime: ArmsRuntime, owner: Owner, pulled: Pulled) -> None:
        self._runtime = runtime
        self._owner = owner
        self._pulled = pulled
        self._confirmed = asyncio.Event()
        self._socket: socket.socket | None = None

    async def run(self) -> None:
        """Serve until cancelled. Raises MethodFailed or Departure."""
        runtime = self._runtime
        if runtime.sa_certificate is None:
            raise MethodFailed("https-simple without a certificate of ours")
        ca_pem = (runtime.location and runtime.location.rs_ca_pem) or runtime.settings.root_ca_pem
        context = listening_context(ca_pem, runtime.settings.tls, runtime.sa_certificate)
        family = socket.AF_INET6 if self._pulled.pull_urls[0].family == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            host = runtime.settings.local_host or ("::1" if family == socket.AF_INET6 else "127.0.0.1")
            listener.bind((host, runtime.settings.push_port))
            listener.listen(8)
            listener.setblocking(False)
            self._socket = listener
            self._owner.spawn(self.confirm)
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                await self._serve(connection, context)

    async def confirm(self) -> None:
        """Announce the listener on every pull URL, then wait for the server to dial it."""
        self._confirmed.clear()
        results = await asyncio.gather(*(self._announce(url) for url in self._pulled.pull_urls))
        if not any(results):
            raise MethodFailed("no resource server took the confirmation")
        try:
            async with asyncio.timeout(self._runtime.timeout_s(CONFIRMATION_S)):
                await self._confirmed.wait()
        except TimeoutError as error:
            raise MethodFailed("nobody dialled the push endpoint") from error

    async def end(self) -> None:
        """Close the listener: the next dial is refused."""
        if self._socket is not None:
            self._socket.close()

    async def _announce(self, url: Endpoint) -> bool:
        runtime = self._runtime
        assert self._socket is not None
        try:
            stream = await runtime.dial(url, runtime.context())
            host, port = stream.local_address[0], self._socket.getsockname()[1]
            shown = f"[{host}]" if ":" in host else host
            message = runtime.writer.push_confirmation_start("https-simple", f"https://{shown}:{port}/")
            answer = await exchange(
                stream,
                chunked_request(url, runtime.rs_authorization(), message),
                step_timeout_s=runtime.timeout_s(30),
            )
        except (LinkLost, Unanswered) as error:
            runtime.truth_log.note("unanswered", step="push-confirmation-start", why=str(error))
            return False
        reaction = after_pull_step("push-confirmation-start", answer.result_code)
        if reaction not in {Reaction.CONTINUE, Reaction.RETRY}:
            raise departure(reaction, answer.result_code)
        if reaction is Reaction.RETRY:
            runtime.truth_log.note("refused", step="push-confirmation-start", code=answer.result_code)
        return reaction is Reaction.CONTINUE

    # -- the server's requests ---------------------------------------------------------------------------

    async def _serve(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        runtime = self._runtime
        idle_s = runtime.timeout_s(30)
        try:
            stream = await accept_tls(connection, context, timeout_s=idle_s)
        except LinkLost as error:
            runtime.truth_log.note("push-failed", why=str(error))
            return
        runtime.streams.add(stream)
        try:
            head, body = await self._receive(stream, idle_s)
            refusal = self._refusal(head)
            if refusal is not None:
                runtime.truth_log.note("push-refused", status=refusal)
                await stream.write(_response_head(refusal, head) + DECLARATION)
                return
            async with runtime.thread:
                await stream.write(_response_head(200, b"") + DECLARATION)  # a script runs only after it
                await self._answer(stream, body)
        except LinkLost as error:
            runtime.truth_log.note("push-failed", why=str(error))
        finally:
            await stream.close()

    async def _receive(self, stream: TlsStream, idle_s: float) -> tuple[bytes, bytes]:
        received = b""
        while True:
            head, blank, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if blank and len(body) >= (int(length[1]) if length else 0):
                return head, body
            try:
                async with asyncio.timeout(idle_s):
                    octets = await stream.read()
            except TimeoutError as error:
                raise LinkLost("the server's request stopped half way") from error
            if not octets or len(received) > REQUEST_OCTETS:
                raise LinkLost("the server's request is not whole")
            received += octets

    def _refusal(self, head: bytes) -> int | None:
        wanted = b"Authorization: " + self._runtime.rs_authorization()
        if wanted not in head.split(b"\r\n"):  # spelled exactly like this (§5.4)
            return 401
        return 400 if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head) else None

    async def _answer(self, stream: TlsStream, body: bytes) -> None:
        runtime = self._runtime
        message, answer = read_message(body.strip(), runtime.identity.distribution_id)
        if message is None or not message.is_request:
            await self._respond(stream, answer or messages.response("generic-error", 202))
        elif message.kind == "push-confirmation-done":
            await self._respond(stream, messages.response(message.kind, 100))
            self._confirmed.set()
            self._owner.confirmed(self)
        elif message.kind in SYNCHRONOUS:
            runtime.truth_log.note("request", kind=message.kind)
            await self._synchronous(stream, message)
        else:
            runtime.truth_log.note("request", kind=message.kind)
            await self._asynchronous(stream, message)

    async def _synchronous(self, stream: TlsStream, message: ServerMessage) -> None:
        try:
            answer = await self._runtime.operations.answer(message)
        except MalformedMessage:
            answer = messages.response(message.kind, 201)
        await self._respond(stream, answer)
        await stream.close()
        if message.kind == "reboot":
            await self._owner.end_paths()
            raise Departure("reboot", "Reboot requested by RS")
        if message.kind == "pull-config":
            await self._owner.end_paths()
            raise Departure("ls" if message.text("type") == "LS" else "rs", "Pull requested by RS")

    async def _asynchronous(self, stream: TlsStream, message: ServerMessage) -> None:
        url = message.result_url or self._runtime.last_result_url or ""
        if not re.match("https?://", url):
            await self._respond(stream, messages.response(message.kind, 203))
            return
        self._runtime.last_result_url = url
        try:
            started = self._runtime.operations.start(message)
        except MalformedMessage:
            await self._respond(stream, messages.response(message.kind, 201))
            return
        await self._respond(stream, started.answer)
        await stream.close()
        if started.work is not None:
            report = await started.work()
            self._owner.spawn(lambda: self._report(url, started, report))
        elif started.change is not None:
            self._owner.spawn(lambda: self._configure(url, started))

    async def _respond(self, stream: TlsStream, answer: Pieces) -> None:
        octets = b"".join(answer)
        if self._runtime.faults.hang_in_answer:
            self._runtime.faults.hang_in_answer = False
            self._runtime.truth_log.note("hanging", why="half an answer")
            await stream.write(octets[: len(octets) // 2])
            while await stream.read():
                pass
            raise LinkLost("hung in an answer")
        await stream.write(octets)

    # -- results -----------------------------------------------------------------------------------------

    async def _post(self, url: str, report: Pieces) -> int | None:
        """Result code of the server's answer. Raises LinkLost or Unanswered."""
        runtime = self._runtime
        target = endpoint(url)
        if target is None:
            raise LinkLost(f"result-url {url} cannot be used")
        stream = await runtime.dial(target, runtime.context())
        writes = chunked_request(target, runtime.rs_authorization(), report)
        return (await exchange(stream, writes, step_timeout_s=runtime.timeout_s(30))).result_code

    async def _report(self, url: str, started: Started, report: Pieces) -> None:
        """Sent once only: a lost `-done` is gone (§6.5)."""
        runtime = self._runtime
        try:
            code = await self._post(url, report)
        except (LinkLost, Unanswered) as error:
            runtime.truth_log.note("lost", message=f"{started.kind}-done", why=str(error))
            return
        finally:
            runtime.open_transactions.pop(started.transaction_id, None)
        runtime.truth_log.note("reported", operation=started.kind, transaction_id=started.transaction_id, code=code)
        reaction = after_done(code, configure=False)
        if reaction is not Reaction.CONTINUE:
            raise departure(reaction, code)

    async def _configure(self, url: str, started: Started) -> None:
        story = ConfigureStory(self._runtime, started)
        await story.apply()

        async def send() -> None:
            message = story.message
            if message is None:
                return
            try:
                story.answered(await self._post(url, message))
            except (LinkLost, Unanswered) as error:
                self._runtime.truth_log.note("lost", message="configure-done", why=str(error))

        await send()
        await story.see_through(send)
        await self._owner.reconfirm()


def _response_head(status: int, request_head: bytes) -> bytes:
    challenge = b"" if status == 200 else b'WWW-Authenticate: Basic realm=""\r\n'
    # The client repeats this header of the request although its own body is not chunked (§5.4).
    chunked = re.search(rb"(?i)\r\n(transfer-encoding: *chunked)", request_head)
    repeated = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    return (
        b"HTTP/1.0 %d %s\r\n" % (status, _STATUS[status])
        + challenge
        + b"Server: armsd\r\nConnection: close\r\nContent-Type: text/xml\r\n"
        + repeated
        + b"\r\n"
    )
