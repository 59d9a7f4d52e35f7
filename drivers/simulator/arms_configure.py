"""One configure, from its start response to its last consequence (arms-protocol §5.3, §6.5, §8.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from drivers.simulator.arms_messages import Pieces
from drivers.simulator.arms_operations import Started
from drivers.simulator.arms_reactions import Departure, Reaction, after_done, departure
from drivers.simulator.arms_runtime import ArmsRuntime
from drivers.simulator.arms_tree import Refused

ACCEPTED, COMMIT_FAILED, ROLLED_BACK = 100, 411, 414


class ConfigureStory:
    """Applies, reports until answered, and rolls back when the server stays silent or says so."""

    def __init__(self, runtime: ArmsRuntime, started: Started) -> None:
        assert started.change is not None
        self._runtime = runtime
        self._change = started.change
        self.transaction_id = started.transaction_id
        self.result = ACCEPTED
        self.under_way = False
        """Whether `see_through` runs."""
        self._answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    @property
    def message(self) -> Pieces | None:
        """The configure-done to send now; None while the fault keeps it from leaving."""
        if self._runtime.faults.drop_configure_done:
            self._runtime.truth_log.note("dropped", message="configure-done", result=self.result)
            return None
        return self._runtime.writer.done("configure", self.transaction_id, self.result)

    async def apply(self) -> None:
        """Put the change into effect. Raises Departure when the crash fault strikes."""
        runtime, texts = self._runtime, self._change.texts
        async with runtime.thread:
            self._crash("before-apply")
            await runtime.script()
            try:
                runtime.unit.apply(texts)
            except Refused as refused:
                self.result = COMMIT_FAILED
                runtime.unit.roll_back()
                runtime.truth_log.note("apply-refused", transaction_id=self.transaction_id, reason=str(refused))
                return
            for module_id in texts:
                runtime.truth_log.note(
                    "applied",
                    how="configure",
                    module=module_id,
                    digest=runtime.unit.digest(module_id),
                    transaction_id=self.transaction_id,
                    skipped=[each.line for each in runtime.unit.skipped.get(module_id, ())],
                )
            self._crash("after-apply")

    def _crash(self, moment: str) -> None:
        if self._runtime.faults.crash == moment:
            self._runtime.faults.crash = None
            self._runtime.truth_log.note("crash", why=moment)
            raise Departure("reboot", "power on boot")

    def answered(self, code: int | None) -> None:
        """The server answered configure-done."""
        if not self._answer.done():
            self._answer.set_result(code)

    async def see_through(self, resend: Callable[[], Awaitable[None]]) -> None:
        """Wait for the answer to the configure-done that was just sent; repeat, roll back, give up.

        Returns when the server accepted the report. Raises Departure otherwise.
        """
        self.under_way = True
        location = self._runtime.location
        assert location is not None
        while True:
            for attempt in range(location.retry_max + 1):
                if attempt:
                    await resend()
                try:
                    async with asyncio.timeout(self._runtime.timeout_s(location.retry_interval_s)):
                        code = await asyncio.shield(self._answer)
                except TimeoutError:
                    continue
                self._settle(code)
                return
            if self.result == ROLLED_BACK:
                self._close()
                raise Departure("rs", "retry is over")
            self._roll_back("no answer to configure-done")
            await resend()

    def untold(self) -> None:
        """The tunnel could not be rebuilt with the new config: roll back, and try again with the old one.

        Raises Departure when that has not helped either: forget it, and pull.
        """
        if self.result == ROLLED_BACK:
            self._close()
            raise Departure("rs", "rollback failure")
        self._roll_back("tunnel could not be rebuilt")

    def _settle(self, code: int | None) -> None:
        reaction = after_done(code, configure=True)
        if reaction is Reaction.ROLL_BACK and self.result == ACCEPTED:
            self._roll_back(f"server answered {code}")
        self._close()
        if reaction is not Reaction.CONTINUE:
            self._runtime.truth_log.note("refused", step="configure-done", code=code)
            raise departure(reaction, code)
        self._runtime.truth_log.note("configured", transaction_id=self.transaction_id, result=self.result)

    def _roll_back(self, why: str) -> None:
        self.result = ROLLED_BACK
        self._runtime.unit.roll_back()
        self._runtime.truth_log.note(
            "rolled-back", transaction_id=self.transaction_id, why=why, digest=self._runtime.unit.digest()
        )

    def _close(self) -> None:
        self._runtime.open_transactions.pop(self.transaction_id, None)
        self._runtime.unit.forget_candidate()
