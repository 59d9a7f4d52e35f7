"""Each cell of the table in architecture §6: who asks which door, and what is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from controller.phonehome.gate import HOLD_S, _spread
from controller.settings import ArmsSettings
from drivers.arms import framing
from drivers.arms.parameters import ConfigSolicitationAnswer, Nothing, PushMethodAnswer, RsSolicitationAnswer
from inventory.adapters import Life, LifeEvent
from inventory.explain import Contact
from inventory.secrets import Secret
from tests.controller.phonehome.site import CONFIG, Device, Site, Unit, eventually
from tests.controller.phonehome.test_hot_loops import loops

STRANGER = Unit(
    0, "X", "0001-0000-0101-0000-0200-00FF-FE99-9999", Secret("k" * 40), Secret("k" * 40), Secret("k"), None, None, 0
)
WRONG = Secret("a-wrong-key-of-a-good-length-012345678")


async def codes(site: Site, unit: Unit) -> tuple[int | None, int | None, int]:
    """Result codes of LS and RS, status of the tunnel; HTTP errors of the first two are negative."""
    found = []
    for status, message in (await site.locate(unit), await site.pull(unit)):
        found.append(message.result_code if message is not None else -status)
    device = Device(site, unit)
    status = await device.open()
    if status == 200:
        await device.cut()
    return found[0], found[1], status


async def test_an_unknown_id_is_told_420_and_leaves_a_claim(site: Site) -> None:
    assert await codes(site, STRANGER) == (420, 420, 403)

    claims = await site.claims()
    assert {(claim.claimed, claim.source) for claim in claims} == {(STRANGER.distribution_id, "127.0.0.1")}
    assert sum(claim.count for claim in claims) == 3


async def test_a_lost_adapter_is_answered_like_an_unknown_one(site: Site) -> None:
    unit = await site.unit()
    await site.live(unit, LifeEvent.LOSS_REPORTED)
    assert await codes(site, unit) == (420, 420, 403)
    assert unit.distribution_id in {claim.claimed for claim in await site.claims()}


async def test_a_wrong_key_is_401_at_every_door_and_the_reason_is_on_record(site: Site) -> None:
    unit = await site.unit()
    assert await site.locate(unit, key=WRONG) == (401, None)
    assert await site.pull(unit, key=WRONG) == (401, None)
    assert await Device(site, unit).open(key=WRONG) == 401

    record = await site.contact(unit)
    assert (record.refusal_code, record.refusal_count) == (401, 3)
    assert record.stage is Contact.NEVER_SEEN
    assert "key" in (record.refusal_reason or "")


async def test_the_key_of_the_ls_does_not_open_the_rs_nor_the_other_way_round(site: Site) -> None:
    unit = await site.unit()
    assert (await site.locate(unit, key=unit.rs_key))[0] == 401
    assert (await site.pull(unit, key=unit.ls_key))[0] == 401


async def test_the_id_of_another_adapter_in_the_body_is_refused(site: Site) -> None:
    one, other = await site.unit(), await site.unit()

    # His own name and key, another's id in the message: he must not get the other's config.
    assert await site.pull(one, id_=other.distribution_id) == (401, None)
    assert await site.locate(one, id_=other.distribution_id) == (401, None)

    # The other's key under his own name.
    status, message = await site.pull(one, id_=other.distribution_id, key=other.rs_key)
    assert (status, message.result_code if message else None) == (200, 423)


async def test_an_unseated_adapter_finds_the_ls_and_gets_nothing_else(site: Site) -> None:
    unit = await site.unit(seat="none")
    assert await codes(site, unit) == (100, 404, 403)
    record = await site.contact(unit)
    assert (record.stage, record.refusal_reason) == (Contact.REFUSED, "it sits in no slot")


async def test_a_standby_is_told_404_and_that_is_its_sign_of_life(site: Site) -> None:
    unit = await site.unit(seat="standby")
    assert await codes(site, unit) == (100, 404, 403)
    record = await site.contact(unit)
    assert record.refusal_reason == "it is a standby, ready to take over"
    assert record.last_seen_ms is not None


async def test_an_open_checklist_keeps_the_config_back(site: Site) -> None:
    unit = await site.unit(complete=False)
    assert await codes(site, unit) == (100, 404, 403)
    assert "line" in ((await site.contact(unit)).refusal_reason or "")


async def test_a_suspended_contract_keeps_the_config_back(site: Site) -> None:
    unit = await site.unit()
    await site.suspend(unit)
    assert await codes(site, unit) == (100, 404, 403)
    assert "suspended" in ((await site.contact(unit)).refusal_reason or "")


async def test_an_entry_without_startup_config_is_421_and_never_an_empty_config(site: Site) -> None:
    unit = await site.unit(startup=None)
    assert await codes(site, unit) == (100, 421, 403)


async def test_an_operator_shuts_an_adapter_out_at_every_door(site: Site) -> None:
    unit = await site.unit()
    await site.shut_out(unit)
    assert await codes(site, unit) == (501, 501, 403)


async def test_a_ready_entry_gets_its_rs_its_config_and_its_tunnel(site: Site) -> None:
    unit = await site.unit()
    assert await codes(site, unit) == (100, 100, 200)

    _, located = await site.locate(unit)
    assert located is not None
    assert isinstance(located.parameters, RsSolicitationAnswer)
    assert located.parameters.rs_key == unit.rs_key
    assert located.parameters.retry_max >= 1
    assert 30 <= located.parameters.retry_interval_s <= 60
    assert site.home.pki.resource_ca_certificate.strip() in located.parameters.servers[0].location

    _, pulled = await site.pull(unit)
    assert pulled is not None
    assert isinstance(pulled.parameters, ConfigSolicitationAnswer)
    assert [(config.id, config.content) for config in pulled.parameters.configs] == [(0, CONFIG)]
    assert [(module.id, module.version) for module in pulled.parameters.modules] == [(0, "5.66.0-0")]
    assert [beat.passphrase for beat in pulled.parameters.heartbeats] == [unit.passphrase]

    _, asked = await site.query(unit)
    assert asked is not None
    assert isinstance(asked.parameters, PushMethodAnswer)
    assert asked.parameters.methods[0] == "https-tunnel"
    assert asked.parameters.tunnel_urls == (f"https://127.0.0.1:{site.home.ports[1]}/tunnel",)

    assert [kind for kind, _ in await site.events(unit)].count("phonehome.pulled") == 2


async def test_the_first_pull_puts_an_installed_adapter_in_service(site: Site) -> None:
    unit = await site.unit()
    assert await site.life(unit) is Life.INSTALLED
    await site.pull(unit)

    async def in_service() -> bool:
        return await site.life(unit) is Life.IN_SERVICE

    await eventually(in_service)


async def test_an_adapter_that_offers_no_method_of_ours_is_told_to_come_back_and_never_an_empty_list(
    site: Site,
) -> None:
    unit = await site.unit()
    _, message = await site.ask(unit, "push-method-query", "<push-method>carrier-pigeon</push-method>")
    assert message is not None
    assert message.result_code == 301


class TestOverload:
    """Nearly no pulls a second."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=0.001)

    @pytest.fixture
    def pace(self) -> float:
        return 30.0

    async def test_the_overload_is_held_and_then_told_301(self, site: Site) -> None:
        unit = await site.unit()
        _, first = await site.pull(unit)
        assert first is not None
        assert first.result_code == 100

        began_ms = site.clock.monotonic_ms()
        _, message = await site.pull(unit)
        held_ms = (site.clock.monotonic_ms() - began_ms) * site.clock.pace

        assert message is not None
        assert message.result_code == 301
        assert held_ms >= 9_000
        _, located = await site.locate(unit)
        assert located is not None
        assert located.result_code == 301

        # A tunnel speaks HTTP.
        assert await Device(site, unit).open() == 503


# --- one story a cell: who asks (the rows of the table) at which door (its columns) -----------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """Who asks, what each door says, and what stands in the explanation then (in the claim, for who is not on record).

    HTTP statuses of LS and RS are negative.
    """

    arrange: Callable[[Site], Awaitable[Unit]]
    ls: int
    rs: int
    tunnel: int
    words: str
    ls_words: str | None = None
    """After the LS, where that is another story."""
    key: Secret | None = None
    user: str | None = None


FOUND = "asked the Location Server and has not asked its Resource Server yet"


def seat(**how: Any) -> Callable[[Site], Awaitable[Unit]]:
    async def arrange(site: Site) -> Unit:
        return await site.unit(**how)

    return arrange


async def unknown(_site: Site) -> Unit:
    return STRANGER


async def lost(site: Site) -> Unit:
    unit = await site.unit()
    await site.live(unit, LifeEvent.LOSS_REPORTED)
    return unit


async def retired(site: Site) -> Unit:
    unit = await site.unit(model="SEIL/x86 Ayame")
    await site.live(unit, LifeEvent.DEREGISTER)
    assert await site.life(unit) is Life.RETIRED
    return unit


async def suspended(site: Site) -> Unit:
    unit = await site.unit()
    await site.suspend(unit)
    return unit


async def shut_out(site: Site) -> Unit:
    unit = await site.unit()
    await site.shut_out(unit)
    return unit


NOT_IN_SERVICE = "no adapter in service has this distribution id"
ROWS = {
    "unknown id": Row(unknown, 420, 420, 403, NOT_IN_SERVICE),
    "lost": Row(lost, 420, 420, 403, NOT_IN_SERVICE),
    "retired": Row(retired, 420, 420, 403, NOT_IN_SERVICE),
    "wrong key": Row(seat(), -401, -401, 401, "the key is wrong", key=WRONG),
    "id in body is not the user": Row(
        seat(), 423, 423, 0, "the credential names another distribution id", user=STRANGER.distribution_id
    ),
    "unseated": Row(seat(seat="none"), 100, 404, 403, "it sits in no slot", FOUND),
    "standby": Row(seat(seat="standby"), 100, 404, 403, "standing by", FOUND),
    "checklist open": Row(seat(complete=False), 100, 404, 403, "the onboarding checklist still misses line", FOUND),
    "contract suspended": Row(suspended, 100, 404, 403, "the contract is suspended", FOUND),
    "entry without startup config": Row(seat(startup=None), 100, 421, 403, "its entry has no startup config", FOUND),
    "entry, ready": Row(seat(), 100, 100, 200, "in entry E-1", FOUND),
    "shut out by an operator": Row(shut_out, 501, 501, 403, "an operator shut it out: stolen goods suspected"),
}
PULLS = {"ls": "rs-solicitation", "rs": "config-solicitation"}


@pytest.mark.parametrize("door", ["ls", "rs"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_what_a_pull_is_told(site: Site, row: Row, door: Literal["ls", "rs"]) -> None:
    unit = await row.arrange(site)
    ask = site.locate if door == "ls" else site.pull
    expected = row.ls if door == "ls" else row.rs

    status, message = await ask(unit, key=row.key, user=row.user)

    if expected < 0:
        assert (status, message) == (-expected, None), "HTTP errors have no body"
    else:
        assert status == 200
        assert message is not None
        assert (message.result_code, message.type, message.transaction_id) == (expected, PULLS[door], None)
        if expected != 100:
            assert message.parameters == Nothing(), "a refusal carries nothing"
        elif door == "ls":
            assert isinstance(message.parameters, RsSolicitationAnswer)
            assert message.parameters.rs_key == unit.rs_key
        else:
            assert isinstance(message.parameters, ConfigSolicitationAnswer)
            assert [config.content for config in message.parameters.configs] == [CONFIG]
    await told(site, unit, row, abs(expected), row.ls_words or row.words if door == "ls" else row.words)


@pytest.mark.parametrize(
    "row", [row for row in ROWS.values() if row.tunnel], ids=[k for k, r in ROWS.items() if r.tunnel]
)
async def test_what_a_tunnel_is_told(site: Site, row: Row) -> None:
    unit = await row.arrange(site)
    device = Device(site, unit)
    assert await device.open(key=row.key) == row.tunnel
    if row.tunnel == 200:
        assert device.head == framing.TUNNEL_ACCEPTED
        assert (await site.contact(unit)).tunnel_open
        await device.cut()
    else:
        assert b"Content-Length: 0\r\n" in device.head
    await told(site, unit, row, row.tunnel, row.words)


async def told(site: Site, unit: Unit, row: Row, code: int, words: str) -> None:
    """What an operator reads after that."""
    if unit is STRANGER:
        assert all(words in claim.reason for claim in await site.claims())
        assert await site.claims()
        return
    explanation = await site.explained(unit)
    assert words in explanation.summary, explanation.summary
    if code not in {100, 200} and row is not ROWS["standby"]:
        assert f"refused: {code}: " in explanation.summary
    assert explanation.next_action


@pytest.mark.parametrize("number", range(8))
async def test_whatever_is_offered_no_client_is_given_an_empty_list_or_what_it_did_not_offer(
    site: Site, number: int
) -> None:
    unit = await site.unit()
    methods = ("https-simple", "https-tunnel", "smoke-signals")
    offered = [method for bit, method in enumerate(methods) if number >> bit & 1]
    words = "".join(f"<push-method>{method}</push-method>" for method in offered)
    _, message = await site.ask(unit, "push-method-query", words)
    assert message is not None
    assert loops(message) is None
    if message.result_code == 100:
        assert isinstance(message.parameters, PushMethodAnswer)
        assert set(message.parameters.methods) <= set(offered)
    else:
        assert message.result_code == 301


class TestHeld:
    """Nearly no pulls a second: each of the doors holds whoever may come in, and no longer than 20 s."""

    @pytest.fixture
    def arms_settings(self) -> ArmsSettings:
        return ArmsSettings(ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=0.001)

    @pytest.fixture
    def pace(self) -> float:
        return 30.0

    @pytest.mark.parametrize("door", ["ls", "rs", "tunnel"])
    async def test_the_overload_is_held_at_most_20_s_and_then_told_to_come_back(self, site: Site, door: str) -> None:
        unit = await site.unit()
        await site.pull(unit)
        began_ms = site.clock.monotonic_ms()
        if door == "tunnel":
            device = Device(site, unit)
            code = await device.open()
            assert b"Content-Length: 0\r\n" in device.head
        else:
            _, message = await (site.locate if door == "ls" else site.pull)(unit)
            assert message is not None
            assert message.parameters == Nothing()
            code = message.result_code
        held_s = (site.clock.monotonic_ms() - began_ms) * site.clock.pace / 1000
        assert code == (503 if door == "tunnel" else 301)
        assert held_s >= 9.9
        assert site.home.context.gate.refused == 1
        told = (await site.explained(unit)).summary
        assert f"refused: {code}: the server is busy" in told

    def test_no_hold_is_longer_than_20_s(self) -> None:
        assert all(0.5 <= _spread(f"SN-{number}") <= 1 for number in range(1000))
        assert HOLD_S == 20
