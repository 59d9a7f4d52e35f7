"""`kajitori conformance metering FILES…`: the published metering vectors, a line a case.

A file of a kind nobody knows is a failure. Given `index.json`, the hashes of the files beside it are checked
and all of them are run. Source: metering specification §11.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from controller.cli import metering_kinds
from controller.cli.conformance_case import CaseResult
from inventory.errors import FleetError
from inventory.timeslots import OPEN_OCTETS

Json = metering_kinds.Json

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What a file that is no vector file raises while it is read."""
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
    found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once_each, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise TypeError("the file holds no JSON object")
    return found


def _once_each(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object. A name that stands twice would silently drop what stood under the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        case = f", the case {found['id']!r}" if "id" in found else ""
        raise ValueError(f"the name {twice!r} stands twice in one object{case}")
    return found


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no number of JSON")


def _indexed(index: Path) -> Iterator[CaseResult]:
    try:
        listed = [(str(one["file"]), str(one["sha256"]), one.get("cases")) for one in _read(index)["files"]]
    except UNREADABLE as error:
        yield CaseResult(index.name, False, f"expected a list of files got {_told(error)}")
        return
    for name, sha256, count in listed:
        path = index.parent / name
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            yield CaseResult(name, False, f"expected a file got {error}")
            continue
        if digest != sha256:
            yield CaseResult(path.name, False, f"expected sha256 {sha256} got {digest}")
            continue
        results = list(_file(path))
        if count is not None and len(results) != count:
            yield CaseResult(path.name, False, f"expected {count} cases got {len(results)}")
        yield from results


def _file(path: Path) -> Iterator[CaseResult]:
    try:
        content = _read(path)
        kind, cases = content["kind"], content["cases"]
    except UNREADABLE as error:
        yield CaseResult(path.name, False, f"expected a vector file got {_told(error)}")
        return
    if not isinstance(kind, str) or kind not in metering_kinds.KINDS:
        yield CaseResult(path.name, False, f"expected a known kind got {kind!r}")
        return
    if not isinstance(cases, list) or not cases:
        yield CaseResult(path.name, False, "expected a list of cases got none")
        return
    seen: set[str] = set()
    for number, case in enumerate(cases, 1):
        result = _case(f"{path.name} case {number}", case, kind)
        if result.ok and result.id in seen:
            result = CaseResult(result.id, False, "expected an id of its own got one that stands twice")
        seen.add(result.id)
        yield result


def _told(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"


def _case(fallback_id: str, case: Json, kind: str) -> CaseResult:
    if not isinstance(case, dict) or not isinstance(case.get("id", ""), str):
        return CaseResult(fallback_id, False, "expected a case with an id got something else")
    name = case.get("id", fallback_id)
    expected = case.get("expected")
    if not isinstance(expected, dict):
        return CaseResult(name, False, "expected an object under expected got none")
    wanted = {k: v for k, v in expected.items() if k not in EXPLANATIONS and not k.startswith("wrong_")}
    if not wanted:
        return CaseResult(name, False, "expected something to compare got explanations only")
    if "input" not in case:
        return CaseResult(name, False, "expected an input got none")
    try:
        got = metering_kinds.judge(kind, case["input"])
        wrong = [k for k, v in wanted.items() if k not in got or not agrees(v, got[k])]
    except FleetError as error:
        return CaseResult(name, False, f"expected an answer got {error.message}")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
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
