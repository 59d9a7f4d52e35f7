"""What comes through a tunnel or an HTTP connection, however the network cuts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.arms import framing
from drivers.arms.framing import Assembler, Echo, End, Frame, HeadDecoder, Piece, TunnelDecoder
from inventory.errors import BadInput, ProtocolViolation
from tests.drivers.arms.splits import cut, places, refusal

pytestmark = pytest.mark.fast

ids = st.one_of(st.none(), st.integers(min_value=0, max_value=framing.MAX_ID))
pieces = st.builds(Piece, ids, st.booleans(), st.binary(min_size=1, max_size=64))
echoes = st.builds(Echo, st.sampled_from(["echo-request", "echo-response", "echo"]))
frames = st.lists(st.one_of(pieces, echoes), max_size=8)


@given(frames, places)
def test_a_tunnel_reads_the_same_however_its_bytes_are_cut(sent: list[Frame], where: list[int]) -> None:
    stream = b"".join(map(framing.encode, sent)) + framing.encode(End())
    decoder = TunnelDecoder()

    got = [frame for piece in cut(stream, where) for frame in decoder.feed(piece)]

    assert got == [*sent, End()]
    assert decoder.between


@given(st.binary(max_size=300), places)
def test_noise_in_a_tunnel_is_refused_and_nothing_else(noise: bytes, where: list[int]) -> None:
    outcomes = []
    for parts in ([noise], cut(noise, where)):
        decoder, got, reason = TunnelDecoder(), [], ""
        try:
            for part in parts:
                got += decoder.feed(part)
        except ProtocolViolation as refusal:
            reason = refusal.reason
        outcomes.append((bool(reason), got if not reason else None))
    assert outcomes[0] == outcomes[1]


@given(st.binary(max_size=300))
def test_noise_instead_of_a_request_is_refused_and_nothing_else(noise: bytes) -> None:
    def read() -> None:
        found = HeadDecoder().feed(noise + b"\r\n\r\n")
        assert found is not None
        body = framing.body_decoder(found[0], limit=100)
        body.feed(found[1])
        body.close()

    assert refusal(read) in {"", "malformed", "oversize", "cut"}


@pytest.mark.parametrize("after", [b"x", b"5;id=x\r\n", b"zzzz\r\n\r\n", b"0\r\nab"])
def test_what_follows_the_end_of_a_tunnel_is_not_read_however_it_is_cut(after: bytes) -> None:
    stream = b"0\r\n\r\n" + after
    for at in range(len(stream) + 1):
        decoder = TunnelDecoder()
        assert [*decoder.feed(stream[:at]), *decoder.feed(stream[at:])] == [End()]


def test_messages_that_are_interleaved_come_out_whole() -> None:
    assembler = Assembler(limit=100)

    assert assembler.add(Piece(11, False, b"<a")) is None
    assert assembler.add(Piece(12, True, b"<b/>")) == b"<b/>"
    assert assembler.add(Piece(11, True, b"/>")) == b"<a/>"
    assert assembler.unfinished == 0


def test_a_message_without_end_does_not_fill_the_memory() -> None:
    assembler = Assembler(limit=1000)
    assert refusal(lambda: [assembler.add(Piece(n % 3, False, b"x" * 10)) for n in range(1000)]) == "oversize"


def test_many_messages_without_end_do_not_fill_the_memory() -> None:
    assembler = Assembler(limit=1000)
    too_many = range(framing.MAX_OPEN_MESSAGES + 1)
    assert refusal(lambda: [assembler.add(Piece(number, False, b"x")) for number in too_many]) == "oversize"


@pytest.mark.parametrize(
    "chunk",
    [b"10001;id=1\r\n", b"ffffffffff;id=1\r\n", b"x" * 300, b"4;id=1\r\nlonger", b"4;id=99999999999\r\nbody\r\n"],
)
def test_a_chunk_that_lies_about_its_size_ends_the_tunnel(chunk: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        TunnelDecoder().feed(chunk)


def test_a_chunk_within_8192_bytes_is_what_we_send() -> None:
    chunks = framing.encode_message(b"x" * 20_000, id=framing.MAX_ID)

    assert all(len(chunk) <= 8192 for chunk in chunks)
    decoder, assembler = TunnelDecoder(chunk_limit=8192), Assembler(limit=30_000)
    whole = [assembler.add(f) for chunk in chunks for f in decoder.feed(chunk) if isinstance(f, Piece)]
    assert [each for each in whole if each] == [b"x" * 20_000]


def test_an_empty_piece_is_never_sent_because_it_would_end_the_tunnel() -> None:
    with pytest.raises(BadInput):
        framing.encode(Piece(1, True, b""))


def test_an_endless_head_is_refused_before_it_is_whole() -> None:
    decoder = HeadDecoder(limit=1000)
    assert refusal(lambda: [decoder.feed(b"X: " + b"a" * 90 + b"\r\n") for _ in range(100)]) == "oversize"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Length: -1",
        b"Content-Length: 0x10",
        b"Content-Length: 999999999",
    ],
)
def test_a_head_that_leaves_the_end_of_its_body_in_doubt_is_refused(fields: bytes) -> None:
    found = HeadDecoder().feed(b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n")
    assert found is not None
    with pytest.raises(ProtocolViolation):
        framing.body_decoder(found[0], limit=1000)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), places)
def test_a_body_in_many_chunks_reads_the_same_however_it_is_cut(chunks: list[bytes], where: list[int]) -> None:
    wire = b"".join(f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in chunks) + b"0\r\n\r\n"
    found = HeadDecoder().feed(b"POST /rs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert found is not None
    body = framing.body_decoder(found[0], limit=1000)

    got = b"".join(body.feed(piece) for piece in cut(wire, where))

    body.close()
    assert got == b"".join(chunks)


def test_a_body_that_is_cut_short_is_told_from_a_whole_one() -> None:
    found = HeadDecoder().feed(b"POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\nhalf")
    assert found is not None
    body = framing.body_decoder(found[0], limit=1000)
    body.feed(found[1])
    with pytest.raises(ProtocolViolation) as refused:
        body.close()
    assert refused.value.reason == "cut"


def test_an_answer_has_one_content_length_and_closes() -> None:
    assert framing.response(200, "OK", b"<a></a>") == (
        b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 7\r\nConnection: close\r\n\r\n<a></a>"
    )
    assert framing.response(401, "Unauthorized", b"").endswith(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
