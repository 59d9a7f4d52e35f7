"""`/entries/{key}/configs`: the texts of a place, as versions for ever, and the difference between any two.

Texts leave the API with their secrets masked, always. A masked text cannot be sent back: the masks are refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.preconditions import tag
from controller.api.schemas import Body, Text, instant
from controller.api.state import acting, daemon_of, number
from controller.store import configs, entries, occupancy
from controller.store.database import Tx
from controller.store.scope import Scope
from drivers.dialects import Dialect, dialect
from drivers.dialects.diff import difference, digest
from inventory.errors import BadInput, Conflict
from inventory.plans import ConfigText, ConfigVersion
from inventory.secrets import MASK

router = APIRouter(tags=["configs"])
Kind = Literal["working", "startup", "running", "truth"]
ConfigBody = Annotated[str, StringConstraints(max_length=4 * 1024 * 1024)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class ModuleText(Body):
    """Text of one module; families without modules have module 0 only."""

    id: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    text: ConfigBody


class NewConfig(Body):
    """A working config: the draft of what the place shall run."""

    modules: Annotated[list[ModuleText], Field(min_length=1, max_length=16)]
    reason: Text = ""


class ConfigVersionView(BaseModel):
    """A stored version, without its text."""

    id: int
    entry: str
    kind: str
    digest: str
    author: str
    reason: str
    at: datetime

    @classmethod
    def of(cls, version: ConfigVersion) -> ConfigVersionView:
        """View of a value."""
        return cls(
            id=version.id,
            entry=f"E-{version.entry_id}",
            kind=version.kind,
            digest=version.digest,
            author=version.author,
            reason=version.reason,
            at=instant(version.at_ms),
        )


class ConfigTextView(ConfigVersionView):
    """A stored version with its text, secrets masked."""

    modules: list[ModuleText]


class DiffView(BaseModel):
    """A difference for people: one line each with its sign, secrets masked."""

    from_version: int
    to_version: int
    lines: list[str]


@router.put("/entries/{key}/configs/working", response_model=ConfigVersionView)
async def write_working(
    key: str, body: NewConfig, request: Request, response: Response, caller: Operator
) -> ConfigVersionView:
    """Store the working config of a place. It is parsed by its adapter's dialect; a text that does not parse is
    refused with line and column, and nothing is stored."""
    daemon = daemon_of(request)
    entry_id = number(key, "E")
    async with daemon.db.write() as tx:
        version = await _write(tx, request, caller.scope, entry_id, body, acting(request, caller).actor)
    tag(response, version.id)
    return ConfigVersionView.of(version)


@router.post("/entries/{key}/configs/startup", status_code=201, response_model=ConfigVersionView)
async def release_startup(key: str, request: Request, caller: Operator, once: Once) -> Response:
    """Make the working config of an ARMS place the one that its next boot gets. Nothing is pushed."""
    daemon = daemon_of(request)
    entry_id = number(key, "E")

    async def work(tx: Tx) -> ConfigVersionView:
        by = acting(request, caller)
        await configs.require_entry(tx, caller.scope, entry_id)
        draft = await configs.latest(tx, caller.scope, entry_id, "working")
        if draft is None:
            raise Conflict(f"E-{entry_id} has no working config", next_step="Write one first.")
        text = await configs.text(tx, caller.scope, daemon.keyring, draft.id)
        made = await configs.put(
            tx,
            caller.scope,
            daemon.keyring,
            entry_id,
            kind="startup",
            config=text,
            digest=draft.digest,
            author=by.actor,
            reason=f"from version {draft.id}",
            at_ms=by.at_ms,
        )
        return ConfigVersionView.of(made)

    answer = await once.commit(work)
    await daemon.places_changed()
    return answer


@router.get("/entries/{key}/configs")
async def list_configs(
    key: str,
    request: Request,
    caller: Viewer,
    kind: Kind | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[ConfigVersionView]:
    """Versions of a place, newest first."""
    async with daemon_of(request).db.read() as tx:
        await configs.require_entry(tx, caller.scope, number(key, "E"))
        found = await configs.versions(tx, caller.scope, number(key, "E"), kind=kind, before=before, limit=limit)
    return [ConfigVersionView.of(one) for one in found]


@router.get("/configs/{version_id}")
async def read_config(version_id: Number, request: Request, caller: Viewer) -> ConfigTextView:
    """One version with its text, secrets masked."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        version = await configs.get(tx, caller.scope, version_id)
        text = await configs.text(tx, caller.scope, daemon.keyring, version_id)
        spoken = await _dialect_of(tx, caller.scope, version.entry_id)
    return ConfigTextView(
        **ConfigVersionView.of(version).model_dump(),
        modules=[ModuleText(id=module, text=_redacted(spoken, module, one)) for module, one in text.modules],
    )


@router.get("/configs/{version_id}/diff/{other_id}")
async def diff_configs(version_id: Number, other_id: Number, request: Request, caller: Viewer) -> DiffView:
    """What changed from one version to another, secrets masked."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        version = await configs.get(tx, caller.scope, version_id)
        old = await configs.text(tx, caller.scope, daemon.keyring, version_id)
        new = await configs.text(tx, caller.scope, daemon.keyring, other_id)
        spoken = await _dialect_of(tx, caller.scope, version.entry_id)
    shown = difference(spoken, spoken.parse(old.text()), spoken.parse(new.text()))
    return DiffView(from_version=version_id, to_version=other_id, lines=shown.splitlines())


async def _write(tx: Tx, request: Request, scope: Scope, entry_id: int, body: NewConfig, actor: str) -> ConfigVersion:
    daemon = daemon_of(request)
    await configs.require_entry(tx, scope, entry_id)
    spoken = await _dialect_of(tx, scope, entry_id)
    config = ConfigText(tuple((module.id, module.text) for module in body.modules))
    for module in body.modules:
        if MASK in module.text:
            raise BadInput(
                f"module {module.id} holds masked secrets",
                field="modules",
                next_step="Put the secrets in before you store the text; masks are never sent to a device.",
            )
    known = digest(spoken, config.text())
    return await configs.put(
        tx,
        scope,
        daemon.keyring,
        entry_id,
        kind="working",
        config=config,
        digest=known,
        author=actor,
        reason=body.reason,
        at_ms=daemon.clock.now_ms(),
    )


async def _dialect_of(tx: Tx, scope: Scope, entry_id: int) -> Dialect:
    """The language of the adapter that sits, or last sat, in the place."""
    await entries.get(tx, scope, entry_id)
    occupant = await occupancy.latest_occupant(tx, entry_id)
    if occupant is None:
        raise Conflict(
            f"E-{entry_id} never had an adapter, so the language of its config is not known",
            next_step="Assign an adapter first.",
        )
    return dialect(occupant.model.dialect)


def _redacted(spoken: Dialect, module: int, text: str) -> str:
    # Other modules hold line accounts in a form of their own; they are shown as a whole mask.
    return spoken.redact(text) if module == 0 else (MASK if text else "")
