"""`/managements/{key}/consents`: whose adapters a contractor lets into its slots (MPC-6.2, SMF-13)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Billing, Viewer
from controller.api.mutation import Once
from controller.api.schemas import Body, ContractorKey, ManagementKey, Name, instant
from controller.api.state import acting, daemon_of, number
from controller.store import managements
from controller.store.database import Tx
from controller.store.managements import Consent
from inventory.slots import show_key

router = APIRouter(tags=["managements"])


class NewConsent(Body):
    """The management's contractor lets the adapters of another into its slots."""

    contractor: ContractorKey = Field(description="Whose adapters.")
    proof: Annotated[Name, Field(description="Where the consent is kept, such as `letter of 4 June`.")]


class ConsentView(BaseModel):
    """A consent; `withdrawn_at` is null while it is in force."""

    contractor: str
    proof: str
    actor: str
    given_at: datetime
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, found: Consent) -> ConsentView:
        """View of a value."""
        return cls(
            contractor=show_key("K", found.contractor_id),
            proof=found.proof,
            actor=found.actor,
            given_at=instant(found.from_ms),
            withdrawn_at=None if found.to_ms is None else instant(found.to_ms),
        )


@router.get("/managements/{key}/consents")
async def list_consents(key: ManagementKey, request: Request, caller: Viewer) -> list[ConsentView]:
    """All that were ever given, oldest first, the withdrawn ones included."""
    async with daemon_of(request).db.read() as tx:
        found = await managements.consents_of(tx, caller.scope, number(key, "M"))
    return [ConsentView.of(one) for one in found]


@router.post("/managements/{key}/consents", status_code=201, response_model=ConsentView)
async def give_consent(key: ManagementKey, body: NewConsent, request: Request, caller: Billing, once: Once) -> Response:
    """Record a consent. From now on adapters of that contractor may be put into the management, where the class may."""

    async def work(tx: Tx) -> ConsentView:
        management_id = number(key, "M")
        await managements.consent(
            tx,
            caller.scope,
            acting(request, caller),
            management_id,
            contractor_id=number(body.contractor, "K", "contractor"),
            proof=body.proof,
        )
        return ConsentView.of((await managements.consents_of(tx, caller.scope, management_id))[-1])

    return await once.commit(work)


@router.delete("/managements/{key}/consents/{contractor}", status_code=204)
async def withdraw_consent(key: ManagementKey, contractor: ContractorKey, request: Request, caller: Billing) -> None:
    """End a consent: nothing more is put in; what is in place stays until it is moved."""
    async with daemon_of(request).db.write() as tx:
        await managements.withdraw_consent(
            tx,
            caller.scope,
            acting(request, caller),
            number(key, "M"),
            contractor_id=number(contractor, "K", "contractor"),
        )
