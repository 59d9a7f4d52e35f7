"""The tunnel of a push breaks in the commit dialogue: what is reported is what the adapter holds.

A sample of `python -m tests.deep`, which cuts after every byte.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from inventory.plans import Outcome
from tests.controller.push import cutting, cutting_arms
from tests.controller.push.cutting import Direction

SAMPLE = 3
SEED = 20261122


@pytest.mark.slow
async def test_a_push_whose_tunnel_breaks_ends_in_what_the_adapter_holds(sqlite_template: Path, tmp_path: Path) -> None:
    started = await cutting_arms.prepare(sqlite_template, tmp_path)
    spread = random.Random(SEED)
    turns = asyncio.Semaphore(3)

    async def one(direction: Direction, byte: int) -> Outcome | None:
        async with turns:
            return (await started.cut_at(tmp_path, direction, byte)).outcome

    cuts: list[tuple[Direction, int]] = []
    for direction in cutting.DIRECTIONS:
        whole = await cutting.length(started, tmp_path, direction)
        pieces = [round(whole * part / SAMPLE) for part in range(SAMPLE + 1)]
        within = [spread.randint(low, high) for low, high in itertools.pairwise(pieces)]
        cuts += [(direction, byte) for byte in (0, *within, whole)]
    outcomes = await asyncio.gather(*(one(*cut) for cut in cuts))
    assert outcomes[0] is Outcome.NOT_DONE
    assert set(outcomes) == {Outcome.DONE, Outcome.NOT_DONE}
