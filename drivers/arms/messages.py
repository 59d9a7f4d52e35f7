"""ARMS messages: the envelope, reading and writing (arms-protocol §6).

Reading has two steps, because a server must judge the sender between them (§10.2): `open_envelope` checks that there
is a well-formed message and of whom it speaks, `decode` then reads the type's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.arms import schema, xml
from drivers.arms.parameters import ANSWERS, REQUESTS, Nothing, Parameters, StatusReport, StatusReports
from drivers.arms.xml import DECLARATION, Element
from inventory.errors import ProtocolViolation

PULL_LIMIT = 8 * 1024
DONE_LIMIT = 64 * 1024 * 1024
_SHOWN = 64
_NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class Request:
    """An `arms-request`. Device → server for pulls and `-done`, server → device for operations."""

    type: str
    distribution_id: str
    parameters: Parameters = _NOTHING
    transaction_result: int | None = None
    """In `-done` requests only: how the operation ended."""
    result_url: str | None = None
    """Server → device, https-simple only; never in a tunnel (§6.5)."""
    transaction_id: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An `arms-response`."""

    type: str
    result_code: int
    parameters: Parameters = _NOTHING
    transaction_id: int | None = None
    description: str | None = None


Message = Request | Response


@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed message of which the parameters are not read yet."""

    kind: Literal["request", "response"]
    type: str
    distribution_id: str | None
    """Present in every request; None in responses."""
    element: Element


def open_envelope(document: Element) -> Envelope:
    """Check the envelope. Raises ProtocolViolation (`envelope`) when it is none, or a request without an id."""
    inner = [child for child in document.children if child.name in {"arms-request", "arms-response"}]
    if document.name != "arms-message" or len(inner) != 1:
        raise ProtocolViolation("this is no arms-message with one request or response", reason="envelope")
    element = inner[0]
    type_ = element.attribute("type")
    if not type_:
        raise ProtocolViolation("the message has no type", reason="envelope")
    if element.name == "arms-response":
        return Envelope("response", type_, None, element)
    id_ = element.child("distribution-id")
    if id_ is None:
        raise ProtocolViolation("the request has no distribution-id", reason="envelope")
    return Envelope("request", type_, id_.text, element)


def decode(envelope: Envelope) -> Message:
    """Read the parameters. Raises ProtocolViolation: `unknown-type`, `missing`, `malformed`."""
    known = REQUESTS if envelope.kind == "request" else ANSWERS
    of = known.get(envelope.type)
    if of is None:
        raise ProtocolViolation(
            f"a {envelope.kind} of type {envelope.type[:_SHOWN]!r} is not known", reason="unknown-type"
        )
    element = envelope.element
    description = element.child("description")
    words = None if description is None else description.text
    transaction = _number(element, "transaction-id")
    inner = element.child(f"{envelope.type}-{envelope.kind}")
    if envelope.kind == "request":
        return Request(
            type=envelope.type,
            distribution_id=envelope.distribution_id or "",
            parameters=_parameters(of, inner),
            transaction_result=_number(element, "transaction-result"),
            result_url=url.text if (url := element.child("result-url")) else None,
            transaction_id=transaction,
            description=words,
        )
    code = _number(element, "result-code")
    if code is None:
        raise ProtocolViolation("the response has no result-code", reason="missing")
    accepted = 100 <= code < 200
    return Response(
        type=envelope.type,
        result_code=code,
        parameters=_parameters(of, inner) if accepted else Nothing(),
        transaction_id=transaction,
        description=words,
    )


def read(document: bytes, *, limit: int = DONE_LIMIT) -> Message:
    """Both steps at once, for a sender that is known. Raises ProtocolViolation."""
    return decode(open_envelope(xml.parse(document, limit=limit)))


def _number(element: Element, name: str) -> int | None:
    child = element.child(name)
    return None if child is None else schema.number(child.text, name)


def _parameters(of: type[Parameters], inner: Element | None) -> Parameters:
    if of is Nothing:
        return Nothing()
    if inner is None:
        raise ProtocolViolation(f"the message has no {of.__name__} parameters", reason="missing")
    if of is StatusReports:
        return StatusReports(tuple(_report(child) for child in inner.all("status-report")))
    return schema.read(of, inner)


def _report(element: Element) -> StatusReport:
    """The text of a 402 report repeats another item's, even as broken base64: it is dropped unread (§6.5)."""
    if element.attribute("result") != "100":
        element = Element(element.name, tuple(a for a in element.attributes if a[0] != "encoding"))
    return schema.read(StatusReport, element)


def write(message: Message) -> bytes:
    """The bytes of a message: a request with the declaration, a response without, as the reference server has them.

    It is written whatever it says: `rules.check` judges what may be sent. Raises BadInput for a character that XML
    cannot carry.
    """
    if isinstance(message, Request):
        out = _envelope("arms-request", message.type)
        _leaf(out, "transaction-result", message.transaction_result)
        _leaf(out, "distribution-id", message.distribution_id)
        _leaf(out, "result-url", message.result_url)
        _leaf(out, "transaction-id", message.transaction_id)
        _leaf(out, "description", message.description)
        out.element(schema.write(message.parameters, f"{message.type}-request"))
    else:
        out = _envelope("arms-response", message.type)
        _leaf(out, "transaction-id", message.transaction_id)
        _leaf(out, "result-code", message.result_code)
        _leaf(out, "description", message.description)
        out.element(schema.write(message.parameters, f"{message.type}-response"))
    body = xml.octets(f"<arms-message>{out.done()}</arms-message>")
    return DECLARATION + body if isinstance(message, Request) else body


def _envelope(name: str, type_: str) -> schema.Writing:
    out = schema.Writing(name)
    out.attribute("type", type_)
    return out


def _leaf(out: schema.Writing, name: str, value: str | int | None) -> None:
    if value is not None:
        out.child(name, str(value))
