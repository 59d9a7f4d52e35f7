"""The OpenAPI document is the contract: the daemon keeps it, whatever is sent, and each operation can succeed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
import schemathesis

from tests.controller.api.arranged import ARRANGED, Arranged, seeded
from tests.controller.house import House, ok, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]
EXAMPLES, SECONDS = 4, 45
PHASES = "examples,coverage,fuzzing,stateful"


def operations(document: dict[str, dict[str, dict[str, dict[str, str]]]]) -> dict[str, tuple[str, str]]:
    """Operation id → method and path."""
    return {
        one["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }


def test_every_operation_succeeds_as_documented_and_none_fails_whatever_is_sent(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as house, seeded(house) as seed:
        document = ok(httpx.get(f"{house.url}/api/openapi.json", trust_env=False))
        known = operations(document)
        assert set(known) == set(ARRANGED), "an operation without an arranged success, or one that is no more"
        schema = schemathesis.openapi.from_dict(document)
        done = {name: _succeeds(house, schema, *known[name], arrange(seed)) for name, arrange in ARRANGED.items()}
        assert {name: status for name, status in done.items() if not 200 <= status < 300} == {}
        counted = _run(house, tmp_path, known)
        assert house.process.poll() is None
        assert house.stop() == 0
    log = house.log.read_text(encoding="utf-8")
    assert "unforeseen error" not in log
    assert "Traceback" not in log
    sys.stdout.write(f"{len(done)} of {len(known)} operations succeeded as arranged, in the run also ")
    sys.stdout.write(", ".join(sorted(name for name, number in counted.items() if number)) + "\n")


def _succeeds(house: House, schema: schemathesis.BaseSchema, method: str, path: str, wanted: Arranged) -> int:
    """Send an arranged request and check the answer against the document; its status."""
    case = schema[path][method].Case(
        path_parameters=dict(wanted.path),
        query=dict(wanted.query),
        headers={"Authorization": f"Bearer {house.key}", **wanted.headers},
        **({} if wanted.body is None else {"body": wanted.body, "media_type": wanted.media_type}),
    )
    answer = case.call(base_url=house.url)
    assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
    case.validate_response(answer)
    return int(answer.status_code)


def _run(house: House, folder: Path, known: dict[str, tuple[str, str]]) -> Counter[str]:
    """Schemathesis' own run with the admin key; the number of successes of each operation."""
    program = shutil.which("st", path=str(Path(sys.executable).parent))
    assert program is not None
    command = [program, "run", f"{house.url}/api/openapi.json", "--header", f"Authorization: Bearer {house.key}"]
    command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--phases", PHASES, "--no-color"]
    command += ["--max-examples", str(EXAMPLES), "--max-time", str(SECONDS), "--request-timeout", "60"]
    command += ["--seed", "20261018", "--continue-on-failure", "--report-har-path", str(folder / "run.har")]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    patterns = {
        name: (method, re.compile(re.sub(r"\{\w+\}", "[^/?]+", path))) for name, (method, path) in known.items()
    }
    successes: Counter[str] = Counter()
    for entry in json.loads((folder / "run.har").read_text(encoding="utf-8"))["log"]["entries"]:
        method, path = entry["request"]["method"], httpx.URL(entry["request"]["url"]).path
        assert entry["response"]["status"] < 500, f"{method} {path}: {entry['response']}"
        for name, (wanted, pattern) in patterns.items():
            if method == wanted and pattern.fullmatch(path) and entry["response"]["status"] < 300:
                successes[name] += 1
    return successes
