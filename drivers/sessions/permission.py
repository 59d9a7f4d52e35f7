"""Whether this process may still speak to devices: asked each time right before something is sent.

A process that was frozen and woken goes on where it stood, with open sessions and half a change sent. Another may have
taken its work over meanwhile. So every line, answer, password and message asks the permit of its context first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final


class NotPermittedError(Exception):
    """Another process does this one's work now: send nothing, write nothing down, end."""


Permit = Callable[[], Awaitable[None]]
"""Returns when sending is permitted. Raises NotPermittedError."""


async def _always() -> None:
    return


PERMIT: Final[ContextVar[Permit]] = ContextVar("permit", default=_always)
"""The permit of the work that is being done; without one everything is permitted (tests, tools)."""


async def permitted() -> None:
    """Return when something may be sent; nothing may be awaited between this and the sending.

    Raises NotPermittedError, and whatever keeps the permit from being asked for.
    """
    await PERMIT.get()()
