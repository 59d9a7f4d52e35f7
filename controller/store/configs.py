"""Config versions of places: kept for ever, sealed, with author and reason (architecture §4)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Column, ColumnElement, RowMapping, bindparam, func, insert, select, true, update

from controller.keyring import Keyring
from controller.store import incidents
from controller.store.database import Tx
from controller.store.direct import direct
from controller.store.rows import in_parts
from controller.store.scope import By, Scope
from controller.store.tables.base import to_json
from controller.store.tables.inventory import entries, managements
from controller.store.tables.push import config_versions
from inventory.errors import NotFound
from inventory.incidents import IncidentKind
from inventory.plans import ConfigText, ConfigVersion

Kind = Literal["working", "startup", "running", "truth"]

_FACTS: Final[tuple[Column[Any], ...]] = (
    config_versions.c.id,
    config_versions.c.entry_id,
    config_versions.c.kind,
    config_versions.c.digest,
    config_versions.c.author,
    config_versions.c.reason,
    config_versions.c.at_ms,
    config_versions.c.seen_ms,
)


async def put(
    tx: Tx,
    scope: Scope,
    keyring: Keyring,
    entry_id: int,
    *,
    kind: Kind,
    config: ConfigText,
    digest: str,
    author: str,
    reason: str,
    at_ms: int,
) -> ConfigVersion:
    """Store a version; `digest` is the canonical one of the family's dialect.

    A truth equal to the last one becomes no new version: its `seen_ms` moves. A new startup begins a trial of its own,
    so an incident about the one before it is settled. Raises NotFound for an entry that is not in scope.
    """
    await require_entry(tx, scope, entry_id)
    if kind == "startup":
        by, cause = By(author, at_ms), f"entry {entry_id}"
        await incidents.settle(tx, by, IncidentKind.UNPROVEN_CONFIG, cause, "a new startup config was released")
    if kind == "truth":
        last = await latest(tx, scope, entry_id, kind)
        if last is not None and last.digest == digest:
            await tx.execute(update(config_versions).where(config_versions.c.id == last.id).values(seen_ms=at_ms))
            return await get(tx, scope, last.id)
    sealed = keyring.seal(pack(config), context=_context(entry_id, kind, digest, at_ms))
    made = await tx.execute(
        insert(config_versions)
        .values(
            entry_id=entry_id,
            kind=kind,
            digest=digest,
            text_sealed=sealed,
            author=author,
            reason=reason,
            at_ms=at_ms,
            seen_ms=at_ms,
        )
        .returning(*_FACTS)
    )
    return _version(made.mappings().one())


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to be stored by the daemon itself; `digest` is the canonical one of the family's dialect."""

    entry_id: int
    kind: Kind
    config: ConfigText
    digest: str
    author: str
    reason: str
    at_ms: int


async def put_all(tx: Tx, keyring: Keyring, new: Sequence[NewVersion]) -> list[int]:
    """As `put` for many places, each of a kind once and each a place that is there; the ids of the versions."""
    startups = [one for one in new if one.kind == "startup"]
    causes = {f"entry {one.entry_id}": one for one in startups}
    for cause in await incidents.open_causes(tx, IncidentKind.UNPROVEN_CONFIG, causes):
        by = By(causes[cause].author, causes[cause].at_ms)
        await incidents.settle(tx, by, IncidentKind.UNPROVEN_CONFIG, cause, "a new startup config was released")
    same = await _same_truths(tx, [one for one in new if one.kind == "truth"])
    if same:
        seen = [{"of_id": version_id, "new_ms": one.at_ms} for one, version_id in same.items()]
        await tx.execute(_SEEN, seen)
    fresh = [one for one in new if one not in same]
    made: dict[NewVersion, int] = dict(same)
    if fresh:
        rows = await tx.execute(_INSERT, [_values(keyring, one) for one in fresh])
        made |= dict(zip(fresh, rows.scalars(), strict=True))
    return [made[one] for one in new]


async def _same_truths(tx: Tx, new: Sequence[NewVersion]) -> dict[NewVersion, int]:
    """Readings that are equal to the last one of their place, and the version that it is."""
    found: dict[NewVersion, int] = {}
    by_entry = {one.entry_id: one for one in new}
    for some in in_parts(by_entry):
        for row in await tx.execute(_LAST_TRUTHS, {"of_entries": some}):
            if by_entry[row.entry_id].digest == row.digest:
                found[by_entry[row.entry_id]] = row.id
    return found


_SEEN: Final = direct(
    update(config_versions).where(config_versions.c.id == bindparam("of_id")).values(seen_ms=bindparam("new_ms"))
)
_INSERT: Final = direct(insert(config_versions).returning(config_versions.c.id, sort_by_parameter_order=True))
_LAST_TRUTHS: Final = direct(
    select(config_versions.c.id, config_versions.c.entry_id, config_versions.c.digest).where(
        config_versions.c.id.in_(
            select(func.max(config_versions.c.id))
            .where(
                config_versions.c.entry_id.in_(bindparam("of_entries", expanding=True)),
                config_versions.c.kind == "truth",
            )
            .group_by(config_versions.c.entry_id)
        )
    )
)


def _values(keyring: Keyring, new: NewVersion) -> dict[str, object]:
    return {
        "entry_id": new.entry_id,
        "kind": new.kind,
        "digest": new.digest,
        "text_sealed": keyring.seal(pack(new.config), context=_context(new.entry_id, new.kind, new.digest, new.at_ms)),
        "author": new.author,
        "reason": new.reason,
        "at_ms": new.at_ms,
        "seen_ms": new.at_ms,
    }


async def get(tx: Tx, scope: Scope, version_id: int) -> ConfigVersion:
    """Facts of one version. Raises NotFound."""
    found = await tx.execute(
        select(*_FACTS).where(config_versions.c.id == version_id, entry_in_scope(scope, config_versions.c.entry_id))
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound(f"no config version {version_id}", next_step="List the versions of the entry.")
    return _version(row)


async def latest(tx: Tx, scope: Scope, entry_id: int, kind: Kind) -> ConfigVersion | None:
    """Newest version of a kind; None if there never was one, or the entry is not in scope."""
    query = _LATEST if scope.contractor_id is None else _LATEST.where(entry_in_scope(scope, config_versions.c.entry_id))
    row = (await tx.execute(query, {"of_entry": entry_id, "of_kind": kind})).mappings().one_or_none()
    return None if row is None else _version(row)


_LATEST: Final = direct(
    select(*_FACTS)
    .where(config_versions.c.entry_id == bindparam("of_entry"), config_versions.c.kind == bindparam("of_kind"))
    .order_by(config_versions.c.id.desc())
    .limit(1)
)
_TEXT: Final = direct(select(config_versions.c.text_sealed).where(config_versions.c.id == bindparam("of_id")))


async def newest(tx: Tx, entry_ids: Collection[int]) -> dict[tuple[int, Kind], ConfigVersion]:
    """Newest version of each kind of these entries. The caller has checked their scope."""
    found: dict[tuple[int, Kind], ConfigVersion] = {}
    for some in in_parts(entry_ids):
        last = (
            select(func.max(config_versions.c.id))
            .where(config_versions.c.entry_id.in_(some))
            .group_by(config_versions.c.entry_id, config_versions.c.kind)
        )
        for row in (await tx.execute(select(*_FACTS).where(config_versions.c.id.in_(last)))).mappings():
            version = _version(row)
            found[version.entry_id, row["kind"]] = version
    return found


async def versions(
    tx: Tx, scope: Scope, entry_id: int, *, kind: Kind | None = None, before: int | None = None, limit: int = 50
) -> list[ConfigVersion]:
    """Versions of a place, newest first; `before` is the id after which the page goes on."""
    query = select(*_FACTS).where(
        config_versions.c.entry_id == entry_id, entry_in_scope(scope, config_versions.c.entry_id)
    )
    if kind is not None:
        query = query.where(config_versions.c.kind == kind)
    if before is not None:
        query = query.where(config_versions.c.id < before)
    found = await tx.execute(query.order_by(config_versions.c.id.desc()).limit(limit))
    return [_version(row) for row in found.mappings()]


async def text(tx: Tx, scope: Scope, keyring: Keyring, version_id: int) -> ConfigText:
    """The text of a version; it holds secrets. Raises NotFound."""
    version = await get(tx, scope, version_id)
    sealed = (
        await tx.execute(select(config_versions.c.text_sealed).where(config_versions.c.id == version_id))
    ).scalar_one()
    return opened(keyring, sealed, version.entry_id, version.kind, version.digest, version.at_ms)


def opened(keyring: Keyring, sealed: bytes, entry_id: int, kind: str, digest: str, at_ms: int) -> ConfigText:
    """The text of a version whose row was read already; it holds secrets."""
    return unpack(keyring.unseal(sealed, context=_context(entry_id, kind, digest, at_ms)).reveal())


async def latest_text(tx: Tx, scope: Scope, keyring: Keyring, entry_id: int, kind: Kind) -> ConfigText | None:
    """Text of the newest version of a kind, such as the startup that the RS serves; None if there is none."""
    version = await latest(tx, scope, entry_id, kind)
    if version is None:
        return None
    sealed = (await tx.execute(_TEXT, {"of_id": version.id})).scalar_one()
    return opened(keyring, sealed, entry_id, kind, version.digest, version.at_ms)


_ENTRY: Final = direct(select(entries.c.id).where(entries.c.id == bindparam("of_entry")))


async def require_entry(tx: Tx, scope: Scope, entry_id: int) -> None:
    """Raises NotFound unless the entry exists in scope."""
    query = _ENTRY if scope.contractor_id is None else _ENTRY.where(entry_in_scope(scope, entries.c.id))
    found = await tx.execute(query, {"of_entry": entry_id})
    if found.one_or_none() is None:
        raise NotFound(f"no entry E-{entry_id}", next_step="List the entries.")


async def owner(tx: Tx, entry_id: int) -> int | None:
    """Contractor whose place it is."""
    return (await owners(tx, [entry_id])).get(entry_id)


_OWNERS: Final = direct(
    select(entries.c.id, managements.c.contractor_id)
    .join(managements, entries.c.management_id == managements.c.id)
    .where(entries.c.id.in_(bindparam("of_entries", expanding=True)))
)


async def owners(tx: Tx, entry_ids: Collection[int]) -> dict[int, int | None]:
    """Contractors whose places these are."""
    found: dict[int, int | None] = {}
    for some in in_parts(entry_ids):
        found |= {row.id: row.contractor_id for row in await tx.execute(_OWNERS, {"of_entries": some})}
    return found


def entry_in_scope(scope: Scope, entry_id: Column[int]) -> ColumnElement[bool]:
    """Condition on a column that refers to an entry: the place's data belongs to its management's contractor."""
    if scope.contractor_id is None:
        return true()
    owned = (
        select(entries.c.id)
        .join(managements, managements.c.id == entries.c.management_id)
        .where(managements.c.contractor_id == scope.contractor_id)
    )
    return entry_id.in_(owned)


def pack(config: ConfigText) -> str:
    """A config as text for sealing."""
    return to_json([[module, content] for module, content in config.modules])


def unpack(packed: str) -> ConfigText:
    """Inverse of `pack`."""
    return ConfigText(tuple((module, content) for module, content in json.loads(packed)))


def _context(entry_id: int, kind: str, digest: str, at_ms: int) -> str:
    return f"config_versions/{entry_id}/{kind}/{digest}/{at_ms}"


def _version(row: RowMapping) -> ConfigVersion:
    return ConfigVersion(**row)
