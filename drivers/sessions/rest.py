"""FortiOS REST: certificate before token, token in the header, answers checked (devices-ios-fortios §B.2, §D.4).

One connection per request, so that a connection that died idle is never mistaken for a lost answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakKeyDictionary

import h11

from drivers.errors import LockedOut, NotOffered
from drivers.sessions.contract import Endpoint, Limits, Rest
from drivers.sessions.lent import give_up, inode
from drivers.sessions.permission import permitted
from drivers.sessions.transcript import Mask, Redact, Transcript, as_it_is, brief, nowhere
from drivers.sessions.wire import connected_socket
from inventory.errors import (
    AuthenticationFailed,
    CommandRejected,
    DeviceError,
    IdentityMismatch,
    OutcomeUnknown,
    ProtocolViolation,
    Truncated,
    Unreachable,
)

SHUT_OUT_S: Final = 300.0
BACKUP: Final = "/api/v2/monitor/system/config/backup?scope=global"
STATUS: Final = "/api/v2/monitor/system/status"
_BACKUP_BODY: Final = {"destination": "file", "scope": "global", "file_format": "fos"}
REASONS: Final[Mapping[int, str]] = {
    -3: "there is no such entry",
    -5: "the entry exists already",
    -23: "the entry is in use",
    -37: "the profile of the token may not do this",
    -61: "the device could not read the request",
    -651: "a value is not allowed",
}
"""What an `error` of a FortiOS answer means; any other is a failure as well (practice)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status and body. `json` is empty for plain text."""

    status: int
    text: str
    json: Mapping[str, object]


@dataclass(slots=True)
class _Memory:
    """What one event loop remembers of the devices: which verb gave a backup, and until when they shut us out."""

    verbs: dict[tuple[str, int], str]
    shut_until_s: dict[tuple[str, int], float]


_MEMORIES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Memory]] = WeakKeyDictionary()


class RestSession:
    """Requests to one device. Raises Unreachable before anything was sent, Truncated for a read and OutcomeUnknown for
    a change whose answer was lost or says nothing certain."""

    def __init__(
        self,
        endpoint: Endpoint,
        limits: Limits,
        *,
        redact: Redact = as_it_is,
        transcript: Transcript = nowhere,
    ) -> None:
        if endpoint.rest is None:
            raise ValueError("an endpoint without a token has no REST session")
        self._endpoint = endpoint
        self._rest: Rest = endpoint.rest
        self._limits = limits
        self._mask = Mask((self._rest.token, endpoint.password), redact)
        self._transcript = transcript
        self._place = (endpoint.host, self._rest.port)
        self._memory = _MEMORIES.setdefault(asyncio.get_running_loop(), _Memory({}, {}))
        self.certificate = self._rest.certificate
        """SHA-256 of the certificate, pinned or learnt at the first request; None before."""

    async def read(self, path: str) -> Mapping[str, object]:
        """A JSON answer. Raises NotOffered, CommandRejected, AuthenticationFailed, LockedOut, IdentityMismatch,
        ProtocolViolation for anything but JSON, and as the class says."""
        answer = await self._ask("GET", path, None, self._limits.rest_s, changes=False)
        self._judge(answer, path, changes=False)
        return _json(answer, self._where())

    async def change(self, method: str, path: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """A change, sent once. A status of 500 without a known reason is OutcomeUnknown: a reading decides (row 79)."""
        answer = await self._ask(method, path, body, self._limits.rest_s, changes=True)
        self._judge(answer, path, changes=True)
        return _json(answer, self._where())

    async def backup(self) -> str:
        """The whole configuration as text. Releases differ in the verb: POST, else GET; what worked is remembered."""
        first = self._memory.verbs.get(self._place, "POST")
        for verb in (first, "GET" if first == "POST" else "POST"):
            body = _BACKUP_BODY if verb == "POST" else None
            answer = await self._ask(verb, BACKUP, body, self._limits.backup_s, changes=False)
            if answer.status not in (404, 405):
                self._judge(answer, BACKUP, changes=False)
                if answer.json or not answer.text.startswith("#config-version="):
                    raise ProtocolViolation(
                        f"{self._where()} answered a backup with something else than a configuration.",
                        reason="no-configuration",
                        next_step="The answer was discarded; look at the unit.",
                    )
                self._memory.verbs[self._place] = verb
                return answer.text
        raise self._not_offered(BACKUP, "offers no backup")

    def _where(self) -> str:
        return f"The REST API of {self._endpoint.host} port {self._rest.port}"

    def _judge(self, answer: Answer, path: str, *, changes: bool) -> None:
        """Return for a good answer; else raise what its status means."""
        words = self._mask(answer.text[:200])
        if answer.text.lstrip()[:1] == "<":
            raise ProtocolViolation(
                f"{self._where()} answered with a web page (HTTP {answer.status}).",
                reason="web-page",
                next_step="Check that the port is the API's and that the token is valid.",
            )
        match answer.status:
            case 200:
                return
            case 401:
                raise AuthenticationFailed(
                    f"{self._where()} refused the token; it was shown once, in the header.",
                    step="authentication",
                    next_step="Correct the stored token; it is not tried again by itself.",
                )
            case 429:
                self._memory.shut_until_s[self._place] = asyncio.get_running_loop().time() + SHUT_OUT_S
                raise self._locked_out(SHUT_OUT_S)
            case 403:
                raise CommandRejected(
                    f"{self._where()} forbids {path.partition('?')[0]} (HTTP 403).",
                    step="read" if not changes else "write",
                    last_words=words,
                    next_step="Check the trusted hosts of the API user and what its profile may do "
                    "(a backup needs read-write on System).",
                )
            case 404 | 405 | 424:
                raise self._not_offered(path, f"answers {answer.status}")
        self._judge_failure(answer, words, changes=changes)

    def _judge_failure(self, answer: Answer, words: str, *, changes: bool) -> None:
        code = answer.json.get("error")
        reason = REASONS.get(code) if isinstance(code, int) else None
        if reason is not None or 400 <= answer.status < 500:
            raise CommandRejected(
                f"{self._where()} refused the request: {reason or f'HTTP {answer.status}'}.",
                step="write" if changes else "read",
                last_words=words,
                next_step="Correct the request; nothing was changed by it.",
            )
        if changes:
            raise OutcomeUnknown(
                f"{self._where()} answered {answer.status} to a change.",
                step="write",
                last_words=words,
                next_step="Read the device back before anything else is sent.",
            )
        raise Unreachable(f"{self._where()} answered {answer.status}.", step="read", last_words=words)

    def _not_offered(self, path: str, how: str) -> NotOffered:
        return NotOffered(
            f"{self._where()} {how} to {path.partition('?')[0]}: this model or release has it not.",
            step="read",
            next_step="The command line is taken where it can do the same.",
        )

    def _locked_out(self, left_s: float) -> LockedOut:
        return LockedOut(
            f"{self._where()} shuts our address out; nothing is sent to it for {left_s:.0f} s.",
            step="authentication",
            next_step="Correct the stored token, and look who else calls the device from our address.",
        )

    async def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None, timeout_s: float, *, changes: bool
    ) -> Answer:
        left_s = self._memory.shut_until_s.get(self._place, 0.0) - asyncio.get_running_loop().time()
        if left_s > 0:
            raise self._locked_out(left_s)
        reader, writer = await self._connected()
        self._transcript(">", self._mask(f"{method} {path} {json.dumps(body) if body else ''}".rstrip()))
        sent = False
        try:
            async with asyncio.timeout(timeout_s):
                await permitted()
                writer.write(self._request(method, path, body))
                sent = True
                await writer.drain()
                answer = await _answer(reader, self._limits.output_octets)
        except (OSError, EOFError, h11.RemoteProtocolError) as error:  # TimeoutError is an OSError
            raise self._lost(path, error, timeout_s, changes=changes and sent) from error
        finally:
            writer.close()
        self._transcript("<", f"{answer.status} {self._mask(brief(self._transcript, answer.text)[:2000])}")
        return answer

    def _lost(self, path: str, error: Exception, timeout_s: float, *, changes: bool) -> DeviceError:
        why = f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else str(error) or "it ended"
        said = f"{self._where()} lost the answer to {path.partition('?')[0]}: {why}."
        if changes:
            return OutcomeUnknown(said, step="write", next_step="Read the device back before anything else is sent.")
        return Truncated(said, step="read", next_step="The reading was discarded; read again.")

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection whose certificate is the pinned one; nothing has been sent over it."""
        sock = await connected_socket(replace(self._endpoint, port=self._rest.port), self._limits)
        known = inode(sock)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # units sign their own certificate: the pin below is what is trusted
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                reader, writer = await asyncio.open_connection(
                    sock=sock, ssl=context, server_hostname=self._endpoint.host
                )
        except OSError as error:
            give_up(sock, known)
            raise Unreachable(
                f"{self._where()} did not finish the TLS handshake: {str(error) or 'no answer in time'}.",
                step="handshake",
            ) from error
        except BaseException:
            give_up(sock, known)
            raise
        shown = hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest()
        if self.certificate is not None and shown != self.certificate.lower().replace(":", ""):
            writer.close()
            raise IdentityMismatch(
                f"{self._where()} showed another certificate than the one on record; no token was sent.",
                step="certificate",
                next_step="If the unit was replaced or reset, approve its new certificate.",
            )
        self.certificate = shown
        return reader, writer

    def _request(self, method: str, path: str, body: Mapping[str, object] | None) -> bytes:
        octets = b"" if body is None else json.dumps(body).encode()
        headers = [
            ("Host", self._endpoint.host),
            ("Authorization", f"Bearer {self._rest.token.reveal()}"),
            ("Accept", "application/json"),
            ("Connection", "close"),
            ("Content-Length", str(len(octets))),
        ]
        if body is not None:
            headers.append(("Content-Type", "application/json"))
        wire = h11.Connection(our_role=h11.CLIENT)
        parts = [wire.send(h11.Request(method=method, target=path, headers=headers))]
        if octets:
            parts.append(wire.send(h11.Data(data=octets)))
        parts.append(wire.send(h11.EndOfMessage()))
        return b"".join(part or b"" for part in parts)


async def _answer(reader: asyncio.StreamReader, most_octets: int) -> Answer:
    wire = h11.Connection(our_role=h11.CLIENT)
    wire.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))
    wire.send(h11.EndOfMessage())
    status, body = 0, bytearray()
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            wire.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most_octets:
                raise EOFError("the answer exceeded the size limit")
        elif isinstance(event, h11.EndOfMessage):
            break
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError("the connection was closed")
    text = bytes(body).decode("utf-8", "surrogateescape")
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    return Answer(status, text, found if isinstance(found, dict) else {})


def _json(answer: Answer, where: str) -> Mapping[str, object]:
    if not answer.json:
        raise ProtocolViolation(f"{where} answered with something else than JSON.", reason="no-json")
    return answer.json
