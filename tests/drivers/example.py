"""The outside driver of docs/drivers.md, cut from the page and installed as a distribution in a folder of the test."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import invalidate_caches
from pathlib import Path
from typing import Final

import pytest

from drivers.driver import Driver
from drivers.registry import GROUP, all_drivers

PAGE: Final = Path(__file__).parents[2] / "docs" / "drivers.md"
EXAMPLE: Final = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


@cache
def example() -> Driver:
    """The driver of the page, without a distribution around it."""
    made: dict[str, object] = {"__name__": "kajitori_frr"}
    exec(compile(EXAMPLE, str(PAGE), "exec"), made)  # our own page
    found = made["DRIVER"]
    assert isinstance(found, Driver)
    return found


@contextmanager
def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the example where Python finds it, and take it out of the registry again."""
    lay_out(folder)
    monkeypatch.syspath_prepend(folder)
    invalidate_caches()
    all_drivers.cache_clear()
    try:
        yield
    finally:
        all_drivers.cache_clear()
        sys.modules.pop("kajitori_frr", None)
        sys.path.remove(str(folder))


def lay_out(folder: Path) -> None:
    """Write the distribution into a folder, which is then to stand in the path of Python."""
    (folder / "kajitori_frr.py").write_text(EXAMPLE, encoding="utf-8")
    facts = folder / "kajitori_frr-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: kajitori-frr\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{GROUP}]\nfrr = kajitori_frr:DRIVER\n")
