"""No answer of ours makes a client loop or reboot: what the encoder lets out, and all that the doors can say.

The loops are written here anew from arms-protocol §6 and §8, so that a mistake in the rules is not made twice.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.phonehome.gate import own_interval_s
from controller.phonehome.replies import refusal
from drivers.arms import location, messages, rules
from drivers.arms.location import Line, LocationConfig
from drivers.arms.messages import Response
from drivers.arms.parameters import (
    ANSWERS,
    ConfigSolicitationAnswer,
    HeartbeatServer,
    Module,
    ModuleConfig,
    Nothing,
    Parameters,
    PushMethodAnswer,
    ResourceServer,
    RsSolicitationAnswer,
)
from drivers.arms.results import NAMES, SUCCESS
from inventory.admission import Answer, Caller, Door, Place, admit
from inventory.errors import BadInput
from inventory.secrets import Secret

pytestmark = pytest.mark.fast

PULLS = ("rs-solicitation", "config-solicitation", "push-method-query", "push-confirmation-start")


def loops(response: Response) -> str | None:
    """Why a real client would loop, reboot, stop or go deaf at this answer; None when it would not."""
    code = response.result_code
    if 200 <= code < 300:
        return "2xx: reboot in the pull, hot loop in the method query, rollback of a configure"
    if code in {502, 507, 508} or (code >= 500 and code not in {501, 503}):
        return "5xx: hot loop or reboot"
    if code not in NAMES or code < 100:
        return "no code of the protocol"
    if code >= 300:
        return None if response.parameters == Nothing() else "a refusal with content"
    match response.parameters:
        case RsSolicitationAnswer() as told:
            if told.retry_max < 1 or told.retry_interval_s < 30 or told.line_timeout_s < 1:
                return "missing retry values: RS and LS in turn without pause"
            if not 1 <= len(told.servers) <= 5:
                return "more than five rs-info: abort and reboot; none: nowhere to go"
            if any(len(server.location.encode()) > 2047 for server in told.servers):
                return "a location-config beyond the client's buffer"
            return None if 1 <= len(told.rs_key.reveal()) <= 64 else "a key that is cut silently never fits"
        case ConfigSolicitationAnswer() as told:
            ids = [module.id for module in told.modules]
            if not 1 <= len(told.pull_urls) <= 5:
                return "no push mode without a pull URL"
            if sorted(config.id for config in told.configs) != sorted(ids) or len(set(ids)) != len(ids):
                return "a module without its md-config is never started, one without module fails the pull for ever"
            beats = told.heartbeats
            return "no heartbeat is ever sent" if len({beat.interval_s for beat in beats}) > 1 else None
        case PushMethodAnswer() as told:
            if not set(told.methods) & {"https-simple", "https-tunnel"} or len(told.methods) > 5:
                return "no method: 8 pulls a second"
            if "https-tunnel" in told.methods and not 1 <= len(told.tunnel_urls) <= 5:
                return "a tunnel without URL"
            return "no pause between echoes" if told.echo_interval_s is not None and told.echo_interval_s < 10 else None
        case Nothing() if response.type in CONTENT:
            return "an empty success has neither key nor config nor method"
        case _ if response.type == "push-confirmation-start" and response.transaction_id is None:
            return "no confirmation without its id"
        case _:
            return None


URLS = st.sampled_from(
    ["https://192.0.2.1:17444/rs/arms", "https://[2001:db8::1]:443/x", "http://192.0.2.1:1/", "x", ""]
)
SMALL = st.integers(-2, 7)
SECRETS = st.text("k", max_size=70).map(Secret)
LOCATION = location.write(LocationConfig((Line("line-dhcp", (("ifindex", "0"),)),), "x"))
LOCATIONS = st.sampled_from([LOCATION, LOCATION + "x" * 2048])
BEATS = st.builds(
    HeartbeatServer, st.just("192.0.2.1"), st.just(1), SECRETS, st.sampled_from([0, 10, 60]), st.just("hmac-sha1")
)
CONTENT: dict[str, st.SearchStrategy[Parameters]] = {
    "rs-solicitation": st.builds(
        RsSolicitationAnswer,
        rs_key=SECRETS,
        line_timeout_s=SMALL,
        retry_max=SMALL,
        retry_interval_s=st.sampled_from([-1, 0, 1, 29, 30, 60]),
        servers=st.lists(st.builds(ResourceServer, URLS, LOCATIONS), max_size=7).map(tuple),
    ),
    "config-solicitation": st.builds(
        ConfigSolicitationAnswer,
        heartbeats=st.lists(BEATS, max_size=6).map(tuple),
        pull_urls=st.lists(URLS, max_size=6).map(tuple),
        modules=st.lists(st.builds(Module, SMALL, st.just("1")), max_size=4).map(tuple),
        configs=st.lists(st.builds(ModuleConfig, SMALL, st.just("x")), max_size=4).map(tuple),
    ),
    "push-method-query": st.builds(
        PushMethodAnswer,
        methods=st.lists(st.sampled_from(["https-simple", "https-tunnel", "smoke"]), max_size=7).map(tuple),
        tunnel_urls=st.lists(URLS, max_size=7).map(tuple),
        echo_interval_s=st.none() | st.sampled_from([0, 1, 9, 10, 60]),
    ),
}


@st.composite
def anything(draw: st.DrawFn) -> Response:
    """Any answer that could be asked of the encoder, most of them forbidden."""
    type_ = draw(st.sampled_from(sorted(ANSWERS)))
    code = draw(st.just(SUCCESS) | st.sampled_from(sorted(NAMES)) | st.integers(0, 999))
    parameters = draw(CONTENT.get(type_, st.just(Nothing())) | st.just(Nothing()))
    return Response(type_, code, parameters, transaction_id=draw(st.none() | st.integers(-1, 2**31)))


@given(anything())
def test_what_the_encoder_lets_out_makes_no_client_loop(response: Response) -> None:
    try:
        octets = rules.encode(response)
    except BadInput:
        return
    assert loops(response) is None
    read = messages.read(octets)
    assert isinstance(read, Response)
    assert loops(read) is None, "the client reads what was meant"


def test_the_codes_that_may_leave_are_those_that_no_client_reboots_or_loops_at() -> None:
    allowed = set()
    for code in range(1000):
        try:
            rules.encode(Response("read-status-done", code))
        except BadInput:
            continue
        allowed.add(code)
    assert allowed == {code for code in NAMES if 100 <= code < 200 or 300 <= code < 500 or code in {501, 503}}


def test_a_good_answer_of_each_type_may_leave() -> None:
    """The property above says something: not everything is refused."""
    url = "https://192.0.2.1:17444/rs/arms"
    good: dict[str, Parameters] = {
        "rs-solicitation": RsSolicitationAnswer(Secret("k"), 30, 1, 30, None, (ResourceServer(url, LOCATION),)),
        "config-solicitation": ConfigSolicitationAnswer(
            pull_urls=(url,), modules=(Module(0, "1"),), configs=(ModuleConfig(0, "x"),)
        ),
        "push-method-query": PushMethodAnswer(("https-tunnel",), (url,), 60),
    }
    for type_, parameters in good.items():
        response = Response(type_, SUCCESS, parameters)
        assert rules.encode(response)
        assert loops(response) is None


def callers() -> list[Caller]:
    """Every combination that an answer of the doors can rest on."""
    both, reason = (True, False), (None, "x")
    choices: dict[str, tuple[Any, ...]] = {
        "known": both,
        "key_ok": both,
        "same_id": both,
        "place": tuple(Place),
        "delivered": both,
        "missing": ((), ("line",)),
        "suspended": reason,
        "shut_out": reason,
        "quarantine": reason,
        "startup": both,
        "overload": both,
        "looping": reason,
    }
    return [Caller(**dict(zip(choices, facts, strict=True))) for facts in product(*choices.values())]


def test_all_that_the_doors_can_refuse_with_is_harmless_and_can_be_sent() -> None:
    seen: set[tuple[Door, str, int]] = set()
    for caller, door in product(callers(), Door):
        answer = admit(door, caller)
        seen.add((door, answer.kind, answer.code))
        assert answer.admitted or answer.reason, "a refusal says why"
    assert {(kind, code) for door, kind, code in seen if door is Door.TUNNEL} == {
        ("http", code) for code in (200, 401, 403, 503)
    }
    pulls = {(kind, code) for door, kind, code in seen if door is not Door.TUNNEL}
    assert pulls == {("http", 401), *(("arms", code) for code in (100, 301, 404, 420, 421, 423, 501))}
    for (kind, code), type_ in product(sorted(pulls), (*PULLS, "read-status-done", "made-up")):
        if code != SUCCESS:
            _harmless(refusal(type_, Answer(kind, code, "x")), type_)  # type: ignore[arg-type]  # one of the two kinds


def _harmless(octets: bytes, type_: str) -> None:
    head, _, body = octets.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert status in {200, 400, 401, 403, 503}, "HTTP ≥ 400 is retried slowly; 1xx and 3xx are not understood"
    if not body:
        assert status != 200
        return
    message = messages.read(body)
    assert isinstance(message, Response)
    assert (status, message.type) == (200, type_)
    assert loops(message) is None


@given(st.integers(30, 3600), st.text(min_size=1, max_size=40))
def test_every_retry_interval_is_a_legal_one(base_s: int, serial: str) -> None:
    assert 30 <= base_s <= own_interval_s(base_s, serial) <= 2 * base_s
