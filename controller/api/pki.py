"""`/pki`: the certificates of phone-home, what adapters must trust, and a CA of the operator's own instead."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from controller.api.auth import Admin, Viewer
from controller.api.mutation import Once
from controller.api.schemas import Body, instant
from controller.api.state import acting, daemon_of
from controller.phonehome.pki import Pki
from controller.store import audit, events
from controller.store.events import NewEvent
from inventory import certificates
from inventory.certificates import AuthorityRole, CertificateRole, Standing
from inventory.secrets import Secret

router = APIRouter(prefix="/pki", tags=["pki"])


class PemResponse(PlainTextResponse):
    """A certificate as a file."""

    media_type = "application/x-pem-file"


class CertificateView(BaseModel):
    """One certificate; keys are never shown."""

    role: CertificateRole
    subject: str
    issuer: str
    fingerprint: str = Field(description="SHA-256.")
    not_before: datetime
    not_after: datetime
    key_bits: int
    standing: Standing
    summary: str
    next_step: str


class PkiView(BaseModel):
    """The certificates of this installation."""

    adapters_trust: str = Field(description="Fingerprint of the root that adapters must be built with.")
    tls_floor: str
    client_certificates: str
    warnings: list[str]
    certificates: list[CertificateView]


class ImportedAuthority(Body):
    """A CA that is used instead of ours."""

    role: AuthorityRole
    certificate: Annotated[str, Field(max_length=65_536)] = Field(
        description="PEM; for `root` it may go on with the certificates above it, up to the self-signed root."
    )
    key: Annotated[str, Field(max_length=16_384)] = Field(description="PEM, RSA, not encrypted.")
    confirmed: bool = Field(default=False, description="Adapters trust another CA, and you know what follows.")


@router.get("")
async def read_pki(request: Request, _caller: Viewer) -> PkiView:
    """Subjects, ends and fingerprints; what adapters must trust; what needs a person."""
    return _view(request)


@router.get("/root.pem", response_class=PemResponse)
async def read_root(request: Request, _caller: Viewer) -> PemResponse:
    """The root certificate that adapters must be built with, as PEM."""
    root = daemon_of(request).phonehome.pki.root_certificate
    return PemResponse(root)


@router.post("/import", response_model=PkiView)
async def import_authority(body: ImportedAuthority, request: Request, caller: Admin, once: Once) -> Response:
    """Use a CA of your own: everything is checked first, then all of it is taken, while the listeners stay open.

    Refused when adapters trust another one, unless confirmed.
    """
    daemon = daemon_of(request)

    async def work() -> PkiView:
        by = acting(request, caller)
        taken = await daemon.phonehome.import_authority(
            body.role, body.certificate, Secret(body.key), confirmed=body.confirmed
        )
        facts = {"role": body.role, "subject": taken.subject, "fingerprint": taken.fingerprint}
        async with daemon.db.write() as tx:
            await events.record(tx, NewEvent("pki.imported", by.at_ms, facts=facts))
            audit.record(tx, by, "pki.import", body.role, after=facts)
        return _view(request)

    return await once.carry_out(work, status=200)


def _view(request: Request) -> PkiView:
    daemon = daemon_of(request)
    pki: Pki = daemon.phonehome.pki
    kept, now_ms, settings = pki.kept(), daemon.clock.now_ms(), daemon.settings.arms
    views = []
    for one in kept:
        told = certificates.explain(one.role, one.read.not_after_ms, now_ms)
        views.append(
            CertificateView(
                role=one.role,
                subject=one.read.subject,
                issuer=one.read.issuer,
                fingerprint=one.read.fingerprint,
                not_before=instant(one.read.not_before_ms),
                not_after=instant(one.read.not_after_ms),
                key_bits=one.read.key_bits,
                standing=told.standing,
                summary=told.summary,
                next_step=told.next_action,
            )
        )
    roots = [one.read.fingerprint for one in kept if one.role == "root"]
    return PkiView(
        adapters_trust=roots[-1],
        tls_floor=settings.tls_floor,
        client_certificates=settings.client_certificates,
        warnings=certificates.policy_warnings(settings.tls_floor, settings.client_certificates),
        certificates=views,
    )
