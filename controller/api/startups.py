"""`/entries/{key}/startup`, `/entries/{key}/modules`: what the next boot of a place gets, and how it fared so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from controller.api.auth import Operator, Viewer
from controller.api.configs import ConfigTextView, author_of, shown_config
from controller.api.preconditions import IfMatch, tag
from controller.api.schemas import Body, EntryKey, instant
from controller.api.state import acting, daemon_of, number
from controller.store import configs, entries, modules, occupancy, startups
from controller.store.database import Tx
from controller.store.scope import Scope
from inventory.errors import Conflict, NotFound
from inventory.modules import INFO_AT_MOST, MAX_ID, MOST, Reported, Wanted, WantedModule, differences
from inventory.startups import Trial

router = APIRouter(tags=["configs"])


class StartupView(BaseModel):
    """The newest startup version of a place, how it stands its trial, and what is served."""

    entry: str
    standing: str = Field(
        description="proven, on-trial, given-up (the last proven one is served), or failing (there is no proven one)."
    )
    explanation: str
    failures: int = Field(description="Boots whose connection check failed with it.")
    last_failure: str | None
    last_failure_at: datetime | None
    given_up_at: datetime | None
    proven_at: datetime | None
    proven_by: str | None
    newest: ConfigTextView = Field(description="Its text, secrets masked.")
    served: ConfigTextView = Field(description="What a pull gets now.")
    difference: list[str] = Field(description="From what is served to the newest; empty when they are the same.")


class WantedBody(Body):
    """A module version that the place wants."""

    id: Annotated[int, Field(ge=0, le=MAX_ID)]
    version: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,63}$")]
    info: Annotated[str, StringConstraints(max_length=INFO_AT_MOST, pattern=r"^[ -~]*$")] = ""


class WantedModules(Body):
    """All of them: what is not named runs what it runs."""

    modules: Annotated[list[WantedBody], Field(max_length=MOST)]


class ModuleView(BaseModel):
    """A module; `info` is often the URL that it is fetched from."""

    id: int
    version: str
    info: str


class ModulesView(BaseModel):
    """What a place wants, and what its adapter told last."""

    entry: str
    wanted: list[ModuleView]
    reported: list[ModuleView] | None = Field(description="Null: its adapter has told nothing yet.")
    reported_at: datetime | None
    differences: str = Field(description="Empty when what is wanted runs, as far as it is known.")
    changed_at: datetime | None
    changed_by: str | None
    version: int


_WORDS = {
    "proven": "It is proven: a boot with this text has confirmed its path, or a push has verified it.",
    "on-trial": "It is on trial until a boot with it confirms its path.",
}


@router.get("/entries/{key}/startup")
async def read_startup(key: EntryKey, request: Request, caller: Viewer) -> StartupView:
    """What a pull of the place gets, and why. Both texts and their difference, secrets masked."""
    daemon = daemon_of(request)
    entry_id = number(key, "E")
    async with daemon.db.read() as tx:
        trial = await startups.trial(tx, caller.scope, entry_id)
        if trial is None:
            raise NotFound(f"E-{entry_id} has no startup config", next_step="Release one, or push one.")
        newest = await configs.get(tx, caller.scope, trial.version_id)
        served = newest if trial.instead_id is None else await configs.get(tx, caller.scope, trial.instead_id)
        newest_view = await shown_config(tx, daemon, caller.scope, newest)
        served_view = await shown_config(tx, daemon, caller.scope, served)
        family = (await author_of(tx, newest)).model.family
        same_language = (await author_of(tx, served)).model.family == family
        before = await configs.text(tx, caller.scope, daemon.keyring, served.id)
        after = await configs.text(tx, caller.scope, daemon.keyring, newest.id)
    difference: list[str] = []
    if served.id != newest.id and same_language:
        difference = (await daemon.planner.difference(family, before, after)).splitlines()
    return _startup(trial, newest_view, served_view, difference)


@router.get("/entries/{key}/modules")
async def read_modules(key: EntryKey, request: Request, response: Response, caller: Viewer) -> ModulesView:
    """Module versions that the place wants, and those that its adapter runs."""
    async with daemon_of(request).db.read() as tx:
        view = await _modules(tx, caller.scope, number(key, "E"))
    tag(response, view.version)
    return view


@router.put("/entries/{key}/modules")
async def change_modules(
    key: EntryKey, body: WantedModules, request: Request, response: Response, caller: Operator, seen: IfMatch
) -> ModulesView:
    """Say which module versions the place wants; its adapter hears of them at its next pull, fetches them and restarts.
    An empty list wants nothing."""
    entry_id = number(key, "E")
    wanted = [WantedModule(one.id, one.version, one.info) for one in body.modules]
    async with daemon_of(request).db.write() as tx:
        await _require_modules(tx, caller.scope, entry_id, wanted)
        await modules.want(tx, caller.scope, acting(request, caller), entry_id, wanted, if_version=seen)
        view = await _modules(tx, caller.scope, entry_id)
    tag(response, view.version)
    return view


async def _require_modules(tx: Tx, scope: Scope, entry_id: int, wanted: Sequence[WantedModule]) -> None:
    """Raises Conflict where the adapter of the place would never hear of them, NotFound out of scope."""
    await entries.get(tx, scope, entry_id)
    sitting = (await occupancy.occupants(tx, "entry", [entry_id])).get(entry_id)
    if wanted and sitting is not None and sitting.path != "arms":
        raise Conflict(
            f"{sitting.serial} is reached over SSH, and nothing is fetched over SSH",
            next_step="Give it its firmware at the device itself; only adapters that phone home fetch module versions.",
        )


async def _modules(tx: Tx, scope: Scope, entry_id: int) -> ModulesView:
    entry = await entries.get(tx, scope, entry_id)
    wanted = await modules.wanted(tx, scope, entry_id)
    sitting = (await occupancy.occupants(tx, "entry", [entry_id])).get(entry_id)
    reported = None if sitting is None else (await modules.reported(tx, [sitting.id])).get(sitting.id)
    return _view(entry.key, wanted, reported)


def _view(key: str, wanted: Wanted, reported: Reported | None) -> ModulesView:
    running = {} if reported is None else {one.id: one.version for one in reported.modules}
    return ModulesView(
        entry=key,
        wanted=[ModuleView(id=one.id, version=one.version, info=one.info) for one in wanted.modules],
        reported=None
        if reported is None
        else [ModuleView(id=one.id, version=one.version, info=one.info) for one in reported.modules],
        reported_at=None if reported is None else instant(reported.at_ms),
        differences=differences(wanted.modules, running),
        changed_at=None if wanted.at_ms is None else instant(wanted.at_ms),
        changed_by=wanted.actor,
        version=wanted.version,
    )


def _startup(trial: Trial, newest: ConfigTextView, served: ConfigTextView, difference: list[str]) -> StartupView:
    def at(at_ms: int | None) -> datetime | None:
        return None if at_ms is None else instant(at_ms)

    return StartupView(
        entry=newest.entry,
        standing=trial.standing,
        explanation=trial.words or _WORDS[trial.standing],
        failures=trial.failures,
        last_failure=trial.failure,
        last_failure_at=at(trial.failed_ms),
        given_up_at=at(trial.given_up_ms),
        proven_at=at(trial.proven_ms),
        proven_by=trial.proven_by,
        newest=newest,
        served=served,
        difference=difference,
    )
