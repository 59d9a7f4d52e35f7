"""Shapers in running configurations: what holds a whole interface, and what only looks like it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.shapers import Shaped, of_interface, shapers

pytestmark = pytest.mark.fast

SAMPLES = Path(__file__).parent.parent / "corpus" / "samples"
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


def test_what_holds_only_a_part_or_a_share_of_the_traffic_is_no_capacity_and_is_told() -> None:
    found = shapers("indented", IOS)
    rated = {name for name, one in found.items() if one.in_bps or one.out_bps}
    assert rated == {"GigabitEthernet0/0", "FastEthernet4"}
    assert found["GigabitEthernet0/1"].unclear == ("output: policy-map PART holds classes of its own (VOICE)",)
    assert found["GigabitEthernet0/2"].unclear == (
        "output: policy-map SHARE: `shape average percent 50` is no rate in bit/s",
    )
    assert "holds a part of the traffic" in found["Vlan10"].unclear[0]


def out_by(*lines: str) -> Shaped:
    """What a policy of class-default with these lines holds the output of an interface to."""
    below = "".join(f"  {line}\n" for line in lines)
    text = f"policy-map P\n class class-default\n{below}!\ninterface Gi0\n service-policy output P\n"
    return shapers("indented", text).get("Gi0", Shaped())


@pytest.mark.parametrize(
    ("lines", "bps"),
    [
        (("shape peak 10000000",), 20_000_000),  # Be is Bc unless the line says otherwise
        (("shape peak 10000000 40000",), 20_000_000),
        (("shape peak 10000000 40000 10000",), 12_500_000),
        (("shape peak 10000000 40000 0",), 10_000_000),
        (("shape average 10000000 40000 40000",), 10_000_000),
        (("police 8000000 conform-action transmit exceed-action drop",), 8_000_000),
        (("shape average 10000000", "police cir 8000000"), 8_000_000),
    ],
)
def test_a_peak_is_the_rate_with_the_excess_burst_of_every_interval(lines: tuple[str, ...], bps: int) -> None:
    assert out_by(*lines) == Shaped(None, bps)


@pytest.mark.parametrize(
    "lines",
    [
        ("shape peak percent 40",),
        ("shape peak 10000000 0 10000",),
        ("police rate 1000 pps",),
        ("police cir percent 20",),
    ],
)
def test_what_is_no_rate_in_bits_is_told_and_not_guessed(lines: tuple[str, ...]) -> None:
    held = out_by(*lines)
    assert (held.in_bps, held.out_bps) == (None, None)
    assert lines[0] in held.unclear[0]


@pytest.mark.parametrize(
    "lines",
    [
        ("police cir 8000000", " conform-action transmit", " exceed-action set-dscp-transmit 8"),
        ("police 8000000 conform-action transmit exceed-action transmit",),
        ("fair-queue",),
    ],
)
def test_a_policer_that_throws_nothing_away_holds_nothing(lines: tuple[str, ...]) -> None:
    assert out_by(*lines) == Shaped()
    marking = "interface Fa4\n rate-limit input 8000000 1 1 conform-action transmit exceed-action continue\n"
    assert shapers("indented", marking) == {}


def test_a_policy_that_is_not_there_or_leaves_it_to_another_is_told() -> None:
    missing = shapers("indented", "interface Gi0\n service-policy input GONE\n")
    assert missing == {"Gi0": Shaped(unclear=("input: policy-map GONE is not in the configuration",))}
    nested = (
        "policy-map IN\n class class-default\n  shape average 5000000\n"
        "policy-map P\n class class-default\n  service-policy IN\ninterface Gi0\n service-policy output P\n"
    )
    assert shapers("indented", nested)["Gi0"].unclear == ("output: policy-map P leaves it to policy-map IN",)


@pytest.mark.parametrize("name", ["GigabitEthernet0/0", "Gi0/0", "gi0/0"])
def test_the_short_name_of_snmp_is_found_by_its_long_one(name: str) -> None:
    assert of_interface(shapers("indented", IOS), name) == Shaped(80_000_000, 50_000_000)


@pytest.mark.parametrize("name", ["Gi0/1", "Gi0/0.10", "Te0/0", "G0/0", "wan1"])
def test_another_interface_is_not_taken_for_it(name: str) -> None:
    held = of_interface(shapers("indented", IOS), name)
    assert (held.in_bps, held.out_bps) == (None, None)


def test_a_fortigate_tells_kilobits_and_nought_is_no_limit() -> None:
    assert shapers("block", FORTIOS) == {"wan1": Shaped(100_000_000, 20_000_000)}


SHAPING = """config system interface
    edit "wan1"
        set inbandwidth 100000
        set outbandwidth 20000
        set egress-shaping-profile "half"
        set ingress-shaping-profile "mix"
    next
    edit "wan2"
        set egress-shaping-profile "half"
    next
    edit "port3"
        set vdom "root"
    next
end
config firewall shaping-profile
    edit "half"
        set default-class-id 2
        config shaping-entries
            edit 1
                set class-id 2
                set maximum-bandwidth-percentage 50
            next
        end
    next
    edit "mix"
        set default-class-id 2
        config shaping-entries
            edit 1
                set class-id 2
                set maximum-bandwidth-percentage 30
            next
            edit 2
                set class-id 3
                set maximum-bandwidth-percentage 30
            next
        end
    next
end
config firewall shaper traffic-shaper
    edit "ten"
        set maximum-bandwidth 10
        set bandwidth-unit mbps
    next
end
config firewall shaping-policy
    edit 1
        set service "ALL"
        set dstintf "port3"
        set traffic-shaper "ten"
        set srcaddr "all"
        set dstaddr "all"
    next
    edit 2
        set status disable
        set dstintf "wan2"
        set traffic-shaper "ten"
    next
end
"""


def test_a_shaping_profile_of_one_class_is_a_share_of_the_bandwidth_and_one_of_several_is_held_by_it() -> None:
    found = shapers("block", SHAPING)
    assert (found["wan1"].in_bps, found["wan1"].out_bps) == (100_000_000, 10_000_000)
    assert found["wan1"].unclear == ()
    assert found["wan2"] == Shaped(
        unclear=("out: shaping-profile half is a share of a bandwidth that the interface does not tell",)
    )


def test_a_shaping_policy_holds_its_own_sessions_and_that_is_told_with_its_rate() -> None:
    assert shapers("block", SHAPING)["port3"] == Shaped(
        unclear=("shaping-policy 1 holds the sessions that it matches (traffic-shaper ten of 10000000 bit/s)",)
    )
    everywhere = shapers("block", SHAPING.replace('set dstintf "port3"', 'set dstintf "any"'))
    assert [name for name, one in everywhere.items() if any("shaping-policy 1" in why for why in one.unclear)] == [
        "wan1",
        "wan2",
        "port3",
    ]


CBQ = "interface lan0 queue normal\ninterface lan1 queue cbq\ncbq link-bandwidth 100Mbps\n"


def test_an_interface_of_seil_that_queues_by_class_sends_what_its_link_has() -> None:
    assert shapers("statements", CBQ) == {"lan1": Shaped(None, 100_000_000)}
    assert shapers("statements", CBQ.replace("100M", "1G")) == {"lan1": Shaped(None, 1_000_000_000)}
    assert shapers("statements", "interface lan1 queue cbq\ncbq class add A parent default pbandwidth 20\n") == {
        "lan1": Shaped(unclear=("out: cbq without a link-bandwidth in the configuration",))
    }


def qos(*classes: tuple[str, str, int, str], default: str = "root", marked: Sequence[str] = ()) -> dict[str, Shaped]:
    """Shapers of a recipe with classes of ge4: name, parent, Mbit/s, whether it may borrow."""
    base = "qos.interface.100"
    lines = ["qos.service: enable", f"{base}.interface: ge4", f"{base}.default-class: {default}"]
    for name, parent, mbits, borrow in classes:
        lines += [
            f"{base}.class.{name}.parent: {parent}",
            f"{base}.class.{name}.bandwidth: {mbits}",
            f"{base}.class.{name}.borrow: {borrow}",
        ]
    lines += [f"qos.filter.ipv4.{n}.marking.qos-class: {name}" for n, name in enumerate(marked, 100)]
    return shapers("key-value", "\n".join(lines) + "\n")


def test_classes_of_a_recipe_that_may_not_borrow_hold_their_sum() -> None:
    closed = (("class0", "root", 200, "disable"), ("class1", "root", 500, "disable"))
    assert qos(*closed, default="class1", marked=["class0"]) == {"ge4": Shaped(None, 700_000_000)}
    assert qos(*closed, default="class1") == {"ge4": Shaped(None, 500_000_000)}, "nothing is put into class0"
    child = (("class0", "root", 50, "disable"), ("class1", "class0", 20, "enable"))
    assert qos(*child, default="class0", marked=["class1"]) == {"ge4": Shaped(None, 50_000_000)}
    inner = (("class0", "root", 50, "disable"), ("class1", "class0", 20, "disable"))
    assert qos(*inner, default="class0", marked=["class1"]) == {"ge4": Shaped(None, 50_000_000)}


def test_classes_that_borrow_up_to_the_root_hold_nothing_and_that_is_told() -> None:
    unclear = {"ge4": Shaped(unclear=("out: qos classes share the interface, and no rate of theirs holds all of it",))}
    assert qos(("class0", "root", 200, "disable"), marked=["class0"]) == unclear, "the rest stays in the root"
    assert qos(("class0", "root", 200, "enable"), default="class0") == unclear
    circle = (("class0", "class1", 20, "enable"), ("class1", "class0", 20, "enable"))
    assert qos(*circle, default="class0") == unclear
    assert shapers("key-value", (SAMPLES / "recipe-ca10-vrrp-qos.cfg").read_text()) == unclear
    assert shapers("statements", (SAMPLES / "legacy-x1-qos-cbq.cfg").read_text()) == {"lan1": Shaped(None, 100_000_000)}


def test_of_other_dialects_and_of_what_cannot_be_read_nothing_is_known() -> None:
    assert shapers("horoscope", "cbq link-bandwidth 100Mbps\n") == {}
    assert shapers("statements", 'cbq link-bandwidth 100Mbps\ninterface lan1 description "\n') == {}
    assert shapers("block", "config system interface\n edit wan1\n set outbandwidth 5\n") in (
        {},
        {"wan1": Shaped(None, 5_000)},
    )
