"""Sendings that are cut in the middle, at either side: each is told, none is lost, and nothing secret is repeated."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from controller.reports.delivering import AT_ONCE, GROUPS_AT_ONCE, LEASE_MS, Deliverer, lease_ms
from controller.settings import DeliverySettings, Settings
from controller.store.deliveries import Way
from controller.store.tables.reports import report_recipients
from tests.controller.metering.reporting import ON_SQLITE
from tests.controller.metering.test_report_delivery import Hook, Post, http, post
from tests.controller.waiting import until

__all__ = ["post"]
PASSWORD = "hardly a word"


@dataclass
class Server:
    """A mail server word for word: what it was told, and where it stops."""

    said: list[str] = field(default_factory=list)
    stays_silent_after: str = ""
    repeats_log_in: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode("ascii").strip():
            verb = line.partition(" ")[0]
            self.said.append(verb)
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            self.heard.set()
            if verb == self.stays_silent_after:
                await reader.read()
                break
            writer.write(self._answer(verb, line))
        self.left.set()
        writer.close()

    def _answer(self, verb: str, line: str) -> bytes:
        match verb:
            case "EHLO":
                return b"250-here\r\n250 AUTH PLAIN\r\n"
            case "AUTH":
                return f"535 no: {line}\r\n".encode() if self.repeats_log_in else b"235 welcome\r\n"
            case "QUIT":
                return b"221 bye\r\n"
            case _:
                return b"250 well\r\n"


@contextlib.asynccontextmanager
async def mail(server: Server) -> AsyncIterator[int]:
    """The server on a port of its own."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def outcomes(daily_sent: list[Any]) -> list[tuple[str, str]]:
    (one,) = daily_sent
    return [(attempt.outcome, attempt.said) for attempt in one.history]


@ON_SQLITE
async def test_a_mail_server_is_told_goodbye(post: Callable[..., Any]) -> None:
    async with mail(server := Server()) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        (delivery,) = await daily.sent()
        await asyncio.wait_for(server.left.wait(), 10)
    assert (delivery.state, delivery.said) == ("sent", "250 well")
    assert server.said == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"], "RFC 5321: no client closes before its QUIT"


@ON_SQLITE
async def test_a_mail_server_that_repeats_the_password_does_not_bring_it_into_the_records(
    post: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    async with mail(Server(repeats_log_in=True)) as port:
        daily = await post(port, username="noc", password_file=file)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        ((outcome, said),) = outcomes(await daily.sent())
    assert outcome == "failed"
    assert said.startswith("535 no: AUTH PLAIN")
    forms = [PASSWORD, f"\0noc\0{PASSWORD}"]
    assert [one for one in forms if one in said or b64encode(one.encode()).decode() in said] == []


@ON_SQLITE
async def test_a_node_that_is_stopped_while_the_other_side_says_nothing_tells_so_and_the_next_start_goes_on(
    post: Callable[..., Any],
) -> None:
    async with mail(server := Server(stays_silent_after="DATA")) as port:
        daily: Post = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        server.heard.clear()
        sending = asyncio.create_task(daily.deliverer.round())
        while "DATA" not in server.said:
            server.heard.clear()
            await asyncio.wait_for(server.heard.wait(), 10)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        assert outcomes(await daily.sent()) == [("unknown", "this node was stopped in the middle")]
        server.stays_silent_after = ""
        daily.place.clock.advance(60)
        assert [outcome for outcome, _ in outcomes(await daily.sent())] == ["unknown", "sent"]


@ON_SQLITE
async def test_what_a_stopped_node_had_not_begun_waits_for_no_lease(post: Callable[..., Any]) -> None:
    hook = Hook(silent=True)
    async with http(hook) as url:
        daily: Post = await post()
        for _ in range(6):
            await daily.to(Way.WEBHOOK, url)
        await daily.next_report()
        sending = asyncio.create_task(daily.deliverer.round())
        await until(lambda: hook.asked == AT_ONCE)
        sending.cancel()
        await asyncio.wait([sending])
        hook.silent = False
        after = await daily.sent()
    assert sorted(one.state for one in after) == ["sent"] * 2 + ["waiting"] * 4
    assert sorted(one.attempts for one in after) == [1] * 6


async def test_a_try_that_a_dead_node_never_told_of_counts_as_unknown(post: Callable[..., Any]) -> None:
    async with http(Hook()) as url:
        daily: Post = await post()
        await daily.to(Way.WEBHOOK, url)
        await daily.next_report()
        dead = Deliverer(daily.place.database, daily.keyring, daily.place.clock, daily.settings, node="dead")
        await _taken_and_never_told(dead)
        assert outcomes(await daily.sent()) == [], "it may still be at it"
        daily.place.clock.advance(LEASE_MS / 1000)
        (delivery,) = await daily.sent()
    assert (delivery.state, delivery.attempts) == ("sent", 2)
    told = [(attempt.outcome, attempt.said) for attempt in delivery.history]
    assert told == [("unknown", "node dead ended in the middle of it"), ("sent", "answered 204")]


@ON_SQLITE
async def test_a_node_that_starts_again_goes_on_with_what_it_was_at(post: Callable[..., Any]) -> None:
    async with http(Hook()) as url:
        daily: Post = await post()
        await daily.to(Way.WEBHOOK, url)
        await daily.next_report()
        before = Deliverer(daily.place.database, daily.keyring, daily.place.clock, daily.settings, node="one")
        await _taken_and_never_told(before)
        assert [outcome for outcome, _ in outcomes(await daily.sent())] == ["unknown", "sent"]


@ON_SQLITE
async def test_a_fault_of_ours_stops_no_other_delivery_and_is_told(post: Callable[..., Any], tmp_path: Path) -> None:
    daily: Post = await post()
    await daily.to(Way.FOLDER, "bakery")
    async with http(hook := Hook()) as url:
        await daily.to(Way.WEBHOOK, url)
        await daily.next_report()
        async with daily.place.database.write() as tx:
            lost = update(report_recipients).where(report_recipients.c.way == "webhook").values(secret_sealed=None)
            await tx.execute(lost)
        found = {one.recipient.way: one for one in await daily.sent()}
    assert (found[Way.FOLDER].state, found[Way.WEBHOOK].state, hook.got) == ("sent", "waiting", [])
    assert found[Way.WEBHOOK].history


async def _taken_and_never_told(node: Deliverer) -> None:
    """As a process that is killed: whatever it would still write comes to nothing."""

    async def killed(*_: object) -> None:
        raise _Killed

    node._try = killed  # type: ignore[assignment,method-assign]  # the process is gone
    with contextlib.suppress(_Killed):
        await node.round()


class _Killed(Exception):
    pass


@pytest.mark.fast
def test_a_lease_outlives_a_round_of_the_slowest_sendings() -> None:
    slow = Settings(delivery=DeliverySettings(timeout_s=600))
    assert lease_ms(Settings()) == LEASE_MS
    assert lease_ms(slow) >= 600_000 * GROUPS_AT_ONCE / AT_ONCE
