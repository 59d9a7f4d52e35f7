"""How long a conversation waits for the other side: as `asyncio.timeout`, for a fraction of what that costs.

A conversation of fifty lines sets a limit for each and reaches none. The loop's timer is left standing and looks, when
it strikes, how long is really left; it is moved only where a limit would come before it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final
from weakref import ref

_NEVER: Final = float("inf")


class Patience:
    """One limit at a time, for whichever task is inside. A limit inside another one is `asyncio.timeout`'s work."""

    __slots__ = ("__weakref__", "_cancelling", "_due_s", "_loop", "_struck", "_task", "_timer", "_timer_s")

    def __init__(self) -> None:
        self._due_s = _NEVER
        self._timer_s = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._struck = False

    def within(self, seconds: float) -> Patience:
        """The limit for the `with` that follows, which raises TimeoutError after it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._due_s = self._loop.time() + seconds
        return self

    def rest(self) -> None:
        """No limit follows: the loop need not keep the timer until it would strike."""
        if self._timer is not None and self._task is None:
            self._timer.cancel()
            self._timer, self._timer_s = None, _NEVER

    def __enter__(self) -> None:
        assert self._task is None, "one limit at a time"
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling, self._struck = task, task.cancelling(), False
        if self._due_s < self._timer_s:
            self._set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self._task, self._due_s = self._task, None, _NEVER
        assert task is not None
        # Somebody else may have cancelled the task in the same moment, and then it is cancelled.
        if self._struck and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        assert self._loop is not None
        self._timer_s = self._due_s
        self._timer = self._loop.call_at(self._due_s, _strike, ref(self))

    def _look(self) -> None:
        self._timer, self._timer_s = None, _NEVER
        if self._task is None:
            return
        assert self._loop is not None
        if self._due_s > self._loop.time():
            self._set()
        elif not self._struck:
            self._struck = True
            self._task.cancel()


def _strike(whose: ref[Patience]) -> None:
    """The loop holds no conversation that everybody else has forgotten."""
    patience = whose()
    if patience is not None:
        patience._look()
