"""The client's end of one https-tunnel (arms-protocol §5.3)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from drivers.simulator import arms_messages as messages
from drivers.simulator.arms_chunks import (
    CHUNK_LIMIT_OCTETS,
    ECHO_REQUEST,
    END,
    Assembler,
    BrokenStream,
    Chunk,
    ChunkReader,
    frame,
)
from drivers.simulator.arms_configure import ConfigureStory
from drivers.simulator.arms_http import Endpoint, chunked_head
from drivers.simulator.arms_messages import MalformedMessage, Pieces, ServerMessage
from drivers.simulator.arms_operations import SYNCHRONOUS, Started, read_message
from drivers.simulator.arms_reactions import Departure, Reaction, after_done, after_pull_step, departure
from drivers.simulator.arms_runtime import ArmsRuntime
from drivers.simulator.tls_stream import LinkLost, TlsStream

CONFIRMATION_S = 60.0


class MethodFailed(Exception):
    """This way of being pushed to does not work; the client tries the next method."""


class Owner(Protocol):
    """What a push path needs of the push mode that it belongs to."""

    def confirmed(self, path: object) -> None:
        """The path has been confirmed, for the first time or again."""

    async def reconfirm(self) -> None:
        """Repeat the confirmation on every path."""

    async def end_paths(self) -> None:
        """Orderly end of every path, before a reboot or a pull."""

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run something beside; its Departure ends push mode."""


class Tunnel:
    """One tunnel URL: connects, confirms, serves, reconnects, until push mode ends."""

    def __init__(self, runtime: ArmsRuntime, owner: Owner, target: Endpoint, echo_interval_s: int) -> None:
        self.target = target
        self.is_up = False
        self._runtime = runtime
        self._owner = owner
        self._echo_interval_s = echo_interval_s / runtime.settings.pace
        self._stream: TlsStream | None = None
        self._write_lock = asyncio.Lock()
        self._ever_confirmed = False
        self._start_answered = False
        self._confirm_by: float | None = None
        self._next_echo = 0.0
        self._echo_open = False
        self._pending: ConfigureStory | None = None
        self._carried: set[int] = set()
        """Transactions whose `-done` is lost with this tunnel: all but a configure (§5.3)."""
        self._chunks = ChunkReader()
        self._messages = Assembler()

    async def run(self) -> None:
        """Serve until cancelled. Raises MethodFailed or Departure."""
        location = self._runtime.location
        assert location is not None
        failures = 0
        while True:
            try:
                await self._connect()
                started = await self._converse()
            except (LinkLost, BrokenStream) as error:
                self._lose(error)
                failures += 1
                if failures > location.retry_max and self._pending is not None:
                    self._pending.untold()
                    failures = 0
                elif failures > location.retry_max and not self._ever_confirmed:
                    raise MethodFailed(f"tunnel: {error}") from error
                await self._runtime.wait(location.retry_interval_s)
            else:
                failures = 0
                await self._configure(started)

    # -- connection --------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        runtime = self._runtime
        self._stream = await runtime.dial(self.target, runtime.context())
        self._chunks, self._messages = ChunkReader(), Assembler()
        await self._send(chunked_head(self.target, runtime.rs_authorization()))
        try:
            async with asyncio.timeout(runtime.timeout_s(30)):
                head = await self._stream.read()
        except TimeoutError as error:
            raise LinkLost("no answer to the tunnel's head") from error
        status = re.match(rb"HTTP/1\.\d (\d{3})", head)
        if not head.startswith(b"HTTP/1.1 200") or b"\r\n\r\n" not in head:
            if status and status[1] != b"200":
                runtime.truth_log.note("refused", step="tunnel", code=int(status[1]))
            raise LinkLost(f"tunnel head {head[:60]!r}")
        # Whatever else this read brought is thrown away, as the client does.
        self._start_answered, self._echo_open, self._confirm_by = False, False, None
        self._next_echo = asyncio.get_running_loop().time() + self._echo_interval_s
        self.is_up = True
        runtime.truth_log.note("tunnel-up", port=self.target.port)
        if self._pending is None:
            await self.confirm()
        else:
            await self._report()

    def _lose(self, error: Exception) -> None:
        if self._stream is not None:
            self._stream.hang_up()
        self._stream, self.is_up, self._confirm_by = None, False, None
        self._runtime.truth_log.note("tunnel-lost", port=self.target.port, why=str(error))
        while self._carried:
            self._runtime.open_transactions.pop(self._carried.pop(), None)

    async def confirm(self) -> None:
        """Send push-confirmation-start; the answers come with everything else."""
        self._confirm_by = asyncio.get_running_loop().time() + self._runtime.timeout_s(CONFIRMATION_S)
        await self._send_message(self._runtime.writer.push_confirmation_start("https-tunnel"))

    async def end(self) -> None:
        """`0` chunk and an orderly close."""
        if self._stream is not None and self.is_up:
            with contextlib.suppress(LinkLost):  # it breaks while we end it: ended all the same
                await self._send(END)
            await self._stream.close()

    # -- conversation ------------------------------------------------------------------------------------

    async def _converse(self) -> Started:
        """Read, answer and echo until a configure is accepted. Raises LinkLost, BrokenStream, Departure."""
        assert self._stream is not None
        while True:
            octets = await self._read_until(min(self._next_echo, self._confirm_by or self._next_echo))
            if octets is None:
                await self._tick()
                continue
            if not octets:
                raise LinkLost("the server closed the tunnel")
            left = self._runtime.faults.cut_to_device_after
            if left is not None and left <= len(octets):
                # What came before the cut is worked on; a header that the cut splits is lost with it.
                accepted: Started | None = None
                with contextlib.suppress(BrokenStream):
                    accepted = await self._take_all(octets[:left])
                if accepted is not None:  # it would have hung up by itself now
                    self._cut("cut_to_device_after")
                    return accepted
                self._strike("cut_to_device_after")
            if left is not None:
                self._runtime.faults.cut_to_device_after = left - len(octets)
            started = await self._take_all(octets)
            if started is not None:
                return started

    async def _take_all(self, octets: bytes) -> Started | None:
        for chunk in self._chunks.feed(octets):
            started = await self._take(chunk)
            if started is not None:
                return started
        return None

    async def _read_until(self, deadline: float) -> bytes | None:
        assert self._stream is not None
        try:
            async with asyncio.timeout_at(deadline):
                return await self._stream.read()
        except TimeoutError:
            return None

    async def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._confirm_by is not None and now >= self._confirm_by:
            raise LinkLost("no confirmation")
        if now < self._next_echo:
            return
        if self._echo_open:
            raise LinkLost("echo unanswered")
        async with self._runtime.thread:  # while a script runs, nothing is sent
            self._echo_open = True
            self._next_echo = asyncio.get_running_loop().time() + self._echo_interval_s
            await self._send(ECHO_REQUEST)

    async def _take(self, chunk: Chunk) -> Started | None:
        if chunk.kind == "end":
            raise LinkLost("the server ended the tunnel")
        if chunk.kind == "echo":
            self._echo_open = False
            return None
        joined = self._messages.add(chunk)
        if joined is None:
            return None
        async with self._runtime.thread:
            started = await self._handle(*joined)
        if self._echo_open:
            # The answer may wait behind the request that kept this thread busy.
            self._next_echo = asyncio.get_running_loop().time() + self._echo_interval_s
        return started

    async def _handle(self, octets: bytes, first_chunk: bytes) -> Started | None:
        message, answer = read_message(octets, self._runtime.identity.distribution_id)
        if message is None:
            self._runtime.truth_log.note("bad-request", answer=answer[0].decode("ascii"))
            await self._send_message(answer)
            return None
        if not message.is_request:
            await self._handle_response(message, first_chunk)
            return None
        if message.kind == "push-confirmation-done":
            await self._handle_confirmation(message)
            return None
        self._runtime.truth_log.note("request", kind=message.kind)
        if message.kind in SYNCHRONOUS:
            await self._handle_synchronous(message)
            return None
        return await self._handle_start(message)

    async def _handle_confirmation(self, message: ServerMessage) -> None:
        await self._send_message(messages.response(message.kind, 100, transaction_id=message.transaction_id))
        if not self._start_answered:
            self._runtime.truth_log.note("protocol", why="confirmation-done before the start response")
            return
        self._confirm_by, self._start_answered, self._ever_confirmed = None, False, True
        self._owner.confirmed(self)

    async def _handle_synchronous(self, message: ServerMessage) -> None:
        try:
            answer = await self._runtime.operations.answer(message)
        except MalformedMessage:
            answer = messages.response(message.kind, 201)
        await self._send_message(answer)
        if message.kind == "reboot":
            await self._owner.end_paths()
            raise Departure("reboot", "Reboot requested by RS")
        if message.kind == "pull-config":
            await self._owner.end_paths()
            raise Departure("ls" if message.text("type") == "LS" else "rs", "Pull requested by RS")

    async def _handle_start(self, message: ServerMessage) -> Started | None:
        try:
            started = self._runtime.operations.start(message)
        except MalformedMessage:
            await self._send_message(messages.response(message.kind, 201))
            return None
        if started.change is None:
            self._carried.add(started.transaction_id)
        try:
            await self._send_message(started.answer)
        except LinkLost:
            # Nobody was told that it has begun: it has not (§5.3).
            self._runtime.open_transactions.pop(started.transaction_id, None)
            if started.change is not None:
                self._runtime.unit.forget_candidate()
            raise
        if started.work is not None:
            await self._send_message(await started.work())
        return started if started.change is not None else None

    async def _handle_response(self, message: ServerMessage, first_chunk: bytes) -> None:
        code = message.result_code
        if message.kind == "push-confirmation-start":
            reaction = after_pull_step("push-confirmation-start", code)
            if reaction is Reaction.CONTINUE:
                self._start_answered = True
                return
            self._runtime.truth_log.note("refused", step="push-confirmation-start", code=code)
            raise LinkLost(f"confirmation: {code}") if reaction is Reaction.RETRY else departure(reaction, code)
        found = re.search(rb"<transaction-id>\s*(\d+)</transaction-id>", first_chunk)
        number = int(found[1]) if found else None
        if self._pending is not None and number == self._pending.transaction_id:
            self._pending.answered(code)
        elif number in self._runtime.open_transactions:
            assert number is not None
            self._carried.discard(number)
            kind = self._runtime.open_transactions.pop(number)
            self._runtime.truth_log.note("reported", operation=kind, transaction_id=number, code=code)
            reaction = after_done(code, configure=False)
            if reaction is not Reaction.CONTINUE:
                self._runtime.truth_log.note("refused", step=message.kind, code=code)
                raise departure(reaction, code)
        else:
            self._runtime.truth_log.note("protocol", why=f"{message.kind} response without a transaction of ours")
            await self._send_message(messages.response("generic-error", 202))

    # -- configure ---------------------------------------------------------------------------------------

    async def _configure(self, started: Started) -> None:
        """Close TCP without TLS, apply, come back after a second or more; the report goes first (§5.3)."""
        assert self._stream is not None
        self._stream.hang_up()
        self._stream, self.is_up = None, False
        self._runtime.truth_log.note("tunnel-closed-to-configure", transaction_id=started.transaction_id)
        story = ConfigureStory(self._runtime, started)
        await story.apply()
        self._pending = story
        await self._runtime.wait(1.0)

    async def _report(self) -> None:
        """Send the configure-done that is due; whoever waits for its answer runs beside."""
        story = self._pending
        assert story is not None
        await self._send_story(story)
        if not story.under_way:
            story.under_way = True
            self._owner.spawn(lambda: self._see_through(story))

    async def _see_through(self, story: ConfigureStory) -> None:
        async def resend() -> None:
            if self.is_up:
                with contextlib.suppress(LinkLost):  # the reader notices too, reconnects and reports
                    await self._send_story(story)

        await story.see_through(resend)
        self._pending = None
        await self._owner.reconfirm()

    async def _send_story(self, story: ConfigureStory) -> None:
        message = story.message
        if message is not None:
            await self._send_message(message)

    # -- bytes -------------------------------------------------------------------------------------------

    async def _send_message(self, pieces: Pieces) -> None:
        chunk_id = self._runtime.chance.randint(1, 0x7FFFFFFF)
        bodies = [
            piece[at : at + CHUNK_LIMIT_OCTETS] for piece in pieces for at in range(0, len(piece), CHUNK_LIMIT_OCTETS)
        ]
        async with self._write_lock:
            for number, body in enumerate(bodies, 1):
                for record in frame(chunk_id, body, last=number == len(bodies)):
                    await self._send(record)

    async def _send(self, octets: bytes) -> None:
        if self._stream is None:
            raise LinkLost("the tunnel is down")
        left = self._runtime.faults.cut_to_server_after
        if left is not None:
            if left <= len(octets):
                if left:
                    await self._stream.write(octets[:left])
                self._strike("cut_to_server_after")
            self._runtime.faults.cut_to_server_after = left - len(octets)
        await self._stream.write(octets)

    def _strike(self, fault: str) -> None:
        self._cut(fault)
        raise LinkLost(f"fault {fault}")

    def _cut(self, fault: str) -> None:
        self._runtime.faults.switch(fault, None)
        self._runtime.truth_log.note("cut", fault=fault)
