"""A price list as a CSV file: `contractor,service,item,fee,yen,first_day`; no contractor: the default list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from inventory.calendar import parse_day
from inventory.csvrows import CsvRow, RowFault, fault, read, whole_yen
from inventory.errors import BadInput, FleetError
from inventory.prices import Price, parse_price
from inventory.slots import parse_key

REQUIRED: Final = ("service", "item", "fee", "yen", "first_day")
OPTIONAL: Final = ("contractor",)


def parse(text: str) -> tuple[tuple[tuple[CsvRow, Price], ...], tuple[RowFault, ...]]:
    """The prices of a file and what is wrong with its other rows (MPC-A1, SMF-A1); the second of two rows for the same
    item, fee, day and contractor is a fault. Raises BadInput for a file that cannot be read as rows at all."""
    found: list[tuple[CsvRow, Price]] = []
    faults: list[RowFault] = []
    seen: dict[tuple[object, ...], int] = {}
    for row in read(text, REQUIRED, OPTIONAL):
        try:
            price = _price(row)
            key = (price.item, price.fee, price.first_day, price.contractor_id)
            if key in seen:
                raise BadInput(f"the same price stands in row {seen[key]}", field="item", next_step="Delete one row.")
        except FleetError as error:
            faults.append(fault(row, error))
        else:
            seen[key] = row.number
            found.append((row, price))
    return tuple(found), tuple(faults)


def _price(row: CsvRow) -> Price:
    row.require_whole()
    contractor = contractor_number(row["contractor"]) if row["contractor"] else None
    yen, first_day = whole_yen(row["yen"], "yen"), parse_day(row["first_day"], "first_day")
    return parse_price(row["service"], row["item"], row["fee"], yen, first_day, contractor)


def contractor_number(key: str) -> int:
    """Number of a contractor key. Raises BadInput for another key."""
    kind, number = parse_key(key)
    if kind != "K":
        raise BadInput(f"{key[:24]!r} is no contractor", field="contractor", next_step="Write a key such as K-12.")
    return number


def show(prices: Sequence[Price]) -> str:
    """The file that brings these prices."""
    lines = [",".join((*OPTIONAL, *REQUIRED))]
    for one in prices:
        owner = "" if one.contractor_id is None else f"K-{one.contractor_id}"
        lines.append(f"{owner},{one.item.service},{one.item.name},{one.fee},{one.yen},{one.first_day}")
    return "\n".join(lines) + "\n"
