"""ARMS messages: what devices send is read or refused, what we send is legal."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.arms import messages, parameters, rules, xml
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import (
    Command,
    CommandResult,
    CommandResults,
    ConfigSolicitation,
    ConfigSolicitationAnswer,
    Configure,
    HeartbeatServer,
    MdCommand,
    Module,
    ModuleConfig,
    Nothing,
    Parameters,
    Ping,
    PullConfig,
    PushMethodAnswer,
    ReadStatus,
    ReadStorage,
    ResourceServer,
    RsSolicitationAnswer,
    StatusReports,
    Traceroute,
)
from inventory.errors import BadInput, ProtocolViolation
from inventory.secrets import Secret
from tests.drivers.arms.splits import cut, places, refusal

pytestmark = pytest.mark.fast

ID = "0001-0000-0101-0000-0200-00FF-FE12-3456"
writable = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=[chr(c) for c in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)],
    ),
    max_size=40,
)
contents = st.one_of(writable, st.binary(max_size=40))
configs = st.builds(ModuleConfig, st.integers(0, 2**31 - 1), contents)
requests = st.one_of(
    st.builds(
        Request, st.just("read-storage-done"), st.just(ID), st.builds(parameters.StoredConfigs, st.tuples(configs))
    ),
    st.builds(
        Request,
        st.just("md-command"),
        st.just(ID),
        st.builds(MdCommand, st.tuples(st.builds(Command, st.just(1), contents))),
    ),
    st.builds(
        Request,
        st.just("config-solicitation"),
        st.just(ID),
        st.builds(ConfigSolicitation, writable, writable, writable),
    ),
)


@given(requests, places)
def test_a_message_survives_the_way_whatever_it_says_and_however_it_is_cut(sent: Request, where: list[int]) -> None:
    parser = xml.TreeParser(limit=10_000)
    wire = messages.write(sent)
    for piece in cut(wire, where):
        parser.feed(piece)

    got = messages.decode(messages.open_envelope(parser.close()))

    assert got == sent
    assert wire.isascii()


@given(st.one_of(st.binary(max_size=200), st.text("<>/&;!?'\"=#x10aé \narms-messgqut", max_size=80).map(str.encode)))
def test_noise_is_refused_and_nothing_else(noise: bytes) -> None:
    for document in (
        noise,
        b"<arms-message><arms-request type='ping-done'>" + noise + b"</arms-request></arms-message>",
    ):
        assert refusal(partial(messages.read, document, limit=1000)) or messages.read(document) is not None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "doctype"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "doctype"),
        (b"<?xml-stylesheet href='x'?><a/>", "doctype"),
        (b"<a>&x;</a>", "malformed"),
        (b"<a>&#27;</a>", "malformed"),
        (b"<a>" * 17 + b"</a>" * 17, "too-deep"),
        (b"<a>" + b"<b/>" * 20_001 + b"</a>", "oversize"),
        (b"<a>" + b"x" * 200_000 + b"</a>", "oversize"),
        ("<a>é</a>".encode("latin-1"), "malformed"),
        ("<a/>".encode("utf-16"), "malformed"),
        (b"<a x='1' x='2'/>", "malformed"),
        (b"<a/><b/>", "malformed"),
        (b"", "malformed"),
    ],
)
def test_hostile_xml_is_refused_with_the_reason(document: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        xml.parse(document, limit=100_000)
    assert refused.value.reason == reason


def test_escape_characters_of_a_terminal_do_not_spoil_a_message() -> None:
    assert xml.parse(b"<a>\x1b[31mred\x00</a>", limit=100).text == "[31mred"


def test_text_that_xml_cannot_carry_is_refused_when_it_is_written() -> None:
    with pytest.raises(BadInput):
        messages.write(Request("md-command", ID, MdCommand((Command(1, "\x1b[0m"),))))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<arms-message/>", "envelope"),
        (b"<other/>", "envelope"),
        (b"<arms-message><arms-request/></arms-message>", "envelope"),
        (b'<arms-message><arms-request type="rs-solicitation"/></arms-message>', "envelope"),
        (
            b'<arms-message><arms-request type="x"><distribution-id>i</distribution-id></arms-request></arms-message>',
            "unknown-type",
        ),
        (
            b'<arms-message><arms-request type="rs-solicitation"><distribution-id>i</distribution-id>'
            b"</arms-request></arms-message>",
            "missing",
        ),
        (b'<arms-message><arms-response type="reboot"/></arms-message>', "missing"),
        (
            b'<arms-message><arms-response type="reboot"><result-code>0x64</result-code></arms-response>'
            b"</arms-message>",
            "malformed",
        ),
        (
            b'<arms-message><arms-request type="read-storage-done"><distribution-id>i</distribution-id>'
            b'<read-storage-done-request><md-config id="1" encoding="base64">!!</md-config>'
            b"</read-storage-done-request></arms-request></arms-message>",
            "malformed",
        ),
    ],
)
def test_a_message_that_is_not_one_is_refused_with_the_reason(document: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        messages.read(document)
    assert refused.value.reason == reason


def test_the_text_of_a_failed_report_is_dropped_even_as_broken_base64() -> None:
    document = (
        '<arms-message><arms-request type="read-status-done"><transaction-result>100</transaction-result>'
        f"<distribution-id>{ID}</distribution-id><read-status-done-request>"
        '<status-report id="1" result="402" encoding="base64">YQ=</status-report>'
        "</read-status-done-request></arms-request></arms-message>"
    ).encode()

    message = messages.read(document)

    assert isinstance(message.parameters, StatusReports)
    assert [(report.result, report.content) for report in message.parameters.reports] == [(402, "")]


def test_secrets_are_in_no_repr() -> None:
    answer = RsSolicitationAnswer(Secret("rs-secret-4242"), 30, 1, 30)
    config = ModuleConfig(1, "password rs-secret-4242")
    result = CommandResults((CommandResult(1, "rs-secret-4242"),))
    assert "4242" not in repr((answer, config, result))


# --- what we never send -------------------------------------------------------------------------------------------

URL = "https://192.0.2.1:17444/rs/arms"
SERVER = ResourceServer(URL, "line-dhcp {\n\tifindex 0;\n};\n")
BEAT = HeartbeatServer("192.0.2.1", 17446, Secret("k"), 60)


def ls(**changes: Any) -> RsSolicitationAnswer:
    """A legal answer of the LS, with changes."""
    values: dict[str, Any] = {
        "rs_key": Secret("k" * 32),
        "line_timeout_s": 30,
        "retry_max": 3,
        "retry_interval_s": 30,
        "servers": (SERVER,),
    }
    return RsSolicitationAnswer(**{**values, **changes})


def rs(**changes: Any) -> ConfigSolicitationAnswer:
    """A legal answer of the RS, with changes."""
    values: dict[str, Any] = {
        "heartbeats": (BEAT,),
        "pull_urls": (URL,),
        "modules": (Module(0),),
        "configs": (ModuleConfig(0, "x"),),
    }
    return ConfigSolicitationAnswer(**{**values, **changes})


LEGAL: list[tuple[str, Parameters]] = [
    ("rs-solicitation", ls()),
    ("config-solicitation", rs()),
    ("push-method-query", PushMethodAnswer(("https-tunnel",), (URL,), 60)),
]
FORBIDDEN: list[tuple[str, Parameters]] = [
    ("rs-solicitation", ls(retry_max=0)),
    ("rs-solicitation", ls(retry_interval_s=0)),
    ("rs-solicitation", ls(retry_interval_s=29)),
    ("rs-solicitation", ls(line_timeout_s=0)),
    ("rs-solicitation", ls(rs_key=Secret("k" * 65))),
    ("rs-solicitation", ls(rs_key=Secret(""))),
    ("rs-solicitation", ls(servers=())),
    ("rs-solicitation", ls(servers=(SERVER,) * 6)),
    ("rs-solicitation", ls(servers=(ResourceServer(URL, "x\n" * 1024),))),
    ("rs-solicitation", ls(servers=(ResourceServer(URL, "x" * 256),))),
    ("rs-solicitation", ls(servers=(ResourceServer("https://rs.example:443/", "x"),))),
    ("rs-solicitation", ls(servers=(ResourceServer("https://192.0.2.1/rs", "x"),))),
    ("rs-solicitation", ls(servers=(ResourceServer("http://192.0.2.1:80/rs", "x"),))),
    ("config-solicitation", rs(pull_urls=())),
    ("config-solicitation", rs(heartbeats=(BEAT,) * 6)),
    ("config-solicitation", rs(heartbeats=(BEAT, HeartbeatServer("192.0.2.1", 1, Secret("k"), 30)))),
    ("config-solicitation", rs(heartbeats=(HeartbeatServer("192.0.2.1", 1, Secret(""), 30),))),
    ("config-solicitation", rs(modules=())),
    ("config-solicitation", rs(configs=())),
    ("config-solicitation", rs(modules=(Module(0), Module(0)), configs=(ModuleConfig(0), ModuleConfig(0)))),
    ("config-solicitation", rs(sa_certificate="x" * 5120, sa_private_key=Secret("k"))),
    ("config-solicitation", rs(sa_certificate="x")),
    ("push-method-query", PushMethodAnswer((), (URL,), 60)),
    ("push-method-query", PushMethodAnswer(("https-tunnel",), (), 60)),
    ("push-method-query", PushMethodAnswer(("https-tunnel",), (URL,), 0)),
    ("push-method-query", PushMethodAnswer(("https-tunnel",), (URL,), 9)),
    ("push-method-query", PushMethodAnswer(("carrier-pigeon",), (URL,), 60)),
]


@pytest.mark.parametrize(("type_", "answer"), LEGAL)
def test_a_legal_answer_is_sent(type_: str, answer: Parameters) -> None:
    assert messages.read(rules.encode(Response(type_, 100, answer))).parameters == answer


@pytest.mark.parametrize(("type_", "answer"), FORBIDDEN)
def test_an_answer_that_harms_clients_is_never_made(type_: str, answer: Parameters) -> None:
    with pytest.raises(BadInput):
        rules.encode(Response(type_, 100, answer))


@pytest.mark.parametrize("code", [0, 200, 201, 202, 203, 502, 504, 505, 506, 507, 508, 999])
def test_a_code_that_makes_clients_loop_or_reboot_is_never_sent(code: int) -> None:
    with pytest.raises(BadInput):
        rules.encode(Response("config-solicitation", code))


@pytest.mark.parametrize("code", [301, 404, 420, 421, 423, 501, 503])
def test_a_refusal_carries_no_parameters(code: int) -> None:
    assert rules.encode(Response("config-solicitation", code))
    with pytest.raises(BadInput):
        rules.encode(Response("config-solicitation", code, rs()))


OPERATIONS: list[tuple[str, Parameters, bool]] = [
    ("configure-start", Configure((Module(0),), (ModuleConfig(0, "x"),)), True),
    ("configure-start", Configure((), ()), False),
    ("configure-start", Configure((Module(0),), (ModuleConfig(0, "x", content_type="text/plain"),)), False),
    ("configure-start", Configure((Module(0),), (ModuleConfig(1, "x"),)), False),
    ("read-status-start", ReadStatus(), False),
    ("ping-start", Ping("192.0.2.1", 2), True),
    ("ping-start", Ping("192.0.2.1"), False),
    ("ping-start", Ping("192.0.2.1", 11), False),
    ("ping-start", Ping("gateway.example", 1), False),
    ("traceroute-start", Traceroute("2001:db8::1", 1, 30), True),
    ("traceroute-start", Traceroute("192.0.2.1", 1), False),
    ("traceroute-start", Traceroute("192.0.2.1", 1, 257), False),
    ("read-storage-start", ReadStorage("running"), True),
    ("read-storage-start", ReadStorage("startup"), False),
    ("read-storage-start", ReadStorage(), False),
    ("md-command", MdCommand((Command(0, "show system"),)), True),
    ("md-command", MdCommand(()), False),
    ("md-command", MdCommand((Command(0, "a"), Command(0, "b"))), False),
    ("md-command", MdCommand((Command(0, "é" * 4097),)), False),
    ("pull-config", PullConfig("LS"), True),
    ("pull-config", PullConfig("both"), False),
    ("reboot", Nothing(), True),
    ("reboot", PullConfig("RS"), False),
]


@pytest.mark.parametrize(("type_", "asked", "legal"), OPERATIONS)
def test_an_operation_is_complete_or_not_sent(type_: str, asked: Parameters, legal: bool) -> None:
    request = Request(type_, ID, asked)
    if legal:
        assert messages.read(rules.encode(request)) == request
    else:
        with pytest.raises(BadInput):
            rules.encode(request)


@pytest.mark.parametrize("url", ["https://[", "https://[::1/", "https://]", "https://192.0.2.1:99999/", "https://x:y/"])
def test_a_url_that_is_broken_is_refused_like_any_other(url: str) -> None:
    with pytest.raises(BadInput):
        rules.check_url(url, "url", limit=127)


def test_a_request_names_the_adapter_in_upper_case() -> None:
    with pytest.raises(BadInput):
        rules.encode(Request("reboot", ID.lower()))


@pytest.mark.parametrize(("text", "major"), [("4.0", 4), ("3", 3), (None, 0), ("", 0), ("9.1", 4), ("x", 0), ("²", 0)])
def test_protocol_versions_are_compared_by_major(text: str | None, major: int) -> None:
    assert ConfigSolicitation(text).major == major
