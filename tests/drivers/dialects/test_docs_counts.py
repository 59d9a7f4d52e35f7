"""docs/dialects.md shows what the corpus gives today."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from controller.cli.conformance_dialect import run_dialect
from tests.drivers.dialects.corpus import CORPUS, FOLDERS

pytestmark = pytest.mark.fast
PAGE = Path(__file__).parents[3] / "docs/dialects.md"


def counted() -> str:
    """The table of the page, made anew."""
    rows = ["| dialect | files | read | refused | failed | statements |", "|---|---|---|---|---|---|"]
    for name, folder, glob in FOLDERS:
        results = list(run_dialect(name, sorted((CORPUS / folder).glob(glob))))
        refused = [each for each in results if each.ok and each.detail.startswith("refused at ")]
        read = [each for each in results if each.ok and each not in refused]
        statements = sum(int(each.detail.split()[0]) for each in read)
        failed = len(results) - len(read) - len(refused)
        where = f"`{folder}/{glob}` {len(results)}"
        rows.append(f"| `{name}` | {where} | {len(read)} | {len(refused)} | {failed} | {statements} |")
    return "\n".join(rows)


def test_the_page_shows_the_counts_of_today() -> None:
    assert counted() in PAGE.read_text(encoding="utf-8")


def test_the_page_names_every_refused_file() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, folder, glob in FOLDERS:
        for result in run_dialect(name, sorted((CORPUS / folder).glob(glob))):
            if "refused at " in result.detail and not result.id.endswith(".json"):
                assert f"`{Path(result.id).name}` {result.detail}" in page


def test_corpus_files_are_unchanged_and_carry_their_licence() -> None:
    manifest = (CORPUS / "MANIFEST.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(manifest.splitlines(), delimiter="\t"))
    listed = {row["file"]: row for row in rows}
    paths = (path for folder in ("*-config", "traffic") for path in CORPUS.glob(f"{folder}/*"))
    present = {path.relative_to(CORPUS).as_posix(): path for path in paths}
    assert set(listed) == set(present)
    assert {row["licence"] for row in rows} <= {"Apache-2.0", "MIT", "CC-BY-4.0", "CDLA-Permissive-1.0"}
    for name, path in present.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name]["sha256"], name
