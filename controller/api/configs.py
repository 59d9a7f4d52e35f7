"""`/entries/{key}/configs`: the texts of a place, as versions for ever, and the difference between any two.

Texts leave the API with their secrets masked, always. An edited text may come back masked: see `write_working`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.mutation import Once
from controller.api.paging import Page, Window, page, window
from controller.api.preconditions import IfMatchOrAny, tag
from controller.api.schemas import Body, EntryKey, Text, instant
from controller.api.state import acting, daemon_of, number
from controller.store import configs, entries, occupancy
from controller.store.database import Tx
from controller.store.rows import require_version
from controller.store.scope import Scope
from drivers.dialects import Dialect, dialect
from drivers.dialects.unmask import unmask
from inventory.adapters import Adapter
from inventory.errors import BadInput, ConfigSyntax, Conflict
from inventory.plans import ConfigText, ConfigVersion
from inventory.secrets import MASK

if TYPE_CHECKING:
    from controller.main import Daemon

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


@router.put("/entries/{key}/configs/working")
async def write_working(
    key: EntryKey, body: NewConfig, request: Request, response: Response, caller: Operator, seen: IfMatchOrAny
) -> ConfigVersionView:
    """Store the working config of a place. It is parsed by its adapter's dialect; a text that does not parse is
    refused with line and column, and nothing is stored. `If-Match` names the version that was edited; 0: none yet.

    Texts are shown with masks, so an edited text holds masks: each gets back the secret that stood in the same line of
    the place's last working config or reading. A mask that cannot be told is refused by its line."""
    daemon = daemon_of(request)
    entry_id = number(key, "E")
    config = _config(body)
    async with daemon.db.read() as tx:
        occupant = await _occupant(tx, caller.scope, entry_id)
        spoken = occupant.model.family
        if any(MASK in text for _, text in config.modules):
            known = [
                text
                for kind in ("working", "truth", "startup")
                if (text := await configs.latest_text(tx, caller.scope, daemon.keyring, entry_id, kind)) is not None
            ]
            config = _unmasked(dialect(occupant.model.dialect), config, known)
    digest = await daemon.planner.digest(spoken, config)
    async with daemon.db.write() as tx:
        if (await _occupant(tx, caller.scope, entry_id)).model.family != spoken:
            raise Conflict(f"E-{entry_id} has a new adapter", next_step="Write the config in its language.")
        last = await configs.latest(tx, caller.scope, entry_id, "working")
        require_version(f"the working config of E-{entry_id}", last.id if last else 0, seen)
        by = acting(request, caller)
        version = await configs.put(
            tx,
            caller.scope,
            daemon.keyring,
            entry_id,
            kind="working",
            config=config,
            digest=digest,
            author=by.actor,
            reason=body.reason,
            at_ms=by.at_ms,
        )
    tag(response, version.id)
    return ConfigVersionView.of(version)


@router.post("/entries/{key}/configs/startup", status_code=201, response_model=ConfigVersionView)
async def release_startup(key: EntryKey, request: Request, caller: Operator, once: Once) -> Response:
    """Make the working config of an ARMS place the one that its next boot gets. Nothing is pushed."""
    daemon = daemon_of(request)
    entry_id = number(key, "E")

    async def work(tx: Tx) -> ConfigVersionView:
        by = acting(request, caller)
        occupant = await _occupant(tx, caller.scope, entry_id)
        draft = await configs.latest(tx, caller.scope, entry_id, "working")
        if draft is None:
            raise Conflict(f"E-{entry_id} has no working config", next_step="Write one first.")
        if occupant.path != "arms":
            raise Conflict(
                f"{occupant.serial} keeps its startup config itself", next_step="Make a plan and push it instead."
            )
        if (await author_of(tx, draft)).model.family != occupant.model.family:
            raise Conflict(
                f"the working config of E-{entry_id} was written for another model",
                next_step=f"Write one in the language of {occupant.serial}.",
            )
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

    return await once.commit(work)


@router.get("/entries/{key}/configs")
async def list_configs(
    key: EntryKey,
    request: Request,
    caller: Viewer,
    wanted: Annotated[Window, Depends(window)],
    kind: Kind | None = None,
) -> Page[ConfigVersionView]:
    """Versions of a place, newest first."""
    entry_id = number(key, "E")
    async with daemon_of(request).db.read() as tx:
        await configs.require_entry(tx, caller.scope, entry_id)
        found = await configs.versions(
            tx, caller.scope, entry_id, kind=kind, before=wanted.before, limit=wanted.limit + 1
        )
    return page([ConfigVersionView.of(one) for one in found], [one.id for one in found], wanted)


@router.get("/configs/{version_id}")
async def read_config(version_id: Number, request: Request, response: Response, caller: Viewer) -> ConfigTextView:
    """One version with its text, secrets masked. Its `ETag` is what a change of the draft sends as `If-Match`."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        view = await shown_config(tx, daemon, caller.scope, await configs.get(tx, caller.scope, version_id))
    tag(response, view.id)
    return view


@router.get("/configs/{version_id}/diff/{other_id}")
async def diff_configs(version_id: Number, other_id: Number, request: Request, caller: Viewer) -> DiffView:
    """What changed from one version to another, of one place or of two, secrets masked. Both are in one language."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        one = await configs.get(tx, caller.scope, version_id)
        other = await configs.get(tx, caller.scope, other_id)
        family, spoken = (await author_of(tx, one)).model.family, (await author_of(tx, other)).model.family
        if family != spoken:
            raise Conflict(
                f"version {version_id} is written for {family} and version {other_id} for {spoken}",
                next_step="Compare versions that are written in one language.",
            )
        old = await configs.text(tx, caller.scope, daemon.keyring, version_id)
        new = await configs.text(tx, caller.scope, daemon.keyring, other_id)
    shown = await daemon.planner.difference(family, old, new)
    return DiffView(from_version=version_id, to_version=other_id, lines=shown.splitlines())


def _config(body: NewConfig) -> ConfigText:
    """The value of a body. Raises BadInput for a module that comes twice."""
    if len({module.id for module in body.modules}) < len(body.modules):
        raise BadInput("a module comes twice", field="modules", next_step="Send each module once.")
    return ConfigText(tuple((module.id, module.text) for module in body.modules))


def _unmasked(spoken: Dialect, config: ConfigText, known: Sequence[ConfigText]) -> ConfigText:
    """The text with its secrets back in. Raises ConfigSyntax by line, BadInput for a module shown as one mask."""
    return ConfigText(tuple((module, _secrets_back(spoken, module, text, known)) for module, text in config.modules))


def _secrets_back(spoken: Dialect, module: int, text: str, known: Sequence[ConfigText]) -> str:
    if module != 0:
        if text == MASK and known:
            return known[0].text(module)
        if MASK in text:
            raise BadInput(f"module {module} holds a mask", field="modules", next_step="Write its text anew.")
        return text
    refused: ConfigSyntax | None = None
    for one in known or (ConfigText.single(""),):
        try:
            return unmask(spoken, text, one.text())
        except ConfigSyntax as error:
            refused = refused or error
    assert refused is not None
    raise refused


async def shown_config(tx: Tx, daemon: Daemon, scope: Scope, version: ConfigVersion) -> ConfigTextView:
    """A version with its text, secrets masked."""
    text = await configs.text(tx, scope, daemon.keyring, version.id)
    spoken = dialect((await author_of(tx, version)).model.dialect)
    return ConfigTextView(
        **ConfigVersionView.of(version).model_dump(),
        modules=[ModuleText(id=module, text=_redacted(spoken, module, one)) for module, one in text.modules],
    )


async def _occupant(tx: Tx, scope: Scope, entry_id: int) -> Adapter:
    """Who sits, or last sat, in the place: its language is that of the place's config. Raises NotFound, Conflict."""
    await entries.get(tx, scope, entry_id)
    occupant = await occupancy.latest_occupant(tx, entry_id)
    if occupant is None:
        raise Conflict(
            f"E-{entry_id} never had an adapter, so the language of its config is not known",
            next_step="Assign an adapter first.",
        )
    return occupant


async def author_of(tx: Tx, version: ConfigVersion) -> Adapter:
    """Whose language a version is in: secrets are known only in the language that they were written in."""
    found = await occupancy.latest_occupant(tx, version.entry_id, until_ms=version.at_ms)
    assert found is not None, "a version is stored only where somebody sits or sat"
    return found


def _redacted(spoken: Dialect, module: int, text: str) -> str:
    # Other modules hold line accounts in a form of their own; they are shown as a whole mask.
    return spoken.redact(text) if module == 0 else (MASK if text else "")
