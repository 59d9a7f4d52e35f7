"""FortiOS: what is read in awkward texts, and what would be sent to a unit."""

from __future__ import annotations

import pytest

from drivers.dialects import Node, Tree, dialect
from drivers.dialects.diff import equal
from drivers.dialects.remediation import prove
from inventory.errors import ConfigSyntax
from tests.configs import divided
from tests.drivers.dialects.corpus import CORPUS, text_of

pytestmark = pytest.mark.fast
FORTIOS = dialect("block")


def change(base: str, intent: str) -> list[str]:
    """Lines to send, after they are proven, without what closes tables and entries."""
    proof = prove(FORTIOS, base, intent)
    assert proof.proven, proof.reason
    return [line.strip() for line in proof.remediation if line.strip() not in {"next", "end"}]


def test_end_inside_an_edit_closes_the_table_too() -> None:
    tree = FORTIOS.parse(
        "config vdom\nedit root\nconfig system dns\nset primary 192.0.2.1\nend\nend\nconfig global\nend"
    )
    dns = Node("config system dns", (Node("set primary 192.0.2.1"),))
    assert tree == Tree((Node("config vdom", (Node("edit root", (dns,)),)), Node("config global")))


def test_a_quoted_value_spans_lines_and_may_hold_keywords() -> None:
    text = 'config system replacemsg a b\n    set buffer "first \\"line\\"\nend\nnext\n  last"\nend\n'
    assert FORTIOS.render(FORTIOS.parse(text)) == text


def test_quotes_escapes_and_joined_lines_mean_what_the_device_takes_them_for() -> None:
    text = text_of(CORPUS / "fortios-config/batfish__fortios_testconfigs_fortios_replacemsg")
    buffer = [node.text for node in FORTIOS.canonical(FORTIOS.parse(text)).nodes[-1].children]
    # Its comment says: "npre"''\\nabc\\\" "NEWLINElastline
    assert buffer == [r'set buffer "\"npre\"' + "''" + r"\\\\nabc\\\\\\\" \"" + '\nlastline"']


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("config a\nset b c", 1, 1, "config is never closed"),
        ("config a\n    edit 1\n", 2, 5, "edit is never closed"),
        ('config a\n  set b "cut', 2, 9, "the quote is never closed"),
        ("config a\nset b it's\nend", 2, 9, "the quote is never closed"),
        ("config a\nnext\nend", 2, 1, "next without edit"),
        ("end", 1, 1, "end outside of any config"),
        ("config a\nend\n  set b c", 3, 3, "set outside of any config"),
        ("config a\nedit 1\nedit 2\nend", 3, 1, "edit inside an edit: next is missing"),
        ("config a\nedit two words\nend", 2, 1, "edit takes one key; quote a key with blanks"),
        ("config a\nset\nend", 2, 1, "set without a name"),
        ("config a\nend now\n", 2, 1, "end stands alone"),
        ("config a\nset b c\\", 2, 8, "nothing follows the backslash"),
        ("\n".join(["config a"] * 65), 65, 1, "nested deeper than 64 levels"),
    ],
)
def test_a_broken_text_is_refused_at_its_place(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(ConfigSyntax) as refusal:
        FORTIOS.parse(text)
    assert (refusal.value.line, refusal.value.column, refusal.value.reason) == (line, column, reason)


def test_the_word_that_is_refused_is_not_repeated_because_it_may_be_a_secret() -> None:
    with pytest.raises(ConfigSyntax) as refusal:
        FORTIOS.parse("config a\nset psksecret first\nplanted-secret\nend")
    assert "planted" not in str(refusal.value)


def policies(*keys: int) -> str:
    return "config firewall policy\n" + "".join(f"edit {key}\nset action accept\nnext\n" for key in keys) + "end"


def test_policies_are_moved_into_their_order() -> None:
    assert change(policies(1, 2, 3), policies(3, 1, 2)) == ["config firewall policy", "move 3 before 1"]
    assert not equal(FORTIOS, policies(1, 2), policies(2, 1))


def test_a_new_policy_is_moved_to_its_place() -> None:
    assert change(policies(1, 2), policies(1, 9, 2)) == [
        "config firewall policy",
        "edit 9",
        "set action accept",
        "move 9 before 2",
    ]


def test_one_policy_that_goes_to_the_end_of_thousands_is_one_move() -> None:
    first, *rest = range(1, 4000)
    assert change(policies(first, *rest), policies(*rest, first)) == ["config firewall policy", "move 1 after 3999"]


def test_the_order_of_addresses_and_of_members_is_no_difference() -> None:
    text = "config firewall addrgrp\nedit a\nset member {}\nnext\nedit b\nnext\nend"
    other = "config firewall addrgrp\nedit b\nnext\nedit a\nset member {}\nnext\nend"
    assert equal(FORTIOS, text.format('x "y z"'), other.format('"y z" "x"'))
    assert not equal(FORTIOS, text.format("x"), other.format("y"))


def test_referenced_objects_come_before_and_go_after_their_users() -> None:
    policy = "config firewall policy\nedit 1\nset srcaddr new\nnext\nend\n"
    address = "config firewall address\nedit new\nset subnet 192.0.2.0 255.255.255.0\nnext\nend\n"
    other = "config system global\nset hostname a\nend\n"
    assert [line for line in change(other, other + policy + address) if line.startswith("config")] == [
        "config firewall address",
        "config firewall policy",
    ]
    assert change(other + policy + address, other) == [
        "config firewall policy",
        "delete 1",
        "config firewall address",
        "delete new",
    ]


VPN = """config system interface
    edit "wan1"
        set type physical
    next
    edit "to-osaka"
        set vdom "root"
        set ip 192.0.2.1 255.255.255.255
        set type tunnel
        set snmp-index 12
        set interface "wan1"
    next
end
config vpn ipsec phase1-interface
    edit "to-osaka"
        set interface "wan1"
        set remote-gw 198.51.100.7
    next
end
config vpn ipsec phase2-interface
    edit "p2"
        set phase1name "to-osaka"
    next
end
config system zone
    edit "vpns"
        set interface "to-osaka"
    next
end
"""


def test_the_interface_of_a_tunnel_is_made_by_the_tunnel_and_goes_with_it() -> None:
    without = "config system interface\nedit wan1\nset type physical\nnext\nend"
    assert change(without, VPN) == [
        "config vpn ipsec phase1-interface",
        "edit to-osaka",
        'set interface "wan1"',
        "set remote-gw 198.51.100.7",
        "config system interface",
        "edit to-osaka",
        "set ip 192.0.2.1 255.255.255.255",
        "config system zone",
        "edit vpns",
        'set interface "to-osaka"',
        "config vpn ipsec phase2-interface",
        "edit p2",
        'set phase1name "to-osaka"',
    ]
    going = change(VPN, without)
    assert going.index("delete p2") < going.index("delete vpns") < len(going)
    assert going[-2:] == ["config vpn ipsec phase1-interface", "delete to-osaka"]


def test_a_tunnel_whose_interface_only_the_device_names_is_no_difference() -> None:
    told = VPN.replace("        set ip 192.0.2.1 255.255.255.255\n", "")
    untold = told.replace(told[told.index('    edit "to-osaka"') : told.index("end\n")], "", 1)
    assert untold.count("to-osaka") == 3
    assert equal(FORTIOS, told, untold)
    assert change(VPN, untold) == ["config system interface", "edit to-osaka", "unset ip"]
    assert not equal(FORTIOS, VPN, untold)


def test_what_a_unit_changes_by_itself_on_the_interface_of_a_tunnel_is_no_difference() -> None:
    without = "config system interface\nedit wan1\nset type physical\nnext\nend"
    with_it = VPN.replace("set ip 192.0.2.1 255.255.255.255", "set uuid 12-34")
    assert "system interface" not in " ".join(change(without, with_it))
    assert "system interface" not in " ".join(change(with_it, without))


def entries(path: str, **settings: str) -> str:
    inside = "".join(f"edit {key}\n{said}\nnext\n" for key, said in settings.items())
    return f"config {path}\n{inside}end\n"


def test_a_group_comes_after_its_members_and_goes_before_them_whatever_the_order_of_the_text() -> None:
    groups = entries("firewall addrgrp", a="set member b", b="set member c", c="set member all")
    there, back = change("", groups), change(groups, "")
    assert [line for line in there if line.startswith("edit")] == ["edit c", "edit b", "edit a"]
    assert back == ["config firewall addrgrp", "delete a", "delete b", "delete c"]


def test_a_table_of_which_nobody_said_who_uses_it_comes_before_who_does() -> None:
    used = entries("webfilter profile", p="set urlfilter-table list") + entries("webfilter urlfilter", list="set a b")
    assert [line for line in change("", used) if line.startswith("edit")] == ["edit list", "edit p"]
    assert [line for line in change(used, "") if line.startswith("delete")] == ["delete p", "delete list"]


def test_entries_that_refer_to_each_other_are_made_and_removed_in_two_steps() -> None:
    ring = entries("user group", a="set size 1\nset member b", b="set member c", c="set member a")
    assert change("", ring) == [
        "config user group",
        "edit a",
        "set size 1",
        "edit c",
        "set member a",
        "edit b",
        "set member c",
        "edit a",
        "set member b",
    ]
    going = change(ring, "")
    assert going[:3] == ["config user group", "edit a", "unset member"]
    assert [line for line in going if line.startswith("delete")] == ["delete b", "delete c", "delete a"]


def test_a_setting_that_goes_is_unset_and_a_child_table_is_changed_in_its_entry() -> None:
    text = "config system interface\nedit a\nset alias a\n{}config secondaryip\nedit 1\nset ip {}\nnext\nend\nnext\nend"
    assert change(text.format("set mtu 1400\n", "192.0.2.1/24"), text.format("", "192.0.2.2/24")) == [
        "config system interface",
        "edit a",
        "unset mtu",
        "config secondaryip",
        "edit 1",
        "set ip 192.0.2.2/24",
    ]


def test_virtual_domains_are_changed_each_on_its_own() -> None:
    text = "config vdom\nedit root\nconfig system dns\nset primary {}\nend\nnext\nedit two\nnext\nend"
    assert change(text.format("192.0.2.1"), text.format("192.0.2.2")) == [
        "config vdom",
        "edit root",
        "config system dns",
        "set primary 192.0.2.2",
    ]


@pytest.mark.parametrize("name", ["rename", "policy_move", "policy_clone", "policy_delete", "addrgrp_rename"])
def test_editing_statements_are_kept_in_the_tree_and_carried_out_for_comparing(name: str) -> None:
    tree = FORTIOS.parse(text_of(CORPUS / f"fortios-config/batfish__fortios_testconfigs_{name}"))
    done = FORTIOS.canonical(tree)
    editing = ("rename ", "move ", "clone ", "delete ")
    assert any(node.text.startswith(editing) for top in tree.nodes for node in top.walk())
    assert not any(node.text.startswith(editing) for top in done.nodes for node in top.walk())


def test_moves_and_deletions_give_the_order_that_the_device_has() -> None:
    def order(name: str) -> list[str]:
        tree = FORTIOS.canonical(FORTIOS.parse(text_of(CORPUS / f"fortios-config/batfish__fortios_testconfigs_{name}")))
        (table,) = (node for node in tree.nodes if node.text == "config firewall policy")
        return [node.text.removeprefix("edit ") for node in table.children]

    assert order("policy_move") == ["5", "1", "2", "4", "3"]
    assert order("policy_clone") == ["1", "2", "3", "4"]
    assert order("policy_delete") == ["2", "1"]


def test_what_a_unit_changes_by_itself_is_no_difference() -> None:
    text = "{}config system interface\nedit port1\nset alias a\nset snmp-index {}\nset uuid {}\nnext\nend\n"
    assert equal(FORTIOS, text.format("#conf_file_ver=1\n", 1, "a-b"), text.format("#conf_file_ver=2\n", 2, "c-d"))


def test_abort_leaves_a_table_without_a_trace() -> None:
    text = "config system global\nset hostname a\nend\nconfig system global\nset hostname b\nabort\n"
    assert FORTIOS.render(FORTIOS.parse(text)).endswith("abort\n")
    assert equal(FORTIOS, text, "config system global\nset hostname a\nend")


def test_a_change_that_an_interface_does_not_take_is_not_proven() -> None:
    text = "config system interface\nedit vlan1\nset vlanid {}\nnext\nend"
    proof = prove(FORTIOS, text.format(1), text.format(2))
    assert (proof.proven, proof.reason) == (
        False,
        "a device refuses to change an interface so: edit vlan1, set vlanid 2",
    )


UNIT = """config system interface
    edit "port1"
        set vdom "kobe"
    next
end
"""
ROOT = """config firewall address
    edit "office"
        set subnet 192.0.2.0 255.255.255.0
    next
end
"""


def with_kobe(part: str) -> str:
    return divided(UNIT, root=ROOT, kobe=part)


def remediation_of(base: str, intent: str) -> list[str]:
    proof = prove(dialect("block"), base, intent)
    assert proof.proven, proof.reason
    return [line.strip() for line in proof.remediation]


def test_in_a_virtual_domain_an_interface_comes_before_its_user_and_goes_after_it() -> None:
    base = with_kobe("")
    vlan = (
        '        set vdom "kobe"\n    next\n    edit "vlan7"\n        set vdom "kobe"\n        set vlanid 7\n    next\n'
    )
    user = 'config router static\n    edit 1\n        set device "vlan7"\n    next\nend\n'
    intent = with_kobe(user).replace('        set vdom "kobe"\n    next\n', vlan)
    there, back = remediation_of(base, intent), remediation_of(intent, base)
    assert there.index("edit vlan7") < there.index("config router static")
    assert there[:3] == ["config global", "config system interface", "edit vlan7"]
    assert back.index("delete 1") < back.index("delete vlan7")
    assert "edit root" not in there


def test_the_interface_of_a_domains_tunnel_is_made_and_removed_with_the_tunnel() -> None:
    base = with_kobe("")
    tunnel = 'config vpn ipsec phase1-interface\n    edit "osaka"\n        set interface "port1"\n    next\nend\n'
    inner = '    edit "osaka"\n        set vdom "kobe"\n        set type tunnel\n        set alias "far"\n    next\n'
    intent = with_kobe(tunnel).replace('set vdom "kobe"\n    next\n', f'set vdom "kobe"\n    next\n{inner}')
    there, back = remediation_of(base, intent), remediation_of(intent, base)
    assert there.index("config vpn ipsec phase1-interface") < there.index("config system interface")
    assert "set type tunnel" not in there
    assert back.count("delete osaka") == 1
    assert "config system interface" not in back


def test_a_domains_change_names_no_other_domain() -> None:
    base = with_kobe("config system dns\n    set primary 192.0.2.1\nend\n")
    assert remediation_of(base, base.replace("192.0.2.1", "192.0.2.2")) == [
        "config vdom",
        "edit kobe",
        "config system dns",
        "set primary 192.0.2.2",
        "end",
        "next",
        "end",
    ]


@pytest.mark.parametrize("first", [True, False])
def test_an_entry_of_the_next_free_number_is_never_another_one_of_the_same_text(first: bool) -> None:
    free = 'edit 0\nset dst 192.0.2.0/24\nset comment "new"\nnext\n'
    known = "edit 1\nset dst 198.51.100.0/24\nnext\n"
    base = f"config router static\n{known}end\n"
    intent = f"config router static\n{free + known if first else known + free}end\n"

    assert change(base, intent) == [
        "config router static",
        "edit 2",
        "set dst 192.0.2.0/24",
        'set comment "new"',
    ]
