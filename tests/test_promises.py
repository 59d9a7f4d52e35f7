"""Texts for customers promise neither constant availability nor freedom from faults (MPC-18.2, SMF-12.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory.promises import promised

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parent.parent
TEXTS = (
    "README.md",
    "docs/**/*.md",
    "controller/reports/**/*",
    "controller/web/**/*",
    "controller/push/texts.py",
    "inventory/proposal*.py",
    "inventory/trafficreport.py",
    "inventory/explain.py",
    "inventory/agenda.py",
    "inventory/contractwords.py",
)
"""What customers and their operators read: pages, reports, proposals, explanations, documents."""
NAMES_THE_RULE = ("docs/terms.md",)
"""Says what the rules say, this one too."""


@pytest.mark.rule("MPC-18.2", "SMF-12.2")
def test_no_text_for_customers_promises_availability_or_freedom_from_faults() -> None:
    read = 0
    for pattern in TEXTS:
        paths = [one for one in ROOT.glob(pattern) if one.suffix in {".md", ".py", ".j2", ".html", ".css", ".js"}]
        assert paths, pattern
        for path in paths:
            name = str(path.relative_to(ROOT))
            read += 1
            assert name in NAMES_THE_RULE or promised(path.read_text(encoding="utf-8")) == (), name
    assert read > 20


@pytest.mark.parametrize(
    "text",
    ["We guarantee it.", "an uptime of a year", "99.9 % of the time", "always available", "可用性を保証します"],
)
def test_a_promise_would_be_seen(text: str) -> None:
    assert promised(text)
