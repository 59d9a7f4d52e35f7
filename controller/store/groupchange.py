"""A mobile access that changes to the packet-share plan with a new group, in one request (MPC-6.7, MPC-6.8)."""

from __future__ import annotations

from dataclasses import dataclass

from controller.keyring import Keyring
from controller.store import applications, contracts, contractsteps
from controller.store.database import Tx
from controller.store.scope import By, Scope
from inventory.applications import Wanted
from inventory.contractevents import ChangeOption
from inventory.contracts import ContractStep, step
from inventory.errors import RuleViolation


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A packet share group as it is applied for; `form` is the form as it was received (MPC-9.1)."""

    name: str
    packs_gb: int
    form: str


async def change(
    tx: Tx, scope: Scope, keyring: Keyring, by: By, line_id: int, event: ChangeOption, group: NewGroup
) -> tuple[ContractStep, set[int]]:
    """Apply for the group, accept it from the day of the change on, and record the change into it: all or nothing.

    Raises RuleViolation for any other change, NotFound, and whatever an acceptance raises (packs, MPC-9.2(3)).
    """
    if event.what != "plan" or event.value != "packet-share":
        raise RuleViolation(
            "only a change to the packet-share plan is ordered with a group",
            rule="MPC-6.7",
            field="new_group",
            next_step="Leave the group out.",
        )
    line = await contracts.line(tx, scope, line_id)
    await contracts.lock(tx, line.contractor_id)
    (standing,) = await contracts.standing(tx, [line], event.day)
    pending = next(one for one in step(standing.contract, event).contract.pending if one.what == "plan")
    made = await applications.apply(
        tx,
        scope,
        by,
        contractor_id=line.contractor_id,
        service=line.service,
        received=event.day,
        form=group.form,
        items=[Wanted("packet-share-group", name=group.name, packs_gb=group.packs_gb)],
    )
    await applications.accept(
        tx,
        scope,
        keyring,
        by,
        made.id,
        billing_start=pending.first_day,
        day=event.day,
        joins={line.id: group.name},
    )
    (opened,) = await contracts.of_application(tx, made.id)
    return await contractsteps.record(tx, scope, keyring, by, line_id, event, group_line_id=opened.id)
