"""Journal rows that are committed together: what cannot be stored is its own caller's trouble."""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import IntegrityError

from controller.keyring import Keyring
from controller.push.journal import Journal
from inventory.plans import JournalRow, Phase, PushState
from tests.controller.push.house import ALL, House
from tests.controller.push.leap import LeapClock
from tests.controller.push.program import Program


async def test_a_row_that_cannot_be_stored_harms_no_other_of_its_batch(database_url: str, keyring: Keyring) -> None:
    house = House(database_url, keyring, Program(LeapClock()))
    await house.open()
    try:
        await house.furnish()
        push_id = await house.start()
        journal = Journal(house.database, keyring)
        first, second = (
            JournalRow(seq, 1, state, Phase.INTENTION, 0)
            for seq, state in ((2, PushState.PREFLIGHT), (3, PushState.BASELINED))
        )
        blocker = asyncio.create_task(journal.append(push_id, first))
        await asyncio.sleep(0)  # its commit begins; the next two wait together
        waiting = [asyncio.create_task(journal.append(number, second)) for number in (push_id, 999)]
        stored = await blocker
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert (stored, told[0]) == (first, second)
        assert isinstance(told[1], IntegrityError)
        assert (await house.service.status(ALL, push_id)).state is PushState.BASELINED
        assert [row.seq for row in await house.journal(push_id)] == [1, 2, 3]
    finally:
        await house.close()
