"""What a node may send it may send while its lease lasts; after that it reads again first."""

from __future__ import annotations

import pytest

from controller.engine.lease import LEASE_S, NodeLease
from controller.store.database import Database
from drivers.sessions.permission import NotPermittedError
from tests.controller.push.leap import LeapClock


async def test_a_lease_that_has_run_out_is_read_again_before_anything_is_sent(database: Database) -> None:
    clock = LeapClock()
    lease = NodeLease(database, clock, "tokyo")
    await lease.open()
    await lease.permit()
    clock.leap(LEASE_S * 10)
    await lease.permit()
    other = NodeLease(database, clock, "osaka")
    await other.open()
    await lease.permit()


async def test_a_node_that_was_taken_over_may_send_nothing_ever_again(database: Database) -> None:
    clock = LeapClock()
    frozen = NodeLease(database, clock, "tokyo")
    await frozen.open()
    clock.leap(LEASE_S * 1.1)
    early = NodeLease(database, clock, "osaka")
    await early.open()
    await frozen.permit()
    clock.leap(LEASE_S * 1.3)
    late = NodeLease(database, clock, "nagoya")
    await late.open()
    for _ in range(2):
        with pytest.raises(NotPermittedError, match="frozen or cut off"):
            await frozen.permit()
    await late.permit()


async def test_a_process_that_begins_under_the_same_id_puts_the_former_one_out(database: Database) -> None:
    clock = LeapClock()
    former, present = NodeLease(database, clock, "tokyo"), NodeLease(database, clock, "tokyo")
    await former.open()
    await present.open()
    clock.leap(LEASE_S)
    await present.permit()
    with pytest.raises(NotPermittedError):
        await former.permit()
