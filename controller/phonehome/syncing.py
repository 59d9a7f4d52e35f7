"""Module versions that a place wants, against those that its adapter runs (arms-protocol §6.2, §6.6).

An adapter that is announced another version fetches it, restarts and pulls again: progress, not failure. It is an
incident when it says that it could not, or when it is ready and still runs another version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from controller.phonehome.context import Context
from controller.phonehome.peer import Path, Peer
from controller.phonehome.undisturbed import undisturbed
from controller.store import incidents, modules
from controller.store.scope import By
from drivers.arms.messages import Request
from drivers.arms.parameters import ModuleList
from inventory.contacts import ArmsIdentity
from inventory.errors import DeviceError
from inventory.incidents import IncidentKind, NewIncident
from inventory.modules import ReportedModule, differences

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 60.0
KIND: Final = IncidentKind.MODULE


async def compare(context: Context, peer: Peer, path: Path) -> None:
    """Ask an adapter that is ready for its modules, if its place wants any, and keep what it says."""
    identity = peer.identity
    wanted = context.boots.wanted_modules(identity.adapter_id)
    if not wanted:
        return
    asked = Request("read-module-list", identity.distribution_id, description="push")
    try:
        async with peer.one_at_a_time:
            response = await path.ask(asked, timeout_s=TIMEOUT_S)
    except DeviceError as error:
        log.warning("phonehome.modules-unread", adapter=str(identity.serial), error=error.message)
        return
    if not isinstance(response.parameters, ModuleList):
        return
    told = [ReportedModule(one.id, one.version or "", one.text) for one in response.parameters.modules]
    await undisturbed(_keep(context, identity, told, differences(wanted, {one.id: one.version for one in told})))


async def _keep(context: Context, identity: ArmsIdentity, told: Sequence[ReportedModule], unlike: str) -> None:
    by = By("phone-home", context.clock.now_ms())
    async with context.database.write() as tx:
        await modules.report(tx, identity.adapter_id, told, by.at_ms)
        if unlike:
            await incidents.note(tx, by, _incident(identity, unlike))
        else:
            await incidents.settle(tx, by, KIND, _cause(identity), "it runs the versions that are wanted")


async def failed(context: Context, identity: ArmsIdentity) -> None:
    """It says in its pull that it could not sync its modules."""
    async with context.database.write() as tx:
        by = By("phone-home", context.clock.now_ms())
        await incidents.note(tx, by, _incident(identity, "it could not fetch or install its modules"))


def _incident(identity: ArmsIdentity, words: str) -> NewIncident:
    return NewIncident(
        KIND,
        _cause(identity),
        f"{identity.serial}: {words}",
        adapter_id=identity.adapter_id,
        entry_id=identity.entry_id,
        management_id=identity.management_id,
        facts={"adapter": str(identity.serial), "modules": words},
    )


def _cause(identity: ArmsIdentity) -> str:
    return f"entry {identity.entry_id}"
