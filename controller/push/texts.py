"""Digests, differences and plans of config texts, long ones outside the event loop (architecture §5a)."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, ParamSpec, TypeVar

from drivers import digests, plan
from drivers.cutoff import Way
from drivers.registry import driver
from inventory.errors import Conflict
from inventory.plans import Computed, ConfigText

LONG_LINES: Final = 500
"""Texts with more lines than this are worked on in a process of their own, so that the loop never waits for one."""

P = ParamSpec("P")
R = TypeVar("R")


class TextPlanner:
    """See `controller.push.planning.Planner`."""

    def __init__(self) -> None:
        self._worker: ProcessPoolExecutor | None = None

    async def digest(self, family: str, config: ConfigText) -> str:
        """See `Planner.digest`."""
        found = digests.known(driver(family), config)
        if found is None:
            found = digests.learn(driver(family), config, await self._run(_lines(config), _digest, family, config))
        return found

    async def difference(self, family: str, before: ConfigText, after: ConfigText) -> str:
        """See `Planner.difference`."""
        return await self._run(_lines(before, after), _difference, family, before, after)

    async def compute(self, family: str, base: ConfigText, intent: ConfigText, way: Way) -> Computed:
        """See `Planner.compute`."""
        computed = await self._run(_lines(base, intent), _compute, family, base, intent, way)
        digests.learn(driver(family), base, computed.base_digest)
        digests.learn(driver(family), intent, computed.intent_digest)
        return computed

    async def shapes(self, family: str, config: ConfigText) -> frozenset[int]:
        """Every shape that stands in a config; raises ConfigSyntax."""
        return await self._run(_lines(config), _shapes, family, config)

    async def run(self, texts: Sequence[str], work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`work`, beside the loop if these texts are long. `work` is a function of a module; it and `args` travel."""
        return await self._run(sum(text.count("\n") for text in texts), work, *args, **kwargs)

    def close(self) -> None:
        """End the worker process, if there is one."""
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)
            self._worker = None

    async def _run(self, lines: int, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if lines <= LONG_LINES:
            return work(*args, **kwargs)
        if self._worker is None:
            # Ctrl-C reaches every process of a terminal; the worker ends with us, not before.
            self._worker = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
            )
        assert not kwargs
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work, *args)
        except BrokenProcessPool:
            self._worker = None
            raise Conflict(
                "the process that reads long texts has died", next_step="Ask again; if it dies again, report the text."
            ) from None


def _lines(*configs: ConfigText) -> int:
    return sum(text.count("\n") for config in configs for _, text in config.modules)


def _digest(family: str, config: ConfigText) -> str:
    return plan.digest(driver(family), config)


def _difference(family: str, before: ConfigText, after: ConfigText) -> str:
    return plan.difference_shown(driver(family), before, after)


def _compute(family: str, base: ConfigText, intent: ConfigText, way: Way) -> Computed:
    return plan.compute(driver(family), base, intent, way)


def _shapes(family: str, config: ConfigText) -> frozenset[int]:
    return plan.shapes_standing(driver(family), config)
