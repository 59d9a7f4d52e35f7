"""`/price-lists`: dated prices, of the default list and of each contractor (service-terms §6). Whole yen, no tax."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Billing, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import NO_NUL, Body, ContractorKey, instant
from controller.api.state import acting, daemon_of, number
from controller.store import prices
from controller.store.database import Tx
from controller.store.prices import Imported, Listed
from inventory.calendar import parse_day, tokyo_day
from inventory.prices import Price, parse_price, rows
from inventory.slots import show_key

router = APIRouter(tags=["price lists"])
Wanted = Annotated[Window, Depends(window)]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"), Field(description="Tokyo day, YYYY-MM-DD.")]
Short = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=NO_NUL)]


class PriceRowView(BaseModel):
    """A row that a complete list has."""

    service: str
    item: str
    fee: str


class NewPrice(Body):
    """A price from a day on, until a later one. One more for the same day corrects the one before."""

    contractor: ContractorKey | None = Field(default=None, description="Left out: the default list.")
    service: Literal["mpc", "smfsx"]
    item: Short
    fee: Literal["initial", "monthly", "monthly-per-gb", "one-time"]
    yen: Annotated[int, Field(ge=0, le=999_999_999)] | None = Field(
        description="Whole yen without tax; null takes back the price of that day."
    )
    first_day: Day


class NewPrices(Body):
    """Prices that are recorded together, or not at all."""

    prices: Annotated[list[NewPrice], Field(min_length=1, max_length=5_000)]


class PriceView(BaseModel):
    """A recorded price, or one taken back (`yen` null)."""

    contractor: str | None
    service: str
    item: str
    fee: str
    yen: int | None
    first_day: str
    recorded_at: datetime
    recorded_by: str

    @classmethod
    def of(cls, found: Listed) -> PriceView:
        """View of a value."""
        row = found.row
        return cls(
            contractor=None if row.contractor_id is None else show_key("K", row.contractor_id),
            service=row.item.service,
            item=row.item.name,
            fee=row.fee,
            yen=row.yen,
            first_day=row.first_day.isoformat(),
            recorded_at=instant(row.recorded_ms),
            recorded_by=found.actor,
        )


class InForce(BaseModel):
    """A price in force on a day, and whose list it comes from."""

    service: str
    item: str
    fee: str
    yen: int | None = Field(description="null: no list has it.")
    contractor: str | None = Field(description="null: the default list.")
    first_day: str | None


class PricesDone(BaseModel):
    """What was recorded; prices that were known as they are count as unchanged."""

    new: int
    unchanged: int


class TableFile(Body):
    """A CSV text. A dry run, which it is unless said otherwise, keeps nothing."""

    text: Annotated[str, StringConstraints(max_length=7_000_000, pattern=NO_NUL)]
    dry_run: bool = True


class PriceFile(TableFile):
    """A price list as CSV text: contractor (optional), service, item, fee, yen, first_day."""


class FaultView(BaseModel):
    """What is wrong with a row of a file."""

    row: int = Field(description="As a spreadsheet counts: the header is row 1.")
    column: str | None
    rule: str | None
    message: str
    next_step: str


class ImportView(BaseModel):
    """What a file brings (dry run), or has brought."""

    dry_run: bool
    rows: int
    new: int
    unchanged: int
    faults: list[FaultView]

    @classmethod
    def of(cls, done: Imported) -> ImportView:
        """View of a value."""
        return cls(
            dry_run=done.dry_run,
            rows=done.rows,
            new=len(done.new),
            unchanged=done.unchanged,
            faults=[
                FaultView(row=one.row, column=one.column, rule=one.rule, message=one.message, next_step=one.next_step)
                for one in done.faults
            ],
        )


@router.get("/price-lists/rows")
async def list_price_rows(_caller: Viewer) -> list[PriceRowView]:
    """Every row that a complete list has (MPC-A1, SMF-A1)."""
    found = sorted(rows(), key=lambda one: (str(one[0]), one[1]))
    return [PriceRowView(service=item.service, item=item.name, fee=fee) for item, fee in found]


@router.get("/price-lists")
async def list_prices(
    request: Request,
    caller: Viewer,
    wanted: Wanted,
    contractor: ContractorKey | None = None,
    default: Annotated[bool, Query(description="Only rows of the default list.")] = False,
) -> Page[PriceView]:
    """Prices as they were recorded, corrections included, oldest first."""
    owner = None if contractor is None else number(contractor, "K", "contractor")
    async with daemon_of(request).db.read() as tx:
        found = await prices.page(
            tx, caller.scope, after=wanted.after, limit=wanted.limit + 1, contractor_id=owner, default=default
        )
    return page([PriceView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/contractors/{key}/prices", tags=["contractors"])
async def read_prices(
    key: ContractorKey,
    request: Request,
    caller: Viewer,
    on: Annotated[Day | None, Query(description="The day; today in Tokyo if left out.")] = None,
    known_at: Annotated[datetime | None, Query(description="As it was known then; now if left out.")] = None,
) -> list[InForce]:
    """What a contractor pays for each row on a day: its own price, else the default."""
    daemon = daemon_of(request)
    day = parse_day(on, "on") if on else tokyo_day(daemon.clock.now_ms())
    async with daemon.db.read() as tx:
        held = await prices.of_contractor(tx, caller.scope, number(key, "K"), known_ms(known_at))
    found = []
    for item, fee in sorted(rows(), key=lambda one: (str(one[0]), one[1])):
        price = held.in_force(item, fee, day)
        found.append(
            InForce(
                service=item.service,
                item=item.name,
                fee=fee,
                yen=None if price is None else price.yen,
                contractor=None if price is None or price.contractor_id is None else show_key("K", price.contractor_id),
                first_day=None if price is None else price.first_day.isoformat(),
            )
        )
    return found


@router.post("/price-lists", status_code=201, response_model=PricesDone)
async def put_prices(body: NewPrices, request: Request, caller: Billing, once: Once) -> Response:
    """Record dated prices. What was recorded stays: a correction is one more row for the same day."""
    wanted = [_price(one) for one in body.prices]

    async def work(tx: Tx) -> PricesDone:
        by = acting(request, caller)
        new = 0
        for one, price in zip(body.prices, wanted, strict=True):
            if one.yen is None:
                await prices.take_back(tx, caller.scope, by, price)
                new += 1
        kept = [price for one, price in zip(body.prices, wanted, strict=True) if one.yen is not None]
        new += len(await prices.put(tx, caller.scope, by, kept))
        return PricesDone(new=new, unchanged=len(wanted) - new)

    return await once.commit(work)


@router.post("/price-lists/import", response_model=ImportView)
async def import_prices(body: PriceFile, request: Request, caller: Billing, once: Once) -> Response:
    """Take a CSV file whole or not at all. A dry run records nothing and tells what is wrong with each row."""

    async def work(tx: Tx) -> ImportView:
        by = acting(request, caller)
        return ImportView.of(await prices.import_file(tx, caller.scope, by, body.text, dry_run=body.dry_run))

    return await once.commit(work, status=200)


def known_ms(at: datetime | None) -> int | None:
    """Milliseconds of an instant that was asked for; one without offset is UTC."""
    if at is None:
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _price(one: NewPrice) -> Price:
    owner = None if one.contractor is None else number(one.contractor, "K", "contractor")
    first_day: date = parse_day(one.first_day, "first_day")
    return parse_price(one.service, one.item, one.fee, one.yen or 0, first_day, owner)
