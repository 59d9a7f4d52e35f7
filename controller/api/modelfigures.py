"""`/model-figures`: what devices can carry, from published tables and from operators, whose figures go first."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.links import LineType
from controller.api.mutation import Once
from controller.api.schemas import NO_NUL, Body, instant
from controller.api.state import acting, daemon_of
from controller.main import Daemon
from controller.metering.dayclose import HISTORY_DAYS
from controller.store import modelfigures, proposalfacts
from controller.store.database import Tx
from controller.store.modelfigures import EnteredFigures
from inventory.calendar import tokyo_day
from inventory.capacities import PublishedModel, folded
from inventory.catalogue import model
from inventory.errors import BadInput
from inventory.slotday import DAY_MS

router = APIRouter(tags=["models"])
Bps = Annotated[int, Field(gt=0, le=10**15)]
Words = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f]*$")]
Hardware = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$")]


class FiguresBody(Body):
    """What is known of one piece of hardware. What is left out is not known: it is never taken for zero."""

    model: Annotated[
        str, StringConstraints(max_length=80), Field(description="Model of the catalogue that it is offered as.")
    ]
    hardware: Annotated[
        Hardware | None, Field(description="Exact name, as an adapter has it; left out: the model's own.")
    ] = None
    forwarding_bps: Annotated[Bps | None, Field(description="Plain forwarding, in + out together.")] = None
    ipsec_bps: Bps | None = None
    inspected_bps: Annotated[Bps | None, Field(description="With security profiles on, such as threat protection.")] = (
        None
    )
    packets_per_s: Annotated[int | None, Field(gt=0, le=10**12)] = None
    ports: Annotated[int | None, Field(ge=1, le=1000, description="Left out: it binds nothing.")] = None
    port_speed_bps: Bps | None = None
    line_types: Annotated[
        list[LineType] | None, Field(max_length=len(get_args(LineType)), description="Left out: every one.")
    ] = None
    offered: Annotated[bool, Field(description="Whether it may be recommended.")] = True
    offered_until: Annotated[date | None, Field(description="Announced last day of its sale.")] = None
    origin: Literal["vendor", "third-party", "operator"] = "operator"
    source: Annotated[Words, Field(description="Where the figures stand, or how they were measured.")] = ""
    read_on: Annotated[date | None, Field(description="When they were read or measured; left out: today.")] = None


class FiguresView(BaseModel):
    """What is known of one piece of hardware; null is "not known"."""

    model: str
    hardware: str
    forwarding_bps: int | None
    ipsec_bps: int | None
    inspected_bps: int | None
    packets_per_s: int | None
    ports: int | None
    port_speed_bps: int | None
    line_types: list[str] | None
    offered: bool
    offered_until: date | None
    origin: str
    source: str
    read_on: date | None = Field(description="null: shipped.")
    actor: str | None
    recorded_at: datetime | None

    @classmethod
    def of(cls, known: PublishedModel, entered: EnteredFigures | None) -> FiguresView:
        """View of a value; `entered` where an operator's row is in it."""
        return cls(
            model=known.model,
            hardware=known.hardware,
            forwarding_bps=known.forwarding_bps,
            ipsec_bps=known.ipsec_bps,
            inspected_bps=known.inspected_bps,
            packets_per_s=known.packets_per_s,
            ports=known.ports,
            port_speed_bps=known.port_speed_bps,
            line_types=None if known.line_types is None else sorted(known.line_types),
            offered=known.sold,
            offered_until=known.offered_until,
            origin=known.origin,
            source=known.source,
            read_on=entered.read_on if entered else None,
            actor=entered.actor if entered else None,
            recorded_at=instant(entered.recorded_ms) if entered else None,
        )


@router.get("/model-figures")
async def list_model_figures(
    request: Request, _caller: Viewer, of: Annotated[str | None, Query(max_length=80, pattern=NO_NUL)] = None
) -> list[FiguresView]:
    """Figures that links and proposals are judged by, by hardware; `of` one model of the catalogue."""
    async with daemon_of(request).db.read() as tx:
        return await _views(tx, None if of is None else model(of).key)


@router.post("/model-figures", status_code=201, response_model=FiguresView)
async def enter_model_figures(body: FiguresBody, request: Request, caller: Operator, once: Once) -> Response:
    """Enter what is known of a piece of hardware; its figures go before shipped ones and earlier rows.

    Days of links whose adapter it is are judged again.
    """
    by, daemon = acting(request, caller), daemon_of(request)
    kept = model(body.model)
    if kept.is_range and not body.hardware:
        raise BadInput(
            f"{kept.names[0][1]} is a range of hardware",
            field="hardware",
            next_step="Name the hardware, such as FortiGate 60F.",
        )
    known = PublishedModel(
        hardware=body.hardware or kept.names[0][1],
        family=kept.family,
        source=body.source,
        forwarding_bps=body.forwarding_bps,
        ipsec_bps=body.ipsec_bps,
        inspected_bps=body.inspected_bps,
        packets_per_s=body.packets_per_s,
        sold=body.offered,
        ports=body.ports,
        port_speed_bps=body.port_speed_bps,
        line_types=None if body.line_types is None else frozenset(body.line_types),
        offered_until=body.offered_until,
        origin=body.origin,
        model=kept.key,
    )

    async def work(tx: Tx) -> FiguresView:
        await modelfigures.enter(tx, by, known, body.read_on or tokyo_day(by.at_ms))
        return next(one for one in await _views(tx, kept.key) if _same(one.hardware, known.hardware))

    answer = await once.commit(work)
    await _rejudge(daemon, kept.key)
    return answer


@router.delete("/model-figures/{hardware:path}", status_code=204)
async def withdraw_model_figures(
    hardware: Annotated[str, Path(min_length=1, max_length=80, pattern=NO_NUL)], request: Request, caller: Operator
) -> None:
    """Take back what was entered for a piece of hardware; shipped figures count again."""
    daemon = daemon_of(request)
    async with daemon.db.write() as tx:
        kept = await modelfigures.withdraw(tx, acting(request, caller), hardware)
    await _rejudge(daemon, kept)


async def _views(tx: Tx, of: str | None) -> list[FiguresView]:
    rows = await modelfigures.entered(tx)
    book = await modelfigures.book(tx)
    return [
        FiguresView.of(known, next((row for row in rows if _same(row.known.hardware, known.hardware)), None))
        for known in book.all()
        if of in (None, known.model)
    ]


def _same(one: str, other: str) -> bool:
    return folded(one) == folded(other)


async def _rejudge(daemon: Daemon, model_key: str) -> None:
    """All days that are kept of places where an adapter of the model sits."""
    async with daemon.db.read() as tx:
        names = await proposalfacts.interfaces_of_model(tx, model_key)
    if names:
        now_ms = daemon.clock.now_ms()
        await daemon.metering.rejudge(names, now_ms - HISTORY_DAYS * DAY_MS, now_ms)
