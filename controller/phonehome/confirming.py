"""push-confirmation in https-simple: the adapter names its endpoint, we dial it there (arms-protocol §6.4, §12)."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections import Counter
from typing import Final

import structlog

from controller.phonehome import believing
from controller.phonehome.answers import RS_PATH
from controller.phonehome.context import Context
from controller.phonehome.endpoints import Endpoint, literal, why_not
from controller.phonehome.exchange import Exchange
from controller.phonehome.gate import Turn
from controller.phonehome.peer import Peer
from controller.phonehome.proof import Prover
from controller.phonehome.simple import KEY, Dialling, SimplePath
from drivers.arms import framing, rules
from drivers.arms.messages import Request, Response
from drivers.arms.parameters import PushConfirmationStart
from drivers.arms.results import NAMES, SUCCESS
from inventory.admission import BUSY, Answer, Door, admit
from inventory.contacts import ArmsIdentity
from inventory.errors import BadInput, DeviceError, ProtocolViolation
from inventory.explain import Contact

log = structlog.get_logger(__name__)

CONFIRMATION_STEP: Final = 3
"""Steps of a boot that are behind an adapter that confirms, as behind one that opens a tunnel."""
CONFIRM_S: Final = 60.0
"""The adapter gives the method up when no confirmation-done came for so long (§6.4)."""
PROVE_AT_ONCE: Final = 32
"""Endpoints that are asked who they are at a time, after a restart of ours."""
PROVE_AGAIN_S: Final = 600.0


def _is_here(address: str) -> bool:
    """Whether this machine has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class Confirmations:
    """Takes the announcements of https-simple, and keeps the endpoints over a restart of this node.

    An adapter in https-simple does not notice our restart, so it would never announce itself again.
    """

    def __init__(self, context: Context, prover: Prover) -> None:
        self._context = context
        self._prover = prover
        self._dialling = Dialling(tls=context.pki.dialling_context(context.settings.tls_floor), pace=context.clock.pace)
        self._waiting: Counter[int] = Counter()
        self._proving = asyncio.Semaphore(PROVE_AT_ONCE)
        self._asked_ms: dict[int, int] = {}
        """When an adapter that has not said who it is was last asked."""

    async def take(self, request: Request, identity: ArmsIdentity, exchange: Exchange) -> Answer | None:
        """Answer a push-confirmation-start and dial the endpoint; or the refusal that the caller has to answer.

        Raises ProtocolViolation for a method that is not confirmed here.
        """
        parameters = request.parameters
        assert isinstance(parameters, PushConfirmationStart)
        if parameters.method != "https-simple":
            raise ProtocolViolation("only https-simple is confirmed outside a tunnel", reason="malformed")
        turn, startup = await self._context.gate.enter(identity.serial.key, step=CONFIRMATION_STEP), None
        if turn is not Turn.REFUSED:
            try:
                if turn is Turn.HELD:  # it may have lost its place while it was held
                    identity = await self._context.identity(identity.distribution_id) or identity
                startup = await self._context.startup_of(identity)
            finally:
                self._context.gate.leave()
        busy = turn is Turn.REFUSED
        key_ok, doubt = True, None
        if turn is Turn.HELD:
            key_ok = believing.key_ok(self._context, Door.RS, identity, exchange.credential())
            doubt = believing.doubt(self._context, Door.RS, identity, exchange, pulling=False) if key_ok else None
        caller = identity.caller(key_ok=key_ok, doubt=doubt, startup=startup is not None or busy, overload=busy)
        answer = admit(Door.RS, caller)
        if not answer.admitted:
            return answer
        endpoint = self._judge(parameters.endpoint or "", exchange.source)
        if isinstance(endpoint, Answer):
            self._context.boots.excuse(identity, endpoint.reason)
            return endpoint
        if self._waiting[identity.adapter_id] >= rules.MAX_LIST:
            return Answer("arms", BUSY, "its push endpoint is being dialled already")
        peer = self._context.peer(identity)
        path = self._path(peer, endpoint, exchange)
        id_ = 1 + secrets.randbelow(rules.MAX_ID)
        response = Response(request.type, SUCCESS, transaction_id=id_, description=NAMES[SUCCESS])
        self._waiting[identity.adapter_id] += 1
        self._context.spawn(self._confirm(peer, path, id_), f"confirm {identity.serial}")
        await exchange.answer(framing.response(200, "OK", rules.encode(response)))
        return None

    def _judge(self, said: str, source: str) -> Endpoint | Answer:
        settings = self._context.settings
        if "https-simple" not in settings.push_methods:
            return Answer("arms", BUSY, "https-simple is not among arms.push_methods")
        try:
            endpoint = Endpoint.parse(said)
        except BadInput as error:
            return Answer("arms", BUSY, f"its push endpoint {said[:80]!r} is refused: {error.message}")
        reason = why_not(endpoint, source, ports=settings.push_ports, networks=settings.push_networks)
        return endpoint if reason is None else Answer("arms", BUSY, f"its push endpoint {said} is refused: {reason}")

    # --- the path -----------------------------------------------------------------------------------------------------

    def _path(self, peer: Peer, endpoint: Endpoint, exchange: Exchange) -> SimplePath:
        """The one that it has there already, or a new one in place of the former."""
        result_url = self._result_url(endpoint, exchange)
        present = peer.paths.get(KEY)
        if isinstance(present, SimplePath) and present.endpoint == endpoint:
            present.result_url, present.source = result_url, exchange.source
            return present
        return self._open(peer, endpoint, exchange.source, result_url)

    def _open(self, peer: Peer, endpoint: Endpoint, source: str, result_url: str) -> SimplePath:
        adapter = peer.identity

        def forget() -> None:
            self._context.ledger.contact(adapter, push_endpoint=None, push_result_url=None)

        path = SimplePath(peer, endpoint, source=source, result_url=result_url, dialling=self._dialling, on_drop=forget)
        former = peer.opened(path)
        if former is not None:
            former.drop("the adapter announced another endpoint")
            self._context.ledger.event(
                "phonehome.endpoint-moved", adapter, before=former.source, now=source, endpoint=endpoint.url
            )
        return path

    def _result_url(self, endpoint: Endpoint, exchange: Exchange) -> str:
        """The URL at which it reached us just now, else the first of its family: the others may be out of its reach."""
        urls = self._context.urls(self._context.rs_port, RS_PATH)
        hosts = [str(ipaddress.ip_address(address)) for address in self._context.settings.told]
        named = (exchange.head.get("Host") if exchange.head else None) or ""
        for host in (literal(named.rpartition(":")[0].strip("[]")), literal(exchange.local)):
            if str(host) in hosts:
                return urls[hosts.index(str(host))]
        of_family = [
            url for url, host in zip(urls, hosts, strict=True) if (":" in host) == (endpoint.address.version == 6)
        ]
        return (of_family or urls)[0]

    # --- confirmation -------------------------------------------------------------------------------------------------

    async def _confirm(self, peer: Peer, path: SimplePath, id_: int) -> None:
        """Only a 100 over a verified connection makes the path usable."""
        identity, since_ms = peer.identity, self._context.clock.monotonic_ms()
        request = Request("push-confirmation-done", identity.distribution_id, transaction_id=id_, description="push")
        try:
            async with peer.one_at_a_time:
                if path.ended is not None:
                    return
                response = await path.ask(request, timeout_s=self._dialling.real_s(CONFIRM_S))
        except DeviceError as error:
            self._unconfirmed(peer, path, error.message, since_ms)
            return
        finally:
            self._waiting[identity.adapter_id] -= 1
            self._waiting += Counter()
        if response.result_code != SUCCESS:
            self._unconfirmed(peer, path, f"it answered the confirmation with {response.result_code}", since_ms)
        elif path.ended is None:
            path.confirmed_ms = self._context.clock.monotonic_ms()
            peer.confirm(path)
            self._context.ledger.contact(
                identity,
                push_endpoint=path.endpoint.url,
                push_result_url=path.result_url,
                node=self._context.node,
                refusal_code=None,
                refusal_reason=None,
                refusal_ms=None,
            )
            self._prover.confirmed(peer, path)

    def _unconfirmed(self, peer: Peer, path: SimplePath, words: str, since_ms: int) -> None:
        """It announced itself to several addresses of ours at once: one confirmation is enough."""
        if path.ended is not None or (path.confirmed_ms is not None and path.confirmed_ms >= since_ms):
            return
        context, identity, now_ms = self._context, peer.identity, self._context.clock.now_ms()
        peer.unconfirm(path)
        reason = f"its push endpoint was not confirmed: {words}"
        context.ledger.contact(
            identity,
            stage=Contact.REFUSED,
            stage_ms=now_ms,
            refusal_code=None,
            refusal_reason=reason,
            refusal_ms=now_ms,
        )
        context.ledger.event("phonehome.endpoint-failed", identity, endpoint=path.endpoint.url, words=words)

    # --- after a restart of ours --------------------------------------------------------------------------------------

    def restore(self, identity: ArmsIdentity, endpoint: str, result_url: str) -> None:
        """An endpoint that was confirmed before this node was restarted. It is usable once it has shown its serial;
        not at all when the settings do not allow it any more."""
        where = Endpoint.parse(endpoint)
        if isinstance(self._judge(endpoint, str(where.address)), Answer):
            self._context.ledger.contact(identity, push_endpoint=None, push_result_url=None)
            return
        peer = self._context.peer(identity)
        path = self._open(peer, where, str(where.address), result_url)
        peer.confirm(path)

    def result_url_here(self, endpoint: str, before: str) -> str | None:
        """Where the adapter would post its results if this node dialled it; None: the settings do not let it.

        Of the addresses that adapters are told the one that this machine has, else the one that it used `before`.
        """
        try:
            where = Endpoint.parse(endpoint)
        except BadInput:
            return None
        if isinstance(self._judge(endpoint, str(where.address)), Answer):
            return None
        hosts = [str(ipaddress.ip_address(address)) for address in self._context.settings.told]
        urls = dict(zip(hosts, self._context.urls(self._context.rs_port, RS_PATH), strict=True))
        of_family = {host: url for host, url in urls.items() if (":" in host) == (where.address.version == 6)}
        here = [url for host, url in of_family.items() if _is_here(host)]
        return before if before in here or not here else here[0]

    def prove_unproven(self) -> None:
        """Ask restored endpoints who they are, and again from time to time those that gave no answer."""
        clock = self._context.clock
        pause_ms = PROVE_AGAIN_S * 1000 / clock.pace
        for peer in self._context.peers.values():
            path = peer.paths.get(KEY)
            if peer.proven or peer.quarantine or not isinstance(path, SimplePath) or path not in peer.confirmed:
                continue
            asked_ms = self._asked_ms.get(peer.identity.adapter_id, path.confirmed_ms)
            if asked_ms is None or clock.monotonic_ms() - asked_ms >= pause_ms:
                self._asked_ms[peer.identity.adapter_id] = clock.monotonic_ms()
                self._context.spawn(self._prove(peer, path), f"prove {peer.identity.serial}")

    async def _prove(self, peer: Peer, path: SimplePath) -> None:
        async with self._proving:
            await self._prover.prove(peer, path)
        if peer.proven:
            self._asked_ms.pop(peer.identity.adapter_id, None)
