"""Every plan is proven at run time, for the very lines that are shown (ADR 0008).

Not to be imported by the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.dialects import Dialect
from drivers.dialects.diff import lines_between
from drivers.dialects.tree import Tree


@dataclass(frozen=True, slots=True)
class Proof:
    """Commands there and back, and whether our model of the device confirms both ways.

    `reason` says why not, with secrets masked; empty if proven. The commands hold secrets: show them only redacted.
    """

    remediation: tuple[str, ...] = field(repr=False)
    rollback: tuple[str, ...] = field(repr=False)
    proven: bool
    reason: str


def prove(d: Dialect, base: str, intent: str) -> Proof:
    """Compute and prove apply(base, remediation) = intent and apply(intent, rollback) = base, in canonical form.

    Raises ConfigSyntax if one of the texts does not parse.
    """
    old, new = d.parse(base), d.parse(intent)
    return prove_trees(d, (old, d.canonical(old)), (new, d.canonical(new)))


def prove_trees(d: Dialect, base: tuple[Tree, Tree], intent: tuple[Tree, Tree]) -> Proof:
    """The same for texts that are parsed already: each the tree that `parse` gave, and its canonical form."""
    old, new = base[0], intent[0]
    there, back = d.remediate(old, new), d.remediate(new, old)
    reason = _fails(d, "the change", d.apply(old, there), intent) or _fails(d, "the way back", d.apply(new, back), base)
    reason = reason or d.caveat(old, there) or d.caveat(new, back)
    return Proof(there, back, not reason, reason)


def _fails(d: Dialect, what: str, reached: Tree, goal: tuple[Tree, Tree]) -> str:
    """Why the lines of `what`, which lead to `reached`, do not lead to `goal`; empty if they do."""
    if reached == goal[0]:
        return ""
    form = d.canonical(reached)
    if form == goal[1]:
        return ""
    left = lines_between(d, form, goal[1])
    place = " / ".join((*left[0].path, left[0].text)) if left else "the order of statements"
    return f"{what} would not lead there: {len(left)} lines still differ, first {place!r}"
