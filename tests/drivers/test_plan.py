"""What a plan says before anything is sent (architecture §4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from drivers.dialects import Node, block_model, indented_model
from drivers.ios import DRIVER as IOS
from drivers.ios import identity, revert_minutes
from drivers.plan import compute, difference_shown, digest
from drivers.registry import driver
from drivers.seil import DRIVER as SEIL
from inventory.errors import BadInput, ConfigSyntax, Conflict
from inventory.plans import ConfigText
from tests.bench import dialects as bench

pytestmark = pytest.mark.fast
BASE = """Building configuration...

Current configuration : 300 bytes
!
! Last configuration change at 10:00:00 UTC Sun Nov 22 2026 by op
version 15.2
hostname osaka-edge-01
username op privilege 15 secret 9 $9$abcdefghijklmn$opqrstuvwxyz
interface GigabitEthernet0/0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 ip address 198.51.100.1 255.255.255.0
line vty 0 4
 login local
end
"""


def ios(text: str) -> ConfigText:
    return ConfigText.single(text)


def changed(before: str, after: str) -> ConfigText:
    assert before in BASE
    return ios(BASE.replace(before, after))


ADDED = changed("interface GigabitEthernet0/1\n", "interface GigabitEthernet0/1\n description to the warehouse\n")


def test_a_change_is_proven_forth_and_back() -> None:
    computed = compute(IOS, ios(BASE), ADDED)

    assert computed.remediation[:2] == ("interface GigabitEthernet0/1", " description to the warehouse")
    assert computed.rollback[:2] == ("interface GigabitEthernet0/1", " no description to the warehouse")
    assert computed.proven
    assert computed.proof == "3 lines lead from what runs to what is wanted, 3 lead back"
    assert "+ description to the warehouse" in computed.diff_shown


def test_a_harmless_change_does_not_touch_our_own_way() -> None:
    assert compute(IOS, ios(BASE), ADDED).management_path == ()


def test_nothing_to_do_is_an_empty_plan() -> None:
    computed = compute(IOS, ios(BASE), ios(BASE.replace("10:00:00", "11:30:00")))

    assert computed.remediation == ()
    assert computed.diff_shown == ""
    assert computed.base_digest == computed.intent_digest
    assert computed.proven


def test_a_whole_text_that_the_device_holds_already_is_nothing_to_do() -> None:
    held = ios('hostname "kobe"\nsshd enable\n')
    respelled = ios("! as in the list of Monday\nhostname kobe\nsshd enable\n")
    computed = compute(driver("seil-ssh"), held, respelled)
    assert (computed.is_nothing, computed.diff_shown) == (True, "")
    assert computed.remediation == ("hostname kobe", "sshd enable"), "what is sent, if it is sent, is shown"
    assert not compute(driver("seil-ssh"), held, ios("hostname nara\nsshd enable\n")).is_nothing
    assert compute(IOS, ios(BASE), ios(BASE)).is_nothing


@pytest.mark.parametrize(
    "line", ["username ann secret 0 Pl7c61f0", "username ann privilege 15 secret Pl7c61f0", "enable secret Pl7c61f0"]
)
def test_a_secret_that_the_device_keeps_as_a_hash_is_no_proven_change_in_clear(line: str) -> None:
    computed = compute(
        IOS, ios(BASE), changed("interface GigabitEthernet0/0\n", f"{line}\ninterface GigabitEthernet0/0\n")
    )
    assert not computed.proven
    assert computed.proof.startswith("the device shows a hash of it, so it would be taken back; write the hash itself")
    assert "Pl7c61f0" not in computed.proof


@pytest.mark.parametrize(
    "line", ["username ann secret 9 $9$abcdefghijklmn$opq", "enable secret 5 $1$abcd$opqrst", "username ann password x"]
)
def test_a_hash_and_a_password_that_can_be_compared_are_proven(line: str) -> None:
    added = changed("interface GigabitEthernet0/0\n", f"{line}\ninterface GigabitEthernet0/0\n")
    assert compute(IOS, ios(BASE), added).proven


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("192.0.2.1", "192.0.2.9", "ip address 192.0.2.9"),
        (" login local\n", " login local\n transport input none\n", "transport input none"),
        ("interface GigabitEthernet0/0\n", "interface GigabitEthernet0/0\n shutdown\n", "shutdown"),
        ("username op privilege 15 secret 9 $9$abcdefghijklmn$opqrstuvwxyz\n", "", "no username op"),
    ],
)
def test_what_could_cut_us_off_is_named(before: str, after: str, named: str) -> None:
    found = compute(IOS, ios(BASE), changed(before, after)).management_path

    assert any(named in one.line for one in found)
    assert all(one.reason for one in found)


def test_what_the_timer_does_not_take_back_is_named_with_the_reason() -> None:
    computed = compute(IOS, ios(BASE), changed("line vty", "archive\n path flash:other\nline vty"))

    assert [(one.line, one.reason) for one in computed.lasting] == [
        ("archive", "moves the archive that the way back is kept in")
    ]
    assert computed.management_path == ()


def test_a_change_of_the_lines_that_an_adapter_boots_over_touches_our_way() -> None:
    base = ConfigText(((0, "hostname a\n"), (1, "line: pppoe\n")))
    intent = ConfigText(((0, "hostname a\n"), (1, "line: mobile\n")))

    assert [one.line for one in compute(SEIL, base, intent).management_path] == ["module 1"]


def test_secrets_are_sent_and_never_shown() -> None:
    computed = compute(IOS, ios(BASE), changed("line vty", "snmp-server community tango RO\nline vty"))

    shown = "\n".join([computed.diff_shown, *computed.remediation_shown, *computed.rollback_shown, computed.proof])
    assert any("tango" in line for line in computed.remediation)
    assert any("tango" in line for line in computed.rollback)
    assert "snmp-server community" in shown
    assert "tango" not in shown + str(computed.management_path)


def test_a_text_that_does_not_parse_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigSyntax) as refused:
        compute(IOS, ios(BASE), changed("line vty", "banner motd ^C\nnever closed\nline vty"))

    assert refused.value.line > 0


@pytest.mark.parametrize(("odd", "named"), [("\x1a", "control character 0x1A"), ("‹masked›", "a mask in place of")])
@pytest.mark.parametrize("module", [0, 1])
def test_a_whole_text_with_what_no_device_may_get_has_no_plan(odd: str, named: str, module: int) -> None:
    base = ConfigText(((0, "hostname a\n"), (1, "hostname a\n")))
    intent = ConfigText(tuple((m, f"hostname {odd}\n" if m == module else "hostname a\n") for m in (0, 1)))

    with pytest.raises(BadInput, match=named):
        compute(SEIL, base, intent)


def test_the_digest_is_of_what_counts() -> None:
    assert digest(IOS, ios(BASE)) == digest(IOS, ios(BASE.replace("300 bytes", "301 bytes")))
    assert digest(IOS, ios(BASE)) != digest(IOS, ADDED)
    assert difference_shown(IOS, ios(BASE), ios(BASE)) == ""


@pytest.mark.parametrize(("guard_s", "minutes"), [(1, 1), (60, 1), (61, 2), (120, 2), (100_000, 120)])
def test_the_revert_timer_is_never_shorter_than_the_guard(guard_s: int, minutes: int) -> None:
    assert revert_minutes(guard_s) == minutes


def test_the_chassis_says_who_a_device_is() -> None:
    who = identity(
        "Cisco IOS Software, C2960 Software, Version 15.2(4)E5, RELEASE SOFTWARE\n"
        "sw1 uptime is 1 day\ncisco WS-C2960X-24TS-L (APM86XXX) processor (revision A0)\n"
        "Processor board ID FOC1111BOARD\n",
        'NAME: "1", DESCR: "WS-C2960X"\nPID: WS-C2960X-24TS-L  , VID: V02  , SN: FOC1932X0K1\n'
        '\nNAME: "Chassis", DESCR: "x"\nPID: WS-C2960X-24TS-L  , VID: V02  , SN: FOC2222CHAS\n',
    )

    assert (who.serial, who.model, who.version) == ("FOC2222CHAS", "WS-C2960X-24TS-L", "15.2(4)E5")
    assert who.hostname == "sw1"


@pytest.mark.parametrize("family", ["ios", "fortios"])
def test_a_plan_takes_each_of_its_two_configs_in_once(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    name = {"ios": "indented", "fortios": "block"}[family]
    for kind, of in ((indented_model.Section, indented_model.Section.of), (block_model.Table, block_model.Table.of)):

        def counted(nodes: Sequence[Node], *above: str, of: Callable[..., object] = of) -> object:
            taken.extend([len(nodes)] * (not above))
            return of(nodes, *above)

        monkeypatch.setattr(kind, "of", counted)
    compute(driver(family), ios(bench.text(name, 400, "10.0")), ios(bench.text(name, 400, "10.9")))

    assert len(taken) == 2


def test_a_family_without_a_model_is_judged_by_what_its_driver_names() -> None:
    theirs = replace(IOS, family="theirs", cuts_off=(re.compile(r"^no username op\b"),))
    gone = changed("username op privilege 15 secret 9 $9$abcdefghijklmn$opqrstuvwxyz\n", "")

    (found,) = compute(theirs, ios(BASE), gone).management_path
    assert found.line.startswith("no username op")
    assert "opqrstuvwxyz" not in found.line
    assert compute(theirs, ios(BASE), changed("192.0.2.1", "192.0.2.9")).management_path == ()


DOMAINS = (
    "#config-version=FGT60F-7.4.4\nconfig vdom\nedit root\nnext\n{}end\nconfig global\nconfig system global\nend\nend\n"
)


@pytest.mark.parametrize(
    ("base", "intent", "said"),
    [
        (
            "",
            "edit kobe\nnext\n",
            "Line 5 of what is wanted, `edit kobe` in `config vdom`: the virtual domain is not on",
        ),
        (
            "edit kobe\nnext\n",
            "",
            "Line 5 of what the device runs, `edit kobe` in `config vdom`: .* is missing in what",
        ),
        ("edit kobe\nnext\n", 'edit "osaka"\nnext\n', "Line 5 of what is wanted, `edit osaka`"),
    ],
)
def test_a_plan_makes_and_removes_no_virtual_domain(base: str, intent: str, said: str) -> None:
    one, other = (ConfigText.single(DOMAINS.format(domains)) for domains in (base, intent))
    with pytest.raises(Conflict, match=said) as refused:
        compute(driver("fortios"), one, other)
    assert (refused.value.field, refused.value.facts["line"]) == ("line 5", 5)
    assert "by hand" in refused.value.next_step


def test_a_unit_without_virtual_domains_is_not_divided_by_a_plan() -> None:
    plain = ConfigText.single("config system global\n    set hostname fw\nend\n")
    with pytest.raises(Conflict, match="`edit root` in `config vdom`"):
        compute(driver("fortios"), plain, ConfigText.single(DOMAINS.format("")))
