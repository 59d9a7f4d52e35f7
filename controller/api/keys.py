"""`/adapters/{serial}/keys`: the keys of an adapter that phones home, and their rotation. Keys are never shown; a new
LS key is, once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from controller.api.auth import Caller, Operator, Viewer
from controller.api.mutation import Once
from controller.api.schemas import Body, instant
from controller.api.state import acting, daemon_of
from controller.phonehome.certificates import read
from controller.phonehome.senders import grace_ms
from controller.store import adapters, arms_keys, audit, events, identities, phonehome
from controller.store.database import Tx
from controller.store.events import NewEvent
from inventory import keys
from inventory.adapters import Adapter, SerialNumber
from inventory.errors import Conflict
from inventory.keys import MAX_DEADLINE_S, MIN_DEADLINE_S, KeyKind, RotationState

router = APIRouter(tags=["adapters"])
SerialPath = Annotated[str, Path(max_length=200, description="Serial number, in any spelling.")]


class KeyView(BaseModel):
    """One key, and how its rotation stands."""

    key: KeyKind
    state: RotationState
    rotated_at: datetime | None
    deadline_at: datetime | None = Field(description="When the old key is refused at the latest; none: it waits.")
    summary: str
    next_step: str


class KeysView(BaseModel):
    """The keys of one adapter."""

    serial_number: str
    keys: list[KeyView]
    certificate_fingerprint: str | None = Field(description="SHA-256.")
    certificate_until: datetime | None
    certificate_delivered_at: datetime | None
    tls: str | None = Field(description="TLS version of its last request.")
    tls_best: str | None = Field(description="The newest version that it has ever spoken.")
    legacy_tls: bool | None = Field(description="Whether it may speak TLS below 1.2; null: as the settings say.")
    ls_key: str | None = Field(default=None, description="The new LS key; only in the answer that made it.")


class Rotate(Body):
    """Which key is replaced, and when the old one ends."""

    key: KeyKind
    at_once: bool = Field(default=False, description="The old key is in wrong hands: it ends now.")
    deadline_s: Annotated[int, Field(ge=MIN_DEADLINE_S, le=MAX_DEADLINE_S)] | None = Field(
        default=None,
        description="Seconds after which an old LS or RS key is refused also if the adapter has no other; RS: a day.",
    )


class LegacyTls(Body):
    """Whether this adapter may speak TLS below 1.2 where `arms.tls_floor` lets it."""

    allowed: bool | None = Field(description="true: yes, and it is no alert; false: no; null: as the settings say.")


@router.get("/adapters/{serial}/keys")
async def read_keys(serial: SerialPath, request: Request, caller: Viewer) -> KeysView:
    """Which keys are in force, and what a rotation in flight waits for."""
    async with daemon_of(request).db.read() as tx:
        return await _view(tx, request, caller, await _find(tx, caller, serial))


@router.post("/adapters/{serial}/keys/rotate", response_model=KeysView)
async def rotate_key(serial: SerialPath, body: Rotate, request: Request, caller: Operator, once: Once) -> Response:
    """Replace a key. The adapter goes on with the old one until it has the new one, at most until the deadline.

    A second rotation of the same key in flight is refused, unless `at_once` ends every older key.
    """
    daemon = daemon_of(request)
    rotated: list[int] = []

    async def work(tx: Tx) -> KeysView:
        by, adapter = acting(request, caller), await _find(tx, caller, serial)
        shown = await arms_keys.rotate(
            tx,
            daemon.keyring,
            adapter.id,
            body.key,
            at_ms=by.at_ms,
            at_once=body.at_once,
            deadline_s=body.deadline_s,
        )
        rotated.append(adapter.id)
        facts = {"key": body.key, "at_once": body.at_once, "deadline_s": body.deadline_s}
        await events.record(tx, NewEvent("adapter.key-rotated", by.at_ms, adapter_id=adapter.id, facts=facts))
        audit.record(
            tx, by, "adapter.rotate-key", adapter.serial.shown, contractor_id=adapter.contractor_id, after=facts
        )
        view = await _view(tx, request, caller, adapter)
        return view if shown is None else view.model_copy(update={"ls_key": shown.reveal()})

    answer = await once.commit(work, status=200)
    for adapter_id in rotated:
        await daemon.phonehome.key_rotated(adapter_id)
    return answer


@router.post("/adapters/{serial}/legacy-tls", response_model=KeysView)
async def allow_legacy_tls(
    serial: SerialPath, body: LegacyTls, request: Request, caller: Operator, once: Once
) -> Response:
    """Say whether this adapter may speak TLS below 1.2."""

    async def work(tx: Tx) -> KeysView:
        by, adapter = acting(request, caller), await _find(tx, caller, serial)
        await arms_keys.allow_legacy_tls(tx, adapter.id, body.allowed)
        audit.record(
            tx,
            by,
            "adapter.legacy-tls",
            adapter.serial.shown,
            contractor_id=adapter.contractor_id,
            after={"allowed": body.allowed},
        )
        return await _view(tx, request, caller, adapter)

    return await once.commit(work, status=200)


async def _find(tx: Tx, caller: Caller, serial: str) -> Adapter:
    adapter = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
    if adapter.path != "arms":
        raise Conflict(f"{adapter.serial} does not phone home: it has no such keys", next_step="See its endpoint.")
    return adapter


async def _view(tx: Tx, request: Request, caller: Caller, adapter: Adapter) -> KeysView:
    daemon = daemon_of(request)
    (identity,) = await identities.by_adapter(tx, daemon.keyring, [adapter.id])
    certificate = (await arms_keys.certificates(tx, [adapter.id]))[adapter.id]
    contact = await phonehome.contact(tx, caller.scope, adapter.id)
    grace = grace_ms(daemon.settings.arms.heartbeat_interval_s)
    return KeysView(
        serial_number=adapter.serial.shown,
        keys=[
            KeyView(
                key=told.kind,
                state=told.state,
                rotated_at=_at(told.rotated_ms),
                deadline_at=_at(told.deadline_ms),
                summary=told.words.summary,
                next_step=told.words.next_action,
            )
            for told in keys.standing(
                ls=identity.ls_keys,
                rs=identity.rs_keys,
                heartbeat=identity.passphrases,
                certificate=certificate,
                now_ms=daemon.clock.now_ms(),
                grace_ms=grace,
            )
        ],
        certificate_fingerprint=None if certificate.pem is None else read(certificate.pem).fingerprint,
        certificate_until=_at(certificate.until_ms or None),
        certificate_delivered_at=_at(certificate.delivered_ms),
        tls=contact.tls,
        tls_best=contact.tls_best,
        legacy_tls=identity.legacy_tls,
    )


def _at(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else instant(at_ms)
