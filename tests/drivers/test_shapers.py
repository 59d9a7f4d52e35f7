"""Shapers in running configurations: what holds a whole interface, and what only looks like it."""

from __future__ import annotations

import pytest

from drivers.shapers import Shaped, of_interface, shapers

pytestmark = pytest.mark.fast

IOS = """hostname tokyo
!
policy-map CHILD
 class VOICE
  priority percent 20
 class class-default
  fair-queue
policy-map WAN-OUT
 class class-default
  shape average 50000000
   service-policy CHILD
policy-map WAN-IN
 class class-default
  police cir 80000000 bc 2500000
   conform-action transmit
   exceed-action drop
policy-map PART
 class VOICE
  police 1000000
 class class-default
  shape average 20000000
policy-map SHARE
 class class-default
  shape average percent 50
!
interface GigabitEthernet0/0
 ip address 192.0.2.1 255.255.255.0
 service-policy input WAN-IN
 service-policy output WAN-OUT
!
interface GigabitEthernet0/1
 service-policy output PART
!
interface GigabitEthernet0/2
 service-policy output SHARE
!
interface FastEthernet4
 traffic-shape rate 10000000 250000 250000 1000
 rate-limit input 8000000 1500000 3000000 conform-action transmit exceed-action drop
!
interface Vlan10
 rate-limit output access-group 101 8000000 1500000 3000000 conform-action transmit exceed-action drop
!
"""
FORTIOS = """config system interface
    edit "wan1"
        set vdom "root"
        set mode dhcp
        set inbandwidth 100000
        set outbandwidth 20000
    next
    edit "wan2"
        set outbandwidth 0
    next
end
"""


def test_a_shaper_and_a_policer_of_class_default_hold_the_whole_interface() -> None:
    found = shapers("indented", IOS)
    assert found["GigabitEthernet0/0"] == Shaped(80_000_000, 50_000_000)
    assert found["FastEthernet4"] == Shaped(8_000_000, 10_000_000)


def test_what_holds_only_a_part_or_a_share_of_the_traffic_is_no_capacity() -> None:
    assert set(shapers("indented", IOS)) == {"GigabitEthernet0/0", "FastEthernet4"}


@pytest.mark.parametrize("name", ["GigabitEthernet0/0", "Gi0/0", "gi0/0"])
def test_the_short_name_of_snmp_is_found_by_its_long_one(name: str) -> None:
    assert of_interface(shapers("indented", IOS), name) == Shaped(80_000_000, 50_000_000)


@pytest.mark.parametrize("name", ["Gi0/1", "Gi0/0.10", "Te0/0", "G0/0", "wan1"])
def test_another_interface_is_not_taken_for_it(name: str) -> None:
    assert of_interface(shapers("indented", IOS), name) == Shaped()


def test_a_fortigate_tells_kilobits_and_nought_is_no_limit() -> None:
    assert shapers("block", FORTIOS) == {"wan1": Shaped(100_000_000, 20_000_000)}


def test_of_other_dialects_and_of_what_cannot_be_read_nothing_is_known() -> None:
    assert shapers("statements", "cbq link-bandwidth 100Mbps\n") == {}
    assert shapers("block", "config system interface\n edit wan1\n set outbandwidth 5\n") in (
        {},
        {"wan1": Shaped(None, 5_000)},
    )
