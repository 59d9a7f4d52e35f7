"""Ports of a FortiGate that something else is made of: switches, bundles, wires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from drivers.cutoff.fortios_model import Model, values
from drivers.cutoff.way import Findings
from drivers.dialects.block_model import Table
from inventory.plans import Finding

_MADE_OF: Final = ("system interface", "system switch-interface", "system virtual-wire-pair", "system virtual-switch")


def switches(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Switches of ports that we come through and that lose one."""
    for path, below in (("system virtual-switch", "port"), ("system switch-interface", "")):
        for key, entry in old.entries(path).items():
            left = new.entries(path).get(key)
            was, now = _ports(entry, below), _ports(left, below) if left else set()
            if key in names and not was <= now:
                yield Finding(f"config {path} / edit {key}", "takes a port from the switch that we come through")


def _ports(entry: Table, below: str) -> set[str]:
    return set(entry.tables[below].entries) if below in entry.tables else set(values(entry, "member"))


def swallowed(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Interfaces of our way that become a part of something, which has their packets from then on."""
    before = set(_parts(old))
    for path, key, part in _parts(new):
        if part in names and (path, key, part) not in before:
            yield Finding(
                f"config {path} / edit {key} / set member {part}", "takes an interface that we come through in"
            )


def _parts(model: Model) -> Iterator[tuple[str, str, str]]:
    for path in _MADE_OF:
        below = "port" if path == "system virtual-switch" else ""
        for key, entry in model.entries(path).items():
            yield from ((path, key, part) for part in sorted(_ports(entry, below)))
