"""`kajitori conformance terms`: the published vectors pass; what is wrong in a file is a failure that names itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli.conformance_terms import run_terms

pytestmark = pytest.mark.fast

VECTORS = Path(__file__).parents[2] / "vectors" / "terms-vectors.json"


def judged(folder: Path, content: object) -> list[str]:
    """The lines for a file of this content."""
    file = folder / "vectors.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return [result.line for result in run_terms([file])]


def test_every_published_case_passes() -> None:
    results = list(run_terms([VECTORS]))
    assert [result.line for result in results if not result.ok] == []
    assert len(results) == 103


def test_a_wrong_expectation_says_what_came_instead(tmp_path: Path) -> None:
    case = {"id": "R", "contract_end": "2025-03-31", "due": "2025-05-01"}
    (line,) = judged(tmp_path, {"return_due": [case]})
    assert line == 'FAIL R expected {"due": "2025-05-01"} got {"due": "2025-04-30"}'


def test_an_unknown_group_fails_each_of_its_cases(tmp_path: Path) -> None:
    (line,) = judged(tmp_path, {"weather": [{"id": "W9", "yen": 1}]})
    assert line == "FAIL W9 expected a known group got 'weather'"


def test_a_field_that_no_group_has_fails_the_case(tmp_path: Path) -> None:
    case = {"id": "R", "contract_end": "2025-03-31", "colour": "red", "due": "2025-04-30"}
    (line,) = judged(tmp_path, {"return_due": [case]})
    assert line.startswith("FAIL R expected")
    assert "colour" in line


def test_a_missing_field_fails_the_case(tmp_path: Path) -> None:
    (line,) = judged(tmp_path, {"minimum_period_end": [{"id": "M", "months": 1, "ends": "2025-02-14"}]})
    assert line.startswith("FAIL M expected")
    assert "billing_start" in line


def test_null_and_absent_mean_the_same(tmp_path: Path) -> None:
    case = {"id": "T", "notice_arrived": "2025-04-01", "named": None, "effective": "2025-05-01"}
    assert judged(tmp_path, {"termination_effective": [case]}) == ["ok T"]


def test_a_timestamp_counts_on_its_tokyo_day(tmp_path: Path) -> None:
    case = {"id": "T", "notice_arrived": "2025-03-31T15:00:00+00:00", "effective": "2025-05-01"}
    assert judged(tmp_path, {"termination_effective": [case]}) == ["ok T"]


def test_an_answer_that_the_case_leaves_out_is_not_compared(tmp_path: Path) -> None:
    case = {"id": "I", "service_month": "2025-06", "taxable": [100], "untaxed": [], "credits": [], "tax_yen": 10}
    assert judged(tmp_path, {"invoice_total": [case]}) == ["ok I"]


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    case = {"id": "D", "service": "mpc", "class": "I", "slot": "entry", "allowed": 1}
    (line,) = judged(tmp_path, {"placement": [case]})
    assert line.startswith("FAIL D")


def test_a_bill_is_the_sum_of_its_floored_parts(tmp_path: Path) -> None:
    part = {
        "group": "line_fee",
        "kind": "adapter",
        "monthly_yen": 100,
        "billing_start": "2025-06-11",
        "month": "2025-06",
    }
    case = {"id": "B", "parts": [part, part, {"group": "slot_fee", "monthly_yen": 3000, "month": "2025-06",
            "changes": [["2025-05-01", 10], ["2025-06-11", 15]]}], "yen": 66 + 66 + 40000}  # fmt: skip
    assert judged(tmp_path, {"whole_bill": [case]}) == ["ok B"]


def test_an_id_that_stands_twice_is_a_failure(tmp_path: Path) -> None:
    case = {"id": "R", "contract_end": "2025-03-31", "due": "2025-04-30"}
    assert judged(tmp_path, {"return_due": [case, case]})[1].startswith("FAIL R")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"return_due": [], "return_due": []}', "'return_due'"),
        ('{"return_due": [{"id": "R7", "due": "2025-04-30", "due": "2025-05-01"}]}', "'R7'"),
        ('{"slot_fee": [{"id": "S", "monthly_yen": NaN}]}', "NaN"),
        ('{"slot_fee": ' + "[" * 100_000, "Recursion"),
        ('{"return_due": [\n{"id": "R1"},,]}', "line 2"),
    ],
)
def test_a_file_that_would_be_half_read_says_where(tmp_path: Path, text: str, names: str) -> None:
    file = tmp_path / "vectors.json"
    file.write_text(text, encoding="utf-8")
    (result,) = run_terms([file])
    assert result.line.startswith("FAIL vectors.json expected a vector file got ")
    assert names in result.detail


@pytest.mark.parametrize(
    ("group", "case", "names"),
    [
        ("return_due", {"contract_end": "2025-W14-1"}, "contract_end"),
        (
            "line_fee",
            {"kind": "adapter", "monthly_yen": -1, "billing_start": "2025-06-11", "month": "2025-06"},
            "below",
        ),
        (
            "line_fee",
            {"kind": "mobile-access", "monthly_yen": 100, "billing_start": "2025-06-11", "month": "2025-06"},
            "has a plan",
        ),
        ("ends_together", {"lines": {"a": {"kind": "adapter"}}, "ending": ["b"]}, "'b'"),
    ],
)
def test_an_input_that_means_nothing_fails_its_case_by_name(
    tmp_path: Path, group: str, case: dict[str, object], names: str
) -> None:
    (line,) = judged(tmp_path, {group: [{"id": "X", **case}]})
    assert line.startswith("FAIL X expected")
    assert names in line


def test_both_spellings_of_a_rented_model_find_its_price(tmp_path: Path) -> None:
    case = {
        "id": "X",
        "concluded": "2025-01-20",
        "billing_start": "2025-02-01",
        "models": [["2025-01-20", "SEIL BPV4"], ["2025-08-01", "SEIL/X1"]],
        "monthly_yen": {"SEIL/BPV4": 6000, "SEIL/X1": 4000},
        "ended": "2025-10-31",
        "yen": 18000,
    }
    assert judged(tmp_path, {"rental_early_termination": [case]}) == ["ok X"]


def test_an_exemption_without_a_kind_is_of_an_adapter_line_and_of_mpc_only(tmp_path: Path) -> None:
    case = {"billing_start": "2025-01-01", "months": 12, "monthly_yen": 1000, "ended": "2025-05-31", "exempt": True}
    named = [{"id": "A", "service": "mpc", **case, "yen": 0}, {"id": "B", **case, "yen": 7000}]
    assert judged(tmp_path, {"early_termination": named}) == ["ok A", "ok B"]


def test_an_adapter_of_mpc_without_a_class_has_no_place(tmp_path: Path) -> None:
    case = {"id": "D", "service": "mpc", "class": None, "slot": "entry", "allowed": False}
    assert judged(tmp_path, {"placement": [case]}) == ["ok D"]


@pytest.mark.parametrize("text", ["[]", "{", '{"return_due": 1}'])
def test_a_file_that_holds_no_vectors_is_one_failure(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text, encoding="utf-8")
    (result,) = run_terms([file])
    assert not result.ok


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("packs-gb", 60, 70.5),
        ("packs-gb", 60.5, 70),
        ("plan", "normal", "100GB"),
        ("network-type", "dynamic-ip", "static"),
    ],
)
def test_a_value_that_nobody_can_have_is_not_allowed(
    tmp_path: Path, change: str, before: str | float, after: str | float
) -> None:
    case = {"id": "G", "change": change, "from": before, "to": after, "requested": "2025-06-10"}
    assert judged(tmp_path, {"option_change": [case | {"allowed": False, "effective": None}]}) == ["ok G"]


def test_packs_are_whole_gigabytes_however_the_number_is_written(tmp_path: Path) -> None:
    case = {"id": "G", "change": "packs-gb", "from": 60, "to": 70.0, "requested": "2025-06-10"}
    assert judged(tmp_path, {"option_change": [case | {"allowed": True, "effective": "2025-07-01"}]}) == ["ok G"]
    wants: list[dict[str, object]] = [
        {"kind": "management", "classes": ["I"], "entries": 1, "standbys": 0},
        {"kind": "adapter", "name": "a1", "class": "I", "model": "SA-W2L"},
        {"kind": "mobile-access", "on": "a1", "plan": "packet-share", "group": "g1"},
    ]
    for packs, allowed in ((60.0, True), (60.5, False)):
        every = [*wants, {"kind": "packet-share-group", "name": "g1", "packs_gb": packs}]
        one = {"id": "A", "service": "mpc", "holds": [], "wants": every, "allowed": allowed}
        assert judged(tmp_path, {"eligibility": [one]}) == ["ok A"]


def test_no_model_is_no_designated_one(tmp_path: Path) -> None:
    case = {"id": "U", "model": "SEIL/X9", "slot": "entry", "acts": False}
    assert judged(tmp_path, {"ultra_firewall_acts": [case]}) == ["ok U"]
