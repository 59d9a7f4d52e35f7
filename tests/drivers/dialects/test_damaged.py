"""Texts of other people, damaged: nothing is lost without a word, and any of them leads to any other."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.cli.conformance_dialect import significant
from drivers.dialects import NAMES, Dialect, Node, Tree, dialect
from drivers.dialects.diff import difference
from inventory.errors import ConfigSyntax
from tests.drivers.dialects.corpus import files, text_of

EACH = pytest.mark.parametrize("d", [dialect(name) for name in NAMES], ids=NAMES)
UNHURRIED: Final = settings(deadline=None)
"""A wall clock says nothing on a machine that has other work."""

LONGEST: Final = 6_000
MARKS: Final = "\"'\\#!\x00\x03\r\n\t ^{}:@\udcff\x0c\u2028"


def parsed(d: Dialect, text: str) -> Tree | None:
    """The tree; nothing, if the text is refused at a place that it has."""
    try:
        return d.parse(text)
    except ConfigSyntax as refusal:
        line, column = refusal.line, refusal.column
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1
    return None


TEXTS: Final = {
    name: [text for text in map(text_of, files(name)) if 10 < len(text) <= LONGEST and "\ufeff" not in text]
    for name in NAMES
}
TREES: Final = {
    name: [tree for tree in (parsed(dialect(name), text_of(path)) for path in files(name)) if tree is not None]
    for name in NAMES
}


@st.composite
def damaged(draw: st.DrawFn, name: str) -> str:
    """A text with a line gone or at another place, cut off, with two octets swapped, or with one too many."""
    text = draw(st.sampled_from(TEXTS[name]))
    lines = text.split("\n")
    here, there = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    at, other = sorted((draw(st.integers(0, len(text) - 1)), draw(st.integers(0, len(text) - 1))))
    match draw(st.sampled_from(["gone", "moved", "cut", "swapped", "more"])):
        case "gone":
            del lines[here]
            return "\n".join(lines)
        case "moved":
            lines[here], lines[there] = lines[there], lines[here]
            return "\n".join(lines)
        case "cut":
            return text[:at]
        case "swapped" if at < other:
            return text[:at] + text[other] + text[at + 1 : other] + text[at] + text[other + 1 :]
        case _:
            return text[:at] + draw(st.sampled_from(MARKS)) + text[at:]


@EACH
@UNHURRIED
@given(data=st.data())
def test_a_damaged_text_is_read_without_loss_or_refused_at_its_place(d: Dialect, data: st.DataObject) -> None:
    text = data.draw(damaged(d.name))
    tree = parsed(d, text)
    if tree is None:
        return
    assert d.parse(d.render(tree)) == tree
    assert significant(d.name, d.render(tree)) == significant(d.name, text)
    canonical = d.canonical(tree)
    assert d.canonical(d.parse(d.render(canonical))) == canonical
    assert isinstance(d.redact(text), str)


@EACH
def test_a_text_that_is_cut_off_anywhere_is_read_without_loss_or_refused(d: Dialect) -> None:
    """At every octet of the texts that have the most kinds of statements for their length."""
    for text in sorted(TEXTS[d.name], key=lambda text: len(set(text.split())) / len(text))[-4:]:
        for end in range(min(len(text), 700)):
            tree = parsed(d, text[:end])
            assert tree is None or significant(d.name, d.render(tree)) == significant(d.name, text[:end])


@st.composite
def changed(draw: st.DrawFn, nodes: tuple[Node, ...], words: tuple[str, ...]) -> tuple[Node, ...]:
    """Statements with some gone, moved, twice, negated, or with another word."""
    found = list(nodes)
    for _ in range(draw(st.integers(0, 3))):
        if not found:
            break
        at, to = draw(st.integers(0, len(found) - 1)), draw(st.integers(0, len(found) - 1))
        node = found[at]
        match draw(st.sampled_from(["inside", "inside", "inside", "gone", "moved", "twice", "other", "negated"])):
            case "inside" if node.children:
                found[at] = Node(node.text, draw(changed(node.children, words)))
            case "moved":
                found[at], found[to] = found[to], found[at]
            case "twice":
                found.insert(to, node)
            case "other":
                said = node.text.split(" ")
                said[draw(st.integers(0, len(said) - 1))] = draw(st.sampled_from(words))
                found.insert(to, Node(" ".join(said), node.children))
            case "negated":
                found[at] = Node(node.text[3:] if node.text.startswith("no ") else f"no {node.text}")
            case _:
                del found[at]
    return tuple(found)


@EACH
@UNHURRIED
@given(data=st.data())
def test_a_plan_leads_to_a_changed_config_and_back(d: Dialect, data: st.DataObject) -> None:
    base = data.draw(st.sampled_from(TREES[d.name]))
    words = ("99", "any", "FOO", *(word for node in base.nodes[:9] for word in node.text.split(" ") if word))
    intent = parsed(d, d.render(Tree(data.draw(changed(base.nodes, words)))))
    if intent is None:
        return
    for old, new in ((base, intent), (intent, base)):
        reached = d.apply(old, d.remediate(old, new))
        assert difference(d, reached, new) == ""
        assert d.canonical(reached) == d.canonical(new)


@EACH
def test_a_plan_leads_from_a_config_of_the_corpus_to_others_and_back(d: Dialect) -> None:
    trees = TREES[d.name]
    for step in (1, 17):
        for old, new in zip(trees, trees[step:] + trees[:step], strict=True):
            there = d.apply(old, d.remediate(old, new))
            assert d.canonical(there) == d.canonical(new)
            assert d.canonical(d.apply(there, d.remediate(there, old))) == d.canonical(old)


WHOLE: Final = {
    "indented": "version 15.2\ninterface Loopback0\n description x\n{}\nend",
    "block": "config system global\n    set alias x\n{}\nend",
    "statements": "hostname x\n{}\nroute add default 192.0.2.1",
    "key-value": "hostname: x\n{}\nuser.a.login: enable",
}


@pytest.mark.parametrize(
    "said",
    ["% Invalid input detected at '^' marker.", "%% Low on memory; try again later", " --More-- ", "<html><body>login"],
)
@pytest.mark.parametrize("name", WHOLE)
def test_what_a_terminal_or_a_web_server_says_is_refused_where_it_stands(name: str, said: str) -> None:
    text = WHOLE[name].format(said)
    line = next(at for at, one in enumerate(text.split("\n"), 1) if one == said)
    with pytest.raises(ConfigSyntax) as refused:
        dialect(name).parse(text)
    assert refused.value.line == line
    assert 1 <= refused.value.column <= len(said)


@pytest.mark.parametrize("name", WHOLE)
def test_an_octet_of_nought_is_refused_where_it_stands(name: str) -> None:
    text = WHOLE[name].format("").replace("x", "x\0y", 1)
    with pytest.raises(ConfigSyntax, match="an octet of nought") as refused:
        dialect(name).parse(text)
    before = text[: text.index("\0")]
    assert (refused.value.line, refused.value.column) == (before.count("\n") + 1, len(before.split("\n")[-1]) + 1)


@pytest.mark.parametrize(
    "half", ["move 1", "move 1 sideways 2", "move 1 before", "rename 1 2", "rename 1 to", "clone 1 2 3", "purge all"]
)
def test_half_a_statement_is_refused_and_not_passed_over(half: str) -> None:
    with pytest.raises(ConfigSyntax) as refused:
        dialect("block").parse(f"config firewall policy\n    edit 1\n    next\n    {half}\nend")
    assert (refused.value.line, refused.value.column) == (4, 5)


@pytest.mark.parametrize("name", WHOLE)
def test_half_of_a_character_is_refused_where_it_stands_and_any_octet_is_taken(name: str) -> None:
    text = WHOLE[name].format("").replace("x", "x\ud800y", 1)
    with pytest.raises(ConfigSyntax, match="half of a character") as refused:
        dialect(name).parse(text)
    before = text[: text.index("\ud800")]
    assert (refused.value.line, refused.value.column) == (before.count("\n") + 1, len(before.split("\n")[-1]) + 1)
    assert dialect(name).parse(text.replace("\ud800", "\udc80\udcff")).count()
