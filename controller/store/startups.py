"""Which startup config an entry is served, and how its newest one stands its trial (architecture §4, end)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Insert, RowMapping, bindparam, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite

from controller.keyring import Keyring
from controller.store import configs, incidents, occupancy
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.modules import unpack_wanted
from controller.store.rows import in_parts, upsert
from controller.store.scope import By, Scope
from controller.store.tables.push import config_versions, entry_modules, startup_trials
from inventory.incidents import IncidentKind, NewIncident
from inventory.startups import Served, Standing, Trial

LOOKED_BACK: Final = 20
"""Proven versions that are looked through for one in the language of the adapter."""
_same = startup_trials.alias("same")
_PROVEN_TEXT = exists(
    select(_same.c.version_id).where(
        _same.c.entry_id == config_versions.c.entry_id,
        _same.c.digest == config_versions.c.digest,
        _same.c.proven_ms.is_not(None),
    )
).label("proven_text")


@dataclass(frozen=True, slots=True)
class Proof:
    """A boot or a push has shown that a version works. `troubled`: it had failed before."""

    version_id: int
    at_ms: int
    by: str
    troubled: bool = False


_TRIAL = (
    config_versions.c.id,
    config_versions.c.entry_id,
    config_versions.c.digest,
    startup_trials.c.proven_ms,
    startup_trials.c.proven_by,
    startup_trials.c.failures,
    startup_trials.c.failed_ms,
    startup_trials.c.failure,
    startup_trials.c.instead_id,
    startup_trials.c.given_up_ms,
    _PROVEN_TEXT,
)
_STARTUPS = config_versions.outerjoin(startup_trials, startup_trials.c.version_id == config_versions.c.id)
_instead = config_versions.alias("instead")
_LAST = select(func.max(config_versions.c.id)).where(config_versions.c.kind == "startup")
_PLACES: Final[BindParameter[int]] = bindparam("places", expanding=True)
_NEWEST = (
    select(
        *_TRIAL,
        config_versions.c.text_sealed,
        config_versions.c.at_ms,
        entry_modules.c.modules,
        _instead.c.kind.label("instead_kind"),
        _instead.c.digest.label("instead_digest"),
        _instead.c.at_ms.label("instead_at_ms"),
        _instead.c.text_sealed.label("instead_sealed"),
    )
    .select_from(
        _STARTUPS.outerjoin(entry_modules, entry_modules.c.entry_id == config_versions.c.entry_id).outerjoin(
            _instead, _instead.c.id == startup_trials.c.instead_id
        )
    )
    .where(
        config_versions.c.id.in_(
            _LAST.where(config_versions.c.entry_id.in_(_PLACES)).group_by(config_versions.c.entry_id)
        )
    )
)
"""The newest startup version of each entry, how it stands, its text and that of what is served in its place, and the
modules that the entry wants."""


async def served(tx: Tx, keyring: Keyring, entry_id: int) -> Served | None:
    """What the RS gives to the adapter of this entry; None when it has no startup config. For the daemon itself."""
    return (await served_at(tx, keyring, [entry_id])).get(entry_id)


async def served_at(tx: Tx, keyring: Keyring, entry_ids: Collection[int]) -> dict[int, Served]:
    """The same of many entries in one query; those without a startup config are left out."""
    return await tx.run_sync(served_whole, keyring, entry_ids)


def served_whole(connection: Connection, keyring: Keyring, entry_ids: Collection[int]) -> dict[int, Served]:
    """The same as `served_at`, for `Database.read_whole`."""
    return {
        row["entry_id"]: _served(keyring, row)
        for some in in_parts(entry_ids)
        for row in connection.execute(_NEWEST, {"places": some}).mappings()
    }


def _served(keyring: Keyring, row: RowMapping) -> Served:
    modules, failures = unpack_wanted(row["modules"]), row["failures"] or 0
    entry_id, instead_id = row["entry_id"], row["instead_id"]
    if instead_id is not None:
        sealed, kind = row["instead_sealed"], row["instead_kind"]
        text = configs.opened(keyring, sealed, entry_id, kind, row["instead_digest"], row["instead_at_ms"])
        return Served(text, instead_id, True, failures, row["id"], modules)
    text = configs.opened(keyring, row["text_sealed"], entry_id, "startup", row["digest"], row["at_ms"])
    return Served(text, row["id"], bool(row["proven_text"]), failures, None, modules)


async def proved(tx: Tx, proofs: Sequence[Proof]) -> None:
    """These versions work: a boot with them confirmed its path, or a push verified them. The first proof counts."""
    if not proofs:
        return
    await tx.execute(
        _proved(tx.dialect.name),
        [
            {"at_ms": proof.at_ms, "by": proof.by, "none": 0, "of_version": proof.version_id}
            for proof in {proof.version_id: proof for proof in reversed(proofs)}.values()
        ],
    )
    for proof in proofs:
        if proof.troubled:
            mine = select(config_versions.c.entry_id).where(config_versions.c.id == proof.version_id)
            entry = await tx.scalar(mine)
            by = By("phone-home", proof.at_ms)
            why = f"startup version {proof.version_id} has passed its connection check after all"
            await incidents.settle(tx, by, IncidentKind.UNPROVEN_CONFIG, f"entry {entry}", why)


@cache
def _proved(dialect: str) -> Insert:
    """Made once: every push ends with it."""
    version = config_versions
    source = select(
        version.c.id, version.c.entry_id, version.c.digest, bindparam("at_ms"), bindparam("by"), bindparam("none")
    ).where(version.c.id == bindparam("of_version"))
    made = (sqlite if dialect == "sqlite" else postgresql).insert(startup_trials)
    proved: Insert = made.from_select(
        ["version_id", "entry_id", "digest", "proven_ms", "proven_by", "failures"], source
    ).on_conflict_do_update(
        index_elements=["version_id"],
        set_={"proven_ms": made.excluded.proven_ms, "proven_by": made.excluded.proven_by},
        where=startup_trials.c.proven_ms.is_(None),
    )
    return direct(proved)


async def failed(
    tx: Tx, by: By, version_id: int, *, why: str, adapter_id: int, serial: str, at_most: int
) -> Trial | None:
    """A boot with this unproven version failed its connection check.

    After `at_most` failures the last proven version is served in its place, and one incident says why; where there is
    none, the incident says that. None when the version is not the newest any more, or was proven meanwhile.
    """
    entry_id = await tx.scalar(select(config_versions.c.entry_id).where(config_versions.c.id == version_id))
    row = (await tx.execute(_NEWEST, {"places": [entry_id]})).mappings().one_or_none()
    if row is None or row["id"] != version_id or row["proven_text"] or row["instead_id"] is not None:
        return None
    number = (row["failures"] or 0) + 1
    values: dict[str, Any] = {"failures": number, "failed_ms": by.at_ms, "failure": why}
    if number >= at_most:
        values |= {
            "given_up_ms": by.at_ms,
            "instead_id": await _last_proven(tx, row["entry_id"], version_id, adapter_id),
        }
    made = upsert(tx, startup_trials)
    await tx.execute(
        made.values(
            version_id=version_id, entry_id=row["entry_id"], digest=row["digest"], **values
        ).on_conflict_do_update(index_elements=["version_id"], set_=values)
    )
    trial = _trial({**row, **values})
    if number >= at_most:
        await incidents.note(tx, by, _incident(trial, adapter_id, serial))
    return trial


async def _last_proven(tx: Tx, entry_id: int, before: int, adapter_id: int) -> int | None:
    """The newest proven version before this one in the language of the adapter: a place may have had another model."""
    language = (await occupancy.named(tx, [adapter_id]))[adapter_id].model.family
    rows = await tx.execute(
        select(config_versions.c.id, config_versions.c.at_ms)
        .join(startup_trials, startup_trials.c.version_id == config_versions.c.id)
        .where(startup_trials.c.entry_id == entry_id, startup_trials.c.proven_ms.is_not(None))
        .where(config_versions.c.id < before)
        .order_by(config_versions.c.id.desc())
        .limit(LOOKED_BACK)
    )
    for row in rows.all():
        author = await occupancy.latest_occupant(tx, entry_id, until_ms=row.at_ms)
        if author is not None and author.model.family == language:
            return int(row.id)
    return None


def _incident(trial: Trial, adapter_id: int, serial: str) -> NewIncident:
    if trial.instead_id is None:
        title = f"E-{trial.entry_id}: startup version {trial.version_id} does not get through; none before it is proven"
    else:
        title = (
            f"E-{trial.entry_id}: startup version {trial.version_id} does not get through; {trial.instead_id} is served"
        )
    return NewIncident(
        IncidentKind.UNPROVEN_CONFIG,
        f"entry {trial.entry_id}",
        title,
        adapter_id=adapter_id,
        entry_id=trial.entry_id,
        facts={
            "adapter": serial,
            "version": trial.version_id,
            "served": trial.instead_id,
            "failures": trial.failures,
            "last": trial.failure,
            "see": f"/entries/E-{trial.entry_id}/startup",
        },
    )


async def trial(tx: Tx, scope: Scope, entry_id: int) -> Trial | None:
    """How the newest startup version of an entry stands; None when it has none. Raises NotFound."""
    await configs.require_entry(tx, scope, entry_id)
    return (await trials(tx, [entry_id])).get(entry_id)


async def trials(tx: Tx, entry_ids: Collection[int]) -> dict[int, Trial]:
    """The same for many entries. The caller has checked their scope."""
    found: dict[int, Trial] = {}
    for some in in_parts(entry_ids):
        last = _LAST.where(config_versions.c.entry_id.in_(some)).group_by(config_versions.c.entry_id)
        query = select(*_TRIAL).select_from(_STARTUPS).where(config_versions.c.id.in_(last))
        found.update((row["entry_id"], _trial(row)) for row in (await tx.execute(query)).mappings())
    return found


def _trial(row: RowMapping | dict[str, Any]) -> Trial:
    standing: Standing = "on-trial"
    if row["proven_text"]:
        standing = "proven"
    elif row["instead_id"] is not None:
        standing = "given-up"
    elif row["given_up_ms"] is not None:
        standing = "failing"
    return Trial(
        entry_id=row["entry_id"],
        version_id=row["id"],
        standing=standing,
        proven_ms=row["proven_ms"],
        proven_by=row["proven_by"],
        failures=row["failures"] or 0,
        failed_ms=row["failed_ms"],
        failure=row["failure"],
        instead_id=row["instead_id"],
        given_up_ms=row["given_up_ms"],
    )
