"""Whatever comes in at a door, the answer is one of the table; and nothing of it is a defect of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.phonehome import doors, replies
from tests.fuzz import seeds
from tests.fuzz.answers import outside
from tests.fuzz.doorstep import Door, Doorstep

DOCUMENTS = seeds.documents()
RESULT = (
    b'<arms-message><arms-request type="ping-done"><transaction-result>502</transaction-result><distribution-id>'
    + seeds.VECTOR_ID
    + b"</distribution-id><transaction-id>77</transaction-id><ping-done-request/></arms-request></arms-message>"
)
WORDS = seeds.dictionary()
edits = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=4000),
        st.integers(min_value=0, max_value=40),
        st.one_of(st.just(b""), st.binary(max_size=8), st.sampled_from(WORDS)),
    ),
    max_size=4,
)
"""Place, octets taken out, octets put in."""
values = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=40), st.sampled_from([b"", b"0", b"-1", b"7", b"2147483648", b"x" * 300])
    ),
    max_size=2,
)
"""Which text or attribute, and what it becomes."""
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def edited(octets: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, taken, put in changes:
        at = place % (len(octets) + 1)
        octets = octets[:at] + put + octets[at + taken :]
    return octets


def with_values(document: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    for number, value in changes:
        found = list(re.finditer(rb'(?<=>)[^<>]+(?=<)|(?<=")[^"<>]*(?=")', document))
        if found:
            at = found[number % len(found)]
            document = document[: at.start()] + value + document[at.end() :]
    return document


@pytest.fixture(scope="module")
def doorstep() -> Iterator[Doorstep]:
    with Doorstep() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_defect(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The doors log a defect of ours and cut the connection: no story here may see one."""
    seen: list[str] = []

    def defect(event: str, **_facts: object) -> None:
        raise AssertionError(event)

    for part in (doors, replies):
        monkeypatch.setattr(part.log, "exception", defect, raising=False)
    return seen


@quick
@given(door=st.sampled_from(["ls", "rs"]), document=st.sampled_from(DOCUMENTS), new=values, changes=edits)
@example(door="rs", document=RESULT, new=[(3, b"0")], changes=[])
@example(door="rs", document=RESULT, new=[(3, b"-1")], changes=[])
def test_a_changed_message_is_answered_out_of_the_table(
    doorstep: Doorstep, door: Door, document: bytes, new: list[tuple[int, bytes]], changes: list[tuple[int, int, bytes]]
) -> None:
    sent = edited(with_values(seeds.named(document, doorstep.unit), new), changes)
    answer = doorstep.ask(door, seeds.request(door, sent, doorstep.unit))
    assert outside(door, answer) is None, (sent, answer)


@quick
@given(door=st.sampled_from(["ls", "rs"]), document=st.sampled_from(DOCUMENTS), changes=edits, seated=st.booleans())
def test_changed_bytes_of_a_request_are_answered_out_of_the_table_or_are_cut_short(
    doorstep: Doorstep, door: Door, document: bytes, changes: list[tuple[int, int, bytes]], seated: bool
) -> None:
    unit = doorstep.unit if seated else doorstep.unseated
    sent = edited(seeds.request(door, seeds.named(document, unit), unit), changes)
    answer = doorstep.ask(door, sent)
    assert answer == b"" or outside(door, answer) is None, (sent, answer)


@quick
@given(documents=st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=3), new=values, changes=edits)
@example(documents=[RESULT], new=[(3, b"0")], changes=[])
def test_a_tunnel_says_nothing_but_what_is_in_the_table(
    doorstep: Doorstep,
    documents: list[bytes],
    new: list[tuple[int, bytes]],
    changes: list[tuple[int, int, bytes]],
) -> None:
    sent = [with_values(seeds.named(document, doorstep.unit), new) for document in documents]
    stream = b"".join(map(seeds.chunk, sent))
    answer = doorstep.ask("rs", seeds.tunnel(doorstep.unit, edited(stream, changes)))
    assert outside("rs", answer) is None, answer


def test_the_table_knows_what_hurts_a_client() -> None:
    def response(code: int) -> bytes:
        body = (
            f'<arms-message><arms-response type="config-solicitation"><result-code>{code}</result-code>'
            "<config-solicitation-response></config-solicitation-response></arms-response></arms-message>"
        ).encode()
        head = f"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + body

    assert outside("rs", response(404)) is None
    assert outside("ls", response(404)) is not None
    for answer in (b"", b"HTTP/1.0 500 Oops\r\n\r\n", b"HTTP/1.0 403 Forbidden\r\nContent-Length: 9\r\n\r\n"):
        assert outside("rs", answer) is not None
