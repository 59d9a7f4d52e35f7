"""`…/amounts`: what a month of service costs, each amount with its inputs, rules and arithmetic. Whole yen."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Billing, Viewer
from controller.api.mutation import Once
from controller.api.price_lists import Day, known_ms
from controller.api.schemas import Body, ContractorKey, Name, Serial
from controller.api.state import acting, daemon_of, number
from controller.store import amounts, unitcharges
from controller.store.amounts import LineCharges, Statement
from controller.store.database import Tx
from controller.store.unitcharges import UnitCharge
from inventory.adapters import SerialNumber
from inventory.amounts import Amount
from inventory.billing import Charge
from inventory.bills import Bill
from inventory.calendar import Month, parse_day, tokyo_day
from inventory.slots import show_key

router = APIRouter(tags=["amounts"])
MonthText = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}$")]
LineKey = Annotated[str, StringConstraints(min_length=3, max_length=24)]
MonthOf = Annotated[MonthText, Query(description="Month of service, YYYY-MM.")]
AsOf = Annotated[
    Day | None,
    Query(description="What had happened or was asked for until this day; the end of the month if left out."),
]
KnownAt = Annotated[datetime | None, Query(description="What was recorded until then; now if left out.")]


class AmountView(BaseModel):
    """An amount that explains itself."""

    words: str
    what: str
    yen: int
    taxable: bool
    arithmetic: str
    inputs: list[str] = Field(description="The terms of the sum; they stay exact, and the sum is floored once.")
    rules: list[str]
    reason: str

    @classmethod
    def of(cls, found: Charge) -> AmountView:
        """View of a charge."""
        return cls.amount(found.amount, found.words, found.what, taxable=found.taxable)

    @classmethod
    def amount(cls, found: Amount, words: str, what: str, *, taxable: bool) -> AmountView:
        """View of an amount."""
        return cls(
            words=words,
            what=what,
            yen=found.yen,
            taxable=taxable,
            arithmetic=found.arithmetic,
            inputs=[part.words for part in found.parts],
            rules=list(found.rules),
            reason=found.reason,
        )


class LineView(BaseModel):
    """A contract line or option with its charges of the month."""

    line: str
    kind: str
    name: str
    billed_to: str = Field(description="Who gets the invoice; the contractor owes what an adapter user does not pay.")
    amounts: list[AmountView]
    missing: str | None = Field(description="A price that no list has; the sums are without it.")
    rule: str | None

    @classmethod
    def of(cls, found: LineCharges) -> LineView:
        """View of a value."""
        return cls(
            line=show_key("L", found.line.id),
            kind=found.line.kind,
            name=found.line.name,
            billed_to=show_key("K", found.billed_to),
            amounts=[AmountView.of(one) for one in found.charges],
            missing=found.missing,
            rule=found.rule,
        )


class BillView(BaseModel):
    """What one invoice comes to."""

    service: str = Field(description="Contracts of each service are invoiced apart.")
    billed_to: str
    owed_at_last_by: str = Field(description="Who owes what the addressee does not pay (MPC-6.4, SMF-14.2).")
    taxable_yen: int
    untaxed_yen: int
    credits: list[AmountView]
    carried_in_yen: int = Field(description="The rest of earlier credits.")
    tax_rate: str
    tax_yen: int
    total_yen: int
    carried_credit_yen: int = Field(description="The rest of the credits, for the next invoice.")

    @classmethod
    def of(cls, payer: int, service: str, contractor_id: int, found: Bill) -> BillView:
        """View of a value."""
        return cls(
            service=service,
            billed_to=show_key("K", payer),
            owed_at_last_by=show_key("K", contractor_id),
            taxable_yen=sum(one.amount.yen for one in found.charges if one.taxable),
            untaxed_yen=sum(one.amount.yen for one in found.charges if not one.taxable),
            credits=[AmountView.amount(one.amount, one.words, "credit", taxable=True) for one in found.credits],
            carried_in_yen=found.carried_in_yen,
            tax_rate=f"{found.total.rate.numerator}/{found.total.rate.denominator}",
            tax_yen=found.total.tax_yen,
            total_yen=found.total.total_yen,
            carried_credit_yen=found.total.carried_credit_yen,
        )


class StatementView(BaseModel):
    """What a contractor is charged for a month, and what it comes to."""

    contractor: str
    month: str
    as_of: str
    lines: list[LineView]
    units: list[AmountView] = Field(description="Charges for units: lost, failed by fault, damaged.")
    missing: list[str] = Field(description="Prices that no list has; the sums are without them.")
    bills: list[BillView]

    @classmethod
    def of(cls, found: Statement) -> StatementView:
        """View of a value."""
        return cls(
            contractor=show_key("K", found.contractor_id),
            month=str(found.month),
            as_of=found.as_of.isoformat(),
            lines=[LineView.of(one) for one in found.lines],
            units=[AmountView.of(one) for one in found.others],
            missing=list(found.missing),
            bills=[BillView.of(*key, found.contractor_id, one) for key, one in found.bills.items()],
        )


class NewUnitCharge(Body):
    """A failure that was the contractor's fault, or damage through a breach of its duties."""

    what: Literal["failure", "damage"]
    day: Day | None = Field(default=None, description="When it happened; today if left out.")
    cost_yen: Annotated[int, Field(ge=0, le=999_999_999)] | None = Field(
        default=None, description="The actual cost; left out where the price list says it (mpc failures)."
    )
    reason: Name
    corrects: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Number of the charge that this one takes the place of."
    )


class TakeBack(Body):
    """Why a charge never was one."""

    reason: Name


class UnitChargeView(BaseModel):
    """A charge for a unit as it was recorded."""

    id: int
    serial_number: str
    what: str
    day: str
    cost_yen: int | None
    reason: str

    @classmethod
    def of(cls, found: UnitCharge, charge_id: int) -> UnitChargeView:
        """View of a value."""
        return cls(
            id=charge_id,
            serial_number=found.unit.serial,
            what=found.what,
            day=found.day.isoformat(),
            cost_yen=found.cost_yen,
            reason=found.reason,
        )


class Taken(BaseModel):
    """A charge that was taken back."""

    id: int


@router.get("/contracts/{key}/amounts")
async def read_line_amounts(
    key: LineKey, request: Request, caller: Viewer, month: MonthOf, as_of: AsOf = None, known_at: KnownAt = None
) -> LineView:
    """What one contract line or option is charged for a month of service."""
    of, day = Month.parse(month), parse_day(as_of, "as_of") if as_of else None
    async with daemon_of(request).db.read() as tx:
        line_id = number(key, "L")
        found = await amounts.of_line(tx, caller.scope, line_id, of, as_of=day, known_at_ms=known_ms(known_at))
    return LineView.of(found)


@router.get("/contractors/{key}/amounts")
async def read_contractor_amounts(
    key: ContractorKey, request: Request, caller: Viewer, month: MonthOf, as_of: AsOf = None, known_at: KnownAt = None
) -> StatementView:
    """What a contractor is charged for a month of service, with tax and credits."""
    of, day = Month.parse(month), parse_day(as_of, "as_of") if as_of else None
    async with daemon_of(request).db.read() as tx:
        owner = number(key, "K")
        found = await amounts.statement(tx, caller.scope, owner, of, as_of=day, known_at_ms=known_ms(known_at))
    return StatementView.of(found)


@router.post("/adapters/{serial_number}/charges", status_code=201, response_model=UnitChargeView)
async def charge_unit(
    serial_number: Serial, body: NewUnitCharge, request: Request, caller: Billing, once: Once
) -> Response:
    """Charge a failure by fault, or damage (MPC-12.3, SMF-10.3, MPC-10.2, SMF-9.2). Losses follow from their report."""

    async def work(tx: Tx) -> UnitChargeView:
        by = acting(request, caller)
        made = await unitcharges.record(
            tx,
            caller.scope,
            by,
            SerialNumber.parse(serial_number),
            body.what,
            day=parse_day(body.day, "day") if body.day else tokyo_day(by.at_ms),
            cost_yen=body.cost_yen,
            reason=body.reason,
            corrects_id=body.corrects,
        )
        return UnitChargeView.of(made, made.id or 0)

    return await once.commit(work)


@router.post("/unit-charges/{charge_id}/take-back", response_model=Taken)
async def take_back_charge(
    charge_id: Annotated[int, Path(ge=1, le=2**31 - 1)], body: TakeBack, request: Request, caller: Billing, once: Once
) -> Response:
    """Say that a charge never was one; the row stays."""

    async def work(tx: Tx) -> Taken:
        await unitcharges.take_back(tx, caller.scope, acting(request, caller), charge_id, reason=body.reason)
        return Taken(id=charge_id)

    return await once.commit(work, status=200)
