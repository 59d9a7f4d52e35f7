"""The connection of a push is cut in the commit dialogue: what is reported is what the device holds.

A sample of `python -m tests.deep`, which cuts after every byte.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from inventory.plans import Outcome
from tests.controller.push import cutting
from tests.controller.push.cutting import Direction, Family, Started

SAMPLE: dict[Family, int] = {"ios": 6, "fortios": 6, "fortios-vdom": 3}
SEED = 20261122


@pytest.fixture(scope="module")
def started(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Started]:
    """For each family a database in which push 1 is due."""
    folder = tmp_path_factory.mktemp("cut")
    return {family: asyncio.run(cutting.prepare(family, sqlite_template, folder)) for family in cutting.FAMILIES}


@pytest.mark.slow
@pytest.mark.parametrize("direction", cutting.DIRECTIONS)
@pytest.mark.parametrize("family", cutting.FAMILIES)
async def test_a_push_that_is_cut_ends_in_what_the_device_holds(
    started: dict[Family, Started], tmp_path: Path, family: Family, direction: Direction
) -> None:
    await cut_all_along(started[family], tmp_path, direction, SAMPLE[family])


async def cut_all_along(started: Started, tmp_path: Path, direction: Direction, sample: int) -> None:
    """Cut a push somewhere in each of so many parts of its dialogue, before its first byte and after its last."""
    whole = await cutting.length(started, tmp_path, direction)
    spread = random.Random(SEED)
    pieces = [round(whole * part / sample) for part in range(sample + 1)]
    cuts = [0, *(spread.randint(low, high) for low, high in itertools.pairwise(pieces)), whole]
    turns = asyncio.Semaphore(3)

    async def one(byte: int) -> Outcome | None:
        async with turns:
            return (await cutting.cut_at(started, tmp_path, direction, byte)).outcome

    outcomes = await asyncio.gather(*(one(byte) for byte in cuts))
    assert outcomes[0] is Outcome.NOT_DONE
    assert outcomes[-1] is Outcome.DONE
