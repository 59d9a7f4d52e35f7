"""Tells once a month and line that a mobile plan will run out, and that it has (MPC-9)."""

from __future__ import annotations

from typing import Final

from controller.clock import Clock
from controller.metering.mobile import MobileUse, use_of
from controller.store import contracts, events, mobile
from controller.store.database import Database, Tx
from controller.store.events import NewEvent
from controller.store.scope import Scope
from controller.store.traffic import TrafficDatabase
from inventory.calendar import Month, tokyo_day
from inventory.mobileusage import RunOutState
from inventory.slots import show_key

AT_ONCE: Final = 100
STAGES: Final = {RunOutState.EXPECTED: "running-out", RunOutState.ALREADY: "run-out"}


class MobileWatch:
    """Looks at every mobile access and group. The same use again tells nothing, on any node."""

    def __init__(self, database: Database, traffic_database: TrafficDatabase, clock: Clock) -> None:
        self._database = database
        self._traffic = traffic_database
        self._clock = clock

    async def check(self) -> list[MobileUse]:
        """Those whose plan of the present month is told of now."""
        now_ms = self._clock.now_ms()
        month, after, told = Month.of(tokyo_day(now_ms)), 0, []
        while True:
            async with self._database.read() as tx:
                ids = await mobile.line_ids(tx, Scope.everything(), after=after, limit=AT_ONCE)
            for one in await use_of(self._database, self._traffic, ids, month, now_ms) if ids else []:
                stage = STAGES.get(one.run_out.state)
                if stage is not None and await self._tell(one, month, stage, now_ms):
                    told.append(one)
            if len(ids) < AT_ONCE:
                return told
            after = ids[-1]

    async def _tell(self, one: MobileUse, month: Month, stage: str, now_ms: int) -> bool:
        day = one.run_out.day
        async with self._database.write() as tx:
            if not await mobile.warn(tx, one.standing.line.id, month, stage, day, now_ms):
                return False
            unit = await _unit(tx, one)
            await events.record(tx, NewEvent(f"mobile.{stage}", now_ms, adapter_id=unit, facts=_facts(one, month)))
        return True


async def _unit(tx: Tx, one: MobileUse) -> int | None:
    """The adapter that the SIM is in; of a group that of its first member: whose events both are."""
    member = one.standing.line if not one.members else next(iter(await contracts.by_number(tx, one.members[:1])), None)
    on_line = None if member is None else member.on_line_id
    if on_line is None:
        return None
    _, units = (await contracts.links(tx, [on_line])).get(on_line, ((), ()))
    return units[-1] if units else None


def _facts(one: MobileUse, month: Month) -> dict[str, object]:
    """What is known, and what may still be asked for so that it holds before the plan runs out."""
    found = one.run_out
    days = {"day": found.day, "early": found.early, "late": found.late}
    return {
        "line": show_key("L", one.standing.line.id),
        "month": str(month),
        "plan": one.plan,
        "allowance_gb": one.allowance_gb,
        "used_octets_low": one.usage.total.octets_low,
        "used_octets_high": one.usage.total.octets_high,
        "coverage": round(one.usage.total.coverage, 4),
        **{name: None if day is None else day.isoformat() for name, day in days.items()},
        "changes": [
            {"what": each.what, "value": each.value, "request_by": each.request_by.isoformat(), "enough": each.enough}
            for each in one.changes
            if each.before_run_out
        ],
    }
