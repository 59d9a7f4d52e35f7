"""Import of contracts from a CSV file: whole or not at all, with the rules that stand against each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.keyring import Keyring
from controller.store import applications, contractors, contracts, contractsteps
from controller.store.contracts import ContractLine
from controller.store.database import Database, Tx
from controller.store.scope import By, Scope
from inventory.adapters import SerialNumber
from inventory.calendar import tokyo_day
from inventory.contractfile import ImportApplication, ImportRow, column_of, parse
from inventory.csvrows import RowFault, fault, refused
from inventory.eligibility import Obstacle
from inventory.errors import FleetError, NotFound
from inventory.slots import show_key


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that was taken, or would be: its line (of a dry run none), and the rules on earlier terms."""

    row: int
    application: str
    line: str | None
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContractImport:
    """What a file brings, or has brought."""

    rows: tuple[ImportedRow, ...]
    faults: tuple[RowFault, ...]
    dry_run: bool
    touched: frozenset[int]
    """Adapters whose place or entitlement changed."""


_COLUMNS: Final[Mapping[str, str]] = {
    "MPC-2": "model",
    "SMF-A1": "model",
    "MPC-3.2": "standbys",
    "MPC-6.2": "management",
    "SMF-13": "management",
    "MPC-6.5": "on",
    "MPC-6.6": "on",
    "MPC-6.8": "group",
    "MPC-8": "entries",
    "MPC-9.2(1)": "site",
    "MPC-9.2(2)(i)": "plan",
    "MPC-9.2(3)": "packs_gb",
}
"""Where in a row to look for what a rule of eligibility is about."""


class _NotKept(Exception):
    """Ends the transaction of a dry run, or of a file with faults."""


async def import_file(
    database: Database, scope: Scope, keyring: Keyring, by: By, text: str, *, dry_run: bool
) -> ContractImport:
    """Apply for and accept everything in the file, on its original days, in one transaction; a dry run does the same
    and keeps nothing, so that it tells every rule that the import would meet.

    Raises BadInput with the faults, row by row, when it is no dry run.
    """
    found, faults = parse(text, tokyo_day(by.at_ms))
    told = list(faults)
    rows: list[ImportedRow] = []
    touched: set[int] = set()
    try:
        async with database.write() as tx:
            for one in sorted(found, key=lambda found: found.concluded):
                try:
                    async with tx.begin_nested():
                        taken, moved = await _take(tx, scope, keyring, by, one, told)
                except _NotKept:
                    continue
                rows += taken
                touched |= moved
            if dry_run or told:
                raise _NotKept
    except _NotKept:
        rows = [ImportedRow(one.row, one.application, None, one.rules) for one in rows]
        touched = set()
    told.sort(key=lambda one: one.row)
    if told and not dry_run:
        raise refused(told)
    rows.sort(key=lambda one: one.row)
    return ContractImport(tuple(rows), tuple(told), dry_run, frozenset(touched))


async def _take(
    tx: Tx, scope: Scope, keyring: Keyring, by: By, one: ImportApplication, told: list[RowFault]
) -> tuple[list[ImportedRow], set[int]]:
    """One application with its lines; what stands against it is added to `told`, and nothing of it is kept."""
    at: ImportRow = one.rows[0]
    try:
        await _require_contractor(tx, scope, one)
        made = await applications.apply(
            tx,
            scope,
            by,
            contractor_id=one.contractor_id,
            service=one.service,
            received=one.concluded,
            form=one.form,
            items=[row.wanted for row in one.rows],
        )
        lines = await contracts.of_application(tx, made.id)
        against = await applications.against(tx, made, one.concluded, billing_start=one.billing_start)
        if against:
            told += [_against(found, lines, one) for found in against]
            raise _NotKept
        _, touched = await applications.accept(
            tx, scope, keyring, by, made.id, billing_start=one.billing_start, day=one.concluded
        )
        taken = []
        for at in one.rows:
            line = next(line for line in lines if line.wanted == at.wanted)
            lines.remove(line)
            if at.serial_number is not None:
                serial = SerialNumber.parse(at.serial_number)
                touched |= await contractsteps.link_unit(tx, scope, keyring, by, line.id, serial, day=one.concluded)
            taken.append(ImportedRow(at.row.number, one.label, show_key("L", line.id), at.rules))
    except FleetError as error:
        place = (error.field or "").split(".")
        if place[0] == "items" and len(place) > 1 and place[1].isdigit():
            at = one.rows[int(place[1])]
        told.append(fault(at.row, error, _column(error, at)))
        raise _NotKept from None
    return taken, touched


async def _require_contractor(tx: Tx, scope: Scope, one: ImportApplication) -> None:
    try:
        await contractors.get(tx, scope, one.contractor_id)
    except NotFound as error:
        error.field = "contractor"
        raise


def _against(found: Obstacle, lines: Sequence[ContractLine], one: ImportApplication) -> RowFault:
    """An obstacle as the fault of the row that it is about; of the whole application, as that of its first row."""
    at = one.rows[0]
    if found.at is not None:
        at = next(row for row in one.rows if row.wanted == lines[found.at].wanted)
    column = _COLUMNS.get(found.rule)
    named = column if column in at.row.cells else None
    return RowFault(at.row.number, named, found.rule, found.words, found.next_step)


def _column(error: FleetError, at: ImportRow) -> str | None:
    named = {"received": "concluded", "day": "concluded"}.get(error.field or "", column_of(error.field))
    return named if named in at.row.cells else None
