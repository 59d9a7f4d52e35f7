"""SEIL: statements of the legacy families and the recipe of the others, both sent as whole texts."""

from __future__ import annotations

import pytest

from drivers.dialects import dialect
from drivers.dialects.diff import difference, equal
from drivers.dialects.remediation import prove
from inventory.errors import ConfigSyntax

pytestmark = pytest.mark.fast
LEGACY = dialect("statements")
RECIPE = dialect("key-value")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('hostname "a"', "hostname   a"),
        ("! a comment\nhostname a", "hostname a\n"),
        ("timezone Japan\nhostname a", "hostname a\ntimezone Japan"),
        ("ppp add A keepalive 30 ipcp enable", "ppp add A ipcp enable keepalive 30"),
        (
            "filter add A interface lan0 direction in action pass state disable logging off enable",
            "filter add A direction in interface lan0 action pass",
        ),
        ("sshd hostkey rsa auto", "sshd hostkey rsa 12,00ff00"),
    ],
)
def test_spellings_of_one_configuration_are_equal(one: str, other: str) -> None:
    assert equal(LEGACY, one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("filter add A action pass\nfilter add B action block", "filter add B action block\nfilter add A action pass"),
        ("filter add A action pass enable", "filter add A action pass disable"),
        ("filter add A action pass state enable", "filter add A action pass"),
        ("filter add A action forward 192.0.2.1", "filter add A action forward 192.0.2.2"),
        ("sshd hostkey rsa none", "sshd hostkey rsa auto"),
        (
            "route add default 192.0.2.1\nroute add default 192.0.2.2",
            "route add default 192.0.2.2\nroute add default 192.0.2.1",
        ),
    ],
)
def test_another_configuration_differs(one: str, other: str) -> None:
    assert not equal(LEGACY, one, other)


def test_a_filter_without_a_name_stays_as_it_is_however_often_it_is_read() -> None:
    once = LEGACY.canonical(LEGACY.parse("filter add \n"))
    assert LEGACY.canonical(once) == once


def test_an_open_quote_is_refused_at_its_column() -> None:
    with pytest.raises(ConfigSyntax) as refusal:
        LEGACY.parse('hostname a\n  snmp location "Osaka 5F\\"')
    assert (refusal.value.line, refusal.value.column) == (2, 17)


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("hostname", 1, 9, "expected a colon here"),
        (
            "hostname: a\n  Route: b",
            2,
            3,
            "expected a key of lower-case words, digits and hyphens, joined by dots here",
        ),
        ("hostname:a", 1, 10, "a blank belongs after the colon"),
        ('a: "open', 1, 4, "the quote is never closed on its line"),
        ('a: "closed" more', 1, 12, "nothing may follow the closing quote"),
        ("a: 1\nb: 1\n a: 2", 3, 2, "a has another value on line 1 already"),
        ("a: 1\rb: 2\n", 1, 5, "a CR that is not followed by LF ends no line here"),
    ],
)
def test_a_broken_recipe_is_refused_at_its_place(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(ConfigSyntax) as refusal:
        RECIPE.parse(text)
    assert (refusal.value.line, refusal.value.column, refusal.value.reason) == (line, column, reason)


def test_a_recipe_has_no_order_and_counts_its_indices() -> None:
    text = "route.ipv4.1000.gateway: a\nroute.ipv4.200.gateway: b\n"
    text += "filter.ipv4.100.state: enable\nfilter.ipv4.100.state.ttl: 9"
    turned = "\n".join(reversed(text.splitlines()))
    assert equal(RECIPE, text, turned)
    assert [node.text.partition(":")[0] for node in RECIPE.canonical(RECIPE.parse(text)).nodes] == [
        "filter.ipv4.100.state",
        "filter.ipv4.100.state.ttl",
        "route.ipv4.200.gateway",
        "route.ipv4.1000.gateway",
    ]


def test_a_template_keeps_its_variables() -> None:
    text = "hostname: ${ HOSTNAME}\ninterface.${ WAN}.mtu: 1400\n"
    assert RECIPE.render(RECIPE.parse(text)) == text


def test_the_whole_text_is_sent_without_comments_and_proven() -> None:
    proof = prove(LEGACY, "hostname a\nsshd enable", "! new name\nhostname b\nsshd enable")
    assert (proof.proven, proof.remediation, proof.rollback) == (
        True,
        ("hostname b", "sshd enable"),
        ("hostname a", "sshd enable"),
    )
    assert difference(RECIPE, RECIPE.parse("hostname: a"), RECIPE.parse("hostname: b")) == "-hostname: a\n+hostname: b"


@pytest.mark.parametrize("d", [LEGACY, RECIPE], ids=lambda d: str(d.name))
def test_an_empty_whole_text_is_never_proven(d: object) -> None:
    spoken = LEGACY if d is LEGACY else RECIPE
    text = "hostname a" if d is LEGACY else "hostname: a"
    assert prove(spoken, text, "").reason == "the whole text is empty"


@pytest.mark.parametrize("typed", [".", "  .", "show config", "save-to flashrom"])
def test_what_is_typed_around_a_loaded_text_is_no_part_of_it(typed: str) -> None:
    """A lone dot would end the text on the device, and what stands behind it would be taken for commands."""
    with pytest.raises(ConfigSyntax, match="no statement begins so") as refusal:
        dialect("statements").parse(f"hostname a\n{typed}\nsshd enable\n")
    assert refusal.value.line == 2
