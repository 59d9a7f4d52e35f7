"""`python -m tests.mutation --each-rule`: does a change of what cites a rule fail a test that the page names for it?

For each rule of the terms: the functions and tables of `inventory/` that name its id are changed, one place at a time,
and only the tests that `docs/terms.md` names for it are run, until one change is found. A rule without such a change
is reported.
"""

from __future__ import annotations

import ast
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inventory.terms import RULES
from tests.mutation.points import Mutant, mutants
from tests.mutation.trial import Seen, judged, observe
from tests.rules import IDS, told

TRIED_AT_MOST: Final = 40
"""Changes of one rule; if its own tests find none of so many, they do not show it."""

SHORT: Final = 40
"""Lines of a function that is taken whole."""


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What became of one rule. `found` None: nothing was tried, for the reason in `words`."""

    rule: str
    found: Mutant | None
    tried: int
    words: str = ""

    @property
    def failed(self) -> bool:
        """It was tried, and no test of its own noticed."""
        return self.found is None and self.tried > 0

    def __str__(self) -> str:
        if self.found is not None:
            return f"ok   {self.rule:<15} {self.found} ({self.tried} tried)"
        return f"{'FAIL' if self.failed else '–   '} {self.rule:<15} {self.words or f'none of {self.tried} was found'}"


def cited(path: Path) -> Iterator[tuple[str, range]]:
    """Rules that a class, function or table of a module names, with its lines; of a long function those around."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    subject = sorted(set(IDS.findall(ast.get_docstring(ast.parse(text)) or "")))
    if len(subject) <= 2:  # the module is about them
        yield from ((rule, range(1, len(lines) + 1)) for rule in subject)
    nodes: list[ast.stmt] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            nodes += node.body
            for rule in IDS.findall(ast.get_docstring(node) or ""):
                yield rule, range(node.lineno, (node.end_lineno or node.lineno) + 1)
        elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr):
            nodes.append(node)
    for node in nodes:
        first, last = node.lineno, node.end_lineno or node.lineno
        short = isinstance(node, ast.FunctionDef) and last - first < SHORT
        for at in range(first, last + 1):
            for rule in IDS.findall(lines[at - 1]):
                yield rule, range(first, last + 1) if short else range(max(first, at - 2), min(last, at + 2) + 1)


def places() -> dict[str, list[Mutant]]:
    """Changes of what names a rule, by the rule."""
    found: dict[str, list[Mutant]] = {}
    for path in sorted(Path("inventory").glob("*.py")):
        if path.name != "terms.py":
            every = mutants(str(path), path.read_text(encoding="utf-8"))
            for id_, lines in cited(path):
                # An item of a paragraph counts as its paragraph where the list of rules has no such item.
                rule = id_ if id_ in RULES else id_.partition("(")[0]
                known = found.setdefault(rule, [])
                known += [one for one in every if one.line in lines and one not in known]
    return found


def verdict(rule: str, changes: list[Mutant], seen: Seen, seed: int) -> RuleVerdict:
    """Try changes in an order that follows from the seed, until a test of the rule finds one."""
    marked = {f"tests/{test}" for test in told(rule)}
    if not changes:
        return RuleVerdict(rule, None, 0, "no code of inventory/ names it: it is shown by what the daemon does")
    own = {test for test in seen.lines if test.partition("[")[0] in marked}
    if not own:
        return RuleVerdict(rule, None, 0, "its tests need a database: they are run by `make test`")
    random.Random(f"{seed} {rule}").shuffle(changes)
    tried = 0
    for change in changes:
        tests = [test for test in seen.tests_of(change) if test in own]
        if tests:
            tried += 1
            if judged(change, tests):
                return RuleVerdict(rule, change, tried)
        if tried == TRIED_AT_MOST:
            break
    return RuleVerdict(rule, None, max(1, tried))


def each_rule(seed: int) -> int:
    """A line for each rule; 1 if a rule's own tests noticed none of the changes."""
    changes = places()
    with tempfile.TemporaryDirectory() as folder:
        seen = observe(sorted({one.module for found in changes.values() for one in found}), Path(folder) / "seen")
    verdicts = []
    for rule in RULES:
        verdicts.append(verdict(rule, changes.get(rule, []), seen, seed))
        sys.stdout.write(f"{verdicts[-1]}\n")
        sys.stdout.flush()
    failed, found = (sum(map(test, verdicts)) for test in (lambda one: one.failed, lambda one: one.found is not None))
    sys.stdout.write(f"of {len(RULES)} rules {found} have a change that their own tests find, {failed} have none\n")
    return int(failed > 0)
