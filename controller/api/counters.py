"""Where an adapter's counters are read, how that goes, and which interfaces it has."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.preconditions import IfMatch, IfMatchOrAny, tag
from controller.api.schemas import Body, instant
from controller.api.state import acting, daemon_of
from controller.store import adapters, counteragents
from controller.store.counteragents import KnownInterface, Source
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.adapters import Adapter, SerialNumber
from inventory.countersources import AuthProtocol, CounterAgent, PrivacyProtocol, Protocol, SourceState, usual_port
from inventory.secrets import Secret

router = APIRouter(tags=["counters"])
SerialPath = Annotated[str, Path(min_length=1, max_length=64, description="Serial number.")]
Credential = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f]*$")]


class AgentBody(Body):
    """Where and as whom counters are read. Credentials are stored sealed and never shown again."""

    protocol: Protocol
    host: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")]
    port: Annotated[int, Field(ge=1, le=65535, description="Left out: 161 for SNMP, 443 for REST.")] | None = None
    community: Annotated[Credential | None, Field(description="snmp-v2c.")] = None
    username: Annotated[str, StringConstraints(max_length=32, pattern=r"^[^\x00-\x1f]*$")] = ""
    auth: AuthProtocol | None = None
    auth_password: Credential | None = None
    privacy: PrivacyProtocol | None = None
    privacy_password: Credential | None = None
    token: Annotated[Credential | None, Field(description="fortios-rest: token of the API user.")] = None
    fingerprint: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$"),
            Field(description="fortios-rest: SHA-256 of the certificate that the device shows."),
        ]
        | None
    ) = None

    def value(self) -> CounterAgent:
        """The value; credentials become secrets here."""

        def secret(text: str | None) -> Secret | None:
            return None if text is None else Secret(text)

        return CounterAgent(
            protocol=self.protocol,
            host=self.host,
            port=usual_port(self.protocol) if self.port is None else self.port,
            username=self.username,
            auth=self.auth,
            privacy=self.privacy,
            community=secret(self.community),
            auth_password=secret(self.auth_password),
            privacy_password=secret(self.privacy_password),
            token=secret(self.token),
            fingerprint=self.fingerprint,
        )


class SourceView(BaseModel):
    """How reading goes. One adapter's trouble is its own; others are read on."""

    state: str = Field(description="never-asked, answering, silent, refused, lying, slow or incomplete.")
    words: str
    reason: str
    next_step: str
    since: datetime | None
    asked_at: datetime | None
    answered_at: datetime | None
    round_trip_ms: int | None
    interfaces: int = Field(description="Interfaces that gave counters at the last poll.")

    @classmethod
    def of(cls, source: Source | None) -> SourceView:
        """View of a value; None: it was not asked yet."""
        state = SourceState.NEVER if source is None else source.state
        return cls(
            state=state.value,
            words=state.words,
            reason="" if source is None else source.reason,
            next_step=state.next_step,
            since=None if source is None else instant(source.since_ms),
            asked_at=None if source is None else instant(source.asked_ms),
            answered_at=None if source is None or source.answered_ms is None else instant(source.answered_ms),
            round_trip_ms=None if source is None else source.round_trip_ms,
            interfaces=0 if source is None else source.interfaces,
        )


class AgentView(BaseModel):
    """An agent without its credentials, and how reading it goes."""

    serial_number: str
    protocol: str
    host: str
    port: int
    username: str
    auth: str | None
    privacy: str | None
    fingerprint: str | None
    source: SourceView
    version: int


class InterfaceView(BaseModel):
    """An interface that the device named. It is known by its name; its index may change."""

    name: str
    ifindex: int | None
    alias: str
    speed_bps: int | None
    up: bool | None
    half_duplex: bool | None = Field(description="Whether it sends and receives by turns only; null: not told.")
    first_at: datetime
    seen_at: datetime
    gone_at: datetime | None = Field(description="Since when the device does not name it any more.")

    @classmethod
    def of(cls, known: KnownInterface) -> InterfaceView:
        """View of a value."""
        found = known.found
        return cls(
            name=found.name,
            ifindex=found.ifindex,
            alias=found.alias,
            speed_bps=found.speed_bps,
            up=found.up,
            half_duplex=found.half_duplex,
            first_at=instant(known.first_ms),
            seen_at=instant(known.seen_ms),
            gone_at=None if known.gone_ms is None else instant(known.gone_ms),
        )


@router.get("/adapters/{serial}/counters")
async def read_counters(serial: SerialPath, request: Request, response: Response, caller: Viewer) -> AgentView:
    """Where the adapter's counters are read and how that goes; credentials are never shown."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        adapter = await _find(tx, caller.scope, serial)
        agent = await counteragents.get(tx, caller.scope, daemon.keyring, adapter.id)
        view = await _view(tx, adapter, agent)
    tag(response, agent.version)
    return view


@router.put("/adapters/{serial}/counters")
async def set_counters(
    serial: SerialPath, body: AgentBody, request: Request, response: Response, caller: Operator, seen: IfMatchOrAny
) -> AgentView:
    """Set or change where its counters are read; they are from the next poll on, while it sits in an entry."""
    daemon = daemon_of(request)
    async with daemon.db.write() as tx:
        adapter = await _find(tx, caller.scope, serial)
        agent = await counteragents.put(
            tx,
            caller.scope,
            acting(request, caller),
            daemon.keyring,
            adapter.id,
            body.value(),
            if_version=seen,
        )
        view = await _view(tx, adapter, agent)
    tag(response, agent.version)
    return view


@router.delete("/adapters/{serial}/counters", status_code=204)
async def remove_counters(serial: SerialPath, request: Request, caller: Operator, seen: IfMatch) -> Response:
    """Read its counters no more; what was measured stays."""
    async with daemon_of(request).db.write() as tx:
        adapter = await _find(tx, caller.scope, serial)
        await counteragents.remove(tx, caller.scope, acting(request, caller), adapter.id, if_version=seen)
    return Response(status_code=204)


@router.get("/adapters/{serial}/interfaces")
async def list_interfaces(serial: SerialPath, request: Request, caller: Viewer) -> list[InterfaceView]:
    """Interfaces that were discovered, by name."""
    async with daemon_of(request).db.read() as tx:
        adapter = await _find(tx, caller.scope, serial)
        return [InterfaceView.of(one) for one in await counteragents.interfaces(tx, caller.scope, adapter.id)]


async def _find(tx: Tx, scope: Scope, serial: str) -> Adapter:
    return await adapters.by_serial(tx, scope, SerialNumber.parse(serial))


async def _view(tx: Tx, adapter: Adapter, agent: CounterAgent) -> AgentView:
    source = (await counteragents.sources(tx, [adapter.id])).get(adapter.id)
    return AgentView(
        serial_number=adapter.serial.shown,
        protocol=agent.protocol,
        host=agent.host,
        port=agent.port,
        username=agent.username,
        auth=agent.auth,
        privacy=agent.privacy,
        fingerprint=agent.fingerprint,
        source=SourceView.of(source),
        version=agent.version,
    )
