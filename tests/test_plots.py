"""The pictures of docs/metering.md are what the code makes of the real series; the document shows them all."""

from __future__ import annotations

import pytest

from tests.plots.__main__ import FOLDER, PLOTS, ROOT

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_is_made_anew_byte_by_byte(name: str) -> None:
    assert PLOTS[name]() == (FOLDER / name).read_text(encoding="utf-8"), "run python -m tests.plots"


def test_the_document_shows_every_picture_and_names_its_licence() -> None:
    text = (ROOT / "docs" / "metering.md").read_text(encoding="utf-8")
    assert all(f"metering/{name}" in text for name in PLOTS)
    assert all(licence in text for licence in ("CDLA-Permissive-1.0", "MIT", "CC BY 4.0"))
