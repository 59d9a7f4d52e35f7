"""Finds drivers: ours by looking into this folder, others by the entry point group `kajitori.drivers`.

A driver is a module attribute `DRIVER` of type `Driver`. An entry point names such a value.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

import drivers
from drivers.driver import Driver
from inventory.errors import BadInput, Conflict

GROUP: Final = "kajitori.drivers"


def _ours() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for module in pkgutil.iter_modules(drivers.__path__):
        if module.ispkg:
            continue
        value = getattr(importlib.import_module(f"drivers.{module.name}"), "DRIVER", None)
        if value is not None:
            found.append((f"drivers.{module.name}", value))
    return found


def _theirs() -> list[tuple[str, object]]:
    return [(point.value, _loaded(point)) for point in entry_points(group=GROUP)]


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:  # whatever the code of others does when it is imported
        named = f"{point.dist.name} {point.dist.version}" if point.dist else "a distribution"
        raise BadInput(
            f"The driver {point.value} of {named} cannot be loaded: {type(error).__name__}: {error}",
            field=point.value,
            next_step="Mend that distribution or uninstall it.",
        ) from error


def collect(found: list[tuple[str, object]]) -> dict[str, Driver]:
    """Drivers by family. Raises BadInput for a value that is no driver, Conflict for two of one family."""
    by_family: dict[str, Driver] = {}
    origin: dict[str, str] = {}
    for where, value in found:
        if not isinstance(value, Driver):
            raise BadInput(
                f"{where} is a {type(value).__name__} and no driver.",
                field=where,
                next_step=f"Let the entry point in {GROUP} name a value of drivers.driver.Driver.",
            )
        if value.family in by_family:
            raise Conflict(
                f"Family {value.family} has two drivers: {origin[value.family]} and {where}.",
                next_step="Uninstall one of them.",
            )
        by_family[value.family] = value
        origin[value.family] = where
    return by_family


@cache
def all_drivers() -> MappingProxyType[str, Driver]:
    """Every driver by family; read once. Errors as `collect`; BadInput too for one that cannot be loaded."""
    return MappingProxyType(collect(_ours() + _theirs()))


def theirs() -> tuple[Driver, ...]:
    """Drivers from outside this repository. Errors as `collect`."""
    ours = {value.family for _, value in _ours() if isinstance(value, Driver)}
    return tuple(found for family, found in sorted(all_drivers().items()) if family not in ours)


def driver(family: str) -> Driver:
    """The driver of a family. Raises BadInput with the known ones."""
    known = all_drivers()
    if family not in known:
        raise BadInput(
            f"No driver for family {family!r}.",
            field="family",
            next_step=f"Known families: {', '.join(sorted(known))}.",
        )
    return known[family]
