"""Reports reach mailboxes, webhooks and folders; who fails, is slow or refuses is tried again, or not, and told of."""

from __future__ import annotations

import asyncio
import contextlib
import email.policy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from controller.keyring import Keyring
from controller.reports import delivering
from controller.reports.delivering import Deliverer
from controller.reports.sending import MINUTES_BETWEEN, Parcel, require_target, shown
from controller.reports.service import ReportService
from controller.settings import DeliverySettings, MailSettings, Settings
from controller.store import deliveries
from controller.store.deliveries import Delivery, NewRecipient, Way
from controller.store.reports import Manner
from controller.store.tables.reports import report_deliveries, report_recipients
from controller.store.tables.system import audit
from inventory.errors import BadInput
from inventory.periods import Period
from inventory.reporting import Format, Language, Schedule, Subject
from inventory.secrets import Secret
from tests.controller.metering.conftest import EVERYTHING, Place
from tests.controller.metering.reporting import ON_SQLITE, metered, next_day, service

KEPT = (report_recipients, report_deliveries, audit)
BOTH_FILES = (Format.CSV, Format.HTML)
HOOK_SECRET = "a secret of twenty-nine signs."


@dataclass
class Mailbox:
    """What a real SMTP server was given, and what it answers."""

    answers: list[str] = field(default_factory=list)
    """To the next messages; after the last one everything is taken."""
    refuses: frozenset[str] = frozenset()
    got: list[EmailMessage] = field(default_factory=list)
    cut: bool = False
    """End the connection instead of answering a message."""

    async def handle_RCPT(self, server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address in self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        if self.cut:
            self.cut = False
            server.transport.abort()
            return "250 never heard"
        if self.answers:
            return self.answers.pop(0)
        self.got.append(email.message_from_bytes(envelope.content, EmailMessage, policy=email.policy.default))
        return "250 kept"


@contextlib.asynccontextmanager
async def smtp(box: Mailbox) -> AsyncIterator[int]:
    """A mail server on a port of its own."""
    server = Controller(box, hostname="127.0.0.1", port=0)
    await asyncio.to_thread(_begin, server)
    try:
        yield server.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # it listens
    finally:
        await asyncio.to_thread(server.stop)


def _begin(server: Controller) -> None:
    # The library knocks at the port it was told, which is 0 here; whether it listens is asked below.
    with contextlib.suppress(OSError, TimeoutError):
        server.start()


@dataclass
class Hook:
    """What a real HTTP server was given, and what it answers."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    silent: bool = False
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        if self.silent:
            await reader.read()
        else:
            status = self.answers.pop(0) if self.answers else 204
            if status < 300:
                self.got.append((headers, body))
            writer.write(f"HTTP/1.1 {status} x\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def http(hook: Hook) -> AsyncIterator[str]:
    """An HTTP server on a port of its own."""
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks/4711"
    finally:
        server.close()


@dataclass
class Post:
    """A schedule with one recipient, and the node that sends."""

    place: Place
    made: ReportService
    deliverer: Deliverer
    settings: Settings
    keyring: Keyring

    async def to(self, way: Way, target: str, formats: tuple[Format, ...] = BOTH_FILES, secret: str = "") -> None:
        """Add the recipient."""
        new = NewRecipient(way, target, formats, Secret(secret) if secret else None)
        require_target(new, self.settings)
        async with self.place.database.write() as tx:
            await deliveries.add_recipient(
                tx, self.keyring, EVERYTHING, self.place.by(), "daily", new, shown=shown(way, target)
            )

    async def next_report(self) -> None:
        """A day passes, and its report is made."""
        next_day(self.place)
        assert [run.state for run in await self.made.tick()] == ["final"]

    async def sent(self) -> list[Delivery]:
        """Send what waits; all deliveries."""
        await self.deliverer.round()
        async with self.place.database.read() as tx:
            return await deliveries.page(tx, EVERYTHING)


@pytest.fixture
async def post(place: Place, keyring: Keyring, tmp_path: Path) -> Callable[..., Any]:
    async def arranged(mail_port: int = 1, **more: Any) -> Post:
        settings = Settings(
            data_directory=tmp_path,
            mail=MailSettings(
                host="127.0.0.1", port=mail_port, security="none", sender="Kajitori <noc@isp.example>", **more
            ),
            delivery=DeliverySettings(timeout_s=60),
        )
        await metered(place, 2)
        made = service(place, tmp_path / "reports")
        about = Subject(contractor_id=place.contractor_id)
        manner = Manner(Language.JAPANESE)
        await made.add_schedule(EVERYTHING, place.by(), Schedule("daily", Period.DAY), about, manner)
        deliverer = Deliverer(place.database, keyring, place.clock, settings, node="one")
        return Post(place, made, deliverer, settings, keyring)

    return arranged


@ON_SQLITE
async def test_a_report_comes_by_mail_with_its_words_and_files(post: Callable[..., Any]) -> None:
    async with smtp(box := Mailbox()) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        (delivery,) = await daily.sent()
        assert (delivery.state, delivery.said) == ("sent", "250 kept")
        assert await daily.sent() == [delivery], "it goes once"
    (mail,) = box.got
    assert mail["To"] == "noc@bakery.example"
    assert "通信量：Osaka Bakery" in mail["Subject"]
    assert delivery.report_key in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one
    names = [part.get_filename() for part in mail.iter_attachments()]
    assert [str(name).rpartition(".")[2] for name in names] == ["csv", "html"]
    assert all(str(name).startswith("K-") for name in names), "the audience stands in the name of the file"


@ON_SQLITE
async def test_a_server_that_is_busy_is_asked_again_with_the_same_message_id(post: Callable[..., Any]) -> None:
    async with smtp(box := Mailbox(answers=["451 greylisted"], cut=True)) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        (first,) = await daily.sent()
        assert (first.state, first.attempts, first.history[0].outcome) == ("waiting", 1, "unknown")
        assert (await daily.sent())[0].attempts == 1, "not before its time"
        daily.place.clock.advance(60)
        (second,) = await daily.sent()
        assert (second.state, second.history[-1].said) == ("waiting", "451 greylisted")
        daily.place.clock.advance(5 * 60)
        (third,) = await daily.sent()
        assert (third.state, third.attempts) == ("sent", 3)
    assert [mail["Message-ID"] for mail in box.got] == [f"<report-{third.id}-{third.sha256[:16]}@isp.example>"]


@ON_SQLITE
async def test_a_mail_server_that_says_nothing_holds_nobody_for_longer_than_the_time_limit(
    post: Callable[..., Any],
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        daily = await post(server.sockets[0].getsockname()[1], timeout_s=0.5)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        (delivery,) = await daily.sent()
    finally:
        server.close()
    assert (delivery.state, delivery.history[0].outcome) == ("waiting", "failed"), "nothing was sent, and that is known"


@ON_SQLITE
async def test_a_mailbox_that_is_refused_for_good_is_given_up_and_told_of(post: Callable[..., Any]) -> None:
    async with smtp(Mailbox(refuses=frozenset({"gone@bakery.example"}))) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "gone@bakery.example")
        await daily.next_report()
        (delivery,) = await daily.sent()
        assert (delivery.state, delivery.said) == ("failed", "550 no such mailbox")
        async with daily.place.database.write() as tx:
            again = await deliveries.retry(tx, EVERYTHING, daily.place.by(), delivery.id)
        assert again.state == "waiting"


@ON_SQLITE
async def test_a_server_that_is_away_is_tried_until_the_last_time(post: Callable[..., Any]) -> None:
    daily = await post(1)
    await daily.to(Way.MAIL, "noc@bakery.example")
    await daily.next_report()
    (delivery,) = await daily.sent()
    assert delivery.history[0].outcome == "failed"
    for minutes in MINUTES_BETWEEN:
        assert delivery.state == "waiting"
        daily.place.clock.advance(60 * minutes)
        (delivery,) = await daily.sent()
    assert (delivery.state, delivery.attempts) == ("failed", len(MINUTES_BETWEEN) + 1)


async def test_late_reports_come_in_one_message(post: Callable[..., Any]) -> None:
    async with smtp(box := Mailbox()) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        daily.place.clock.advance(5 * 86_400)
        assert len(await daily.made.tick()) == 5
        sent = await daily.sent()
    assert {one.state for one in sent} == {"sent"}
    assert [one.collected for one in sent].count(True) == 3
    assert len(box.got) == 3
    together = next(mail for mail in box.got if "3 通" in mail["Subject"])
    assert len(list(together.iter_attachments())) == 6


@ON_SQLITE
async def test_a_webhook_gets_the_json_with_a_signature_it_can_check(post: Callable[..., Any]) -> None:
    async with http(hook := Hook()) as url:
        daily = await post()
        await daily.to(Way.WEBHOOK, url, secret=HOOK_SECRET)
        await daily.next_report()
        (delivery,) = await daily.sent()
        assert delivery.state == "sent"
        headers, body = hook.got[0]
        assert headers["kajitori-sha256"] == hashlib.sha256(body).hexdigest()
        at, signature = (part.partition("=")[2] for part in headers["kajitori-signature"].split(","))
        assert signature == hmac.new(HOOK_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert json.loads(body)["report"] == delivery.report_key == headers["kajitori-report"]
        assert (delivery.recipient.signed, "4711" in delivery.recipient.target) == (True, False)
        async with daily.place.database.read() as tx:
            kept = [str(tuple(row)) for table in KEPT for row in await tx.execute(select(table))]
        assert [row for row in kept if HOOK_SECRET in row or "4711" in row] == [], "sealed, and in no audit row"


@ON_SQLITE
async def test_a_webhook_that_fails_refuses_is_slow_or_points_elsewhere(post: Callable[..., Any]) -> None:
    async with http(hook := Hook(answers=[503, 302])) as url:
        daily = await post()
        await daily.to(Way.WEBHOOK, url)
        await daily.next_report()
        (later,) = await daily.sent()
        assert (later.state, later.history[-1].outcome) == ("waiting", "failed")
        daily.place.clock.advance(60)
        (refused,) = await daily.sent()
        assert (refused.state, refused.said) == ("failed", "answered 302"), "no redirect is followed"
        hook.silent = True
        async with daily.place.database.write() as tx:
            await deliveries.retry(tx, EVERYTHING, daily.place.by(), refused.id)
        hasty = daily.settings.model_copy(update={"delivery": DeliverySettings(timeout_s=0.5)})
        daily.deliverer = Deliverer(daily.place.database, daily.keyring, daily.place.clock, hasty, node="one")
        (slow,) = await daily.sent()
        assert (slow.state, slow.history[-1].outcome) == ("waiting", "unknown")


@ON_SQLITE
async def test_a_folder_gets_whole_files_and_nothing_outside_its_own(post: Callable[..., Any], tmp_path: Path) -> None:
    daily = await post()
    await daily.to(Way.FOLDER, "bakery/daily", (Format.JSON, Format.CSV))
    await daily.next_report()
    (delivery,) = await daily.sent()
    assert delivery.state == "sent"
    written = sorted(path.suffix for path in (tmp_path / "delivered/bakery/daily").iterdir())
    assert written == [".csv", ".json"]
    taken = tmp_path / "delivered/bakery/daily"
    (taken / "in the way.csv").mkdir()
    with pytest.raises(OSError, match="directory"):
        delivering.write(taken, Parcel(delivery, b"", [("in the way.csv", Format.CSV, b"half")]))
    assert [path.name for path in taken.iterdir() if path.name.endswith(".half")] == []
    for target in ("../up", "/etc", "a/../b", ".hidden", "a//b"):
        with pytest.raises(BadInput, match=r"delivery\.folder"):
            require_target(NewRecipient(Way.FOLDER, target, BOTH_FILES), daily.settings)


async def test_two_nodes_send_a_report_once(post: Callable[..., Any]) -> None:
    async with smtp(box := Mailbox()) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        other = Deliverer(daily.place.database, daily.keyring, daily.place.clock, daily.settings, node="two")
        assert sorted(await asyncio.gather(daily.deliverer.round(), other.round())) == [0, 1]
    assert len(box.got) == 1


@ON_SQLITE
async def test_a_report_made_by_hand_again_sends_no_second_mail(post: Callable[..., Any]) -> None:
    async with smtp(box := Mailbox()) as port:
        daily = await post(port)
        await daily.to(Way.MAIL, "noc@bakery.example")
        await daily.next_report()
        (first,) = await daily.sent()
        day = (await daily.made.make_scheduled(EVERYTHING, "daily", _day_of(first))).first_day
        assert day == _day_of(first)
        await daily.sent()
    assert len(box.got) == 1


def _day_of(delivery: Delivery) -> Any:
    from datetime import date

    return date.fromisoformat(delivery.report_key.rpartition("/")[2])


async def test_a_removed_recipient_gets_nothing_that_still_waits(post: Callable[..., Any]) -> None:
    daily = await post()
    await daily.to(Way.FOLDER, "bakery")
    await daily.next_report()
    async with daily.place.database.write() as tx:
        (recipient,) = await deliveries.recipients(tx, EVERYTHING, "daily")
        await deliveries.remove_recipient(tx, EVERYTHING, daily.place.by(), "daily", recipient.id)
    (delivery,) = await daily.sent()
    assert delivery.state == "cancelled"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("way", "target"),
    [
        (Way.MAIL, "noc@"),
        (Way.MAIL, "a b@c.example"),
        (Way.MAIL, "noc@isp.example\r\nBcc: x@y.example"),
        (Way.MAIL, "noc@日本.example"),
        (Way.WEBHOOK, "ftp://a.example/"),
        (Way.WEBHOOK, "https://"),
        (Way.WEBHOOK, "https://user:word@a.example/"),
        (Way.WEBHOOK, "https://a.example:99999/"),
        (Way.WEBHOOK, "https://a.example/\r\nHost: b"),
        (Way.WEBHOOK, "https://a..example/"),
        (Way.WEBHOOK, f"https://{'a' * 64}.example/"),
    ],
)
def test_a_target_that_leads_nowhere_is_refused_by_field(way: Way, target: str) -> None:
    settings = Settings(mail=MailSettings(host="mail.example", sender="a@b.example"))
    with pytest.raises(BadInput) as caught:
        require_target(NewRecipient(way, target, BOTH_FILES), settings)
    assert caught.value.field == "target"
