"""Texts that were read before: known again by what they say, never taken for another."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from drivers import digests, plan
from drivers.registry import driver
from inventory.errors import ConfigSyntax
from inventory.plans import ConfigText

pytestmark = pytest.mark.fast

IOS = driver("ios")
HEAD = "!\n! Last configuration change at 10:01:02 JST Sun Nov 22 2026 by op\n!\n"
BODY = "version 15.2\nhostname edge-0001\ninterface GigabitEthernet0/1\n description to the warehouse\nend\n"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each story begins with nothing read."""
    monkeypatch.setattr(digests, "_KNOWN", OrderedDict())


def test_a_text_is_known_again_and_its_digest_is_the_one_of_a_parsed_one() -> None:
    config = ConfigText.single(HEAD + BODY)
    assert digests.digest(IOS, config) == plan.digest(IOS, config)
    assert digests.known(IOS, config) == plan.digest(IOS, config)


def test_when_ios_was_saved_last_makes_no_other_text() -> None:
    digests.learn(IOS, ConfigText.single(HEAD + BODY), "seen before")
    assert digests.known(IOS, ConfigText.single(HEAD.replace("10:01", "10:02") + BODY)) == "seen before"


@pytest.mark.parametrize(
    "other",
    [
        BODY.replace("warehouse", "office"),
        BODY.replace("end\n", "banner motd ^C\n! Last configuration change\n^C\nend\n"),
        BODY.replace("hostname", "! a comment\nhostname"),
    ],
)
def test_another_text_is_another_text(other: str) -> None:
    digests.learn(IOS, ConfigText.single(BODY), "seen before")
    assert digests.known(IOS, ConfigText.single(other)) != "seen before"
    assert digests.known(driver("fortios"), ConfigText.single(BODY)) is None


def test_a_text_that_does_not_hold_together_is_never_known() -> None:
    broken = ConfigText.single('config system global\n    set hostname "a\n')
    for _ in range(2):
        with pytest.raises(ConfigSyntax):
            digests.digest(driver("fortios"), broken)


def test_what_was_asked_for_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "MOST", 2)
    first, second, third = (ConfigText.single(f"version {number}\nhostname forget\nend\n") for number in range(3))
    for config in (first, second):
        digests.learn(IOS, config, "x")
    assert digests.known(IOS, first) == "x"
    digests.learn(IOS, third, "x")
    assert [digests.known(IOS, config) for config in (first, second, third)] == ["x", None, "x"]
