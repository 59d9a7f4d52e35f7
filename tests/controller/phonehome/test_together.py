"""One read for many: fresh for each who asks, and one that cannot be read harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from controller.together import AT_MOST, Together

pytestmark = pytest.mark.fast


class Table:
    """What is read, and how often."""

    def __init__(self) -> None:
        self.rows = {number: f"row {number}" for number in range(2000)}
        self.reads: list[list[int]] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.broken: set[int] = set()

    async def read(self, keys: Sequence[int]) -> dict[int, str]:
        """The rows as they are when the read begins."""
        self.reads.append(list(keys))
        found = {key: self.rows[key] for key in keys if key in self.rows}
        await self.may_end.wait()
        if self.broken.intersection(keys):
            raise ValueError("it does not open")
        return found


async def test_all_who_ask_at_once_share_one_read() -> None:
    table = Table()
    shared = Together(table.read)
    found = await asyncio.gather(*(shared.get(key) for key in (1, 2, 3, 1, 9999)))
    assert found == ["row 1", "row 2", "row 3", "row 1", None]
    assert table.reads == [[1, 2, 3, 9999]]


async def test_whoever_asks_during_a_read_gets_what_is_so_after_it_asked() -> None:
    table = Table()
    shared = Together(table.read)
    table.may_end.clear()
    early = asyncio.create_task(shared.get(1))
    while not table.reads:  # noqa: ASYNC110  # the read begins in a task of its own
        await asyncio.sleep(0)
    table.rows[1] = "changed"  # by whichever process
    late = asyncio.create_task(shared.get(1))
    await asyncio.sleep(0)
    table.may_end.set()
    assert [await early, await late] == ["row 1", "changed"]
    del table.rows[1]
    assert await shared.get(1) is None


async def test_a_row_that_cannot_be_read_fails_whoever_asked_for_it_and_nobody_else() -> None:
    table = Table()
    table.broken = {2}
    shared = Together(table.read)
    found = await asyncio.gather(*(shared.get(key) for key in (1, 2, 3)), return_exceptions=True)
    assert found[0] == "row 1"
    assert found[2] == "row 3"
    assert isinstance(found[1], ValueError)


async def test_a_wave_is_read_in_bounded_parts_and_who_is_gone_disturbs_nobody() -> None:
    table = Table()
    shared = Together(table.read)
    asked = [asyncio.create_task(shared.get(key)) for key in range(AT_MOST + 200)]
    await asyncio.sleep(0)
    asked[0].cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[1:] == [f"row {key}" for key in range(1, AT_MOST + 200)]
    assert [len(read) for read in table.reads] == [AT_MOST, 200]
