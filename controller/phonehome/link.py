"""The way to an adapter that phones home: implements `ArmsLink` of drivers/sessions/arms.py."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from controller.phonehome.context import Context
from controller.phonehome.peer import Path, Peer
from controller.store.whereabouts import node_with
from drivers.arms.messages import Request, Response
from drivers.arms.results import SUCCESS
from drivers.sessions.arms import refusal
from drivers.sessions.permission import permitted
from inventory.adapters import SerialNumber
from inventory.admission import Door, admit
from inventory.contacts import ArmsIdentity
from inventory.errors import IdentityMismatch, OutcomeUnknown, Unreachable

AWAY_LOOK_S: Final = 5.0
"""How often whoever waits for a result looks whether the adapter has come to another node."""


class PushLink:
    """Requests over a confirmed path of an adapter, one at a time for each adapter. Time-outs are protocol time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def wait_ready(self, serial: str, *, timeout_s: float) -> None:
        """Return when the adapter has confirmed a path and shown its serial number.

        Raises Unreachable after `timeout_s`, IdentityMismatch when it is in quarantine.
        """
        peer = await self._peer(serial)
        self._require_no_quarantine(peer)
        try:
            async with asyncio.timeout(self._real_s(timeout_s)):
                await peer.ready.wait()
        except TimeoutError:
            self._require_no_quarantine(peer)
            raise self._unreachable(serial, f"no confirmed push path within {timeout_s:.0f} s", "wait-ready") from None

    async def request(self, serial: str, request: Request, *, timeout_s: float, failed_too: bool = False) -> Response:
        """Send one request and return its answer, of an asynchronous operation its start response.

        Id and result URL of the request are ours to fill. Raises BadInput for a request that must not be sent,
        Unreachable when nothing was sent, OutcomeUnknown when it was sent and not answered, CommandRejected for a code
        other than 100 (`facts["result_code"]`; with `failed_too` 101 to 199 are answers too), IdentityMismatch in
        quarantine.
        """
        peer = await self._peer(serial)
        async with peer.one_at_a_time:
            await self._require_admitted(serial, peer)
            filled = replace(
                request, distribution_id=peer.identity.distribution_id, result_url=None, description="push"
            )
            response = await self._ask(peer, filled, timeout_s=self._real_s(timeout_s))
        last = 199 if failed_too else SUCCESS
        if not SUCCESS <= response.result_code <= last:
            raise refusal(serial, request.type, response.result_code)
        return response

    async def _ask(self, peer: Peer, request: Request, *, timeout_s: float) -> Response:
        """Over the path that was confirmed last; over another only where nothing was sent."""
        serial = str(peer.identity.serial)
        paths: list[Path] = list(reversed(peer.confirmed)) if peer.ready.is_set() else []
        failure = self._unreachable(serial, "it has no confirmed push path now", request.type)
        for path in paths:
            await permitted()
            try:
                return await path.ask(request, timeout_s=timeout_s)
            except Unreachable as error:
                failure = error
        raise failure

    async def wait_done(self, serial: str, transaction_id: int, *, timeout_s: float) -> Request:
        """The `-done` of a transaction. That of a configure is not answered before `acknowledge`; others are.

        Raises OutcomeUnknown when it does not come or is lost with its tunnel, RolledBack when the adapter pulled
        again instead of finishing a configure.
        """
        peer = await self._peer(serial)
        waiting = asyncio.ensure_future(peer.wait_done(transaction_id, timeout_s=self._real_s(timeout_s)))
        try:
            while not (await asyncio.wait({waiting}, timeout=AWAY_LOOK_S / self._context.clock.pace))[0]:
                await self._require_not_elsewhere(peer)
            return waiting.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _require_not_elsewhere(self, peer: Peer) -> None:
        """The result of an adapter that has come to another node comes there; whoever reads it back does so there."""
        database = self._context.database
        if peer.has_tunnel or database.dialect != "postgresql":
            return
        async with database.read() as tx:
            node = await node_with(tx, peer.identity.adapter_id)
        if node not in {None, self._context.node}:
            serial = str(peer.identity.serial)
            raise OutcomeUnknown(
                f"{serial}: it came back to node {node} before its result came here",
                serial=serial,
                step="wait-done",
                next_step="Read the device back before anything else is sent.",
            )

    async def acknowledge(self, serial: str, transaction_id: int) -> None:
        """Our 100 to a configure-done: the adapter keeps the change.

        Raises OutcomeUnknown when its connection is gone: the adapter then tells its configure-done again, and that is
        answered at once. Raises Unreachable when there is no configure-done to answer.
        """
        peer = await self._peer(serial)
        await permitted()
        peer.acknowledge(transaction_id)

    def _real_s(self, seconds: float) -> float:
        """Real seconds of so many of protocol time. What a machine computes is not faster under a pace, so waits of up
        to 10 s stay as they are."""
        return max(seconds / self._context.clock.pace, min(seconds, 10.0))

    async def _peer(self, serial: str) -> Peer:
        peer = self._context.peer_of_serial(SerialNumber.parse(serial).key)
        if peer is not None:
            return peer
        identity = await self._context.identity_of_serial(serial)
        if identity is None:
            raise self._unreachable(serial, "it has no ARMS identity", "look-up")
        return self._context.peer(identity)

    async def _require_admitted(self, serial: str, peer: Peer) -> None:
        """Never talk to a unit that has lost its place since its tunnel opened."""
        identity = await self._context.identity(peer.identity.distribution_id)
        assert identity is not None
        self._context.peer(identity)
        self._require_no_quarantine(peer)
        answer = admit(Door.TUNNEL, identity.caller(key_ok=True, startup=True))
        if not answer.admitted:
            raise self._unreachable(serial, answer.reason, "admission")

    def _require_no_quarantine(self, peer: Peer) -> None:
        if peer.quarantine is not None:
            raise IdentityMismatch(
                peer.quarantine,
                serial=_shown(peer.identity),
                next_step="Find out which unit stands there, correct record or unit, then clear the quarantine.",
            )

    def _unreachable(self, serial: str, words: str, step: str) -> Unreachable:
        return Unreachable(
            f"{serial}: {words}",
            serial=serial,
            step=step,
            next_step="The adapter comes back by itself; `explain` shows what it asked last.",
        )


def _shown(identity: ArmsIdentity) -> str:
    return identity.serial.shown
