"""Price lists: dated rows, the default list's and each contractor's; a correction is a new row (service-terms §6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Select, insert, or_, select

from controller.store import audit, contractors
from controller.store.database import Tx
from controller.store.rows import in_parts, not_found
from controller.store.scope import By, Scope
from controller.store.tables.base import AnyRow
from controller.store.tables.inventory import contractors as contractor_table
from controller.store.tables.money import prices
from inventory.csvrows import RowFault, fault, refused
from inventory.errors import NotFound
from inventory.pricefile import parse
from inventory.prices import Item, Price, PriceList, PriceRow, known
from inventory.slots import show_key


@dataclass(frozen=True, slots=True)
class Listed:
    """A recorded row of a price list."""

    id: int
    row: PriceRow
    actor: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file brings, or has brought: new and changed prices, and those that are known as they stand in it."""

    rows: int
    new: tuple[Price, ...]
    unchanged: int
    faults: tuple[RowFault, ...]
    dry_run: bool


async def put(tx: Tx, scope: Scope, by: By, wanted: Sequence[Price]) -> tuple[Price, ...]:
    """Record prices that are not known as they are; those recorded now. A price of a day that has one corrects it.

    Raises NotFound for a contractor that does not exist, and for a scope that is not the provider's.
    """
    _provider(scope)
    for owner in sorted({one.contractor_id for one in wanted if one.contractor_id is not None}):
        await contractors.get(tx, scope, owner)
    return await _record(tx, by, wanted)


async def take_back(tx: Tx, scope: Scope, by: By, wrong: Price) -> None:
    """Say that the list never had a price of this row from this day. Raises NotFound when none is known."""
    _provider(scope)
    held = known(one.row for one in await _rows(tx, _query().where(_owner(wrong.contractor_id))))
    if not any((one.item, one.fee, one.first_day) == (wrong.item, wrong.fee, wrong.first_day) for one in held):
        raise not_found(f"{wrong.fee} price for {wrong.item} from {wrong.first_day}")
    await _insert(tx, by, [replace(_row(wrong, by.at_ms), yen=None)])


async def import_file(tx: Tx, scope: Scope, by: By, text: str, *, dry_run: bool) -> Imported:
    """Take a file of prices whole, or not at all. A dry run records nothing and tells every fault.

    Raises BadInput that names row, column and rule of the faults, when it is no dry run; NotFound for another scope
    than the provider's.
    """
    _provider(scope)
    found, faults = parse(text)
    owners = {one.contractor_id for _, one in found if one.contractor_id is not None}
    exist = await _existing(tx, owners)
    strange = [(row, one) for row, one in found if one.contractor_id is not None and one.contractor_id not in exist]
    absent = NotFound("there is no such contractor", field="contractor", next_step="Record the contractor first.")
    faults = tuple(sorted([*faults, *(fault(row, absent) for row, _ in strange)], key=lambda one: one.row))
    if faults and not dry_run:
        raise refused(faults)
    good = [one for row, one in found if (row, one) not in strange]
    new = await _unknown(tx, good)
    if not dry_run:
        await _insert(tx, by, [_row(one, by.at_ms) for one in new])
    return Imported(len(found) + len(faults) - len(strange), tuple(new), len(good) - len(new), faults, dry_run)


async def page(
    tx: Tx, scope: Scope, *, after: int = 0, limit: int = 100, contractor_id: int | None = None, default: bool = False
) -> list[Listed]:
    """Recorded rows by number, corrections included; of one contractor, or of the default list alone."""
    query = _visible(scope).where(prices.c.id > after).order_by(prices.c.id).limit(limit)
    if contractor_id is not None:
        query = query.where(prices.c.contractor_id == contractor_id)
    if default:
        query = query.where(prices.c.contractor_id.is_(None))
    return await _rows(tx, query)


async def of_contractor(tx: Tx, scope: Scope, contractor_id: int, known_at_ms: int | None = None) -> PriceList:
    """The prices of a contractor in the caller's scope. Raises NotFound."""
    await contractors.get(tx, scope, contractor_id)
    return await price_list(tx, contractor_id, known_at_ms)


async def price_list(tx: Tx, contractor_id: int, known_at_ms: int | None = None) -> PriceList:
    """All prices that can matter to a contractor, as they were known at an instant (None: as now)."""
    query = _query().where(or_(prices.c.contractor_id == contractor_id, prices.c.contractor_id.is_(None)))
    return PriceList(known((one.row for one in await _rows(tx, query)), known_at_ms))


async def _record(tx: Tx, by: By, wanted: Sequence[Price]) -> tuple[Price, ...]:
    new = await _unknown(tx, wanted)
    await _insert(tx, by, [_row(one, by.at_ms) for one in new])
    return tuple(new)


async def _unknown(tx: Tx, wanted: Sequence[Price]) -> list[Price]:
    owners = {one.contractor_id for one in wanted}
    held: set[Price] = set()
    for some in in_parts({one for one in owners if one is not None}):
        held.update(known(one.row for one in await _rows(tx, _query().where(prices.c.contractor_id.in_(some)))))
    if None in owners:
        held.update(known(one.row for one in await _rows(tx, _query().where(prices.c.contractor_id.is_(None)))))
    return [one for one in wanted if one not in held]


async def _insert(tx: Tx, by: By, rows: Iterable[PriceRow]) -> None:
    for one in rows:
        values = {
            "contractor_id": one.contractor_id,
            "service": one.item.service,
            "item": one.item.name,
            "fee": one.fee,
            "first_day": one.first_day.isoformat(),
            "yen": one.yen,
        }
        await tx.execute(insert(prices).values(**values, recorded_ms=by.at_ms, actor=by.actor))
        subject = "default price list" if one.contractor_id is None else show_key("K", one.contractor_id)
        facts = {name: value for name, value in values.items() if name != "contractor_id"}
        audit.record(tx, by, "price.record", subject, contractor_id=one.contractor_id, after=facts)


async def _existing(tx: Tx, owners: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for some in in_parts(set(owners)):
        found.update(await tx.scalars(select(contractor_table.c.id).where(contractor_table.c.id.in_(some))))
    return found


def _provider(scope: Scope) -> None:
    if scope.contractor_id is not None:
        raise not_found("such collection")


def _query() -> Select[Any]:
    return select(prices).order_by(prices.c.id)


def _visible(scope: Scope) -> Select[Any]:
    if scope.contractor_id is None:
        return select(prices)
    return select(prices).where(or_(prices.c.contractor_id == scope.contractor_id, prices.c.contractor_id.is_(None)))


def _owner(contractor_id: int | None) -> Any:
    return prices.c.contractor_id.is_(None) if contractor_id is None else prices.c.contractor_id == contractor_id


async def _rows(tx: Tx, query: Select[Any]) -> list[Listed]:
    return [Listed(row.id, _priced(row), row.actor) for row in await tx.execute(query)]


def _priced(row: AnyRow) -> PriceRow:
    first_day = date.fromisoformat(row.first_day)
    return PriceRow(Item(row.service, row.item), row.fee, row.yen, first_day, row.contractor_id, row.recorded_ms)


def _row(one: Price, at_ms: int) -> PriceRow:
    return PriceRow(one.item, one.fee, one.yen, one.first_day, one.contractor_id, at_ms)
