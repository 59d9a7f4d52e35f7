"""What is open between us and one adapter: paths, requests, transactions (arms-protocol §5.3, §6.5, §14.13).

State is kept per adapter, never per connection: a configure ends on another tunnel than it began on. Everything here
runs on the loop and nothing awaits, except where a method is a coroutine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from controller.clock import Clock
from controller.phonehome.flag import Flag
from controller.phonehome.room import Room
from drivers.arms import messages
from drivers.arms.messages import Request, Response
from drivers.arms.results import MODULE_SYNCING, SUCCESS, named
from inventory.contacts import ArmsIdentity
from inventory.errors import DeviceError, OutcomeUnknown, ProtocolViolation, RolledBack, Unreachable

CLAIM_S: Final = 25.0
"""How long a configure-done waits for the caller that started it; shorter than any retry interval (≥ 30 s)."""
EARLY_S: Final = 60.0
"""How long a `-done` with an unknown id is kept (§2.3)."""
MAX_EARLY: Final = 16
EARLY_BYTES: Final = messages.DONE_LIMIT
"""Of early results of one adapter together: the largest one, or many that are usual."""
LEAVES_PUSH: Final = frozenset({"reboot", "pull-config", "configure-start"})
"""After 100 to one of these the path is not usable until the next confirmation (§6.6)."""

Answer = Callable[[Response], bool]
"""Sends our response to a `-done`; False when the connection that it came on is gone."""


class Path(Protocol):
    """A way to push to the adapter: an open tunnel, or the endpoint at which it is dialled."""

    key: str
    """Tunnels: by URL; there is one endpoint."""
    method: str
    """`https-tunnel` or `https-simple`."""
    source: str
    heard_ms: int
    """Monotonic instant of the last bytes."""
    ended: str | None
    """Why it ended; None while it can be used."""

    def drop(self, reason: str) -> None:
        """Close it without a word."""
        ...

    async def ask(self, request: Request, *, timeout_s: float) -> Response:
        """Send a request, wait `timeout_s` real seconds for its response.

        Raises BadInput for a request that must not be sent, Unreachable when nothing was sent, OutcomeUnknown when it
        was sent and not answered.
        """
        ...


@dataclass(slots=True)
class Transaction:
    """One asynchronous operation, from its start response to its `-done`."""

    id: int
    type: str
    """`configure`, `ping`, …; empty while only the waiting caller knows of it."""
    done: asyncio.Future[Request]
    path: Path | None
    answer: Answer | None = None
    """Sends our response to the `-done` that came last."""
    acknowledged: bool = False
    claimed: bool = False
    """A caller waits for it, or has waited."""
    told: bool = False
    """Its `-done` has come; when it comes again nothing more is scheduled."""
    result: int | None = None
    """The result that the caller was given."""
    early_bytes: int = 0
    """Size of its `-done` while nobody is known to wait for it."""


@dataclass(slots=True)
class Peer:
    """One adapter."""

    identity: ArmsIdentity
    clock: Clock
    notice: Callable[[str, ArmsIdentity, dict[str, object]], None]
    """Records an event: kind, whose, facts."""
    early: Room = field(default_factory=Room)
    """What early results of all adapters take up together."""
    paths: dict[str, Path] = field(default_factory=dict)
    """Open tunnels and the endpoint, by key."""
    confirmed: list[Path] = field(default_factory=list)
    """Those over which the adapter can be pushed to; the last confirmed last."""
    proven: bool = False
    """It has shown its own serial number since its last pull."""
    quarantine: str | None = None
    ready: Flag = field(default_factory=Flag)
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    transactions: dict[int, Transaction] = field(default_factory=dict)
    replaced_ms: dict[str, int] = field(default_factory=dict)
    """By key: monotonic instant at which a tunnel last took the place of one that was alive."""

    # --- paths ------------------------------------------------------------------------------------------------------

    def contested(self, key: str, *, window_ms: float, alive_ms: float) -> Path | None:
        """The live tunnel that a newcomer must not replace: it replaced another a short while ago itself.

        Once is a reconnection of which the end of the old connection got lost; again within the window is two units
        with one identity (MPC-11), which would throw each other out for ever.
        """
        now_ms = self.clock.monotonic_ms()
        present = self.paths.get(key)
        if present is None or now_ms - present.heard_ms > alive_ms:
            return None
        replaced_ms = self.replaced_ms.get(key)
        if replaced_ms is not None and now_ms - replaced_ms < window_ms:
            return present
        self.replaced_ms[key] = now_ms
        return None

    @property
    def has_tunnel(self) -> bool:
        """A tunnel is open, confirmed or not."""
        return any(path.method == "https-tunnel" for path in self.paths.values())

    def opened(self, path: Path) -> Path | None:
        """A path was opened; the one with the same key that it replaces is returned, already out of the books."""
        former = self.paths.get(path.key)
        self.paths[path.key] = path
        if former is not None:
            self._lost(former)
        return former

    def closed(self, path: Path) -> None:
        """A path ended. A late close must not remove the one that replaced it."""
        if self.paths.get(path.key) is path:
            del self.paths[path.key]
            self._lost(path)

    def _lost(self, path: Path) -> None:
        """The adapter drops the `-done` of what it was doing on that tunnel; only a configure is told on another."""
        if path in self.confirmed:
            self.confirmed.remove(path)
        self._set_ready()
        for transaction in list(self.transactions.values()):
            if transaction.path is path and transaction.type not in {"", "configure"}:
                self._fail(transaction, self._unknown(transaction.type, "its tunnel was lost before the result came"))

    def confirm(self, path: Path) -> None:
        """The adapter has confirmed this path."""
        if self.paths.get(path.key) is path:
            if path in self.confirmed:
                self.confirmed.remove(path)
            self.confirmed.append(path)
            self._set_ready()

    def unconfirm(self, path: Path) -> None:
        """A new confirmation of this path has failed."""
        if path in self.confirmed:
            self.confirmed.remove(path)
            self._set_ready()

    def prove(self) -> None:
        """Its serial number is the one on record."""
        self.proven = True
        self._set_ready()

    def set_quarantine(self, reason: str | None) -> None:
        """Another serial number was shown, or an operator has cleared that."""
        self.quarantine = reason
        self._set_ready()

    def left_push(self) -> None:
        """It has just said 100 to something that ends its push mode."""
        self.confirmed.clear()
        self._set_ready()

    def _set_ready(self) -> None:
        if self.confirmed and self.proven and self.quarantine is None:
            self.ready.set()
        else:
            self.ready.clear()

    def pulled(self, trigger: str) -> None:
        """It asks LS or RS: it has left push mode, and every open transaction has ended (§6.5)."""
        self.left_push()
        self.proven = False
        for path in list(self.paths.values()):
            self.closed(path)
            path.drop("the adapter pulls again")
        for transaction in list(self.transactions.values()):
            if transaction.done.done():
                continue
            words = f"the adapter pulled again (trigger: {trigger[:80] or 'none'}) before {transaction.type} ended"
            if transaction.type == "configure":
                self._fail(transaction, RolledBack(f"{words}; it takes the startup config", **self._about("configure")))
            else:
                self._fail(transaction, self._unknown(transaction.type, words))

    # --- transactions -------------------------------------------------------------------------------------------------

    def started(self, type_: str, response: Response, path: Path | None) -> None:
        """A start response was decoded: register its id at once, for the `-done` may be in the same read (§2.3).

        `path` is the tunnel that the result is lost with; None when it comes on a connection of its own.
        """
        if response.result_code != SUCCESS:
            return
        if type_ in LEAVES_PUSH:
            self.left_push()
        if type_.endswith("-start") and response.transaction_id:
            transaction = self._transaction(response.transaction_id)
            self._expected(transaction)
            transaction.type = type_.removesuffix("-start")
            transaction.path = path

    def finished(self, request: Request, answer: Answer, *, size: int = 0) -> None:
        """A `-done` of `size` bytes came, on whatever connection. It is answered 100: at once, a configure-done when it
        is stored."""
        id_ = request.transaction_id or 0
        known = id_ in self.transactions
        if not known and not self._take_early(size):
            self._unsolicited(request, dropped_bytes=size)
            answer(self._accept(request))
            return
        transaction = self._transaction(id_)
        if not known:
            transaction.early_bytes = size
        transaction.type = request.type.removesuffix("-done")
        transaction.answer = answer
        if transaction.done.done() and not transaction.acknowledged and transaction.done.exception() is None:
            # It was not answered in time and has rolled back: what it says now is what is so (§6.5).
            transaction.done = asyncio.get_running_loop().create_future()
        if not transaction.done.done():
            transaction.done.set_result(request)
        if transaction.type != "configure" or transaction.acknowledged:
            transaction.acknowledged = True
            answer(self._accept(request))
        elif not transaction.claimed and not transaction.told:
            asyncio.get_running_loop().call_later(CLAIM_S / self.clock.pace, self._nobody_waits, transaction, request)
        if not transaction.told:
            transaction.told = True
            self._forget_later(transaction)

    def _take_early(self, size: int) -> bool:
        """Whether there is room for a result that nobody is known to wait for; then it is taken."""
        kept = sum(each.early_bytes for each in self.transactions.values())
        if len(self.transactions) >= MAX_EARLY or kept + size > EARLY_BYTES:
            return False
        try:
            self.early.take(size)
        except ProtocolViolation:
            return False
        return True

    def _expected(self, transaction: Transaction) -> None:
        """Somebody waits for it, or it is gone: it does not count as early any more."""
        self.early.take(-transaction.early_bytes)
        transaction.early_bytes = 0

    def _nobody_waits(self, transaction: Transaction, request: Request) -> None:
        """Whoever started this configure is gone. Any answer but 100 would make the adapter roll back (§2.3)."""
        if not transaction.claimed and not transaction.acknowledged:
            self._unsolicited(request)
            self._acknowledge(transaction)

    def _unsolicited(self, request: Request, **more: object) -> None:
        facts: dict[str, object] = {
            "type": request.type,
            "transaction": request.transaction_id,
            "result": request.transaction_result,
            **more,
        }
        self.notice("phonehome.unsolicited-done", self.identity, facts)

    async def wait_done(self, id_: int, *, timeout_s: float) -> Request:
        """The `-done` of a transaction, also when it came before anybody asked. Raises DeviceError."""
        transaction = self._transaction(id_)
        transaction.claimed = True
        self._expected(transaction)
        try:
            async with asyncio.timeout(timeout_s):
                request = await asyncio.shield(transaction.done)
        except TimeoutError:
            raise self._unknown(
                transaction.type or "operation", f"no result of transaction {id_} within {timeout_s:.0f} s"
            ) from None
        transaction.result = request.transaction_result
        return request

    def acknowledge(self, id_: int) -> None:
        """Our 100 to a configure-done. Raises Unreachable when there is none, OutcomeUnknown when its tunnel is gone:
        the adapter then tells it again, and is answered at once. Raises RolledBack, after the answer, when the adapter
        has rolled back since the caller was told of its success."""
        transaction = self.transactions.get(id_)
        if transaction is None or transaction.answer is None:
            raise Unreachable(
                f"there is no configure-done of transaction {id_} to acknowledge",
                next_step="Wait for the adapter's next contact.",
                **self._about("acknowledge"),
            )
        if not transaction.acknowledged and not self._acknowledge(transaction):
            raise self._unknown("acknowledge", "the connection was gone before configure-done could be answered")
        result = transaction.done.result().transaction_result
        if transaction.result == SUCCESS and result != SUCCESS:
            told = f"its configure-done was not answered in time, and it ended with {named(result)}"
            if result == MODULE_SYNCING:
                raise self._unknown(
                    "acknowledge", f"{told}: it restarts with other modules, which is progress, and takes its startup"
                )
            raise RolledBack(told, **self._about("acknowledge"))

    def _acknowledge(self, transaction: Transaction) -> bool:
        assert transaction.answer is not None
        # Set first: should the connection be lost under us, a repeated configure-done is answered at once.
        transaction.acknowledged = True
        return transaction.answer(self._accept(transaction.done.result()))

    def _accept(self, request: Request) -> Response:
        id_ = request.transaction_id
        named = id_ if id_ is not None and id_ > 0 else None  # 0 and less are none: there is nothing to name (§2.3)
        return Response(request.type, SUCCESS, transaction_id=named, description="Success")

    def _transaction(self, id_: int) -> Transaction:
        found = self.transactions.get(id_)
        if found is None:
            future: asyncio.Future[Request] = asyncio.get_running_loop().create_future()
            found = self.transactions[id_] = Transaction(id_, "", future, None)
        return found

    def _fail(self, transaction: Transaction, error: DeviceError) -> None:
        if not transaction.done.done():
            transaction.done.set_exception(error)
            transaction.done.exception()  # whoever waits gets it; nobody may wait
        self._forget_later(transaction)

    def _forget_later(self, transaction: Transaction) -> None:
        asyncio.get_running_loop().call_later(EARLY_S, self._forget, transaction)

    def _forget(self, transaction: Transaction) -> None:
        if transaction.type == "configure" and not transaction.acknowledged and transaction.claimed:
            self._forget_later(transaction)
        elif self.transactions.get(transaction.id) is transaction:
            del self.transactions[transaction.id]
            self._expected(transaction)
            if not transaction.claimed and transaction.type != "configure" and not transaction.done.exception():
                self._unsolicited(transaction.done.result())

    @property
    def configuring(self) -> bool:
        """A configure is open: no heartbeat is due (§9)."""
        return any(each.type == "configure" and not each.acknowledged for each in self.transactions.values())

    def _unknown(self, step: str, words: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            words, next_step="Read the device back before anything else is sent.", **self._about(step)
        )

    def _about(self, step: str) -> dict[str, str]:
        return {"serial": str(self.identity.serial), "step": step}
