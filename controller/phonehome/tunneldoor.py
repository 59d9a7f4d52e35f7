"""Who may open a tunnel (architecture §6, arms-protocol §5.3)."""

from __future__ import annotations

from typing import Final

from controller.phonehome import believing, tls
from controller.phonehome.context import Context
from controller.phonehome.exchange import Exchange
from controller.phonehome.gate import Turn
from controller.phonehome.peer import Peer
from controller.phonehome.proof import Prover
from controller.phonehome.replies import PHRASES
from controller.phonehome.tunnel import Tunnel
from drivers.arms import framing
from drivers.arms.ids import Credential
from inventory.admission import Answer, Caller, Door, admit
from inventory.contacts import ArmsIdentity
from inventory.startups import Served

CONTEST_ECHOES: Final = 10
"""Echo intervals within which a second replacement of a live tunnel means two units with one identity (MPC-11)."""
TUNNEL_STEP: Final = 3
"""Steps of a boot that lie behind whoever opens one."""


class TunnelDoor:
    """Opens tunnels, or says why not."""

    def __init__(self, context: Context, prover: Prover) -> None:
        self._context = context
        # Made once, for a connection keeps them for its whole life.
        self._confirmed = prover.confirmed
        self._ended = self._tunnel_ended

    async def take(
        self, exchange: Exchange, identity: ArmsIdentity | None, credential: Credential | None, user: str | None
    ) -> None:
        """Take a request for a tunnel of whoever says to be `user`."""
        context = self._context
        caller = Caller(known=False)
        if identity is not None:
            key_ok = believing.key_ok(context, Door.TUNNEL, identity, credential)
            turn, looping = Turn.REFUSED, None
            if key_ok:  # who only knows its id takes nobody's turn at the gate
                exchange.connection.prove(identity.adapter_id)
                looping = await context.loops.enter(identity, "opens a tunnel")
                if looping is None:
                    turn = await context.gate.enter(identity.serial.key, step=TUNNEL_STEP)
            served: Served | None = None
            try:
                if key_ok and turn is not Turn.AT_ONCE:
                    identity = await context.identity(identity.distribution_id) or identity
                    key_ok = believing.key_ok(context, Door.TUNNEL, identity, credential)
                if turn is not Turn.REFUSED:
                    served = await context.startup_of(identity)
            finally:
                if turn is not Turn.REFUSED:
                    context.gate.leave()
            busy = turn is Turn.REFUSED
            caller = identity.caller(
                key_ok=key_ok,
                doubt=believing.doubt(context, Door.TUNNEL, identity, exchange, pulling=False) if key_ok else None,
                startup=served is not None or busy,
                overload=busy and looping is None,
                looping=looping,
            )
        answer = admit(Door.TUNNEL, caller)
        if not answer.admitted or identity is None:
            if identity is not None and caller.key_ok:
                context.boots.excuse(identity, f"its tunnel was answered {answer.code}, {answer.reason}")
            await self._refuse(exchange, answer, identity, user or "")
            return
        await self._run(exchange, identity)

    async def _refuse(self, exchange: Exchange, answer: Answer, identity: ArmsIdentity | None, claimed: str) -> None:
        if identity is None or answer.code == 401:
            self._context.ledger.claim(claimed, exchange.source, f"tunnel: {answer.reason}")
        if identity is not None:
            self._context.ledger.refused(identity, answer)
        await exchange.answer(framing.response(answer.code, PHRASES[answer.code], b""))

    async def _run(self, exchange: Exchange, identity: ArmsIdentity) -> None:
        context = self._context
        peer = context.peer(identity)
        echo_ms = context.settings.echo_interval_s * 1000 / context.clock.pace
        assert exchange.head is not None
        key = exchange.head.target.partition("?")[0]
        present = peer.contested(key, window_ms=CONTEST_ECHOES * echo_ms, alive_ms=1.5 * echo_ms)
        if present is not None:
            context.boots.excuse(identity, "the same identity was in use elsewhere")
            refusal = Answer("http", 403, f"the same identity is in use from {present.source}")
            context.clones.asked(identity, exchange.source, present)
            context.ledger.event(
                "phonehome.two-places", identity, sources=[present.source, exchange.source], rule="MPC-11"
            )
            await self._refuse(exchange, refusal, identity, identity.distribution_id)
            return
        tls.note(context.ledger, identity, exchange.tls_version, exchange.source)
        tunnel = Tunnel(
            exchange,
            peer,
            key=key,
            echo_interval_s=context.settings.echo_interval_s,
            on_confirmed=self._confirmed,
            on_ended=self._ended,
            held=context.room.hold(),
        )
        former = peer.opened(tunnel)
        if former is not None:
            former.drop("a new tunnel of the same adapter replaces it")
        now_ms = context.clock.now_ms()
        context.ledger.contact(identity, tunnel_open=1, node=context.node, last_seen_ms=now_ms, source=exchange.source)
        tunnel.start()

    def _tunnel_ended(self, peer: Peer, tunnel: Tunnel) -> None:
        ledger = self._context.ledger
        if not peer.has_tunnel:
            ledger.contact(peer.identity, tunnel_open=0)
        ledger.event("phonehome.tunnel-ended", peer.identity, source=tunnel.source, words=tunnel.ended)
