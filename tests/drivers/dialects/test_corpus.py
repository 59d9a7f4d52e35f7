"""Every file that somebody else wrote is read without loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.dialects import NAMES, Dialect, dialect
from inventory.errors import ConfigSyntax
from tests.drivers.dialects.corpus import CORPUS, files, text_of

pytestmark = pytest.mark.fast

KNOWN = [dialect(name) for name in NAMES]
REFUSED = {
    # Written by a program that knows no `next` and no `end`; a device refuses it as well.
    "hier_config__circular_fixtures_fortios_generated.conf": (37, 1),
    "hier_config__circular_fixtures_fortios_remediation.conf": (3, 3),
    "hier_config__circular_fixtures_fortios_rollback.conf": (4, 3),
    "hier_config__circular_fixtures_fortios_running.conf": (29, 1),
}
"""Broken files and where the fault is. The JSON files are expected parses of their neighbours, not configurations."""

CASES = [
    pytest.param(d, path, id=f"{d.name}-{path.name}")
    for d in KNOWN
    for path in files(d.name)
    if path.name not in REFUSED and not (d.name == "block" and path.suffix == ".json")
]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_file_without_its_closing_is_refused_at_its_place(name: str) -> None:
    with pytest.raises(ConfigSyntax) as refusal:
        dialect("block").parse(text_of(CORPUS / "fortios-config" / name))
    assert (refusal.value.line, refusal.value.column) == REFUSED[name]


@pytest.mark.parametrize("path", sorted((CORPUS / "fortios-config").glob("*.json")), ids=lambda path: path.name)
def test_json_is_no_configuration(path: Path) -> None:
    with pytest.raises(ConfigSyntax, match="line 1, column 1: no statement begins with this word"):
        dialect("block").parse(text_of(path))


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
