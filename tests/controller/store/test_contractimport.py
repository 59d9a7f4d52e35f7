"""Contracts from a file, on both databases: original days, rules on earlier terms by row, nothing half-imported."""

from __future__ import annotations

from datetime import date

import pytest

from controller.keyring import Keyring
from controller.store import contractimport, contracts
from controller.store.contractimport import ContractImport
from controller.store.contracts import Standing
from controller.store.database import Database
from inventory.contracts import State
from inventory.errors import BadInput
from inventory.slots import Contractor
from tests.controller.store.contracting import TODAY
from tests.controller.store.fleet import ALL, BY, Fleet

HEADER = (
    "application,contractor,service,concluded,billing_start,kind,name,classes,entries,"
    "class,model,on,plan,network_type\n"
)


def rows(key: str, *lines: str) -> str:
    return HEADER + "".join(f"{line.replace('KEY', key)}\n" for line in lines)


MANAGEMENT = "a1,KEY,mpc,2023-03-01,2023-04-01,management,Osaka,I,2,,,,,"
ADAPTER = "a1,KEY,mpc,2023-03-01,2023-04-01,adapter,edge,,,I,SA-W2L,,,"
MOBILE = "a1,KEY,mpc,2023-03-01,2023-04-01,mobile-access,,,,,,edge,normal,"


async def imported(database: Database, keyring: Keyring, text: str, *, dry_run: bool = False) -> ContractImport:
    return await contractimport.import_file(database, ALL, keyring, BY, text, dry_run=dry_run)


async def held(database: Database, who: Contractor) -> list[Standing]:
    async with database.read() as tx:
        return await contracts.standing(tx, await contracts.lines_of(tx, who.id), TODAY)


@pytest.mark.rule("MPC-S2024-03.2", "MPC-S2024-05.2")
async def test_old_contracts_keep_their_days_and_name_the_rules_that_reach_them(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    who = await fleet.contractor()
    done = await imported(database, keyring, rows(who.key, MANAGEMENT, ADAPTER, MOBILE))
    assert [(one.row, one.rules) for one in done.rows] == [
        (2, ("MPC-S2024-05.2",)),
        (3, ("MPC-S2024-05.2",)),
        (4, ("MPC-S2024-05.2", "MPC-S2024-03.2")),
    ]
    standing = await held(database, who)
    assert {one.line.key for one in standing} == {one.line for one in done.rows}
    assert {(one.contract.state, one.contract.concluded, one.contract.billing_start) for one in standing} == {
        (State.ACTIVE, date(2023, 3, 1), date(2023, 4, 1))
    }
    ends = {one.line.kind: one.contract.minimum_period_end for one in standing}
    assert ends == {
        "management": date(2023, 4, 30),
        "adapter": date(2024, 3, 31),
        "mobile-access": date(2023, 4, 30),
    }
    mobile = next(one for one in standing if one.line.kind == "mobile-access")
    assert mobile.contract.values == {"plan": "normal", "network-type": "dynamic-ip"}


@pytest.mark.rule("SMF-S2011-04.2")
async def test_a_contract_of_the_smf_service_goes_on_as_smf_sx(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    who = await fleet.contractor()
    old = "s1,KEY,smf,2010-05-01,2010-05-01,management,Kobe,,3,,,,,"
    done = await imported(database, keyring, rows(who.key, old))
    assert [one.rules for one in done.rows] == [("SMF-S2011-04.2",)]
    assert [one.line.service for one in await held(database, who)] == ["smfsx"]
    late = await imported(database, keyring, rows(who.key, old.replace("2010", "2012")), dry_run=True)
    assert [(one.row, one.column, one.rule) for one in late.faults] == [(2, "service", "SMF-S2011-04.2")]


async def test_every_rule_that_an_import_would_meet_is_told_by_a_dry_run_and_nothing_is_kept(
    fleet: Fleet, database: Database, keyring: Keyring
) -> None:
    who = await fleet.contractor()
    text = rows(
        who.key,
        MANAGEMENT,
        ADAPTER,
        "a2,KEY,mpc,2025-03-01,2025-04-01,mobile-access,,,,,,nowhere,normal,",
        "a3,KEY,mpc,2023-03-01,2023-04-01,mobile-access,,,,,,edge,normal,fixed-ip",
        "a4,KEY,mpc,2025-03-01,2025-02-01,management,Nara,I,2,,,,,",
        "a5,KEY,mpc,2025-03-01,2025-04-01,adapter,edge,,,I,,,,",
        "a6,K-999,mpc,2025-03-01,2025-04-01,management,Nara,I,2,,,,,",
        "a7,KEY,mpc,2025-13-01,2025-04-01,management,Nara,I,2,,,,,",
    )
    told = await imported(database, keyring, text, dry_run=True)
    assert [(one.row, one.column) for one in told.faults] == [
        (4, "on"),
        (5, "network_type"),
        (6, "billing_start"),
        (7, "model"),
        (8, "contractor"),
        (9, "concluded"),
    ]
    assert [one.rule for one in told.faults][:2] == ["MPC-6.6", "MPC-S2024-03.2"]
    assert [(one.row, one.line) for one in told.rows] == [(2, None), (3, None)]
    assert all(one.next_step for one in told.faults)
    assert await held(database, who) == []
    with pytest.raises(BadInput, match="nothing was imported"):
        await imported(database, keyring, text)
    assert await held(database, who) == []
    several = rows(
        who.key,
        "b1,KEY,mpc,2025-03-01,2025-04-01,management,Nara,II,0,,,,,",
        "b1,KEY,mpc,2025-03-01,2025-04-01,adapter,edge,,,II,SA-W2L,,,",
        "b1,KEY,mpc,2025-03-01,2025-04-01,adapter,edge,,,II,SEIL/x86 Ayame,,,",
    )
    found = (await imported(database, keyring, several, dry_run=True)).faults
    assert [(one.row, one.column, one.rule) for one in found] == [
        (2, "entries", "MPC-8"),
        (2, None, "MPC-6.1"),
        (3, "model", "MPC-2"),
        (4, None, "MPC-4"),
    ]
    assert (await imported(database, keyring, rows(who.key, MANAGEMENT, ADAPTER), dry_run=True)).faults == ()
    assert await held(database, who) == []
