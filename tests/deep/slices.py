"""Cuts that one process makes, one after the other; `__main__` deals them out."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.controller.push import cutting
from tests.controller.push.cutting import Case

AT_ONCE: Final = 3
"""Pushes at once in one process: each waits for more than half of its time."""


@dataclass(frozen=True)
class Work:
    """Cuts that one process makes, one after the other."""

    started: Case
    direction: cutting.Direction
    cuts: tuple[int, ...]
    folder: Path


@dataclass(frozen=True)
class Done:
    """What came of them: pushes by outcome, and what was found untrue."""

    work: Work
    outcomes: Counter[str]
    untrue: tuple[str, ...]


def carry_out(work: Work) -> Done:
    """Make the cuts of one slice, in this process."""
    return asyncio.run(_carry_out(work))


async def _carry_out(work: Work) -> Done:
    outcomes: Counter[str] = Counter()
    untrue: list[str] = []
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(byte: int) -> None:
        async with turns:
            try:
                ended = await work.started.cut_at(work.folder, work.direction, byte)
            except Exception as error:  # noqa: BLE001 - whatever breaks a case is what the run is looking for
                untrue.append(f"{work.started.family} {work.direction} cut after {byte}: {error!r}")
            else:
                outcomes[str(ended.outcome)] += 1

    await asyncio.gather(*(one(byte) for byte in work.cuts))
    return Done(work, outcomes, tuple(untrue))
