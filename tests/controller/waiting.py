"""Waiting for something to become true, with a deadline, where there is no event to wait for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(check: Callable[[], bool | Awaitable[bool]], deadline_s: float = 20.0) -> None:
    """Return once `check` holds; TimeoutError after `deadline_s` seconds."""
    async with asyncio.timeout(deadline_s):
        while True:
            held = check()
            if inspect.isawaitable(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)
