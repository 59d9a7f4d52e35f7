"""What is fuzzed: for each target its seeds and one function that may raise nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from drivers.arms import framing, heartbeat, location, messages, rules, xml
from drivers.arms.framing import Assembler, HeadDecoder, Piece, TunnelDecoder
from drivers.arms.ids import DistributionId, read_basic
from drivers.dialects import dialect
from inventory.errors import BadInput, ConfigSyntax, ProtocolViolation
from tests.fuzz import seeds
from tests.fuzz.answers import outside
from tests.fuzz.doorstep import Doorstep

KEY: Final = b"hb-pass-phrase"


class Outside(AssertionError):
    """An answer that is not in the table, or a result that depends on how the network cuts the bytes."""


@dataclass(frozen=True, slots=True)
class Target:
    """`one` takes octets and raises nothing but for a finding; `open` is run once and gives it."""

    name: str
    seeds: Callable[[], Iterable[bytes]]
    open: Callable[[], Callable[[bytes], None]]


def _parts(octets: bytes) -> tuple[bytes, bytes, bytes]:
    """The first octet says where the rest is cut."""
    at, rest = (octets[0] if octets else 0), octets[1:]
    place = at * (len(rest) + 1) // 256
    return rest, rest[:place], rest[place:]


def _head(octets: bytes) -> None:
    whole, first, second = _parts(octets)
    assert_same([_heads([whole]), _heads([first, second])])


def _heads(pieces: list[bytes]) -> object:
    """What a request comes to: head and body, or that it was refused."""
    decoder, body, got = HeadDecoder(), None, b""
    try:
        for piece in pieces:
            if body is not None:
                got += body.feed(piece)
            elif (found := decoder.feed(piece)) is not None:
                body = framing.body_decoder(found[0], limit=4096)
                read_basic(found[0].get("Authorization"))
                got += body.feed(found[1])
        return None if body is None else (body.done, got)
    except ProtocolViolation:
        return "refused"


def _tunnel(octets: bytes) -> None:
    whole, first, second = _parts(octets)
    assert_same([_frames([whole]), _frames([first, second])])


def _frames(pieces: list[bytes]) -> object:
    decoder, assembler, got = TunnelDecoder(), Assembler(limit=100_000), []
    try:
        for piece in pieces:
            for frame in decoder.feed(piece):
                got.append(assembler.add(frame) if isinstance(frame, Piece) else frame)
    except ProtocolViolation:
        return "refused"
    for document in got:
        if isinstance(document, bytes):
            _message(document)
    return got


def assert_same(outcomes: list[object]) -> None:
    """Raises Outside when the same bytes came to different things."""
    if any(outcome != outcomes[0] for outcome in outcomes):
        raise Outside(f"cut differently the same bytes are {outcomes}")


def _message(octets: bytes) -> None:
    """Read, and written again what may be written at all; what was written is read again as the same."""
    try:
        message = messages.read(octets, limit=1 << 16)
    except ProtocolViolation:
        return
    with contextlib.suppress(BadInput):  # a server must not say this
        written = rules.encode(message)
        if messages.read(written) != message:
            raise Outside("a message is not read as it was written")


def _xml(octets: bytes) -> None:
    whole, first, second = _parts(octets)
    assert_same([_tree([whole]), _tree([first, second])])


def _tree(pieces: list[bytes]) -> object:
    parser = xml.TreeParser(limit=1 << 16)
    try:
        for piece in pieces:
            parser.feed(piece)
        return parser.close()
    except ProtocolViolation:
        return "refused"


def _heartbeat(octets: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        heartbeat.decode(octets, KEY).statistics  # noqa: B018  # the reading itself is what is tried
    with contextlib.suppress(ProtocolViolation):
        # The digest put right: the TLVs behind it are what a stolen key may send.
        right = heartbeat._digest(octets, KEY) if len(octets) >= heartbeat._FIRST else b""
        heartbeat.decode(octets[:4] + right + octets[24:], KEY).statistics  # noqa: B018  # as above


def _texts(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    read_basic(text)
    with contextlib.suppress(BadInput):
        if DistributionId.parse(str(DistributionId.parse(text))) != DistributionId.parse(text):
            raise Outside("a distribution id is not read as it was written")
    with contextlib.suppress(BadInput):
        config = location.read(text)
        if location.read(location.write(config)) != config:
            raise Outside("a location-config is not read as it was written")


def _dialect(name: str) -> Callable[[bytes], None]:
    spoken = dialect(name)

    def one(octets: bytes) -> None:
        with contextlib.suppress(ConfigSyntax):
            tree = spoken.parse(octets.decode("utf-8", "surrogateescape"))
            if spoken.parse(spoken.render(tree)) != tree:
                raise Outside("a config is not read as it was rendered")

    return one


def _doors() -> Callable[[bytes], None]:
    """First octet: which door, and how much of the request is ours; then a body, a stream, or all the bytes."""
    doorstep = Doorstep()
    doorstep.__enter__()

    def one(octets: bytes) -> None:
        how, rest = (octets[0] if octets else 0) % 5, octets[1:]
        named = seeds.named(rest, doorstep.unit)
        if how == 2:
            answer = doorstep.ask("rs", seeds.tunnel(doorstep.unit, named))
        elif how in {3, 4}:
            answer = doorstep.ask("ls" if how == 3 else "rs", named)
        else:
            door, unit = ("ls", doorstep.unseated) if how == 0 else ("rs", doorstep.unit)
            answer = doorstep.ask("ls" if door == "ls" else "rs", seeds.request(door, named, unit))
        wrong = outside("ls" if how in {0, 3} else "rs", answer)
        if wrong is not None and (answer or how < 3):
            raise Outside(wrong)

    return one


def _led(found: Iterable[bytes], leads: bytes = b"\x00\x80") -> list[bytes]:
    return [bytes((lead,)) + seed for seed in found for lead in leads]


def _door_seeds() -> list[bytes]:
    documents = seeds.documents()
    chunks = [seeds.chunk(document) for document in documents]
    return _led(documents, b"\x00\x01") + _led(chunks, b"\x02") + _led(seeds.framed("http"), b"\x03\x04")


def _configs(folder: str) -> list[bytes]:
    found = sorted((seeds.VECTORS.parents[1] / "corpus" / folder).rglob("*"))
    return [path.read_bytes()[:4096] for path in found if path.is_file()]


TARGETS: Final = {
    target.name: target
    for target in (
        Target("doors", _door_seeds, _doors),
        Target("head", lambda: _led(seeds.framed("http")), lambda: _head),
        Target("tunnel", lambda: _led(seeds.framed("tunnel")), lambda: _tunnel),
        Target("xml", lambda: _led(seeds.documents()), lambda: _xml),
        Target("message", seeds.documents, lambda: _message),
        Target("heartbeat", seeds.heartbeats, lambda: _heartbeat),
        Target(
            "texts", lambda: [(seeds.VECTORS / "location-config.txt").read_bytes(), seeds.VECTOR_ID], lambda: _texts
        ),
        Target("indented", lambda: _configs("ios-config"), lambda: _dialect("indented")),
        Target("block", lambda: _configs("fortios-config"), lambda: _dialect("block")),
        Target("statements", lambda: _configs("samples"), lambda: _dialect("statements")),
        Target("key-value", lambda: _configs("samples"), lambda: _dialect("key-value")),
    )
}
