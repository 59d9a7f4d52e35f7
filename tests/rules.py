"""Which test shows which rule of the terms: `docs/terms.md` is written by `python -m tests.rules`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from inventory.terms import RULES

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "terms.md"
IDS: Final = re.compile(r"\b(?:MPC|SMF)-(?:S\d{4}-\d\d\.\d|A?\d+(?:\.\d+)?(?:\([0-9a-z]+\))*)")

HEAD: Final = """# The service terms in the code

Written by `python -m tests.rules` from `inventory/terms.py`, the code that names a rule, and the tests that carry its
id as a mark. A test fails when this page is out of date, when a rule is unknown, or when one that is said to be shown
has no test. What is *open* is not built yet.

| rule | says | lives in | shown by |
|---|---|---|---|
"""


@lru_cache(maxsize=1)
def shown() -> dict[str, list[str]]:
    """Tests by the rule that they carry, as `file::name`."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, id_ in _marks(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(id_, []).append(f"{path.relative_to(ROOT / 'tests')}::{name}")
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.rule":
                    yield from ((node.name, id_) for id_ in _ids(mark.args))


def _ids(arguments: Sequence[ast.expr]) -> Iterator[str]:
    for one in arguments:
        if isinstance(one, ast.Starred):
            yield from (str(id_) for id_ in ast.literal_eval(one.value))
        else:
            yield str(ast.literal_eval(one))


def named() -> dict[str, list[str]]:
    """Modules by the rule that they name."""
    found: dict[str, list[str]] = {}
    for folder in ("inventory", "drivers", "controller"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name != "terms.py" and path.parent.name != "demo":  # the demo plays rules, it does not hold them
                for id_ in sorted(set(IDS.findall(path.read_text(encoding="utf-8")))):
                    found.setdefault(id_, []).append(str(path.relative_to(ROOT)))
    return found


def told(rule: str) -> list[str]:
    """The tests that the page names for a rule: at most three, those of the pure rules first."""
    return sorted(shown().get(rule, []), key=lambda one: not one.startswith("inventory/"))[:3]


def page() -> str:
    """The text of `docs/terms.md`."""
    tests, modules = shown(), named()
    lines = []
    for id_, words in RULES.items():
        where = ", ".join(f"`{one}`" for one in modules.get(id_, [])[:3]) or "–"
        by = ", ".join(f"`{one}`" for one in told(id_)) or "*open*"
        lines.append(f"| {id_} | {words} | {where} | {by} |")
    count = sum(id_ in tests for id_ in RULES)
    return HEAD + "\n".join(lines) + f"\n\n{count} of {len(RULES)} rules are shown by a test.\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}\n")
