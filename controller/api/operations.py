"""`/operations`: ask adapters for something, over ARMS or their command line, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller import explaining
from controller.api.auth import Operator, Viewer
from controller.api.instants import Instant, begins_ms
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.schemas import Body, ExplanationView, Serial, instant
from controller.api.state import acting, daemon_of
from controller.operations.service import DEFAULT_WAIT_S, MAX_WAIT_S
from controller.store import adapters, operations
from controller.store.database import Tx
from drivers.arms.results import NAMES
from inventory.adapters import SerialNumber
from inventory.errors import Conflict, FleetError
from inventory.operations import (
    MAX_HOPS,
    MAX_ITEMS,
    MAX_MODULE,
    MAX_PING_COUNT,
    MAX_PING_OCTETS,
    MAX_TEXT_OCTETS,
    Given,
    Item,
    Operation,
    OperationKind,
    OperationResult,
    OperationState,
    OperationStep,
    Origin,
    Parameters,
    Report,
    Storage,
)

router = APIRouter(tags=["operations"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
MAX_ADAPTERS = 500
"""Adapters that are asked with one request."""
Module = Annotated[int, Field(ge=0, le=MAX_MODULE)]
DeviceText = Annotated[str, StringConstraints(max_length=MAX_TEXT_OCTETS, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
KindName = Literal[
    "read-status",
    "clear-status",
    "md-command",
    "ping",
    "traceroute",
    "read-storage",
    "read-module-list",
    "dump-debug",
    "reboot",
    "pull-config",
    "check-transaction",
    "configure",
    "update-module",
]


class ItemBody(Body):
    """What is asked of one module."""

    module: Module = 0
    text: DeviceText = ""


class ParametersBody(Body):
    """Parameters of an operation; each kind takes its own and refuses the others.

    `items`: read-status and clear-status. `module`, `command`: md-command. `address`, `count`: ping and traceroute.
    `size`: ping. `max_hop`: traceroute. `storage`: read-storage. `start`: pull-config.
    """

    items: Annotated[list[ItemBody], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    module: Module | None = None
    command: Annotated[DeviceText, StringConstraints(min_length=1)] | None = None
    address: Annotated[str, StringConstraints(max_length=45)] | None = Field(default=None, examples=["192.0.2.1"])
    count: Annotated[int, Field(ge=1, le=MAX_PING_COUNT)] | None = None
    size: Annotated[int, Field(ge=0, le=MAX_PING_OCTETS)] | None = None
    max_hop: Annotated[int, Field(ge=1, le=MAX_HOPS)] | None = None
    storage: Storage | None = None
    start: Origin | None = None

    def given(self) -> Given:
        """The value."""
        return Given(
            items=None if self.items is None else tuple(Item(one.module, one.text) for one in self.items),
            module=self.module,
            command=self.command,
            address=self.address,
            count=self.count,
            size=self.size,
            max_hop=self.max_hop,
            storage=self.storage,
            start=self.start,
        )


class NewOperation(Body):
    """Ask an adapter for something, now or from an instant at most 31 days ahead.

    `configure`, and a command that would change the configuration, are refused: a change goes through a plan. So is
    `update-module`: versions are wanted of a place.
    """

    adapter: Serial = Field(description="Serial number, in any spelling.")
    kind: KindName
    parameters: ParametersBody = ParametersBody()
    wait_s: Annotated[int, Field(ge=0, le=MAX_WAIT_S)] = Field(
        default=DEFAULT_WAIT_S, description="Seconds that it may wait for its turn and for contact."
    )
    not_before: Instant | None = Field(default=None, description="Instant with offset; null: at once.")


class NewOperations(Body):
    """The same for many adapters. Each has a result of its own; a refusal of one keeps none of the others."""

    adapters: Annotated[list[Serial], Field(min_length=1, max_length=MAX_ADAPTERS)]
    kind: KindName
    parameters: ParametersBody = ParametersBody()
    wait_s: Annotated[int, Field(ge=0, le=MAX_WAIT_S)] = DEFAULT_WAIT_S
    not_before: Instant | None = None

    def each(self) -> list[NewOperation]:
        """One request for each adapter, in the order given, without repetitions."""
        return [
            NewOperation(
                adapter=one,
                kind=self.kind,
                parameters=self.parameters,
                wait_s=self.wait_s,
                not_before=self.not_before,
            )
            for one in dict.fromkeys(self.adapters)
        ]


class ParametersView(BaseModel):
    """Parameters as they were sent, secrets masked; what a kind does not have is null."""

    items: list[ItemBody] | None
    module: int | None
    command: str | None
    address: str | None
    count: int | None
    size: int | None
    max_hop: int | None
    storage: str | None
    start: str | None

    @classmethod
    def of(cls, kind: OperationKind, shown: Parameters) -> ParametersView:
        """View of a value."""
        command = shown.items[0] if kind is OperationKind.MD_COMMAND else None
        listed = kind in (OperationKind.READ_STATUS, OperationKind.CLEAR_STATUS)
        return cls(
            items=[ItemBody(module=one.module, text=one.text) for one in shown.items] if listed else None,
            module=None if command is None else command.module,
            command=None if command is None else command.text,
            address=shown.address,
            count=shown.count,
            size=shown.size_octets,
            max_hop=shown.max_hop,
            storage=shown.storage,
            start=shown.start,
        )


class OperationView(BaseModel):
    """An operation. `outcome` is null while it is under way, then done, not-done or unknown."""

    id: int
    adapter: str
    entry: str
    kind: str
    parameters: ParametersView
    state: OperationState
    outcome: Literal["done", "not-done", "unknown"] | None
    said: str = Field(description="Why it is in that state.")
    result_code: int | None = Field(description="Result code of the protocol; 100 is success.")
    result_name: str | None
    tries: int
    transaction: int | None = Field(description="Id that the adapter gave it.")
    wait_s: int
    created_at: datetime
    not_before: datetime = Field(description="It does not begin before this.")
    started_by: str
    sent_at: datetime | None
    finished_at: datetime | None
    cancelled_by: str | None

    @classmethod
    def of(cls, operation: Operation) -> OperationView:
        """View of a value."""
        return cls(
            id=operation.id,
            adapter=operation.serial,
            entry=f"E-{operation.entry_id}",
            kind=operation.kind.value,
            parameters=ParametersView.of(operation.kind, operation.shown),
            state=operation.state,
            outcome=None if operation.outcome is None else operation.outcome.value,
            said=operation.said,
            result_code=operation.result_code,
            result_name=_name(operation.result_code),
            tries=operation.tries,
            transaction=operation.transaction_id,
            wait_s=operation.wait_s,
            created_at=instant(operation.created_ms),
            not_before=instant(operation.begins_ms),
            started_by=operation.started_by,
            sent_at=None if operation.sent_ms is None else instant(operation.sent_ms),
            finished_at=None if operation.finished_ms is None else instant(operation.finished_ms),
            cancelled_by=operation.cancelled_by,
        )


class AskedView(BaseModel):
    """What became of the request for one adapter: an operation, or why there is none."""

    adapter: str
    operation: OperationView | None
    refused: str | None = Field(description="Code of the refusal.")
    detail: str | None
    next_step: str | None


class AskedManyView(BaseModel):
    """One result for each adapter, in the order asked."""

    items: list[AskedView]


class ReportView(BaseModel):
    """What one module said, secrets masked. `binary`: octets that are no UTF-8 are shown as `�`; the file has them."""

    module: int
    result_code: int | None
    result_name: str | None
    text: str
    binary: bool

    @classmethod
    def of(cls, report: Report) -> ReportView:
        """View of a value."""
        octets = octets_of(report)
        shown = octets.decode("utf-8", "replace")
        return cls(
            module=report.module,
            result_code=report.code,
            result_name=_name(report.code),
            text=shown,
            binary=shown.encode() != octets,
        )


class ListedModuleView(BaseModel):
    """A module that the adapter has."""

    module: int
    version: str
    about: str


class HopView(BaseModel):
    """A node on the way."""

    hop: int
    address: str


class ResultView(BaseModel):
    """What it brought; the parts that its kind does not have are empty or null."""

    reports: list[ReportView] = Field(description="Status, stored configurations, output of a command, a dump.")
    modules: list[ListedModuleView]
    hops: list[HopView]
    transactions: list[int]
    answered: int | None = Field(description="Probes of a ping that were answered.")
    lost: int | None
    transcript: str = Field(description="All that was typed (`>`) and said (`<`) on a command line, secrets masked.")

    @classmethod
    def of(cls, result: OperationResult) -> ResultView:
        """View of a value."""
        return cls(
            reports=[ReportView.of(one) for one in result.reports],
            modules=[
                ListedModuleView(module=one.module, version=one.version, about=one.about) for one in result.modules
            ],
            hops=[HopView(hop=one.hop, address=one.address) for one in result.hops],
            transactions=list(result.transactions),
            answered=result.answered,
            lost=result.lost,
            transcript=result.transcript.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        )


class StepView(BaseModel):
    """A state that it came to, and why."""

    seq: int
    state: OperationState
    at: datetime
    said: str

    @classmethod
    def of(cls, step: OperationStep) -> StepView:
        """View of a value."""
        return cls(seq=step.seq, state=step.state, at=instant(step.at_ms), said=step.said)


class OperationDetail(OperationView):
    """An operation with its journal and its result."""

    journal: list[StepView]
    result: ResultView | None


@router.post(
    "/operations",
    status_code=202,
    response_model=OperationView,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "examples": {
                        "ping": {"value": {"adapter": "SN-1", "kind": "ping", "parameters": {"address": "192.0.2.1"}}},
                        "status": {
                            "value": {
                                "adapter": "SN-1",
                                "kind": "read-status",
                                "parameters": {"items": [{"module": 0, "text": "show system"}]},
                            }
                        },
                        "command": {
                            "value": {
                                "adapter": "SN-1",
                                "kind": "md-command",
                                "parameters": {"module": 0, "command": "show log"},
                            }
                        },
                        "pull": {"value": {"adapter": "SN-1", "kind": "pull-config", "parameters": {"start": "LS"}}},
                    }
                }
            }
        }
    },
)
async def start_operation(body: NewOperation, request: Request, caller: Operator, once: Once) -> Response:
    """Ask for an operation. The answer comes before it is over: follow it, or its events."""
    daemon = daemon_of(request)

    async def work(tx: Tx) -> OperationView:
        return await _make(tx, request, caller, body)

    answer = await once.commit(work, status=202)
    daemon.operations.wake()
    return answer


@router.post("/operations/many", status_code=202, response_model=AskedManyView)
async def start_operations(body: NewOperations, request: Request, caller: Operator, once: Once) -> Response:
    """Ask many adapters for the same. Each that can be asked is; the others are named with the reason."""
    daemon = daemon_of(request)

    async def work(tx: Tx) -> AskedManyView:
        items: list[AskedView] = []
        seen: set[SerialNumber] = set()
        for one in body.each():
            try:
                number = SerialNumber.parse(one.adapter)
                if number in seen:  # the same in another spelling
                    continue
                seen.add(number)
                async with tx.begin_nested():
                    made = await _make(tx, request, caller, one)
            except FleetError as error:
                refused = AskedView(
                    adapter=one.adapter,
                    operation=None,
                    refused=error.code,
                    detail=error.message,
                    next_step=error.next_step,
                )
                items.append(refused)
            else:
                items.append(AskedView(adapter=made.adapter, operation=made, refused=None, detail=None, next_step=None))
        return AskedManyView(items=items)

    answer = await once.commit(work, status=202)
    daemon.operations.wake()
    return answer


async def _make(tx: Tx, request: Request, caller: Operator, body: NewOperation) -> OperationView:
    adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(body.adapter))
    by = acting(request, caller)
    made = await daemon_of(request).operations.create(
        tx,
        caller.scope,
        by,
        adapter,
        body.kind,
        body.parameters.given(),
        wait_s=body.wait_s,
        not_before_ms=begins_ms(body.not_before, by.at_ms),
    )
    return OperationView.of(made)


@router.get("/operations")
async def list_operations(
    request: Request,
    caller: Viewer,
    wanted: Annotated[Window, Depends(window)],
    adapter: Annotated[str | None, Query(max_length=200, description="Serial number, in any spelling.")] = None,
    kind: OperationKind | None = None,
    state: OperationState | None = None,
) -> Page[OperationView]:
    """Operations, newest first; every filter given must hold."""
    async with daemon_of(request).db.read() as tx:
        about = None
        if adapter is not None:
            about = (await adapters.by_serial(tx, caller.scope, SerialNumber.parse(adapter))).id
        found = await operations.find(
            tx,
            caller.scope,
            adapter_id=about,
            kind=kind,
            state=state,
            before=wanted.before,
            limit=wanted.limit + 1,
        )
    return page([OperationView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/operations/{operation_id}")
async def read_operation(operation_id: Number, request: Request, caller: Viewer) -> OperationDetail:
    """One operation with its journal and its result, secrets masked."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await operations.get(tx, caller.scope, operation_id)
        journal = await operations.steps(tx, operation_id)
        result = await operations.result(tx, daemon.keyring, found)
    return OperationDetail(
        **OperationView.of(found).model_dump(),
        journal=[StepView.of(one) for one in journal],
        result=None if result is None else ResultView.of(result),
    )


@router.get(
    "/operations/{operation_id}/file",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def read_operation_file(
    operation_id: Number,
    request: Request,
    caller: Viewer,
    module: Annotated[int | None, Query(ge=0, le=MAX_MODULE, description="Of one module only.")] = None,
) -> Response:
    """The octets of a dump, a status, a command's output or a stored configuration, secrets masked."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await operations.get(tx, caller.scope, operation_id)
        result = await operations.result(tx, daemon.keyring, found)
    reports = [one for one in (() if result is None else result.reports) if module in (None, one.module)]
    if not reports:
        raise Conflict(
            f"operation {operation_id} has brought no octets: it is {found.state}",
            next_step="Look at its state and its result.",
        )
    named = f'attachment; filename="operation-{operation_id}-{found.kind}.bin"'
    return Response(
        b"".join(map(octets_of, reports)),
        media_type="application/octet-stream",
        headers={"Content-Disposition": named, "X-Content-Type-Options": "nosniff"},
    )


@router.get("/operations/{operation_id}/explain")
async def explain_operation(operation_id: Number, request: Request, caller: Viewer) -> ExplanationView:
    """Why the operation is where it is, and what to do next."""
    async with daemon_of(request).db.read() as tx:
        found = await operations.get(tx, caller.scope, operation_id)
        journal = await operations.steps(tx, operation_id)
    return ExplanationView.of(explaining.operation(found, journal))


@router.post("/operations/{operation_id}/cancel", response_model=OperationView)
async def cancel_operation(operation_id: Number, request: Request, caller: Operator, once: Once) -> Response:
    """Stop an operation that waits. Once its request was sent it is too late."""
    daemon = daemon_of(request)

    async def work() -> OperationView:
        return OperationView.of(await daemon.operations.cancel(caller.scope, operation_id, acting(request, caller)))

    return await once.carry_out(work, status=200)


def octets_of(report: Report) -> bytes:
    """What a module said, byte for byte but for its secrets."""
    return report.text.encode("utf-8", "surrogateescape")


def _name(code: int | None) -> str | None:
    return None if code is None else NAMES.get(code, "unknown code")
