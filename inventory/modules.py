"""Firmware and module versions: what an entry wants, and what its adapter says it has (arms-protocol §6.2, §6.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inventory.errors import BadInput

MAX_ID: Final = 2**31 - 1
MOST: Final = 16
"""Modules of one entry."""
INFO_AT_MOST: Final = 255
_VERSION: Final = re.compile(r"[!-~]{1,63}")
_INFO: Final = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class WantedModule:
    """A module version that an entry wants. `info` goes with it to the adapter, often the URL to fetch it from."""

    id: int
    version: str
    info: str = ""


@dataclass(frozen=True, slots=True)
class ReportedModule:
    """A module as the adapter itself lists it."""

    id: int
    version: str
    info: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an entry wants; `version` counts the changes, 0: nobody has ever set it."""

    modules: tuple[WantedModule, ...] = ()
    version: int = 0
    at_ms: int | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """The module list of an adapter, and when it told it (milliseconds UTC)."""

    modules: tuple[ReportedModule, ...]
    at_ms: int


def checked(modules: Iterable[WantedModule]) -> tuple[WantedModule, ...]:
    """The modules by number. Raises BadInput for one that comes twice, or that no client could take."""
    kept = tuple(sorted(modules, key=lambda one: one.id))
    if len({one.id for one in kept}) != len(kept):
        raise BadInput("a module comes twice", field="modules", next_step="Name each module once.")
    if len(kept) > MOST:
        raise BadInput(f"an entry has at most {MOST} modules", field="modules", next_step="Name fewer.")
    for one in kept:
        if not 0 <= one.id <= MAX_ID:
            raise BadInput(f"module ids are 0…{MAX_ID}", field="modules", next_step="Look at the module list.")
        if not _VERSION.fullmatch(one.version):
            raise BadInput(
                f"the version of module {one.id} is not 1 to 63 visible ASCII characters",
                field="modules",
                next_step="Write it as the adapter does, such as 5.66.0-0.",
            )
        if len(one.info) > INFO_AT_MOST or not _INFO.fullmatch(one.info):
            raise BadInput(
                f"the info of module {one.id} is not at most {INFO_AT_MOST} printable ASCII characters",
                field="modules",
                next_step="It is often the URL that the adapter fetches the module from.",
            )
    return kept


def announced(
    ids: Sequence[int], running: Mapping[int, str], wanted: Sequence[WantedModule]
) -> tuple[WantedModule, ...]:
    """The module list of a pull: what is wanted, else what runs, else `0.0.0-0`. `ids` come first and in their order.

    Another version than the running one starts an update, so nothing is announced that nobody wants.
    """
    by_id = {one.id: one for one in wanted}
    more = [one.id for one in wanted if one.id not in ids]
    return tuple(by_id.get(id_) or WantedModule(id_, running.get(id_, "0.0.0-0")) for id_ in (*ids, *more))


def differences(wanted: Sequence[WantedModule], running: Mapping[int, str]) -> str:
    """What is wanted and does not run, in words; empty when all wanted versions run, as far as it is known."""
    return ", ".join(
        f"module {one.id} wants {one.version} and runs {running[one.id]}"
        for one in wanted
        if one.id in running and running[one.id] != one.version
    )
