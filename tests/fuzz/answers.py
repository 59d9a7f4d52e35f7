"""What phone-home may answer at all (architecture §6, arms-protocol §8.4): everything else is a finding."""

from __future__ import annotations

import re
from typing import Final

from drivers.arms import framing, messages, rules
from drivers.arms.framing import Assembler, Echo, End, Piece, TunnelDecoder
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import ANSWERS, Nothing

_HEAD = re.compile(
    rb"HTTP/1\.0 (\d{3}) [A-Za-z ]+\r\n(Content-Type: text/xml\r\n)?Content-Length: (\d+)\r\nConnection: close"
)
DONE: Final = frozenset({100, 420, 423})
"""To a `-done`: it is always accepted from who has the key, whatever it says (§6.5)."""
LS: Final = {"rs-solicitation": frozenset({100, 301, 420, 423, 501})}
RS: Final = {
    "config-solicitation": frozenset({100, 301, 404, 420, 421, 423, 501}),
    "push-method-query": frozenset({100, 301, 404, 420, 421, 423, 501}),
    "push-confirmation-start": frozenset({100, 301, 404, 420, 421, 423, 501}),
    "push-ready": frozenset({100, 301, 404, 420, 421, 423, 501}),
}
STRANGERS: Final = frozenset({420, 423})
"""To any type that has an answer, from somebody whose id is not known or not his own."""
HTTP: Final = frozenset({400, 401})
TUNNEL: Final = frozenset({401, 403, 503})


def outside(door: str, answer: bytes) -> str | None:
    """What is wrong with an answer of `ls` or `rs` to a whole request; None when it is in the table."""
    if door == "rs" and answer.startswith(framing.TUNNEL_ACCEPTED):
        return tunnel_outside(answer.removeprefix(framing.TUNNEL_ACCEPTED))
    head, blank, body = answer.partition(b"\r\n\r\n")
    found = _HEAD.fullmatch(head)
    if not blank or found is None:
        return f"this is no answer: {answer[:80]!r}"
    status = int(found[1])
    if int(found[3]) != len(body) or bool(found[2]) != bool(body):
        return "the head does not fit the body"
    if status != 200:
        allowed = HTTP | (TUNNEL if door == "rs" else frozenset())
        return None if status in allowed and not body else f"HTTP {status} with {len(body)} bytes"
    message = messages.read(body)
    if not isinstance(message, Response):
        return "a request in place of an answer"
    return _code(door, message)


def _code(door: str, message: Response) -> str | None:
    rules.check(message)
    if message.result_code != 100 and message.parameters != Nothing():
        return f"a refusal with {type(message.parameters).__name__}"
    if message.type not in ANSWERS:
        return f"an answer of type {message.type!r}"
    known = LS if door == "ls" else RS
    allowed = DONE if door == "rs" and message.type.endswith("-done") else known.get(message.type, STRANGERS)
    allowed |= STRANGERS
    return None if message.result_code in allowed else f"{door} answers {message.result_code} to {message.type}"


def tunnel_outside(stream: bytes) -> str | None:
    """What is wrong with what a tunnel says after its head; None when nothing is."""
    assembler = Assembler(limit=1 << 20)
    for frame in TunnelDecoder().feed(stream):
        if isinstance(frame, Echo) and frame.kind != "echo-response":
            return f"a tunnel says {frame.kind}"
        if isinstance(frame, End):
            return None
        if isinstance(frame, Piece):
            document = assembler.add(frame)
            message = messages.read(document) if document is not None else None
            if isinstance(message, Request | Response):
                rules.check(message)
            if isinstance(message, Response) and message.result_code not in {100, 301}:
                return f"a tunnel answers {message.result_code} to {message.type}"
    return None
