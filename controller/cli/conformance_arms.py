"""`kajitori conformance arms DIR`: published ARMS vectors against our codec, a line a case.

What is checked follows from the kind of file (arms-protocol §13); every decoder is fed the bytes whole, one by one and
at several other cuts. A file that is not in the index, or of a kind that is not known, is a failure.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from controller.cli.conformance_case import CaseResult
from drivers.arms import framing, heartbeat, location, messages, xml
from drivers.arms.ids import DistributionId, basic, grouped, read_basic, sa_code_of_mac
from drivers.arms.messages import Message, Request
from drivers.arms.results import NAMES
from inventory.errors import FleetError, ProtocolViolation
from inventory.secrets import Secret

T = TypeVar("T")
_CUTS = 6
_SHOWN = 200


_SENDERS = ("device", "server", "both")


class _Mismatch(Exception):
    def __init__(self, expected: object, got: object) -> None:
        super().__init__(f"expected {_short(expected)} got {_short(got)}")


_UNREADABLE = (
    _Mismatch,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    struct.error,
)
"""What reading a file that is no vector may raise: its values may be of any kind."""


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return " ".join(text.split())[:_SHOWN]


def _same(expected: T, got: T) -> None:
    if expected != got:
        raise _Mismatch(expected, got)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    path: Path
    sender: str
    index: dict[str, Any]

    @property
    def bytes(self) -> bytes:
        return self.path.read_bytes()

    @property
    def json(self) -> Any:
        return json.loads(self.bytes)

    @property
    def ours(self) -> bool:
        """Whether a server sends it."""
        return self.sender in {"server", "both"}


Check = Callable[[], None]


def run_arms(directory: Path) -> Iterator[CaseResult]:
    """Every case of a folder of vectors, in the order of its index, then the files that the index forgot.

    Whatever the folder holds, each fault is a failed case that names its place, and nothing else is raised.
    """
    try:
        index = json.loads((directory / "index.json").read_bytes())
        entries = index["files"]
        if not isinstance(entries, list) or not entries:
            raise _Mismatch("a list of files", entries)
    except _UNREADABLE as error:
        detail = str(error) if isinstance(error, _Mismatch) else f"expected an index of files got {_said(error)}"
        yield CaseResult("index.json", False, detail)
        return
    listed: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(entries, start=1):
        fault = _fault(entry, listed)
        if fault:
            yield CaseResult(f"index.json#{number}", False, fault)
        else:
            listed[entry["file"]] = entry
    for name, entry in listed.items():
        file = _File(name, directory / name, entry["sender"], index)
        yield _run(f"{name}#index", partial(_check_index, file, entry))
        for case, check in _cases(file):
            yield _run(case, check)
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        name = path.relative_to(directory).as_posix()
        if name != "index.json" and name not in listed:
            yield CaseResult(name, False, "expected every file in index.json got one that is not listed")


def _fault(entry: object, listed: Collection[str]) -> str:
    """What is wrong with an entry of the index itself; empty for nothing."""
    if not isinstance(entry, dict) or not isinstance(name := entry.get("file"), str):
        return f"expected an object with a file got {_short(entry)}"
    if not name or "\0" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        return f"expected a file below the folder got {_short(name)}"
    if name in listed:
        return f"expected each file once got {_short(name)} again"
    if entry.get("sender") not in _SENDERS:
        return f"expected sender {', '.join(_SENDERS)} of {_short(name)} got {_short(entry.get('sender'))}"
    return ""


def _run(case: str, check: Check) -> CaseResult:
    try:
        check()
    except _Mismatch as mismatch:
        return CaseResult(case, False, str(mismatch))
    except FleetError as error:
        return CaseResult(case, False, f"expected a valid vector got {error.code}: {_short(error.message)}")
    except _UNREADABLE as error:
        return CaseResult(case, False, f"expected a readable vector got {_said(error)}")
    return CaseResult(case, True)


def _said(error: Exception) -> str:
    """What could not be read, in words."""
    match error:
        case KeyError():
            return f"no {error}"
        case RecursionError():
            return "a document that is nested too deeply"
        case OSError() if error.strerror:
            return error.strerror
        case ValueError():
            return _short(str(error))
        case _:
            return f"a value of another kind ({_short(str(error))})"


def _check_index(file: _File, entry: dict[str, Any]) -> None:
    _same(entry["bytes"], len(file.bytes))
    _same(entry["sha256"], hashlib.sha256(file.bytes).hexdigest())


def _cases(file: _File) -> Iterator[tuple[str, Check]]:
    """The cases of one file; which ones is decided by its name."""
    folder, _, base = file.name.rpartition("/")
    lists = {
        "distribution-id.json": _check_id,
        "mac-to-sa-code.json": _check_mac,
        "basic-auth.json": _check_basic,
        "chunk-framing.json": _check_chunk,
        "result-codes.json": _check_result_code,
    }
    if base in lists:
        yield from _each(file, lists[base])
    elif base.startswith("heartbeat-") and base.endswith(".hex"):
        yield file.name, partial(_check_heartbeat_bytes, file)
    elif base.startswith("heartbeat-") and base.endswith(".json"):
        yield file.name, partial(_check_heartbeat_fields, file)
    elif base.startswith("location-config") and base.endswith(".txt"):
        yield file.name, partial(_check_location, file)
    elif folder == "messages" and base.endswith(".xml"):
        yield file.name, partial(_check_message, file)
    elif folder == "http" and base.endswith(".bin"):
        yield file.name, partial(_check_http, file)
    elif folder == "tunnel" and base.endswith(".bin"):
        yield file.name, partial(_check_tunnel, file)
    else:
        yield file.name, partial(_same, "a known kind of file", file.name)


def _each(file: _File, check: Callable[[dict[str, Any]], None]) -> Iterator[tuple[str, Check]]:
    try:
        items = file.json
    except _UNREADABLE as error:
        yield file.name, partial(_same, "a JSON list", _said(error))
        return
    if not isinstance(items, list) or not items:
        yield file.name, partial(_same, "a JSON list of cases", items)
        return
    for number, item in enumerate(items, start=1):
        yield f"{file.name}#{number}", partial(check, item)


# --- ids, auth, codes ---------------------------------------------------------------------------------------------


def _check_id(item: dict[str, Any]) -> None:
    id_ = DistributionId.parse(item["text"])
    _same(item["binary_hex"], id_.binary.hex())
    _same(item["text"], str(DistributionId(bytes.fromhex(item["binary_hex"]))))
    _same(item["version"], id_.version)
    _same(item["vendor_code"], id_.vendor_code)
    _same(item["sa_type"], id_.sa_type)
    _same(int(str(item["sa_code"]), 0), id_.sa_code)
    made = DistributionId.of(version=id_.version, vendor_code=id_.vendor_code, sa_type=id_.sa_type, sa_code=id_.sa_code)
    _same(item["text"], str(made))


def _check_mac(item: dict[str, Any]) -> None:
    _same(item["sa_code"], grouped(sa_code_of_mac(item["mac"])))


def _check_basic(item: dict[str, Any]) -> None:
    _same(item["header"], "Authorization: " + basic(item["user"], Secret(item["password"])))
    credential = read_basic(item["header"].partition(": ")[2])
    got = None if credential is None else (credential.user, credential.password.reveal())
    _same((item["user"], item["password"]), got)


def _check_result_code(item: dict[str, Any]) -> None:
    _same(item["name"], NAMES.get(item["code"]))


def _check_location(file: _File) -> None:
    text = file.bytes.decode()
    _same(text, location.write(location.read(text)))


# --- heartbeats ---------------------------------------------------------------------------------------------------


def _heartbeat(file: _File) -> tuple[bytes, dict[str, Any], bytes]:
    """Datagram, decoded form and key of either file of the pair."""
    datagram = bytes.fromhex(file.path.with_suffix(".hex").read_text(encoding="ascii"))
    form = json.loads(file.path.with_suffix(".json").read_bytes())
    return datagram, form, str(form.get("key_utf8", file.index.get("heartbeat_key", ""))).encode()


def _check_heartbeat_bytes(file: _File) -> None:
    """Accepted or rejected as the form says; what is accepted is made again byte for byte from its decoded form."""
    datagram, form, key = _heartbeat(file)
    try:
        decoded = heartbeat.decode(datagram, key)
    except ProtocolViolation as refusal:
        _same(form["valid"], False)
        _same("digest mismatch" in form.get("reject_reason", refusal.message), refusal.reason == "digest")
        return
    _same(form["valid"], True)
    head, *rest = (_tlv_of(item) for item in form["tlvs"] if item["type"] != "0x0001")
    _same(0x0011, head.type)
    _same(datagram.hex(), heartbeat.encode(DistributionId(head.value), rest, key).hex())
    _same(datagram.hex(), heartbeat.encode(decoded.distribution_id, decoded.tlvs, key).hex())


def _tlv_of(item: dict[str, Any]) -> heartbeat.Tlv:
    """A TLV from its decoded form."""
    type_ = int(item["type"], 16)
    if item["name"] == "distribution-id":
        return heartbeat.Tlv(type_, DistributionId.parse(item["value"]).binary)
    if "value" in item:
        return heartbeat.Tlv(type_, bytes.fromhex(item["value"]))
    layout = heartbeat.LAYOUTS[type_]
    return heartbeat.Tlv(type_, layout.struct.pack(*(item[field] for field in layout.fields)))


def _check_heartbeat_fields(file: _File) -> None:
    datagram, form, key = _heartbeat(file)
    _same(form["length"], len(datagram))
    if not form["valid"]:
        return
    decoded = heartbeat.decode(datagram, key)
    _same(form["hmac_sha1_hex"], decoded.digest.hex())
    got = [
        {"type": "0x0001", "name": "hmac", "length": 20, "value": decoded.digest.hex()},
        {"type": "0x0011", "name": "distribution-id", "length": 16, "value": str(decoded.distribution_id)},
        *map(_tlv_form, decoded.tlvs),
    ]
    _same(len(form["tlvs"]), len(got))
    for expected, found in zip(form["tlvs"], got, strict=True):
        _same({**expected, "name": found["name"]} if found["name"] == "unknown" else expected, found)


def _tlv_form(tlv: heartbeat.Tlv) -> dict[str, Any]:
    head: dict[str, Any] = {"type": f"0x{tlv.type:04x}", "name": "unknown", "length": len(tlv.value)}
    if tlv.layout is None:
        return {**head, "value": tlv.value.hex()}
    values = tlv.layout.struct.unpack(tlv.value)
    return {**head, "name": tlv.layout.name, **dict(zip(tlv.layout.fields, values, strict=True))}


# --- framing ------------------------------------------------------------------------------------------------------


def _splits(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, in halves at each of some places, and at random cuts (the same ones on each run)."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    chooser = random.Random(len(data))  # noqa: S311 - cuts, not secrets
    for number in range(1, _CUTS + 1):
        cuts = sorted(chooser.randrange(len(data) + 1) for _ in range(number * number))
        edges = [0, *cuts, len(data)]
        yield [data[start:end] for start, end in itertools.pairwise(edges)]


def _at_every_split(data: bytes, read: Callable[[Sequence[bytes]], T]) -> T:
    """The one result of `read`, which must not depend on how the bytes are cut."""
    first, *others = (read(pieces) for pieces in _splits(data))
    for other in others:
        _same(first, other)
    return first


def _frames(pieces: Sequence[bytes]) -> list[framing.Frame]:
    decoder = framing.TunnelDecoder()
    found = [frame for piece in pieces for frame in decoder.feed(piece)]
    if not decoder.between:
        raise _Mismatch("whole chunks", "a chunk that is cut")
    return found


def _check_chunk(item: dict[str, Any]) -> None:
    frame: framing.Frame
    match item.get("kind", "piece"):
        case "piece":
            body = bytes.fromhex(item["body_hex"]) if "body_hex" in item else item["body_utf8"].encode()
            frame = framing.Piece(item["chunk_id"], item["last"], body)
        case "end":
            frame = framing.End()
        case "echo-request" | "echo-response" | "echo" as kind:
            frame = framing.Echo(kind)
        case kind:
            raise _Mismatch("a known kind of chunk", kind)
    _same(item["frame_hex"], framing.encode(frame).hex())
    _same([frame], _at_every_split(bytes.fromhex(item["frame_hex"]), _frames))


def _check_tunnel(file: _File) -> None:
    if file.bytes.startswith((b"POST ", b"HTTP/")):
        _check_tunnel_head(file)
        return
    frames = _at_every_split(file.bytes, _frames)
    again = b"".join(map(framing.encode, frames))
    if file.ours:
        _same(file.bytes, again)
    _same(frames, _frames([again]))
    assembler = framing.Assembler(limit=messages.DONE_LIMIT)
    for frame in frames:
        document = assembler.add(frame) if isinstance(frame, framing.Piece) else None
        if document is not None:
            _check_document(document, ours=file.ours)
    _same(0, assembler.unfinished)


def _check_tunnel_head(file: _File) -> None:
    head, rest = _at_every_split(file.bytes, _head)
    _same(b"", rest)
    _same(True, head.chunked)
    if head.status:
        _same(framing.TUNNEL_ACCEPTED, file.bytes)
    else:
        _check_credential(file, head, None)


def _head(pieces: Sequence[bytes]) -> tuple[framing.Head, bytes]:
    """The head and what follows it."""
    decoder = framing.HeadDecoder()
    found: tuple[framing.Head, bytes] | None = None
    for number, piece in enumerate(pieces):
        found = decoder.feed(piece)
        if found is not None:
            return found[0], found[1] + b"".join(pieces[number + 1 :])
    raise _Mismatch("a whole head", "a head that is cut")


def _exchange(pieces: Sequence[bytes]) -> tuple[framing.Head, bytes]:
    """Head and body of one HTTP message, read strictly."""
    decoder = framing.HeadDecoder()
    body: framing.BodyDecoder | None = None
    head: framing.Head | None = None
    content = b""
    for piece in pieces:
        rest = piece
        if body is None:
            found = decoder.feed(piece)
            if found is None:
                continue
            head, rest = found
            body = framing.body_decoder(head, limit=messages.DONE_LIMIT)
        content += body.feed(rest)
    if head is None or body is None:
        raise _Mismatch("a whole head", "a head that is cut")
    body.close()
    return head, content


def _refusal(pieces: Sequence[bytes]) -> str:
    try:
        return f"a body: {_exchange(pieces)[1]!r}"
    except ProtocolViolation as refusal:
        return refusal.reason


def _check_http(file: _File) -> None:
    """A whole exchange. An error status counts by its status line alone: its body is no message, or not even framed
    as its head says (§5.4), and then a strict reader must fail."""
    head, _ = _at_every_split(file.bytes, _head)
    if head.status >= 400:
        if head.chunked:
            _same("malformed", _at_every_split(file.bytes, _refusal))
        else:
            _, body = _at_every_split(file.bytes, _exchange)
            _same(False, b"<arms-message" in body)
        return
    head, body = _at_every_split(file.bytes, _exchange)
    message = _check_document(body, ours=file.ours)
    if not head.status:
        _check_credential(file, head, message)
    if file.ours and head.method:
        again = framing.push_request_head(head.get("Authorization") or "", len(body))
        _same(file.bytes, again + body)


def _check_credential(file: _File, head: framing.Head, message: Message | None) -> None:
    """The Authorization header is made again byte for byte, with one of the keys that the index names."""
    value = head.get("Authorization")
    credential = read_basic(value)
    if credential is None:
        raise _Mismatch("a Basic credential", value)
    _same(basic(credential.user, credential.password), value)
    known = {file.index[key] for key in ("ls_sa_key", "rs_sa_key") if key in file.index}
    if known:
        _same(True, credential.password.reveal() in known)
    if isinstance(message, Request):
        _same(message.distribution_id, credential.user)


# --- messages -----------------------------------------------------------------------------------------------------


def _tree(pieces: Sequence[bytes]) -> xml.Element:
    parser = xml.TreeParser(limit=messages.DONE_LIMIT)
    for piece in pieces:
        parser.feed(piece)
    return parser.close()


def _check_message(file: _File) -> None:
    _check_document(file.bytes, ours=file.ours)


def _check_document(document: bytes, *, ours: bool) -> Message:
    """It decodes at every split; what a server sends is written again to the same canonical XML."""
    tree = _at_every_split(document, _tree)
    message = messages.decode(messages.open_envelope(tree))
    again = messages.write(message)
    _same(message, messages.read(again))
    if ours:
        expected = xml.write(xml.canonical(tree))
        got = xml.write(xml.canonical(xml.parse(again, limit=messages.DONE_LIMIT)))
        _same(expected.decode(), got.decode())
    return message


# --- command ------------------------------------------------------------------------------------------------------
