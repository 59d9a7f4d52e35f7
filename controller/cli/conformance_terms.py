"""`kajitori conformance terms FILES…`: vectors of the service terms, a line a case (service-terms §9)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from controller.cli.conformance_case import CaseResult
from controller.cli.terms_kinds import GROUPS, Fields, Json, check_fields
from inventory.errors import FleetError


def run_terms(files: Iterable[Path]) -> Iterator[CaseResult]:
    """A result for each case of the files, in order; a file that cannot be run is one failed case."""
    for path in files:
        try:
            content = json.loads(
                path.read_text(encoding="utf-8"), object_pairs_hook=_once_each, parse_constant=_no_number
            )
        except (OSError, ValueError, RecursionError) as error:
            yield CaseResult(path.name, False, f"expected a vector file got {type(error).__name__}: {error}")
            continue
        if not isinstance(content, dict):
            yield CaseResult(path.name, False, "expected an object of groups got something else")
            continue
        yield from _groups(path.name, content)


def _once_each(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object. A name that stands twice would silently drop what stood under the first: cases, or a field."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object{_place(found)}")
    return found


def _place(found: Mapping[str, Json]) -> str:
    return f", the case {found['id']!r}" if "id" in found else ""


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no number of JSON")


def _groups(file: str, content: Mapping[str, Json]) -> Iterator[CaseResult]:
    seen: set[str] = set()
    for group, cases in content.items():
        if not isinstance(cases, list):
            yield CaseResult(f"{file} {group}", False, f"expected a list of cases got {type(cases).__name__}")
            continue
        for number, case in enumerate(cases, 1):
            result = _case(group, case, f"{group} case {number}")
            if result.ok and result.id in seen:
                result = CaseResult(result.id, False, "expected an id of its own got one that stands twice")
            seen.add(result.id)
            yield result


def _case(group: str, case: Json, fallback_id: str) -> CaseResult:
    if not isinstance(case, dict) or not isinstance(case.get("id"), str):
        return CaseResult(fallback_id, False, "expected a case with an id got none")
    name = case["id"]
    known = GROUPS.get(group)
    if known is None:
        return CaseResult(name, False, f"expected a known group got {group!r}")
    wanted = {key: value for key, value in case.items() if key in known.expected}
    inputs = {key: value for key, value in case.items() if key not in {"id", "rule", *known.expected}}
    try:
        check_fields(known, inputs)
        got = known.judge(Fields(inputs))
    except (FleetError, ArithmeticError, ValueError) as error:
        place = getattr(error, "field", None)
        where = f" (field {place})" if place and place not in str(error) else ""
        return CaseResult(name, False, f"expected {_shown(wanted)} got {error}{where}")
    if all(key in got and _shown(got[key]) == _shown(value) for key, value in wanted.items()):
        return CaseResult(name, True)
    return CaseResult(name, False, f"expected {_shown(wanted)} got {_shown({key: got.get(key) for key in wanted})}")


def _shown(value: Json) -> str:
    """Canonical JSON: 1 is not true, and the order of keys does not count."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
