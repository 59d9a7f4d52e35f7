"""FortiOS REST: what the API may answer, and what we make of it (devices-ios-fortios §D.4, rows 73 to 79, 85)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from drivers.device import CommandLineDevice
from drivers.devices import over_ssh
from drivers.errors import LockedOut, NotOffered
from drivers.fortios import FortiGate, identity
from drivers.push import Identity
from drivers.sessions.contract import Endpoint, Limits, Rest
from drivers.sessions.rest import STATUS, RestSession
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.forti_rest import FortiRest
from inventory.errors import (
    AuthenticationFailed,
    CommandRejected,
    DeviceError,
    IdentityMismatch,
    OutcomeUnknown,
    ProtocolViolation,
    Truncated,
    Unreachable,
)
from inventory.secrets import Secret

TOKEN = "kg7tdX9d8Qn4token"
SERIAL = "FGT60FTK20000001"
CONFIG = """config system global
    set hostname "fgt"
end
config system interface
    edit "port1"
        set ip 192.0.2.1 255.255.255.0
    next
end
"""
SHORT = Limits(connect_s=5.0, handshake_s=5.0, rest_s=5.0, backup_s=5.0)


@pytest.fixture
async def unit() -> AsyncIterator[FortiDevice]:
    async with FortiDevice(
        hostname="fgt", serial=SERIAL, model="FortiGate-60F", config_text=CONFIG, username="op", password="pw"
    ) as device:
        yield device


@pytest.fixture
async def api(unit: FortiDevice) -> AsyncIterator[FortiRest]:
    async with FortiRest(unit, TOKEN) as listening:
        yield listening


def endpoint(unit: FortiDevice, api: FortiRest, **changes: object) -> Endpoint:
    rest = replace(Rest(Secret(TOKEN), api.port, api.fingerprint), **changes)  # type: ignore[arg-type]  # test data
    key = unit.host_key.export_public_key().decode()
    return Endpoint("127.0.0.1", unit.port, "op", Secret("pw"), host_key=key, rest=rest)


def session(unit: FortiDevice, api: FortiRest, limits: Limits = SHORT, **changes: object) -> RestSession:
    return RestSession(endpoint(unit, api, **changes), limits)


def device(unit: FortiDevice, api: FortiRest, **changes: object) -> FortiGate:
    async def at_once(_seconds: float) -> None:
        return None

    made = over_ssh("fortios", endpoint(unit, api, **changes), SERIAL, wait=at_once, limits=SHORT)
    assert isinstance(made, FortiGate)
    return made


async def test_identity_and_configuration_come_over_rest_and_no_command_line_is_opened(
    unit: FortiDevice, api: FortiRest
) -> None:
    fortigate = device(unit, api)

    found = await fortigate.identify()
    text = (await fortigate.read()).text()

    assert (found.serial, found.model, found.version) == (SERIAL, "FortiGate-60F", "7.4.4")
    assert 'edit "port1"' in text
    assert unit.logins == ()


async def test_the_token_stands_in_the_header_and_never_in_the_address(unit: FortiDevice, api: FortiRest) -> None:
    await session(unit, api).read(STATUS)

    assert api.tokens == [f"Bearer {TOKEN}"]
    assert not any("access_token" in request or TOKEN in request for request in api.requests)


async def test_another_certificate_gets_no_token(unit: FortiDevice, api: FortiRest) -> None:
    with pytest.raises(IdentityMismatch, match="no token was sent"):
        await session(unit, api, certificate="00" * 32).read(STATUS)

    assert api.tokens == []
    assert api.requests == []


async def test_a_certificate_that_nobody_pinned_is_learnt_and_handed_over(unit: FortiDevice, api: FortiRest) -> None:
    fortigate = device(unit, api, certificate=None)

    await fortigate.identify()

    assert fortigate.certificate == api.fingerprint


async def test_another_serial_number_is_told_before_anything_else_is_asked(unit: FortiDevice, api: FortiRest) -> None:
    unit.throw(serial="FGT60FTK29999999")

    with pytest.raises(IdentityMismatch):
        await device(unit, api).read()

    assert len(api.requests) == 1


async def test_a_token_that_is_refused_is_shown_once(unit: FortiDevice, api: FortiRest) -> None:
    with pytest.raises(AuthenticationFailed, match="refused the token"):
        await device(unit, api, token=Secret("wrong")).read()

    assert len(api.tokens) == 1
    assert unit.logins == ()


@pytest.mark.parametrize("verb", ["POST", "GET"])
async def test_a_backup_is_asked_with_the_verb_that_the_release_takes_and_that_is_remembered(
    unit: FortiDevice, api: FortiRest, verb: str
) -> None:
    api.backup_verb = verb
    asked = session(unit, api)

    first = await asked.backup()
    known = len(api.requests)
    again = await session(unit, api).backup()

    assert len(again) == len(first)
    assert first.startswith("#config-version=FGT60F-7.4.4-FW-build2662")
    assert [request.split()[0] for request in api.requests[known:]] == [verb]


async def test_a_forbidden_backup_is_hinted_at_and_read_over_the_command_line(
    unit: FortiDevice, api: FortiRest
) -> None:
    api.answer = 403
    with pytest.raises(CommandRejected) as refused:
        await session(unit, api).backup()
    assert "trusted hosts" in refused.value.next_step
    assert "read-write on System" in refused.value.next_step

    fortigate = device(unit, api)
    assert 'edit "port1"' in (await fortigate.read()).text()
    await fortigate.close()
    assert len(unit.logins) == 1


@pytest.mark.parametrize("status", [404, 405, 424])
async def test_what_a_model_has_not_is_taken_from_the_command_line(
    unit: FortiDevice, api: FortiRest, status: int
) -> None:
    api.answer = status
    with pytest.raises(NotOffered):
        await session(unit, api).read(STATUS)

    fortigate = device(unit, api)
    assert 'edit "port1"' in (await fortigate.read()).text()
    assert (await fortigate.identify()).serial == SERIAL
    await fortigate.close()


async def test_an_api_that_shuts_us_out_is_left_alone_for_five_minutes(unit: FortiDevice, api: FortiRest) -> None:
    api.answer = 429
    with pytest.raises(LockedOut):
        await session(unit, api).read(STATUS)
    api.answer = None

    with pytest.raises(LockedOut, match="nothing is sent to it for 300 s"):
        await session(unit, api).read(STATUS)
    with pytest.raises(LockedOut):
        await device(unit, api).read()

    assert len(api.requests) == 1
    assert unit.logins == ()


async def test_a_web_page_is_an_error_whatever_its_status(unit: FortiDevice, api: FortiRest) -> None:
    api.answer = "page"

    with pytest.raises(ProtocolViolation, match=r"web page \(HTTP 200\)"):
        await session(unit, api).read(STATUS)
    with pytest.raises(ProtocolViolation):
        await session(unit, api).backup()


async def test_a_random_500_on_a_change_is_unknown_until_somebody_reads(unit: FortiDevice, api: FortiRest) -> None:
    api.answer = 500

    with pytest.raises(OutcomeUnknown):
        await session(unit, api).change("PUT", "/api/v2/cmdb/system/global", {"alias": "x"})
    with pytest.raises(Unreachable):
        await session(unit, api).read(STATUS)


async def test_a_change_arrives_once(unit: FortiDevice, api: FortiRest) -> None:
    await session(unit, api).change("PUT", "/api/v2/cmdb/system/global", {"alias": "edge"})

    assert "set alias edge" in unit.running_text().replace('"', "")
    assert len(api.requests) == 1


async def test_a_change_of_something_that_is_not_there_says_why(unit: FortiDevice, api: FortiRest) -> None:
    with pytest.raises(NotOffered):
        await session(unit, api).change("PUT", "/api/v2/cmdb/system/nothing", {})


async def test_a_change_whose_answer_is_cut_is_unknown_and_a_reading_is_truncated(
    unit: FortiDevice, api: FortiRest
) -> None:
    api.cut_after = 20
    with pytest.raises(OutcomeUnknown):
        await session(unit, api).change("PUT", "/api/v2/cmdb/system/global", {"alias": "edge"})
    api.cut_after = 200
    with pytest.raises(Truncated):
        await session(unit, api).backup()

    assert "edge" in unit.running_text()


async def test_an_answer_that_does_not_come_is_unknown_after_its_time(unit: FortiDevice, api: FortiRest) -> None:
    api.silent = True

    with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.3 s"):
        await session(unit, api, replace(SHORT, rest_s=0.3)).change("PUT", "/api/v2/cmdb/system/global", {})
    with pytest.raises(Truncated):
        await session(unit, api, replace(SHORT, rest_s=0.3)).read(STATUS)


async def test_a_closed_port_is_unreachable_and_the_command_line_is_taken(unit: FortiDevice, api: FortiRest) -> None:
    with pytest.raises(Unreachable) as failed:
        await session(unit, api, port=1).read(STATUS)
    assert failed.value.step == "connect"

    fortigate = device(unit, api, port=1)
    assert (await fortigate.identify()).serial == SERIAL
    await fortigate.close()


async def test_who_is_met_over_the_api_is_told_each_time_and_so_is_who_is_not(
    unit: FortiDevice, api: FortiRest
) -> None:
    told: list[str] = []

    async def on_contact(_device: CommandLineDevice, said: Identity | DeviceError) -> None:
        told.append(said.serial or "" if isinstance(said, Identity) else said.code)

    async def met(**changes: object) -> None:
        fortigate = device(unit, api, **changes)
        fortigate.on_contact = on_contact
        try:
            await fortigate.identify()
        finally:
            await fortigate.close()

    await met()
    assert told == [SERIAL]
    with pytest.raises(AuthenticationFailed):
        await met(token=Secret("another"))
    with pytest.raises(IdentityMismatch):
        await met(certificate="00" * 32)
    assert told == [SERIAL, AuthenticationFailed.code, IdentityMismatch.code]


async def test_a_port_that_speaks_no_tls_is_unreachable_and_gets_no_token(unit: FortiDevice, api: FortiRest) -> None:
    with pytest.raises(Unreachable) as failed:
        await session(unit, api, port=unit.port).read(STATUS)

    assert failed.value.step == "handshake"


async def test_the_size_of_an_answer_is_limited(unit: FortiDevice, api: FortiRest) -> None:
    with pytest.raises(Truncated, match="size limit"):
        await session(unit, api, replace(SHORT, output_octets=50)).backup()


async def test_the_token_is_in_no_transcript(unit: FortiDevice, api: FortiRest) -> None:
    written: list[str] = []
    asked = RestSession(endpoint(unit, api), SHORT, transcript=lambda _way, text: written.append(text))

    await asked.backup()
    await asked.read(STATUS)

    assert "backup" in written[0]
    assert TOKEN not in "\n".join(written)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("FortiGate-60F v6.0.18,build0549,231023 (GA)", "6.0.18"),
        ("FortiGate-VM64-KVM v7.6.7,build3700,260801 (GA.M)", "7.6.7"),
        ("FortiGate-70G v8.0.0,build0123,261001 (GA.F)", "8.0.0"),
    ],
)
def test_releases_from_6_to_8_are_recognised(line: str, version: str) -> None:
    found = identity(f"Version: {line}\nSerial-Number: {SERIAL}\nHostname: fgt\n")

    assert (found.version, found.serial) == (version, SERIAL)


@pytest.mark.parametrize("answer", ["page", 401, 429])
async def test_an_api_that_fails_in_the_middle_of_a_push_leaves_the_reading_to_the_command_line(
    unit: FortiDevice, api: FortiRest, answer: str | int
) -> None:
    fortigate = device(unit, api)
    await fortigate.identify()
    await fortigate.ask("get system status", timeout_s=5.0)

    known = len(api.requests)
    api.answer = answer

    for _ in range(3):
        assert 'edit "port1"' in (await fortigate.read()).text()
    assert len(api.requests) - known == (3 if answer == "page" else 1)
    await fortigate.close()


async def test_a_web_page_in_place_of_an_api_leaves_everything_to_the_command_line(
    unit: FortiDevice, api: FortiRest
) -> None:
    api.answer = "page"

    fortigate = device(unit, api)
    assert (await fortigate.identify()).serial == SERIAL
    assert 'edit "port1"' in (await fortigate.read()).text()
    await fortigate.close()


async def test_a_backup_that_ends_early_is_read_over_the_command_line(unit: FortiDevice, api: FortiRest) -> None:
    api.answer = "cut"

    fortigate = device(unit, api)
    assert 'edit "port1"' in (await fortigate.read()).text()
    await fortigate.close()
    assert len(unit.logins) == 1
