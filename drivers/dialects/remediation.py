"""Every plan is proven at run time, for the very lines that are shown (ADR 0008).

Not to be imported by the simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.dialects import Dialect
from drivers.dialects.diff import lines as differing
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
    there, back = d.remediate(old, new), d.remediate(new, old)
    reason = _fails(d, "the change", old, there, new) or _fails(d, "the way back", new, back, old)
    reason = reason or d.caveat(old, there) or d.caveat(new, back)
    return Proof(there, back, not reason, reason)


def _fails(d: Dialect, what: str, start: Tree, lines: Sequence[str], goal: Tree) -> str:
    """Why `lines` do not lead from `start` to `goal`; empty if they do."""
    reached = d.apply(start, lines)
    if reached == goal or d.canonical(reached) == d.canonical(goal):
        return ""
    left = differing(d, reached, goal)
    place = " / ".join((*left[0].path, left[0].text)) if left else "the order of statements"
    return f"{what} would not lead there: {len(left)} lines still differ, first {place!r}"
