"""Would a change cut us off? The management-path verdict of a plan (architecture §4, devices-ios-fortios §A.3, §B.8).

Each family is read twice, as it runs and as it would run, into a small model of what carries our own session: the
interfaces we come through, the routes back to us, the filters on the way, the service that answers and the account that
logs in. What is gone or new in that model is a finding; everything else is an ordinary change. Facts that are known
about the way narrow the model; where they are missing it is inferred from the running text, and in doubt we are warned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from drivers.cutoff import fortios, ios, recipe, seil
from drivers.cutoff.way import Findings, Way
from drivers.dialects import Tree
from inventory.plans import Finding

__all__ = ["FAMILIES", "Judge", "Way", "findings"]

Judge = Callable[[Tree, Tree, Way], Findings]
"""A model of what carries our session: findings between a configuration as it runs and as it would run."""
FAMILIES: Final[Mapping[str, Judge]] = {
    "ios": ios.judge,
    "fortios": fortios.judge,
    "seil": seil.judge,
    "recipe": recipe.judge,
}


def findings(judge: Judge, before: Tree, after: Tree, way: Way) -> tuple[Finding, ...]:
    """What of the change touches our way to the device, each line once, with the reason.

    Both trees are as `parse` gave them.
    """
    return tuple(dict.fromkeys(judge(before, after, way)))
