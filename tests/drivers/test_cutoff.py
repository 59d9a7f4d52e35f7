"""What would cut us off is flagged, and what would not is left alone: the verdict corpus of `tests/vectors/cutoff`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from drivers import plan
from drivers.cutoff import Way
from drivers.driver import Driver
from drivers.registry import driver
from inventory.plans import ConfigText, Finding
from tests.drivers.example import example

CORPUS = Path(__file__).parent.parent / "vectors" / "cutoff"
FAMILIES = ("ios", "fortios", "seil", "recipe", "frr")
LEAST_LETHAL = 60
LEAST_ORDINARY = 200
MOST_FLAGGED = 0.05


def of_family(family: str) -> Driver:
    """Ours, or the worked example of docs/drivers.md."""
    return example() if family == "frr" else driver(family)


@dataclass(frozen=True)
class Case:
    """A change of a base. `lines` are commands; of a whole text, statements that come (`+`) and go (`-`)."""

    family: str
    title: str
    base: str
    lines: tuple[str, ...]

    @cached_property
    def intent(self) -> str:
        """The text after the change."""
        dialect = plan.dialect_of(of_family(self.family))
        if of_family(self.family).carrier != "arms":
            return dialect.render(dialect.apply(dialect.parse(self.base), self.lines))
        text = self.base.splitlines()
        at = len(text)
        for line in self.lines:
            if line[0] == "-":
                at = text.index(line[2:])
                del text[at]
            elif line[0] == "@":
                at = text.index(line[2:])
            else:
                text.insert(at, line[2:])
                at += 1
        return "\n".join(text) + "\n"

    def findings(self, way: Way = plan.UNKNOWN) -> tuple[Finding, ...]:
        """The verdict."""
        one, other = ConfigText.single(self.base), ConfigText.single(self.intent)
        return plan.management_path(of_family(self.family), one, other, way)


@cache
def cases(family: str, kind: str) -> tuple[Case, ...]:
    """The cases of a file."""
    return tuple(_read(family, (CORPUS / f"{family}-{kind}.txt").read_text(encoding="utf-8")))


def _read(family: str, text: str) -> Iterator[Case]:
    base, title, lines = "", "", list[str]()
    for line in [*text.splitlines(), "== end"]:
        if line.startswith(("# base: ", "== ")):
            if title:
                yield Case(family, title, base, tuple(lines))
            title, lines = "", []
            if line.startswith("# base: "):
                base = (CORPUS / line.removeprefix("# base: ")).read_text(encoding="utf-8")
            else:
                title = line.removeprefix("== ")
        elif line:
            lines.append(line)


def all_cases(kind: str) -> list[Case]:
    return [case for family in FAMILIES for case in cases(family, kind)]


def named(case: Case) -> str:
    return f"{case.family}: {case.title}"


@pytest.mark.parametrize("case", all_cases("lethal"), ids=named)
def test_a_change_that_cuts_us_off_is_flagged(case: Case) -> None:
    assert case.findings(), case.lines


def test_ordinary_changes_are_left_alone() -> None:
    ordinary = all_cases("ordinary")
    flagged = {named(case): found for case in ordinary if (found := case.findings())}
    assert len(flagged) < MOST_FLAGGED * len(ordinary), flagged


def test_the_corpus_is_large_enough_and_has_no_case_twice() -> None:
    lethal, ordinary = all_cases("lethal"), all_cases("ordinary")
    assert len(lethal) >= LEAST_LETHAL
    assert len(ordinary) >= LEAST_ORDINARY
    changes = [(case.base, case.lines) for case in (*lethal, *ordinary)]
    assert len(set(changes)) == len(changes)
    for case in (*lethal, *ordinary):
        assert case.intent.split() != case.base.split(), f"{named(case)} changes nothing"


def ios(name: str, kind: str = "lethal") -> Case:
    return next(case for case in cases("ios", kind) if case.title == name)


def test_what_is_known_of_the_way_narrows_the_verdict() -> None:
    """We come by the LAN and log in as somebody else: the WAN and that account are nobody's business."""
    inside = Way("ssh", "10.11.0.1", 22, "10.11.0.50", user="tanaka")
    for title in ("shut the WAN interface", "our account removed", "default route removed"):
        assert ios(title).findings(), title
        assert not ios(title).findings(inside), title
    assert ios("the LAN shut for a move", "ordinary").findings(inside)
    assert not ios("the LAN shut for a move", "ordinary").findings()


def test_a_list_that_still_lets_our_own_address_in_is_no_matter() -> None:
    ours = Way("ssh", "198.51.100.2", 22, "203.0.113.4", user="kajitori")
    assert not ios("the list of the lines narrowed").findings(Way("ssh", source="10.11.0.7"))
    assert ios("the list of the lines narrowed").findings(ours)


def test_each_line_has_its_reason_and_no_line_comes_twice() -> None:
    found = ios("shut the WAN interface").findings()
    assert found == (Finding("interface GigabitEthernet0/0 / shutdown", "shuts an interface that we come through"),)
    for case in all_cases("lethal"):
        found = case.findings()
        assert all(one.line and one.reason for one in found)
        assert len(set(found)) == len(found)


def test_a_password_that_changes_is_named_and_not_shown() -> None:
    case = next(one for one in cases("seil", "lethal") if one.title == "another password at the provider")
    shown = " ".join(one.line for one in case.findings())
    assert "passphrase" in shown
    assert "other" not in shown
    assert "pppoe-secret" not in shown


def test_an_adapter_that_phones_home_does_not_care_for_its_shell() -> None:
    arms = Way("arms")
    for title in ("SSH off", "our network may no longer log in"):
        case = next(one for one in cases("seil", "lethal") if one.title == title)
        assert case.findings()
        assert not case.findings(arms)


def test_what_stood_as_no_is_told_as_what_it_becomes() -> None:
    case = Case("ios", "aaa", (CORPUS / "ios-branch.cfg").read_text(), ("aaa new-model",))
    assert "no aaa new-model" in case.base
    assert [finding.line for finding in case.findings()][:1] == ["aaa new-model"]


def test_an_address_that_the_device_does_not_have_is_a_translation_before_it() -> None:
    outside = Way("ssh", "192.0.2.200", 40022, user="kajitori")
    for case in cases("ios", "lethal"):
        if case.base == ios("shut the WAN interface").base and "account" not in case.title:
            assert case.findings(outside), case.title


def test_behind_a_unit_that_is_managed_by_its_api_both_doors_count() -> None:
    case = next(one for one in cases("fortios", "lethal") if one.title == "managing on another port")
    assert case.findings(Way("", "198.51.100.10", 22))
    assert not case.findings(Way("ssh", "198.51.100.10", 22))


def test_a_router_whose_host_has_the_door_is_not_judged_by_its_lines() -> None:
    """Who comes by the host's SSH server does not meet `line vty`; a loopback hangs on all uplinks together."""
    lethal = {case.title: case for case in cases("frr", "lethal")}
    lists, uplinks = lethal["a deny before the permit"], lethal["both uplinks shut"]
    assert lists.findings(Way("ssh", "198.51.100.2", 2605, "203.0.113.4"))
    assert not lists.findings(Way("ssh", "198.51.100.2", 22, "203.0.113.4"))
    assert uplinks.findings(Way("ssh", "10.0.0.7", 22, "10.99.1.1"))


NO_NUMBERS = {
    "ios": "ip route 0.0.0.0 0.0.0.0 192.0.2.1 \u00b2\nline vty 0 {huge}\naccess-list {huge} permit any\n",
    "fortios": "config router static\nedit 1\nset device x\nset distance ten\nnext\nend\n"
    "config system global\nset admin-ssh-port {huge}\nset admin-sport any\nend\n",
    "seil": "route add default 192.0.2.1 distance \u00b2\nfilter add A dstport {huge} action pass enable\n",
    "recipe": "route.ipv4.{huge}.destination: default\nroute.ipv4.{huge}.gateway: a\n"
    "route.ipv4.{huge}.distance: \u00b2\n",
    "frr": "ip route 0.0.0.0/0 192.0.2.1 \u00b2\naccess-list A seq {huge} permit any\n",
}


@pytest.mark.parametrize("family", NO_NUMBERS)
def test_what_is_no_number_where_one_belongs_stops_no_verdict(family: str) -> None:
    odd = NO_NUMBERS[family].format(huge="9" * 5000)
    text = ConfigText.single(odd)
    other = ConfigText.single(cases(family, "ordinary")[0].base)
    for one, two in ((text, other), (other, text)):
        assert isinstance(plan.management_path(of_family(family), one, two, plan.UNKNOWN), tuple)
