"""The documents keep their promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.settings import describe
from inventory.errors import FleetError

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.fast


def codes(root: type[FleetError] = FleetError) -> set[str]:
    """Code of an error class and of all below it."""
    return {root.code}.union(*(codes(child) for child in root.__subclasses__()))


def test_every_error_code_has_its_paragraph() -> None:
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    paragraphs = dict(re.findall(r"^## ([a-z-]+)\n+(.+?)(?=\n## |\Z)", text, re.M | re.S))
    assert codes() <= set(paragraphs), f"without a paragraph: {sorted(codes() - set(paragraphs))}"
    empty = [code for code, body in paragraphs.items() if len(body.split()) < 12]
    assert empty == []


def test_every_code_is_used_once() -> None:
    seen: dict[str, str] = {}

    def walk(node: type[FleetError]) -> None:
        assert seen.setdefault(node.code, node.__name__) == node.__name__
        for child in node.__subclasses__():
            walk(child)

    walk(FleetError)


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert broken == []


def test_the_manual_lists_every_setting_as_the_program_knows_it() -> None:
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = [
        f"| `{one.name}` | `{one.variable}` | {one.default and f'`{one.default}`'} | {one.meaning} |"
        for one in describe()
    ]
    assert all(one.meaning for one in describe())
    assert [row for row in rows if row not in text] == []
    assert text.count("\n| `") == len(rows), "the manual lists a setting that is no more"


def test_every_target_of_the_fuzzer_is_named() -> None:
    targets = re.findall(r'Target\(\s*"([a-z-]+)"', (ROOT / "tests/fuzz/targets.py").read_text(encoding="utf-8"))
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert len(targets) == 11
    assert [name for name in targets if f"`{name}`" not in text] == []
