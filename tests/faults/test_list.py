"""`docs/faults.md` and the stories say the same."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from drivers.simulator.faults import Faults

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.M)
ROWS = 90
LEAST = 60
BESIDE = {"session_limit"}
"""A property of every simulated device that acts as a switch."""


def listed() -> dict[int, tuple[list[str], str]]:
    """Row number, its switches, its story or the reason why it has none."""
    text = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    found = [(int(row[1]), re.findall(r"`(\w+)`", row[3]), row[4]) for row in ROW.finditer(text)]
    assert [number for number, _, _ in found] == list(range(1, ROWS + 1))
    return {number: (switches, last) for number, switches, last in found}


def stories() -> dict[str, str]:
    """Stories by name, with their source."""
    found = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.AsyncFunctionDef) and re.match(r"test_\d\d_", node.name):
                found[node.name] = ast.get_source_segment(source, node) or ""
    return found


def test_every_row_has_its_story_or_the_reason_why_not() -> None:
    told = stories()
    named = {last.strip("`"): number for number, (_, last) in listed().items() if last.startswith("`")}
    assert set(named) == set(told)
    assert [name for name, number in named.items() if not name.startswith(f"test_{number:02d}_")] == []
    assert len(named) >= LEAST
    reasons = [last for _, last in listed().values() if not last.startswith("`")]
    assert [reason for reason in reasons if len(reason.split()) < 6] == []


def test_every_switch_that_is_named_is_there_and_thrown() -> None:
    told, known = stories(), {item.name for item in fields(Faults)} | BESIDE
    for number, (switches, last) in listed().items():
        assert set(switches) <= known, number
        if last.startswith("`"):
            source = told[last.strip("`")]
            assert [switch for switch in switches if switch not in source] == [], number


def test_every_row_that_a_switch_serves_is_a_row_that_names_it() -> None:
    source = (ROOT / "drivers/simulator/faults.py").read_text(encoding="utf-8")
    texts = re.findall(r'^    (\w+): .*\n(?:    (?=").*\n)?    """((?:.|\n)*?)"""', source, re.M)
    used = {switch for switches, _ in listed().values() for switch in switches}
    assert texts
    for name, text in texts:
        if re.search(r"\(rows? \d", text) and name not in {"replace", "strike_when"}:
            assert name in used, name
