"""Lines that do the same to other things have one shape."""

from __future__ import annotations

import pytest

from drivers import plan
from drivers.dialects import dialect, shapes
from drivers.dialects.diff import lines
from drivers.registry import driver
from inventory.plans import ConfigText

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ip route 10.1.0.0 255.255.0.0 192.0.2.1", "ip route 10.9.0.0 255.255.0.0 198.51.100.7"),
        ("interface GigabitEthernet0/1", "interface GigabitEthernet1/0/24"),
        ("description to the warehouse", "description spare"),
        ("neighbor 2001:db8::1 remote-as 64512", "neighbor 2001:db8::99 remote-as 65001"),
        ('set member "office" "guests"', 'set member "printers" "voice"'),
        ("route.ipv4.100.gateway: pppoe0", "route.ipv4.200.gateway: pppoe1"),
        ("hostname: osaka", "hostname: tokyo"),
        ('ppp add FLETS identifier "a@isp.example.jp"', 'ppp add LTE identifier "b@isp.example.jp"'),
        ("username op privilege 15 secret 9 ‹masked›", "username noc1 privilege 15 secret 9 ‹masked›"),
    ],
)
def test_other_values_are_the_same_shape(one: str, other: str) -> None:
    assert shapes.shape(one) == shapes.shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ip address 192.0.2.1 255.255.255.0", "ip address dhcp"),
        ("transport input ssh", "transport input telnet"),
        ("interface Vlan10", "interface Loopback10"),
        ("set status down", "set status up"),
        ("ntp.service: enable", "ntp.service: disable"),
        ("no shutdown", "shutdown"),
    ],
)
def test_another_keyword_is_another_shape(one: str, other: str) -> None:
    assert shapes.shape(one) != shapes.shape(other)


def test_a_shape_has_the_sections_that_it_stands_in_and_numbers_are_stable() -> None:
    d = dialect("indented")
    vty, con = (lines(d, d.parse(""), d.parse(f"line {kind} 0\n transport input ssh\n"))[1] for kind in ("vty", "con"))
    assert vty.text == con.text
    assert shapes.number(vty) != shapes.number(con)
    assert 0 <= shapes.number(vty) < 2 ** (8 * shapes.BYTES)


def test_each_line_of_a_difference_has_its_number_and_it_stands_where_the_line_stands() -> None:
    base = ConfigText.single("hostname a\ninterface Gi0/0\n description x\n ip mtu 1400\n")
    intent = ConfigText.single("hostname a\ninterface Gi0/0\n description y\n ip mtu 1400\n shutdown\n")
    ios = driver("ios")
    shown = plan.difference_shown(ios, base, intent).split("\n")
    found = plan.compute(ios, base, intent).diff_shapes
    assert [line[0] for line in shown] == [" ", "-", "+", "+"]
    assert [one is None for one in found] == [True, False, False, False]
    assert found[1] == found[2]
    assert found[1] in plan.shapes_standing(ios, base)
    assert found[3] not in plan.shapes_standing(ios, base)
    assert found[3] in plan.shapes_standing(ios, intent)
