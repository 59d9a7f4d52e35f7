"""Configuration texts as a simulated SEIL takes them in (devices-seil §3, §4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulator.arms_tree import Refused, host_name, load_legacy, load_recipe, load_update_firmware

pytestmark = pytest.mark.fast

LEGACY = """\
hostname "branch-101"
timezone "Japan"
ppp add FLETS keepalive 30 identifier "b@isp.example.jp" passphrase "a \\"b\\" \\\\ c" tcp-mss auto
interface lan0 add 192.168.101.1/24
interface lan0 add 192.168.102.1/24
interface pppoe0 over lan1
interface pppoe0 ppp-configuration FLETS
interface pppoe0 unnumbered
route add default pppoe0
route add 10.0.0.0/8 192.168.101.254 distance 5
filter add ICMP_IN interface pppoe0 direction in action pass protocol icmp enable
cbq class add C1 parent default pbandwidth 10
cbq class add C2 parent C1 pbandwidth 5
ike proposal add IKE01 authentication preshared-key encryption aes256 hash sha256 dh-group modp2048
ike peer add P1 address 203.0.113.1 exchange-mode main proposals IKE01
snmp enable
snmp community "branch-ro"
vrrp lan0 add vrid 10 address 192.168.101.254/24
vrrp lan0 add vrid 11 address 192.168.101.253/24
sshd enable
telnetd disable
"""


def test_a_text_in_the_printed_form_comes_back_as_it_is() -> None:
    loaded = load_legacy(LEGACY)
    assert loaded.text == LEGACY
    assert loaded.skipped == ()


def test_groups_print_in_a_fixed_order_and_statements_within_a_group_as_given() -> None:
    text = "sshd enable\nroute add default lan1\n\n  hostname   x  \nroute add 10.0.0.0/8 lan0\n"
    assert load_legacy(text).text == "hostname x\nroute add default lan1\nroute add 10.0.0.0/8 lan0\nsshd enable\n"


def test_a_later_statement_about_the_same_thing_replaces_the_earlier() -> None:
    text = "hostname a\nhostname b\nfilter add F action pass\nfilter add F action block\nntp enable\nntp disable\n"
    assert load_legacy(text).text == "hostname b\nfilter add F action block\nntp disable\n"


def test_delete_removes_what_was_added() -> None:
    assert load_legacy("filter add F action pass\nfilter delete F\nhostname x\n").text == "hostname x\n"


def test_what_depends_on_a_bad_line_goes_with_it_and_so_on() -> None:
    text = LEGACY.replace("ppp add FLETS", "ppp add OTHER").replace("cbq class add C1", "cqb class add C1")
    loaded = load_legacy(text + "cbq filter add F class C2\n")
    assert [(each.line, each.reason) for each in loaded.skipped] == [
        (7, "depends on ppp add FLETS, which does not exist"),
        (12, "unknown command cqb"),
        (13, "depends on cbq class add C1, which does not exist"),
        (22, "depends on cbq class add C2, which does not exist"),
    ]
    assert "C2" not in loaded.text


def test_lines_beyond_the_limits_of_the_device_are_skipped() -> None:
    loaded = load_legacy("hostname " + "x" * 2046 + "\nsnmp " + "a " * 130 + "\nhostname\nsshd enable\n")
    assert [each.line for each in loaded.skipped] == [1, 2, 3]
    assert loaded.text == "sshd enable\n"


RECIPE = 'hostname: branch-201\ninterface.ge0.description: "NTT ONU"\nfilter.ipv4.100.state: enable\nx.hostkey: ""\n'


def test_recipe_comes_back_as_it_is_and_a_key_that_comes_twice_has_its_last_value() -> None:
    assert load_recipe(RECIPE).text == RECIPE
    assert load_recipe(RECIPE + "hostname:   other\r\n").text == RECIPE.replace("branch-201", "other")


@pytest.mark.parametrize("line", ["hostname", "hostname:x", "Host: x", "a: b c", 'a: "b', "a: ", "a..b: c"])
def test_one_bad_line_refuses_a_whole_recipe(line: str) -> None:
    with pytest.raises(Refused) as refused:
        load_recipe(RECIPE + line + "\n")
    assert refused.value.line == 5


def test_module_1_must_look_like_its_form() -> None:
    text = 'config:\n  line:\n    - line-type: pppoe\n      ifindex: 1\n      account: "a@example.jp"\n'
    assert load_update_firmware(text).text == text
    for bad in ("line:\n", "config:\n\tline:\n", "config:\n  what is this\n"):
        with pytest.raises(Refused):
            load_update_firmware(bad)


def test_the_host_name_is_found_in_both_families() -> None:
    assert host_name(LEGACY) == "branch-101"
    assert host_name(RECIPE) == "branch-201"
    assert host_name("ntp enable\n") == ""


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20), max_size=6))
def test_what_a_device_prints_it_also_understands(words: list[str]) -> None:
    quoted = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in ["x", *words])
    once = load_legacy(f"hostname {quoted}\n")
    assert once.skipped == ()
    assert load_legacy(once.text) == once
    value = load_recipe(f"hostname: {quoted.split(' ')[0]}\n")
    assert load_recipe(value.text) == value
