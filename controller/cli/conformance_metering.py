"""`kajitori conformance metering FILES…`: the published metering vectors, a line a case.

A file of a kind nobody knows is a failure. Given `index.json`, the hashes of the files beside it are checked
and all of them are run. Source: metering specification §11.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from controller.cli import metering_kinds
from controller.cli.conformance_case import CaseResult
from inventory.errors import FleetError
from inventory.timeslots import OPEN_OCTETS

Json = metering_kinds.Json

EXPLANATIONS = ("brute_force", "true_date", "tolerance_days")
"""Keys of an expectation that explain it and are not part of an output; so is every `wrong_…`."""


def run_metering(files: Iterable[Path]) -> Iterator[CaseResult]:
    """A result for each case of the files, in order; a file that cannot be run is one failed case."""
    for path in files:
        if path.name == "index.json":
            yield from _indexed(path)
        else:
            yield from _file(path)


def _read(path: Path) -> Mapping[str, Json]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError("the file holds no JSON object")
    return found


def _indexed(index: Path) -> Iterator[CaseResult]:
    try:
        listed = _read(index)["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield CaseResult(index.name, False, f"expected a list of files got {error!r}")
        return
    for entry in listed:
        path = index.parent / str(entry["file"])
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            yield CaseResult(path.name, False, f"expected a file got {error}")
            continue
        if digest != entry["sha256"]:
            yield CaseResult(path.name, False, f"expected sha256 {entry['sha256']} got {digest}")
            continue
        results = list(_file(path))
        if "cases" in entry and len(results) != entry["cases"]:
            yield CaseResult(path.name, False, f"expected {entry['cases']} cases got {len(results)}")
        yield from results


def _file(path: Path) -> Iterator[CaseResult]:
    try:
        content = _read(path)
        kind, cases = content["kind"], list(content["cases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield CaseResult(path.name, False, f"expected a vector file got {error!r}")
        return
    judge = metering_kinds.KINDS.get(str(kind))
    if judge is None:
        yield CaseResult(path.name, False, f"expected a known kind got {kind!r}")
        return
    for number, case in enumerate(cases, 1):
        yield _case(f"{path.name} case {number}", case, judge)


def _case(fallback_id: str, case: Mapping[str, Json], judge: Callable[[Mapping[str, Json]], Json]) -> CaseResult:
    name = str(case.get("id", fallback_id)) if isinstance(case, dict) else fallback_id
    try:
        expected = case["expected"]
        got = judge(case["input"])
        wanted = {k: v for k, v in expected.items() if k not in EXPLANATIONS and not k.startswith("wrong_")}
        wrong = [k for k, v in wanted.items() if k not in got or not agrees(v, got[k])]
    except (FleetError, ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
        return CaseResult(name, False, f"expected an answer got {error!r}")
    if not wrong:
        return CaseResult(name, True)
    shown = {k: got.get(k, "nothing") for k in wrong}
    return CaseResult(
        name,
        False,
        f"expected {json.dumps({k: wanted[k] for k in wrong})} got {json.dumps(shown, default=str)}",
    )


def agrees(expected: Json, got: Json) -> bool:
    """Integers, texts and truth values exactly; floats to 10⁻⁶ × max(1, |expected|); lists and objects within.

    An open bound may be written as null or as 2⁴⁸ octets and more (§2.4, rule 4): the two agree.
    """
    if _open(expected) and _open(got):
        return True
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and expected.keys() <= got.keys()
            and all(agrees(v, got[k]) for k, v in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(got, list)
            and len(expected) == len(got)
            and all(agrees(e, g) for e, g in zip(expected, got, strict=True))
        )
    if isinstance(expected, bool) or isinstance(got, bool) or not isinstance(expected, int | float):
        return type(expected) is type(got) and bool(expected == got)
    return isinstance(got, int | float) and _near(expected, got)


def _near(expected: float, got: float) -> bool:
    if isinstance(expected, int) and isinstance(got, int):
        return expected == got
    return abs(expected - got) <= 1e-6 * max(1.0, abs(expected))


def _open(value: Json) -> bool:
    return value is None or (isinstance(value, int) and value >= OPEN_OCTETS)
