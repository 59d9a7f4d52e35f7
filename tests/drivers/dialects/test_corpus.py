"""Every file that somebody else wrote is read without loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.dialects import NAMES, Dialect, dialect
from tests.drivers.dialects.corpus import files, text_of

pytestmark = pytest.mark.fast

KNOWN = [dialect(name) for name in NAMES if name in ("indented",)]
CASES = [pytest.param(d, path, id=f"{d.name}-{path.name}") for d in KNOWN for path in files(d.name)]


@pytest.mark.parametrize(("d", "path"), CASES)
def test_what_was_rendered_parses_to_the_same_tree(d: Dialect, path: Path) -> None:
    tree = d.parse(text_of(path))
    assert d.parse(d.render(tree)) == tree
    assert d.render(d.parse(d.render(tree))) == d.render(tree)


@pytest.mark.parametrize(("d", "path"), CASES)
def test_the_canonical_form_is_its_own_canonical_form(d: Dialect, path: Path) -> None:
    canonical = d.canonical(d.parse(text_of(path)))
    assert d.canonical(canonical) == canonical
    assert d.canonical(d.parse(d.render(canonical))) == canonical
