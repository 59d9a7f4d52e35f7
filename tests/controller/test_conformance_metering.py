"""The published metering vectors pass, and the runner cannot be fooled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from controller.cli.conformance import register
from controller.cli.conformance_metering import agrees, run_metering

VECTORS = Path(__file__).parent.parent / "vectors" / "metering"

pytestmark = pytest.mark.fast


def app() -> typer.Typer:
    found = typer.Typer()
    register(found)
    found.callback()(lambda: None)
    return found


def test_every_published_case_passes() -> None:
    results = list(run_metering([VECTORS / "index.json"]))
    assert [f"{r.id}: {r.detail}" for r in results if not r.ok] == []
    assert len(results) == json.loads((VECTORS / "index.json").read_text())["total"]


def test_the_command_prints_a_line_a_case_and_the_count() -> None:
    done = CliRunner().invoke(app(), ["metering", str(VECTORS / "p95.json"), str(VECTORS / "need.json")])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == "ok p95-01"
    assert lines[-1] == "11 passed, 0 failed"


def test_a_wrong_expectation_is_a_failure_that_says_both_values(tmp_path: Path) -> None:
    path = tmp_path / "p95.json"
    case = {"id": "x-1", "note": "", "input": {"known": [1, 2], "groups": []}, "expected": {"low": 2, "high": 3}}
    path.write_text(json.dumps({"kind": "p95", "cases": [case]}))
    done = CliRunner().invoke(app(), ["metering", str(path)])
    assert done.exit_code == 1
    assert done.output.splitlines() == ['FAIL x-1 expected {"high": 3} got {"high": 2}', "0 passed, 1 failed"]


@pytest.mark.parametrize(
    "content",
    [
        '{"kind": "horoscope", "cases": [{"id": "h-1", "input": {}, "expected": {}}]}',
        '{"cases": []}',
        "[]",
        "not json",
    ],
)
def test_a_file_of_an_unknown_kind_or_shape_is_a_failure(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    assert [r.ok for r in run_metering([path])] == [False]


def test_a_case_with_broken_input_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "p95.json"
    good = {"id": "g", "input": {"known": [5], "groups": []}, "expected": {"low": 5, "high": 5}}
    bad = {"id": "b", "input": {"known": []}, "expected": {"low": 5}}
    path.write_text(json.dumps({"kind": "p95", "cases": [bad, good]}))
    assert [(r.id, r.ok) for r in run_metering([path])] == [("b", False), ("g", True)]


def test_a_vector_file_that_was_edited_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "need.json"
    path.write_bytes((VECTORS / "need.json").read_bytes() + b"\n")
    listed = next(f for f in json.loads((VECTORS / "index.json").read_text())["files"] if f["file"] == "need.json")
    (tmp_path / "index.json").write_text(json.dumps({"files": [listed]}))
    assert [(r.id, r.ok) for r in run_metering([tmp_path / "index.json"])] == [("need.json", False)]


def test_true_is_not_one_and_null_is_not_zero() -> None:
    assert not agrees(1, True)
    assert not agrees(0, None)
    assert not agrees(None, 0)
    assert agrees(None, 1 << 48)
    assert agrees(1.0, 1 + 5e-7)
    assert not agrees(1.0, 1 + 2e-6)
