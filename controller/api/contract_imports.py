"""`/contracts/import`: contracts from a CSV file, whole or not at all."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Billing
from controller.api.mutation import Once
from controller.api.price_lists import FaultView, TableFile
from controller.api.state import acting, daemon_of
from controller.store import contractimport

router = APIRouter(tags=["contracts"])


class ContractFile(TableFile):
    """Contracts as CSV text: one row a line or option; rows with one `application` were concluded together."""


class ImportedRowView(BaseModel):
    """A row that was taken, or would be."""

    row: int = Field(description="As a spreadsheet counts: the header is row 1.")
    application: str
    line: str | None = Field(description="Key of the contract line; null in a dry run.")
    rules: list[str] = Field(description="Rules on earlier terms that reach it.")


class ContractImportView(BaseModel):
    """What a file brings (dry run), or has brought."""

    dry_run: bool
    rows: list[ImportedRowView]
    faults: list[FaultView]


@router.post("/contracts/import", response_model=ContractImportView)
async def import_contracts(body: ContractFile, request: Request, caller: Billing, once: Once) -> Response:
    """Take contracts with their original days; no new minimum period starts. A dry run keeps nothing and tells what
    stands against each row, and which rule on earlier terms reaches it."""
    daemon = daemon_of(request)

    async def work() -> ContractImportView:
        by = acting(request, caller)
        done = await contractimport.import_file(
            daemon.db, caller.scope, daemon.keyring, by, body.text, dry_run=body.dry_run
        )
        await daemon.places_changed(*sorted(done.touched))
        return ContractImportView(
            dry_run=done.dry_run,
            rows=[
                ImportedRowView(row=one.row, application=one.application, line=one.line, rules=list(one.rules))
                for one in done.rows
            ],
            faults=[
                FaultView(row=one.row, column=one.column, rule=one.rule, message=one.message, next_step=one.next_step)
                for one in done.faults
            ],
        )

    return await once.carry_out(work, status=200)
