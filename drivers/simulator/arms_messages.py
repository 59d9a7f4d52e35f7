"""What the simulated client writes and how it reads: ARMS messages from templates of its own.

A message to the server is a tuple of pieces. Each piece is what the real client hands to its connection in
one go: a chunk of its own in the tunnel and in chunked requests (arms-protocol §5.1, §5.3). Joined, the
pieces are the message.

Reading is as strict and as lax as the reference client is (§5.2, §6.0): bytes beyond ASCII or an attribute
that the client does not know spoil the message, an integer with a blank behind it counts as missing, text is
not trimmed, element order hardly matters.
"""

from __future__ import annotations

import base64
import binascii
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Pieces = tuple[bytes, ...]

PIECE_OCTETS = 1023
"""Device output travels in pieces of at most this many bytes before escaping (§6.5)."""

RESULT_NAMES = {
    100: "Success",
    102: "Command Execute Error",
    201: "Invalid XML",
    202: "Invalid Message type",
    203: "Invalid Parameter",
    302: "SA Busy",
    402: "SA Failure",
    406: "Too many Transaction",
    408: "Invalid Storage",
    415: "System Error",
    422: "Multiple Request",
    423: "Distribution ID Mismatch",
    505: "Not Support",
}
"""Names of the codes that this client puts into responses (§8.1)."""

_KNOWN_ATTRIBUTES = {
    "arms-request": {"type"},
    "arms-response": {"type"},
    "module": {"id", "version", "install-order"},
    "md-config": {"id", "content-type", "commit-order", "encoding"},
    "status-request": {"id", "encoding"},
    "md-command": {"id", "encoding"},
}


class MalformedMessage(Exception):
    """The client's parser gives up. `kind` is the message type, when it could be read before that."""

    def __init__(self, reason: str, kind: str | None = None) -> None:
        super().__init__(reason)
        self.kind = kind


# -- writing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Writer:
    """Templates for one device: its distribution id and its name for itself (≤ 32 characters)."""

    distribution_id: str
    product: str

    def request(
        self,
        kind: str,
        items: Iterable[str] = (),
        *,
        result: int | None = None,
        transaction_id: int | None = None,
    ) -> Pieces:
        """A request to the server. `items` come between the parameter tags, each a piece if `result` is set."""
        head = (
            f'<arms-message><arms-request type="{kind}">'
            + _element("transaction-result", result)
            + _element("distribution-id", self.distribution_id)
            + _element("transaction-id", transaction_id)
            + _element("description", self.product)
            + f"<{kind}-request>"
        )
        tail = f"</{kind}-request></arms-request></arms-message>"
        return _pieces(head, tuple(items), tail, whole=result is None)

    def rs_solicitation(self, trigger: str) -> Pieces:
        return self.request("rs-solicitation", [_element("trigger", trigger)])

    def config_solicitation(self, trigger: str, firmware: str) -> Pieces:
        return self.request(
            "config-solicitation",
            [
                _element("protocol-version", "4.0"),
                _element("trigger", trigger),
                _element("firmware-info", firmware),
            ],
        )

    def push_method_query(self, methods: Sequence[str]) -> Pieces:
        return self.request("push-method-query", [_element("push-method", each) for each in methods])

    def push_confirmation_start(self, method: str, endpoint: str | None = None) -> Pieces:
        return self.request(
            "push-confirmation-start",
            [_element("push-method", method), _element("push-endpoint", endpoint)],
        )

    def done(self, kind: str, transaction_id: int, result: int, items: Iterable[str] = ()) -> Pieces:
        """`X-done`: the outcome of an asynchronous operation; empty inside unless the result is 100."""
        return self.request(f"{kind}-done", items, result=result, transaction_id=transaction_id)


def response(kind: str, code: int, items: Iterable[str] = (), *, transaction_id: int | None = None) -> Pieces:
    """A response to the server. The first item shares its piece with the head, the last with the tail."""
    head = (
        f'<arms-message><arms-response type="{kind}">'
        + _element("transaction-id", transaction_id)
        + _element("result-code", code)
        + _element("description", RESULT_NAMES[code])
        + f"<{kind}-response>"
    )
    tail = f"</{kind}-response></arms-response></arms-message>"
    inner = tuple(items)
    if len(inner) < 3:
        return _pieces(head, inner, tail, whole=True)
    return _pieces(head + inner[0], inner[1:-1], inner[-1] + tail, whole=False)


def report(tag: str, output: bytes, *, base64_mode: bool = False, **attributes: object) -> list[str]:
    """An element that carries device output, as the items open tag, text…, close tag.

    In text mode each byte beyond ASCII becomes `?` and the text ends at the first NUL; control characters go
    out as they are, whether XML allows them or not (§6.0).
    """
    shown = {**attributes, "encoding": "base64"} if base64_mode else attributes
    opening = "".join((f"<{tag}", *(f' {name}="{value}"' for name, value in shown.items()), ">"))
    if not base64_mode:
        output = output.partition(b"\0")[0]
    cuts = [output[at : at + PIECE_OCTETS] for at in range(0, len(output), PIECE_OCTETS)]
    return [opening, *(_encoded(cut, base64_mode) for cut in cuts), f"</{tag}>"]


def with_first_text_joined(items: Sequence[str]) -> list[str]:
    """The same items with the first text in one piece with its open tag, as in `-done` requests."""
    return [items[0] + items[1], *items[2:]] if len(items) > 2 else list(items)


def module_element(module_id: int, version: str, about: str) -> str:
    return f'<module id="{module_id}" version="{escape(version)}">{escape(about)}</module>'


def node_element(hop: int, address: str) -> str:
    return f'<nodeinfo hop="{hop}">{address}</nodeinfo>'


def number_element(tag: str, number: int) -> str:
    return _element(tag, number)


def escape(text: str) -> str:
    """XML escaping as the client does it: three characters, nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _encoded(cut: bytes, base64_mode: bool) -> str:
    if base64_mode:
        return base64.b64encode(cut).decode()
    return escape(bytes(octet if octet < 0x80 else 0x3F for octet in cut).decode("ascii"))


def _element(tag: str, content: str | int | None) -> str:
    if content is None:
        return ""
    return f"<{tag}>{escape(content) if isinstance(content, str) else content}</{tag}>"


def _pieces(head: str, inner: tuple[str, ...], tail: str, *, whole: bool) -> Pieces:
    if whole or not inner:
        return ("".join((head, *inner, tail)).encode("ascii"),)
    return tuple(piece.encode("ascii") for piece in (head, *inner, tail))


# -- reading ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A message of the server as the client understands it."""

    is_request: bool
    kind: str
    distribution_id: str | None
    result_url: str | None
    transaction_id: int | None
    result_code: int | None
    """None when it is missing, or when a blank follows the number."""
    parameters: ET.Element
    """The `<kind>-request` or `<kind>-response` element; an empty one if it is not there."""

    def text(self, name: str) -> str | None:
        """Text of a parameter, not trimmed; None when the element is missing."""
        found = self.parameters.find(name)
        return None if found is None else found.text or ""

    def texts(self, name: str) -> list[str]:
        return [each.text or "" for each in self.parameters.findall(name)]

    def number(self, name: str) -> int | None:
        return integer(self.text(name))


def integer(text: str | None) -> int | None:
    """A number in an element: blanks before it are fine, blanks behind it make it missing (§5.2)."""
    found = re.fullmatch(r"\s*(-?\d+)", text or "")
    return int(found[1]) if found else None


def id_attribute(element: ET.Element) -> int:
    """An `id` as the client's C code reads it: leading digits, 32 bits signed (§6.0)."""
    found = re.match(r"\s*(-?\d+)", element.get("id", ""))
    wrapped = int(found[1]) & 0xFFFFFFFF if found else 0
    return wrapped - (1 << 32) if wrapped >= 1 << 31 else wrapped


def content(element: ET.Element) -> bytes:
    """What an `md-config`, `status-request` or `md-command` carries, decoded. Raises MalformedMessage."""
    text = element.text or ""
    if element.get("encoding") != "base64":
        return text.encode()
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise MalformedMessage(f"base64 of {element.tag}: {error}") from error


def parse(octets: bytes) -> ServerMessage:
    """Read a message of the server. Raises MalformedMessage where the reference client would fail."""
    hint = re.search(rb'<arms-re(?:quest|sponse)\s+type="([a-z-]+)"', octets)
    kind = hint[1].decode() if hint else None
    if not octets.isascii():
        raise MalformedMessage("bytes beyond ASCII", kind)
    try:
        root = ET.fromstring(octets)  # noqa: S314 – the sender is the controller under test
    except ET.ParseError as error:
        raise MalformedMessage(str(error), kind) from error
    for element in root.iter():
        known = _KNOWN_ATTRIBUTES.get(element.tag)
        if known is not None and not known.issuperset(element.keys()):
            raise MalformedMessage(f"attributes of {element.tag}: {sorted(element.keys())}", kind)
    envelope = root.find("arms-request")
    is_request = envelope is not None
    if envelope is None:
        envelope = root.find("arms-response")
    if envelope is None or root.tag != "arms-message" or not (kind := envelope.get("type")):
        raise MalformedMessage("no arms-request and no arms-response", kind)
    parameters = envelope.find(f"{kind}-{'request' if is_request else 'response'}")
    return ServerMessage(
        is_request=is_request,
        kind=kind,
        distribution_id=envelope.findtext("distribution-id"),
        result_url=envelope.findtext("result-url"),
        transaction_id=integer(envelope.findtext("transaction-id")),
        result_code=integer(envelope.findtext("result-code")),
        parameters=ET.Element(f"{kind}-missing") if parameters is None else parameters,
    )
