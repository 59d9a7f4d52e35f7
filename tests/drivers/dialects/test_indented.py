"""IOS: what is read in awkward texts, and what would be sent to a router."""

from __future__ import annotations

import pytest

from drivers.dialects import Node, Tree, dialect
from drivers.dialects.diff import equal, lines
from drivers.dialects.remediation import Proof, prove
from inventory.errors import ConfigSyntax
from tests.drivers.dialects.corpus import CORPUS, text_of

pytestmark = pytest.mark.fast
IOS = dialect("indented")


def change(base: str, intent: str) -> list[str]:
    """Lines to send, after they are proven."""
    proof = prove(IOS, base, intent)
    assert proof.proven, proof.reason
    return [line for line in proof.remediation if line.strip() != "exit"]


def test_a_comment_in_a_section_does_not_close_it() -> None:
    tree = IOS.parse("interface Vlan1\n ip address dhcp\n!\n mtu 1400\n! why\n shutdown\nhostname a\n")
    assert tree == Tree(
        (
            Node("interface Vlan1", (Node("ip address dhcp"), Node("mtu 1400"), Node("shutdown"))),
            Node("! why"),
            Node("hostname a"),
        )
    )


@pytest.mark.parametrize("mark", ["^C", "\x03", "#", "@"])
def test_a_banner_keeps_its_text_whatever_its_delimiter(mark: str) -> None:
    text = f"banner motd {mark}\n  !  keep\nhostname not-a-command\n\n{mark}\nhostname real\n"
    tree = IOS.parse(text)
    assert [node.text.partition("\n")[0] for node in tree.nodes] == [f"banner motd {mark}", "hostname real"]
    assert IOS.render(tree) == text
    assert equal(IOS, text, text.replace(mark, "^C"))


def test_a_banner_is_sent_with_a_delimiter_that_a_terminal_lets_through() -> None:
    (sent,) = prove(IOS, "hostname a", "hostname a\nbanner motd ^C\n# 100 % private\n^C").remediation
    assert sent == "banner motd @\n# 100 % private\n@"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("hostname a\nbanner motd ^C\ncut off", 2, 13),
        ("crypto pki certificate chain A\n certificate ca 01\n  3082 0201\n  3082", 2, 2),
        ("macro name m\nswitchport\n", 1, 1),
        (" macro auto execute E {\nend\n", 1, 2),
        ("\n".join(" " * depth + "x" for depth in range(80)), 65, 65),
    ],
)
def test_a_text_that_is_cut_off_is_refused_where_it_opened(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntax) as refusal:
        IOS.parse(text)
    assert (refusal.value.line, refusal.value.column) == (line, column)


def test_a_certificate_is_kept_to_the_octet_and_compared_by_its_digits() -> None:
    text = (
        "crypto pki certificate chain A\n certificate self-signed 01\n  30820201 0A\n  FF00 \t\n  \tquit\nhostname a\n"
    )
    (chain, _) = IOS.parse(text).nodes
    assert chain.children[0].text == "certificate self-signed 01\n  30820201 0A\n  FF00 \t\n  \tquit"
    assert equal(IOS, text, text.replace("30820201 0A\n  FF00", "3082 0201 0aff 00"))
    assert not equal(IOS, text, text.replace("FF00", "FF01"))


def test_what_a_router_changes_by_itself_is_no_difference() -> None:
    noise = "Building configuration...\n\nCurrent configuration : 1366 bytes\n! Last configuration change at 18:41\n"
    noise += "version 15.5\n"
    assert equal(IOS, f"{noise}hostname a\nntp clock-period 17179738\nend\n", "hostname a\n")


def test_the_head_of_a_reading_that_was_pasted_along_is_no_statement() -> None:
    head = "Building configuration...\n\nCurrent configuration:\n!\n"
    assert equal(IOS, head + "frr version 8.4.4\nhostname a\n", "frr version 8.4.4\nhostname a\n")


def test_an_address_is_replaced_in_one_step_so_that_the_session_survives() -> None:
    base = "interface Vlan1\n description old\n ip address 192.0.2.1 255.255.255.0\n shutdown"
    intent = "interface Vlan1\n description new\n ip address 192.0.2.2 255.255.255.0\n no shutdown"
    assert change(base, intent) == [
        "interface Vlan1",
        " no shutdown",
        " description new",
        " ip address 192.0.2.2 255.255.255.0",
    ]


def test_hardware_that_is_not_named_is_set_to_its_defaults_and_not_removed() -> None:
    base = "interface GigabitEthernet1\n mtu 9000\ninterface GigabitEthernet2\nline vty 0 4\n password x\nhostname a"
    proof = prove(IOS, base, "hostname a")
    assert proof.remediation == ("line vty 0 4", " no password x", " exit", "default interface GigabitEthernet1")
    assert IOS.canonical(IOS.apply(IOS.parse(base), proof.remediation)) == IOS.parse("hostname a")
    assert not proof.proven
    assert IOS.apply(IOS.parse(base), ["no interface GigabitEthernet1"]) == IOS.parse(base)


def test_vlans_of_a_trunk_are_one_list_over_however_many_lines() -> None:
    head = "interface Port-channel1\n switchport trunk allowed vlan"
    one, two = f"{head} 1,2,3,10-12", f"{head} 1-3\n switchport trunk allowed vlan add 10,11,12"
    assert equal(IOS, one, two)
    assert change(two, f"{head} 1-3") == ["interface Port-channel1", " switchport trunk allowed vlan 1-3"]
    assert equal(IOS, f"{one}\n switchport trunk allowed vlan remove 1-3", f"{head} 10-12")


def test_a_list_of_vlans_that_is_too_long_for_a_line_is_sent_in_pieces() -> None:
    head = "interface Port-channel1\n switchport trunk allowed vlan"
    intent = f"{head} {','.join(str(vlan) for vlan in range(2, 400, 2))}"
    sent = change(f"{head} 1", intent)
    assert [line.partition(" vlan ")[2].split()[0] == "add" for line in sent[1:]] == [False, *[True] * (len(sent) - 2)]
    assert max(map(len, sent)) < 255
    assert equal(IOS, "\n".join(sent), intent)


def test_a_route_that_only_changes_its_distance_is_replaced_and_not_removed_after_that() -> None:
    base = "ip route 0.0.0.0 0.0.0.0 192.0.2.1\nip route 0.0.0.0 0.0.0.0 Dialer1 192.0.2.9"
    assert change(base, base.replace("2.1", "2.1 250")) == ["ip route 0.0.0.0 0.0.0.0 192.0.2.1 250"]
    assert change(base, base.replace("2.9", "2.8")) == [
        "ip route 0.0.0.0 0.0.0.0 Dialer1 192.0.2.8",
        "no ip route 0.0.0.0 0.0.0.0 Dialer1 192.0.2.9",
    ]


def test_an_address_family_of_an_old_release_holds_what_is_printed_at_its_own_depth() -> None:
    old = "router bgp 1\n maximum-paths 2\n address-family ipv4 vrf A\n redistribute static\n exit-address-family"
    new = old.replace(" redistribute", "  redistribute")
    assert IOS.parse(old) == IOS.parse(new)
    assert change(old.replace(" redistribute static\n", ""), old)[-1] == "  redistribute static"


def test_a_user_whose_removal_takes_other_lines_along_is_entered_again() -> None:
    base = "username a secret 9 $9$x\nusername a autocommand show\nhostname h"
    assert change(base, "username a autocommand show\nhostname h") == ["no username a", "username a autocommand show"]


def test_a_script_of_a_macro_is_one_text() -> None:
    text = "macro auto execute EVENT {\nif [[ $LINKUP == YES ]]\n then conf t\n}\nhostname a\n"
    assert [node.text.partition("\n")[0] for node in IOS.parse(text).nodes] == [
        "macro auto execute EVENT {",
        "hostname a",
    ]
    assert IOS.render(IOS.parse(text)) == text


def test_the_new_default_route_comes_before_the_old_one_goes() -> None:
    assert change("ip route 0.0.0.0 0.0.0.0 192.0.2.1", "ip route 0.0.0.0 0.0.0.0 192.0.2.2") == [
        "ip route 0.0.0.0 0.0.0.0 192.0.2.2",
        "no ip route 0.0.0.0 0.0.0.0 192.0.2.1",
    ]


def test_an_access_list_is_entered_anew_from_the_first_difference() -> None:
    base = "ip access-list extended A\n permit ip host 192.0.2.1 any\n deny ip any any"
    intent = "ip access-list extended A\n permit ip host 192.0.2.1 any\n permit ip host 192.0.2.2 any\n deny ip any any"
    assert change(base, intent) == [
        "ip access-list extended A",
        " no deny ip any any",
        " permit ip host 192.0.2.2 any",
        " deny ip any any",
    ]


def test_the_order_of_an_access_list_is_a_difference_and_its_numbers_are_not() -> None:
    one, two = "permit ip host 192.0.2.1 any", "deny ip any any"
    text = "ip access-list extended A\n {}{}\n {}{}"
    assert equal(IOS, text.format("10 ", one, "20 ", two), text.format("", one, "", two))
    assert equal(IOS, text.format("20 ", two, "10 ", one), text.format("", one, "", two))
    assert not equal(IOS, text.format("", two, "", one), text.format("", one, "", two))


def test_a_numbered_access_list_goes_as_a_whole_unless_it_only_grows() -> None:
    base = "access-list 10 permit 192.0.2.1\naccess-list 10 permit 192.0.2.2"
    assert change(base, f"{base}\naccess-list 10 deny any") == ["access-list 10 deny any"]
    assert change(base, "access-list 10 permit 192.0.2.2") == ["no access-list 10", "access-list 10 permit 192.0.2.2"]


def test_what_others_refer_to_goes_after_them() -> None:
    base = "policy-map P\n class class-default\n  police 1\ninterface Vlan1\n service-policy input P"
    assert change(base, "interface Vlan1") == ["interface Vlan1", " no service-policy input P", "no policy-map P"]


def test_addresses_follow_a_change_of_the_vrf() -> None:
    text = (
        "vrf definition A\nvrf definition B\ninterface Vlan1\n vrf forwarding {}\n ip address 192.0.2.1 255.255.255.0"
    )
    assert change(text.format("A"), text.format("B")) == [
        "interface Vlan1",
        " vrf forwarding B",
        " ip address 192.0.2.1 255.255.255.0",
    ]


def test_removing_a_user_repeats_no_secret() -> None:
    assert change("username a secret 9 $9$x\nhostname h", "hostname h") == ["no username a"]


def test_every_section_is_left_again() -> None:
    sent = prove(IOS, "hostname a", "hostname a\nrouter bgp 1\n address-family ipv4\n  network 192.0.2.0").remediation
    assert sent == ("router bgp 1", " address-family ipv4", "  network 192.0.2.0", "  exit", " exit")


@pytest.mark.parametrize(
    ("base", "intent", "reason"),
    [
        ("aaa new-model\nhostname a", "hostname a", "not revertible: 'no aaa new-model'"),
        ("interface GigabitEthernet1\n mtu 9000\nhostname a", "hostname a", "hardware stays"),
        ("crypto pki certificate chain A\n certificate ca 1\n  30\n  quit", "hostname a", "not revertible"),
    ],
)
def test_what_cannot_be_taken_back_is_not_proven(base: str, intent: str, reason: str) -> None:
    proof = prove(IOS, base, intent)
    assert not proof.proven
    assert reason in proof.reason


def test_a_difference_shows_the_section_it_stands_in() -> None:
    old, new = (IOS.parse(f"interface Vlan1\n mtu {mtu}\n shutdown\nhostname a") for mtu in (1400, 1500))
    shown = lines(IOS, old, new)
    assert [each.line for each in shown] == [" interface Vlan1", "- mtu 1400", "+ mtu 1500"]
    assert [each.path for each in shown] == [(), ("interface Vlan1",), ("interface Vlan1",)]


def test_a_proof_does_not_print_its_lines() -> None:
    assert "planted" not in repr(Proof(("enable secret planted",), ("x planted",), True, ""))


def test_a_whole_router_of_another_project_is_changed_and_changed_back() -> None:
    folder = CORPUS / "ios-config"
    base, intent = (text_of(folder / f"napalm__ios_ios_{name}.conf") for name in ("initial", "new_good"))
    assert change(base, intent) == [
        "interface GigabitEthernet2",
        " ip address 172.20.0.1 255.255.255.0",
        "router bgp 65000",
        " bgp log-neighbor-changes",
        " neighbor 1.1.1.1 remote-as 12345",
    ]
    assert change(intent, base) == [
        "no router bgp 65000",
        "interface GigabitEthernet2",
        " no ip address 172.20.0.1 255.255.255.0",
    ]


def test_a_value_pushes_out_the_denial_of_another() -> None:
    proof = prove(dialect("indented"), "hostname osaka", "no hostname osaka\nhostname kobe")
    assert proof.proven, proof.reason
    assert proof.remediation == ("hostname kobe",)


def test_a_router_that_takes_several_addresses_without_a_word_keeps_each() -> None:
    base = "interface eth1\n ip address 192.0.2.1/24\n ip address 198.51.100.1/24\n"
    assert change(base, "interface eth1\n ip address 192.0.2.1/24\n") == [
        "interface eth1",
        " no ip address 198.51.100.1/24",
    ]
    assert not equal(IOS, base, base.replace("192.0.2.1", "192.0.2.2"))


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("osaka-edge-01#", "a prompt"),
        ("osaka-edge-01#show running-config", "a prompt"),
        ("osaka-edge-01(config-if)#shutdown", "a prompt"),
        ("osaka>enable", "a prompt"),
        ("show running-config", "typed at a terminal"),
        ("do write memory", "typed at a terminal"),
        ("conf t", "typed at a terminal"),
        ("wr", "typed at a terminal"),
        ("copy run start", "typed at a terminal"),
        ("interface range GigabitEthernet0/1 - 2", "each interface by itself"),
    ],
)
def test_what_was_pasted_along_with_a_configuration_is_refused_where_it_stands(typed: str, reason: str) -> None:
    with pytest.raises(ConfigSyntax, match=reason) as refusal:
        IOS.parse(f"version 15.2\nhostname a\n{typed}\ninterface Loopback0\n description show#this>\n")
    assert (refusal.value.line, refusal.value.column) == (3, 1)


def test_a_tab_among_blanks_is_as_deep_as_it_looks() -> None:
    text = "router bgp 65000\n  address-family ipv4\n{}neighbor 192.0.2.1 activate\n"
    assert IOS.parse(text.format("\t")) == IOS.parse(text.format("    "))
    assert IOS.parse("interface Loopback0\n\tdescription x\n") == IOS.parse("interface Loopback0\n description x\n")


@pytest.mark.parametrize("name", ["eth0", "swp49", "ens3.30", "lo", "eth0 vrf mgmt"])
def test_an_interface_of_a_linux_kernel_is_emptied_line_by_line(name: str) -> None:
    """FRRouting knows no `default interface`, and removes no interface that is there."""
    text = f"hostname a\ninterface {name}\n ip address 192.0.2.1/24\n shutdown\n"
    proof = prove(IOS, text, "hostname a\n")
    assert proof.proven, proof.reason
    assert list(proof.remediation) == [f"interface {name}", " no shutdown", " no ip address 192.0.2.1/24", " exit"]


@pytest.mark.parametrize(
    ("base", "intent"),
    [
        ("ip prefix-list P seq 5 permit 192.0.2.1/32", "no ip prefix-list P\nhostname a"),
        ("access-list 1 permit 192.0.2.1", "no access-list 1\nhostname a"),
        ("hostname a", "ip access-list extended IN\n permit ip any any\n remark a\n no 10\n no 10"),
    ],
)
def test_a_list_that_is_said_not_to_be_there_leaves_no_trace(base: str, intent: str) -> None:
    for old, new in ((base, intent), (intent, base)):
        proof = prove(IOS, old, new)
        assert proof.proven, proof.reason


def test_a_command_typed_at_a_terminal_is_refused_also_where_all_is_indented() -> None:
    with pytest.raises(ConfigSyntax, match="typed at a terminal") as refusal:
        IOS.parse("  hostname a\n  show running-config\n")
    assert (refusal.value.line, refusal.value.column) == (2, 3)


def test_what_only_begins_like_a_section_is_not_left_by_exit() -> None:
    """Pasted by hand, or typed at a shell without modes, an `exit` too many leaves the section around."""
    inside = "interface Tunnel0\n ip vrf forwarding B\n crypto map M\n mtu 1400\n"
    others = "router ospf 1\n router-id 192.0.2.1\n network 192.0.2.0 0.0.0.255 area 0\n"
    alone = "vlan internal allocation policy ascending\nip access-list log-update threshold 10\n"
    more = "crypto ikev2 nat keepalive 20\ncrypto map M local-address Loopback0\ncontroller E1 0/0/0\n linecode hdb3\n"
    sent = prove(IOS, "hostname a", f"hostname a\n{inside}{others}{alone}{more}").remediation
    assert [line for line in sent if line.strip() == "exit"] == [" exit"] * 3
    for section in ("crypto map M 10 ipsec-isakmp", "ip vrf B", "vlan 10", "ip access-list standard L", "archive"):
        assert prove(IOS, "hostname a", f"hostname a\n{section}").remediation == (section, " exit")


def test_a_neighbour_leaves_its_address_families_before_it_goes() -> None:
    """Without its `remote-as` a router knows it no more: `% Specify remote-as or peer-group commands first`."""
    kept = "neighbor 192.0.2.9 remote-as 65009"
    gone = " neighbor 192.0.2.1 remote-as 65001\n neighbor 192.0.2.1 description osaka\n"
    inside = "  neighbor 192.0.2.1 activate\n  no neighbor 192.0.2.1 send-community both\n"
    family = " address-family ipv4\n{}  neighbor 192.0.2.9 activate\n"
    intent = f"router bgp 65000\n {kept}\n{family.format('')}"
    assert change(f"router bgp 65000\n {kept}\n{gone}{family.format(inside)}", intent) == [
        "router bgp 65000",
        " address-family ipv4",
        "  default neighbor 192.0.2.1 send-community both",
        "  no neighbor 192.0.2.1 activate",
        " no neighbor 192.0.2.1 description osaka",
        " no neighbor 192.0.2.1 remote-as 65001",
    ]


@pytest.mark.parametrize(
    "command", ["aaa authentication banner", "aaa authentication fail-message", "menu M title", "banner login"]
)
def test_a_text_of_any_command_is_compared_without_its_delimiter_and_removed_by_its_name(command: str) -> None:
    text = f"hostname a\n{command} ^CNo entry\nwithout leave^C\n"
    assert equal(IOS, text, text.replace("^C", "#"))
    assert change("hostname a", text) == [f"{command} #No entry\nwithout leave#"]
    assert change(text, "hostname a") == [f"no {command}"]
    assert change(text, text.replace("entry", "way")) == [f"{command} #No way\nwithout leave#"]


def test_a_setting_that_is_called_like_a_list_goes() -> None:
    assert change("access-list dynamic-extended\nhostname a", "hostname a") == ["no access-list dynamic-extended"]


def test_blanks_between_words_are_no_other_command() -> None:
    typed = "ip  prefix-list P permit 192.0.2.0/24\nip\tprefix-list  P deny any\naccess-list  10 permit any\n"
    plain = " ".join(typed.replace("\n", " \n").replace("\t", " ").split(" ")).replace("  ", " ").replace(" \n", "\n")
    assert equal(IOS, typed, plain)
    assert IOS.canonical(IOS.parse(IOS.render(IOS.canonical(IOS.parse(typed))))) == IOS.canonical(IOS.parse(typed))
    assert change(
        "interface Vlan1\n ip address 192.0.2.1 255.255.255.0", "interface Vlan1\n ip  address 192.0.2.2 /24"
    ) == [
        "interface Vlan1",
        " ip address 192.0.2.2 /24",
    ]


@pytest.mark.parametrize(
    ("held", "denied"),
    [
        ("interface Vlan1\n {}switchport access vlan {}", ("20", "30")),
        ("{}username taro password {}", ("a", "b")),
        ("interface Vlan1\n {}service-policy input {}", ("A", "B")),
    ],
)
def test_a_value_that_is_denied_by_another_is_gone_and_stays_so(held: str, denied: tuple[str, str]) -> None:
    head = held.partition("\n")[0] + "\n" if "\n" in held else ""
    text = f"{held.format('', denied[0])}\n{held.removeprefix(head).format('no ', denied[1])}\nhostname a\n"
    form = IOS.canonical(IOS.parse(text))
    assert IOS.canonical(IOS.parse(IOS.render(form))) == form
