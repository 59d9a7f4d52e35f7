"""What holds for every configuration, realistic or not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.dialects import NAMES, Dialect, Tree, dialect
from drivers.dialects.diff import difference, digest, equal
from drivers.dialects.remediation import prove
from inventory.errors import BadInput, ConfigSyntax
from tests.drivers.dialects.strategies import ANY_TEXT, BY_NAME

pytestmark = pytest.mark.fast

UNHURRIED = settings(deadline=None)
"""A wall clock says nothing on a machine that has other work."""

EACH = pytest.mark.parametrize("d", [dialect(name) for name in NAMES], ids=NAMES)


def parsed(d: Dialect, text: str) -> Tree | ConfigSyntax:
    """The tree, or the refusal; anything else that is raised fails the test."""
    try:
        return d.parse(text)
    except ConfigSyntax as refusal:
        return refusal


@EACH
@UNHURRIED
@given(data=st.data())
def test_any_text_parses_or_is_refused_with_its_place(d: Dialect, data: st.DataObject) -> None:
    text = data.draw(ANY_TEXT)
    tree = parsed(d, text)
    if isinstance(tree, ConfigSyntax):
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert 1 <= tree.line <= len(lines)
        assert tree.column >= 1
        return
    assert d.parse(d.render(tree)) == tree
    canonical = d.canonical(tree)
    assert d.canonical(canonical) == canonical
    assert d.canonical(d.parse(d.render(canonical))) == canonical


@EACH
@UNHURRIED
@given(text=ANY_TEXT)
def test_masking_takes_any_text(d: Dialect, text: str) -> None:
    assert isinstance(d.redact(text), str)


@EACH
@UNHURRIED
@given(data=st.data())
def test_remediation_leads_from_any_config_to_any_other_and_back(d: Dialect, data: st.DataObject) -> None:
    base, intent = d.parse(data.draw(BY_NAME[d.name])), d.parse(data.draw(BY_NAME[d.name]))
    there = d.remediate(base, intent)
    assert d.canonical(d.apply(base, there)) == d.canonical(intent)
    reached = d.apply(base, there)
    assert d.canonical(Tree(reached.nodes)) == d.canonical(reached), "what was told of it is what it reads as"
    assert d.canonical(Tree(base.nodes)) == d.canonical(base), "and what it came from is as it was"
    assert d.canonical(d.apply(reached, d.remediate(reached, base))) == d.canonical(base)


@EACH
@UNHURRIED
@given(data=st.data())
def test_a_config_differs_from_another_exactly_if_a_difference_is_shown(d: Dialect, data: st.DataObject) -> None:
    base, intent = data.draw(BY_NAME[d.name]), data.draw(BY_NAME[d.name])
    old, new = d.parse(base), d.parse(intent)
    assert difference(d, old, old) == ""
    assert equal(d, base, intent) == (difference(d, old, new) == "")
    assert equal(d, base, intent) == (digest(d, base) == digest(d, intent))


@EACH
@UNHURRIED
@given(data=st.data())
def test_the_same_text_with_other_line_ends_and_blanks_is_equal(d: Dialect, data: st.DataObject) -> None:
    text = data.draw(BY_NAME[d.name])
    assert equal(d, text, "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n")


@EACH
@UNHURRIED
@given(data=st.data())
def test_every_random_plan_between_nonempty_configs_is_proven(d: Dialect, data: st.DataObject) -> None:
    base, intent = data.draw(BY_NAME[d.name]), data.draw(BY_NAME[d.name])
    proof = prove(d, base, intent)
    if d.canonical(d.parse(base)).nodes and d.canonical(d.parse(intent)).nodes:
        assert proof.proven, proof.reason


def test_an_unknown_dialect_is_refused_with_the_known_names() -> None:
    with pytest.raises(BadInput, match="no dialect is called 'junos'") as refusal:
        dialect("junos")
    assert refusal.value.next_step == "Use one of indented, block, statements, key-value."
