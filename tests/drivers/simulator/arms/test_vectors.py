"""What the simulated client writes is what the recorded reference client wrote (arms-protocol §13)."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.simulator import arms_heartbeat as heartbeat
from drivers.simulator.arms_chunks import ECHO_REQUEST, END, Assembler, BrokenStream, ChunkReader, frame
from drivers.simulator.arms_heartbeat import Counters
from drivers.simulator.arms_http import Endpoint, basic, chunked_head, chunked_request, endpoint, pull_request
from drivers.simulator.arms_messages import (
    MalformedMessage,
    Pieces,
    Writer,
    module_element,
    node_element,
    number_element,
    parse,
    report,
    response,
    with_first_text_joined,
)
from drivers.simulator.arms_operations import read_message
from drivers.simulator.identity import SA_W2, fleet_member, sa_code
from inventory.secrets import Secret

pytestmark = pytest.mark.fast

VECTORS = Path(__file__).parents[3] / "vectors" / "arms"
IDENTITY = "0001-0000-0101-0000-0200-00FF-FE12-3456"
LS_KEY, RS_KEY = Secret("ls-secret-0001"), Secret("rs-secret-4242")
WRITER = Writer(IDENTITY, "armsd")
OUTPUT = b"status output\n"


def reports(tag: str, output: bytes, *, base64_mode: bool = False, **attributes: object) -> list[str]:
    return with_first_text_joined(report(tag, output, base64_mode=base64_mode, **attributes))


def md_result(module_id: int, output: bytes) -> list[str]:
    return report("md-result", output, id=module_id)


READ_STATUS_DONE = WRITER.done(
    "read-status",
    1313878631,
    100,
    [
        *reports("status-report", OUTPUT, id=1, result=100),
        *reports("status-report", OUTPUT, id=2, result=100),
    ],
)
MODULES = "".join(
    [module_element(1, "1.0", "example module"), module_element(2, "2.3", "http://192.0.2.10/fw/pkg-2.3.bin")]
)

MESSAGES: dict[str, Pieces] = {
    "rs-solicitation-request": WRITER.rs_solicitation("power on boot"),
    "config-solicitation-request": WRITER.config_solicitation("power on boot", "0.8.0"),
    "config-solicitation-request-after-rollback": WRITER.config_solicitation("rollback failure", "0.8.0"),
    "push-method-query-request": WRITER.push_method_query(["https-simple", "https-tunnel"]),
    "push-method-query-request-via-proxy": WRITER.push_method_query(["https-tunnel"]),
    "push-confirmation-start-request-simple": WRITER.push_confirmation_start(
        "https-simple", "https://192.0.2.1:17447/"
    ),
    "push-confirmation-start-request-simple-ipv6": WRITER.push_confirmation_start(
        "https-simple", "https://[::1]:17447/"
    ),
    "push-confirmation-start-request-tunnel": WRITER.push_confirmation_start("https-tunnel"),
    "push-confirmation-done-response-simple": response("push-confirmation-done", 100),
    "push-confirmation-done-response-tunnel": response("push-confirmation-done", 100, transaction_id=777000),
    "read-module-list-response": response("read-module-list", 100, [MODULES]),
    "check-transaction-response": response("check-transaction", 100, [number_element("transaction-id", 0)]),
    "dump-debug-response": response("dump-debug", 100, md_result(0, b"debug script\n")),
    "md-command-response": response("md-command", 100, md_result(1, b"command script: module-id=1\n")),
    "md-command-response-two-commands": response("md-command", 422),
    "pull-config-response": response("pull-config", 100),
    "reboot-response": response("reboot", 100),
    "read-status-start-response": response("read-status-start", 100, transaction_id=1313878631),
    "read-status-done-request": READ_STATUS_DONE,
    "clear-status-start-response": response("clear-status-start", 100, transaction_id=1166248098),
    "clear-status-done-request": WRITER.done(
        "clear-status",
        1166248098,
        100,
        reports("status-report", b"clear script: module-id=1\nSat Nov 21 22:24:09 UTC 2026\n", id=1, result=100),
    ),
    "ping-start-response": response("ping-start", 100, transaction_id=285615917),
    "ping-done-request": WRITER.done(
        "ping", 285615917, 100, [number_element("success", 2), number_element("failure", 0)]
    ),
    "ping-done-request-failed": WRITER.done("ping", 2025515007, 502),
    "traceroute-start-response": response("traceroute-start", 100, transaction_id=1626219305),
    "traceroute-done-request": WRITER.done(
        "traceroute",
        1626219305,
        100,
        [node_element(1, "192.0.2.1"), node_element(2, "198.51.100.9"), node_element(3, "203.0.113.77")],
    ),
    "read-storage-start-response": response("read-storage-start", 100, transaction_id=398147421),
    "read-storage-done-request": WRITER.done(
        "read-storage",
        398147421,
        100,
        [*reports("md-config", b"hostname example\n<tag> x\n", id=1), *reports("md-config", b"", id=2)],
    ),
    "read-storage-done-request-base64": WRITER.done(
        "read-storage",
        457693502,
        100,
        reports("md-config", bytes(range(256)) * 2, id=1, base64_mode=True),
    ),
    "configure-start-response": response("configure-start", 100, transaction_id=697314797),
    "configure-start-response-busy": response("configure-start", 302, transaction_id=1507497804),
    "configure-start-response-unknown-module": response("configure-start", 415, transaction_id=876418461),
    "configure-done-request": WRITER.done("configure", 697314797, 100),
    "configure-done-request-rolled-back": WRITER.done("configure", 1347867334, 414),
    "response-unknown-type": response("generic-error", 202),
    "response-wrong-distribution-id": response("read-module-list", 423),
    "response-malformed-request": response("reboot", 201),
}


def canonical(octets: bytes) -> str:
    """Parsed and printed again, so that `<x/>` and `<x></x>` are one."""
    return ET.canonicalize(octets.replace(b"?>\r<", b"?><").decode("ascii"))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_of_the_device_is_the_recorded_one(name: str) -> None:
    recorded = (VECTORS / "messages" / f"{name}.xml").read_bytes()
    assert canonical(b"".join(MESSAGES[name])) == canonical(recorded)


def test_no_recorded_message_of_the_device_is_left_out() -> None:
    index = json.loads((VECTORS / "index.json").read_text())
    recorded = {
        Path(each["file"]).stem
        for each in index["files"]
        if each["sender"] == "device" and each["file"].startswith("messages/")
    }
    covered_below = {"read-status-done-request-control-characters", "read-status-done-request-failed-item"}
    assert recorded == set(MESSAGES) | covered_below


def test_control_characters_go_out_as_they_are_and_other_bytes_as_question_marks() -> None:
    recorded = (VECTORS / "messages" / "read-status-done-request-control-characters.xml").read_bytes()
    output = "esc \x1b[31mred\x1b[0m café <x> & end\n".encode() + b"Z" * 3000 + b"\n"
    written = WRITER.done("read-status", 226539230, 100, reports("status-report", output, id=1, result=100))
    assert b"".join(written).split(b"ZZZ")[0] == recorded.split(b"ZZZ")[0]
    assert max(map(len, written)) <= 1023 + 60


def test_an_item_that_could_not_run_says_402_and_repeats_nothing_at_first() -> None:
    recorded = (VECTORS / "messages" / "read-status-done-request-failed-item.xml").read_bytes()
    number = re.search(rb"<transaction-id>(\d+)", recorded)
    assert number is not None
    written = WRITER.done("read-status", int(number[1]), 100, reports("status-report", b"", id=77, result=402))
    assert canonical(b"".join(written)) == canonical(recorded)


@pytest.mark.parametrize(
    "name",
    [
        path.stem
        for path in sorted((VECTORS / "messages").glob("*.xml"))
        if path.name.endswith(("start-request.xml", "-response.xml"))
    ],
)
def test_the_device_reads_every_recorded_message_of_the_server(name: str) -> None:
    octets = (VECTORS / "messages" / f"{name}.xml").read_bytes().replace(b"?>\r<", b"?><")
    message = parse(octets)
    assert message.kind
    assert message.is_request == name.endswith("-request") or "response" in name


# -- bytes -----------------------------------------------------------------------------------------------


def url(text: str) -> Endpoint:
    found = endpoint(text)
    assert found is not None
    return found


FRAMES: dict[str, Callable[[], bytes]] = {
    "http/ls-request-http10.bin": lambda: b"".join(
        pull_request(
            url("https://192.0.2.1:17443/ls/arms"),
            basic(IDENTITY, LS_KEY),
            MESSAGES["rs-solicitation-request"],
        )
    ),
    "http/rs-confirmation-request-chunked.bin": lambda: b"".join(
        chunked_request(
            url("https://192.0.2.1:17444/rs/arms"),
            basic(IDENTITY, RS_KEY),
            MESSAGES["push-confirmation-start-request-simple"],
        )
    ),
    "http/rs-done-request-multichunk.bin": lambda: b"".join(
        chunked_request(
            url("https://192.0.2.1:17444/rs/arms"),
            basic(IDENTITY, RS_KEY),
            READ_STATUS_DONE,
        )
    ),
    "tunnel/01-request-head.bin": lambda: chunked_head(
        url("https://192.0.2.1:17450/tunnel"),
        basic(IDENTITY, RS_KEY),
    ),
    "tunnel/03-confirmation-start.bin": lambda: tunnel_frames(
        2084205440, MESSAGES["push-confirmation-start-request-tunnel"]
    ),
    "tunnel/06-confirmation-done-response.bin": lambda: tunnel_frames(
        379404493, MESSAGES["push-confirmation-done-response-tunnel"]
    ),
    "tunnel/08-dump-debug-response-3-chunks.bin": lambda: tunnel_frames(2080194217, MESSAGES["dump-debug-response"]),
    "tunnel/09-echo-request.bin": lambda: ECHO_REQUEST,
    "tunnel/11-close.bin": lambda: END,
}


def tunnel_frames(chunk_id: int, pieces: Pieces) -> bytes:
    last = len(pieces) - 1
    return b"".join(b"".join(frame(chunk_id, piece, last=at == last)) for at, piece in enumerate(pieces))


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_bytes_of_the_device_are_the_recorded_ones(name: str) -> None:
    assert FRAMES[name]() == (VECTORS / name).read_bytes()


def test_the_tunnel_reader_joins_split_and_interleaved_messages() -> None:
    reader, joined = ChunkReader(), Assembler()
    octets = b"".join(
        (VECTORS / "tunnel" / name).read_bytes()
        for name in ("12-split-request.bin", "13-interleaved-requests.bin", "10-echo-response.bin")
    )
    chunks = list(reader.feed(octets))
    messages = [whole for chunk in chunks if chunk.kind == "message" and (whole := joined.add(chunk))]
    kinds = [parse(whole).kind for whole, _ in messages]
    assert kinds == ["read-status-start", "read-module-list", "md-command"]
    assert chunks[-1].kind == "echo"


def test_a_chunk_body_may_be_split_over_reads_but_not_its_header() -> None:
    octets = (VECTORS / "tunnel" / "07-dump-debug-request.bin").read_bytes()
    header = octets.index(b"\r\n") + 2
    reader = ChunkReader()
    parts = [octets[:header], *(octets[at : at + 1] for at in range(header, len(octets)))]
    assert [chunk.chunk_id for part in parts for chunk in reader.feed(part)] == [1007]
    with pytest.raises(BrokenStream, match="header is cut"):
        list(ChunkReader().feed(octets[: header - 3]))


def test_messages_that_derail_the_real_client_derail_this_one() -> None:
    good = (VECTORS / "messages" / "configure-start-request.xml").read_bytes()
    with pytest.raises(MalformedMessage):
        parse(good.replace(b'<module id="1"', b'<module id="1" colour="red"'))
    with pytest.raises(MalformedMessage):
        parse(good.replace(b"example", "例".encode()))
    answer = (VECTORS / "messages" / "configure-done-response.xml").read_bytes()
    assert parse(answer.replace(b">100<", b">100 <")).result_code is None
    assert parse(answer.replace(b">100<", b"> 100<")).result_code == 100


def test_requests_that_are_no_good_get_the_recorded_answers() -> None:
    good = (VECTORS / "messages" / "reboot-request.xml").read_bytes()
    cases = {
        "response-malformed-request": good.replace(b"</arms-message>", b""),
        "response-unknown-type": good.replace(b"reboot", b"dance"),
    }
    for name, octets in cases.items():
        message, answer = read_message(octets, IDENTITY)
        assert message is None
        assert answer == MESSAGES[name]
    listing = (VECTORS / "messages" / "read-module-list-request.xml").read_bytes()
    assert read_message(listing, IDENTITY.lower()) == (None, MESSAGES["response-wrong-distribution-id"])


# -- heartbeat -------------------------------------------------------------------------------------------


def counters(tlv: dict[str, int]) -> Counters:
    names = ("in_octets", "out_octets", "in_packets", "out_packets", "in_errors", "out_errors")
    return Counters(*(tlv[name] for name in names))


def statistics(named: dict[str, int | str]) -> bytes:
    tlv = {name: value for name, value in named.items() if isinstance(value, int)}
    match named["name"]:
        case "cpu":
            return heartbeat.cpu(tlv["index"], tlv["utilization"])
        case "cpu-detail":
            shares = {name: tlv[name] for name in ("idle", "interrupt", "user", "system", "other")}
            return heartbeat.cpu_detail(tlv["index"], **shares)
        case "memory":
            return heartbeat.memory(tlv["index"], tlv["used"], tlv["free"])
        case "disk":
            return heartbeat.disk(tlv["index"], tlv["used"], tlv["free"])
        case "traffic-rate":
            return heartbeat.traffic_rate(tlv["ifindex"], counters(tlv))
        case "traffic-count":
            return heartbeat.traffic_count(tlv["ifindex"], counters(tlv))
        case _:
            return heartbeat.radio_wave(tlv["ifindex"], tlv["status"], tlv["max"], tlv["min"], tlv["avg"])


@pytest.mark.parametrize("name", [f"heartbeat-0{number}" for number in range(1, 7)])
def test_a_heartbeat_is_the_recorded_one_to_the_byte(name: str) -> None:
    decoded = json.loads((VECTORS / f"{name}.json").read_text())
    identity = bytes.fromhex(decoded["tlvs"][1]["value"].replace("-", ""))
    figures = [statistics(tlv) for tlv in decoded["tlvs"][2:]]
    written = heartbeat.datagram(identity, decoded["key_utf8"].encode(), figures)
    assert written.hex() == "".join((VECTORS / f"{name}.hex").read_text().split())


def test_a_cut_heartbeat_is_authentic_and_broken_like_the_recorded_one() -> None:
    whole = json.loads((VECTORS / "heartbeat-02.json").read_text())
    identity = bytes.fromhex(whole["tlvs"][1]["value"].replace("-", ""))
    figures = [statistics(tlv) for tlv in whole["tlvs"][2:]]
    recorded = bytes.fromhex("".join((VECTORS / "heartbeat-bad-02.hex").read_text().split()))
    cut = 224 - len(recorded)
    assert heartbeat.datagram(identity, b"hb-pass-phrase", figures, cut_octets=cut) == recorded


# -- identity --------------------------------------------------------------------------------------------


def test_identities_follow_the_convention_and_are_the_same_every_time() -> None:
    for case in json.loads((VECTORS / "mac-to-sa-code.json").read_text()):
        assert sa_code(case["mac"]) == case["sa_code"]
    first, again = fleet_member(SA_W2, 42), fleet_member(SA_W2, 42)
    assert first == again
    assert first.serial_number == "1W00000042"
    assert first.distribution_id == "0001-0000-0101-0010-0200-5EFF-FE00-002A"
    assert 32 <= len(first.ls_key.reveal()) <= 64
    assert fleet_member(SA_W2, 42, fleet="other").ls_key != first.ls_key
