"""The published metering vectors pass, and the runner cannot be fooled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from controller.cli import metering_kinds
from controller.cli.conformance import register
from controller.cli.conformance_case import CaseResult
from controller.cli.conformance_metering import agrees, run_metering

VECTORS = Path(__file__).parent.parent / "vectors" / "metering"
OWN = VECTORS.parent / "metering-own"

pytestmark = pytest.mark.fast


def app() -> typer.Typer:
    found = typer.Typer()
    register(found)
    found.callback()(lambda: None)
    return found


@pytest.mark.parametrize("folder", [VECTORS, OWN], ids=["published", "our own"])
def test_every_case_passes(folder: Path) -> None:
    results = list(run_metering([folder / "index.json"]))
    assert [f"{r.id}: {r.detail}" for r in results if not r.ok] == []
    assert len(results) == json.loads((folder / "index.json").read_text())["total"]


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


def case(kind: str, **changed: object) -> dict[str, Any]:
    """The first case of a kind, with some of its input's fields replaced."""
    folder = VECTORS if (VECTORS / f"{kind}.json").exists() else OWN
    found: dict[str, Any] = json.loads((folder / f"{kind}.json").read_text())["cases"][0]
    return {**found, "input": {**found["input"], **changed}}


def ran(path: Path, kind: str, *cases: object) -> list[CaseResult]:
    path.write_text(json.dumps({"kind": kind, "cases": list(cases)}))
    return list(run_metering([path]))


READING = {"t_ms": 0, "octets": 0}
PORT = {"counter_bits": 64, "port_speed_bps": 8, "readings": [{"t_ms": 0, "octets": 2**32}]}
MALFORMED: list[tuple[str, dict[str, object], str]] = [
    ("delta", {"readings": [READING, {"t_ms": "x", "octets": 1}]}, "readings[1].t_ms: wanted a whole number"),
    ("delta", {"counter_bits": 48}, "counter_bits: wanted one of 32, 64, found 48"),
    ("outlier", {"readings": [{"t_ms": 0}]}, "readings[0].octets is missing"),
    (
        "outlier",
        {"counter_bits": 32, "readings": [{"t_ms": 0, "octets": 2**32}]},
        "readings[0].octets: wanted a counter",
    ),
    ("heartbeat-rate", {"heartbeats": [{"t_ms": 0, "rate": True}]}, "heartbeats[0].rate: wanted a whole number"),
    ("slotting", {"start_ms": 1}, "start_ms: wanted a multiple of 300000, found 1"),
    ("slotting", {"increments": [None]}, "increments[0]: wanted an object, found None"),
    ("bounds", {"end_ms": 2**50 // 300_000 * 300_000}, "end_ms: wanted 1 to 200000 slots after start_ms"),
    ("bounds", {"port_speed_bps": 0}, "port_speed_bps: wanted a whole number from 1"),
    ("p95", {"groups": [{"slots": [99], "room": [1], "tmin": 0, "tmax": 1}]}, "groups[0].slots: wanted slots below"),
    ("p95", {"groups": [{"slots": [0], "room": [1], "tmin": 5, "tmax": 9}]}, "groups[0].tmin: wanted no more than"),
    ("p95-month", {"n": 10**12}, "n: wanted a whole number from 1 to 1000000"),
    ("convention", {"in": [1]}, "out: 20 values beside 1 of in"),
    ("port-sum", {"ports": []}, "ports: wanted 1 or more, found 0"),
    ("calendar", {"month": 13}, "month: wanted a whole number from 1 to 12, found 13"),
    ("calendar", {"time_zone": "Asia/Atlantis"}, "time_zone: wanted a time zone, found 'Asia/Atlantis'"),
    ("day-metrics", {"maintenance_slots": [999]}, "maintenance_slots[0]: wanted a slot below"),
    ("levels", {"days": [{"valid": 1}]}, "days[0].valid: wanted true or false, found 1"),
    ("dimensioning", {"epsilon": 0}, "epsilon: wanted a number above 0, found 0"),
    ("forecast", {"first_monday": "2025-02-30"}, "first_monday: wanted a day, YYYY-MM-DD, found '2025-02-30'"),
    ("forecast-interval", {"weekly_median_bps": [1, "2"]}, "weekly_median_bps[1]: wanted a number"),
    ("trigger", {"level": 4}, "level: wanted a whole number from 0 to 3, found 4"),
    ("need", {"series": {}}, "series: wanted a list, found an object"),
    ("schedule", {"since": "2025-01-01T00:00:00"}, "since: wanted an instant with an offset"),
    ("schedule", {"schedule": {"id": "s", "period": "hour"}}, "schedule.period: wanted one of day, week, month"),
    ("proposal", {"current_model": "none such"}, "current_model: wanted a model of the catalogue"),
    ("chain", {"ports": [{**PORT, "readings": [{"t_ms": 0}]}]}, "ports[0].readings[0].octets is missing"),
    ("chain", {"ports": [PORT, {**PORT, "counter_bits": 32}]}, "ports[1].readings[0].octets: wanted a counter of 32"),
    ("chain", {"ports": []}, "ports: wanted 1 or more, found 0"),
    ("chain", {"end_ms": 300_001}, "end_ms: wanted a multiple of 300000"),
]


@pytest.mark.parametrize(("kind", "changed", "said"), MALFORMED)
def test_a_malformed_vector_fails_with_the_place_of_its_fault(
    tmp_path: Path, kind: str, changed: dict[str, object], said: str
) -> None:
    broken, good = case(kind, **changed), {**case(kind), "id": "good"}
    first, second = ran(tmp_path / "own.json", kind, broken, good)
    assert (first.ok, second.ok) == (False, True)
    assert first.detail.startswith(f"expected an answer got {said}")


def test_every_kind_has_a_malformed_example() -> None:
    assert {kind for kind, _, _ in MALFORMED} == metering_kinds.KINDS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "p95", "kind": "need", "cases": []}', "the name 'kind' stands twice"),
        ('{"kind": "p95", "cases": [{"id": "a", "input": {"known": [NaN]}}]}', "NaN is no number of JSON"),
        ('{"kind": "p95", "cases": []}', "expected a list of cases got none"),
        ('{"kind": ["p95"], "cases": [1]}', "expected a known kind got ['p95']"),
        ('{"kind": "p95"}', "no 'cases'"),
        ("\xff", "UnicodeDecodeError"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_a_file_that_cannot_be_read_as_vectors_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="latin-1")
    (found,) = run_metering([path])
    assert not found.ok
    assert said in found.detail


def test_a_case_that_compares_nothing_or_repeats_an_id_is_a_failure(tmp_path: Path) -> None:
    good = case("need")
    empty, said = {**good, "id": "empty", "expected": {"wrong_guess": 1}}, {**good, "id": "said", "expected": 5}
    found = ran(tmp_path / "own.json", "need", good, good, empty, said, 7)
    assert [one.ok for one in found] == [True, False, False, False, False]
    assert "stands twice" in found[1].detail
    assert "explanations only" in found[2].detail
    assert found[4].id == "own.json case 5"


@pytest.mark.parametrize("entry", [{"file": "p95.json"}, 7, {"file": "p95.json", "sha256": "0" * 64}])
def test_an_index_with_a_wrong_entry_is_a_failure(tmp_path: Path, entry: object) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"files": [entry]}))
    assert [one.ok for one in run_metering([tmp_path / "index.json"])] == [False]
