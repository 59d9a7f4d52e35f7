"""Random configurations of each dialect, realistic enough to meet every rule, and small enough to collide often."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

WORD: Final = st.sampled_from(["a", "b", "c", "10", "up", "x-1", "é", "192.0.2.1"])
_LEAF: Final = st.builds(" ".join, st.lists(WORD, min_size=1, max_size=3))
_NEGATED: Final = st.builds("no {}".format, _LEAF)

_VLANS: Final = st.sampled_from(["1", "1-3", "2,4,6-9", "3-5,9", "1-4094", "4094", "7,7"])
_IN_INTERFACE: Final = st.one_of(
    st.sampled_from(
        [
            "shutdown",
            "no shutdown",
            "no ip address",
            "no ip redirects",
            "ip redirects",
            "ip address dhcp",
            "vrf forwarding RED",
            "vrf forwarding BLUE",
            "ip access-group IN in",
            "ip access-group IN out",
            "ip access-group OUT in",
            "switchport mode access",
            "default shutdown",
            "no description",
            "no switchport trunk allowed vlan",
            "ip address 192.0.2.1/24",
            "ip address 198.51.100.1/24",
        ]
    ),
    st.builds("switchport trunk allowed vlan {}{}".format, st.sampled_from(["", "", "add ", "remove "]), _VLANS),
    st.builds("{}ip helper-address 192.0.2.{}".format, st.sampled_from(["", "", "no "]), st.integers(1, 3)),
    st.builds("ip address 192.0.2.{} 255.255.255.0".format, st.integers(1, 3)),
    st.builds("ip address 198.51.100.{} 255.255.255.0 secondary".format, st.integers(1, 3)),
    st.builds("description {}".format, _LEAF),
)
_ACL_ENTRY: Final = st.one_of(
    st.builds(
        "{}{} ip host 192.0.2.{} any".format,
        st.sampled_from(["", "", "10 ", "20 ", "30 ", "no "]),
        st.sampled_from(["permit", "deny"]),
        st.integers(1, 4),
    ),
    st.builds(
        "{}remark {}".format, st.sampled_from(["", "10 ", "15 "]), st.sampled_from(["a", "a  b", "10 permit", "--"])
    ),
    st.sampled_from(["no 10", "no 20", "no remark a", "evaluate R"]),
)
_ACTION: Final = st.sampled_from(["permit", "deny"])
_MARK: Final = st.sampled_from(["^C", "\x03", "#", "~", "%", "@"])
_TOP: Final = st.one_of(
    _LEAF,
    _NEGATED,
    st.builds("hostname {}".format, WORD),
    st.builds("ip route 0.0.0.0 0.0.0.0 192.0.2.{}".format, st.integers(1, 3)),
    st.builds("access-list {} permit 192.0.2.{}".format, st.integers(1, 2), st.integers(1, 4)),
    st.builds(
        "ip prefix-list P {}permit 192.0.2.{}/32".format, st.sampled_from(["", "seq 5 ", "seq 20 "]), st.integers(1, 3)
    ),
    st.builds("ip nat inside source static 10.0.0.{0} 192.0.2.{0}".format, st.integers(1, 4)),
    st.builds("access-list {} {} host 192.0.2.{}".format, st.integers(1, 2), _ACTION, st.integers(1, 4)),
    st.builds("access-list {} remark {}".format, st.integers(1, 2), _LEAF),
    st.builds("ip community-list {} {} {}".format, st.sampled_from(["1", "standard C"]), _ACTION, st.integers(1, 3)),
    st.builds("ip as-path access-list 1 {} _{}_".format, _ACTION, st.integers(1, 3)),
    st.builds("ipv6 prefix-list P {}deny 2001:db8::/{}".format, st.sampled_from(["", "seq 5 "]), st.integers(32, 34)),
    st.builds("ip prefix-list {} description {}".format, st.sampled_from(["P", "Q"]), _LEAF),
    st.builds("ip route 0.0.0.0 0.0.0.0 Dialer1 {}".format, st.sampled_from(["", "250", "name a", "track 1"])),
    st.builds("ip route vrf {} 0.0.0.0 0.0.0.0 192.0.2.{} 9".format, st.sampled_from(["A", "B"]), st.integers(1, 2)),
    st.builds("banner {} {mark}{}\n {}{mark}".format, st.sampled_from(["motd", "exec"]), WORD, _LEAF, mark=_MARK),
    st.builds("no access-list {}".format, st.integers(1, 2)),
    st.sampled_from(
        [
            "no ip prefix-list P",
            "no hostname",
            "default ip http server",
            "no banner motd",
            "no ip access-list extended IN",
        ]
    ),
    st.builds("username {} secret 5 {}".format, WORD, WORD),
    st.builds("enable secret 9 {}".format, WORD),
    st.builds("banner motd ^C{}\n  {}\n^C".format, WORD, _LEAF),
    st.builds("tacacs-server key {}".format, WORD),
    st.sampled_from(["no ip http server", "ip http server", "ntp clock-period 1234", "! comment", "end"]),
)


def _section(head: st.SearchStrategy[str], body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lines = st.lists(body, max_size=5).map(lambda found: "".join(f"\n {line}" for line in found))
    return st.builds("{}{}".format, head, lines)


_NESTED: Final = _section(
    st.sampled_from(["router bgp 65000", "router bgp 65001"]),
    st.one_of(
        st.builds("neighbor 192.0.2.{} remote-as {}".format, st.integers(1, 2), st.integers(1, 2)),
        st.builds(
            "address-family ipv4\n  network 192.0.2.{}\n  {}\n exit-address-family".format, st.integers(1, 3), _LEAF
        ),
    ),
)
INDENTED: Final = st.lists(
    st.one_of(
        _TOP,
        _section(st.sampled_from(["interface Loopback0", "interface Vlan10"]), _IN_INTERFACE),
        _section(st.sampled_from(["ip access-list extended IN", "ip access-list extended OUT"]), _ACL_ENTRY),
        _section(
            st.sampled_from(["aaa group server tacacs+ G"]), st.builds("server name {}".format, st.integers(1, 3))
        ),
        _section(
            st.sampled_from(["policy-map QOS"]),
            st.sampled_from(["class A\n  police 1", "class B", "class C\n  police 2"]),
        ),
        _section(st.sampled_from(["route-map R permit 10", "route-map R deny 10", "class-map match-any K"]), _LEAF),
        _NESTED,
    ),
    max_size=8,
).map("\n".join)

_VALUE: Final = st.sampled_from(
    [
        "enable", "10", '"two words"', '"a \\"quote\\""', "'single'", '"over\nlines"', '""',
        "two\\ words", '"next\nend\n# no comment"', "'a \"b'", '"\\\\"', "ENC",
        '"-----BEGIN ENCRYPTED KEY-----\nx"', "1", '"port1"',
    ]
)  # fmt: skip
_NAME: Final = st.sampled_from(["status", "member", "comment", "srcaddr", "uuid", "psksecret"])
_SETTING: Final = st.builds(
    "{} {} {}".format,
    st.sampled_from(["set", "set", "set", "append", "select", "unselect"]),
    _NAME,
    st.lists(_VALUE, min_size=1, max_size=3).map(" ".join),
)
_KEY: Final = st.sampled_from(["1", "2", "3", "4", '"port1"', '"two words"', '"over\nlines"', '"a \\"b"', "''"])


def _entry(body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        "edit {}\n{}\nnext".format, st.one_of(_KEY, st.just("0")), st.lists(body, max_size=4).map("\n".join)
    )


_EDITING: Final = st.one_of(
    st.builds("delete {}".format, _KEY),
    st.builds("move {} {} {}".format, _KEY, st.sampled_from(["before", "after"]), _KEY),
    st.builds("rename {} to {}".format, _KEY, _KEY),
    st.builds("clone {} to {}".format, _KEY, _KEY),
    st.sampled_from(["purge", "unset status", "unset comment", "# a comment"]),
)


def _table(path: st.SearchStrategy[str], body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("config {}\n{}\nend".format, path, st.lists(body, max_size=5).map("\n".join))


_CHILD: Final = _table(st.sampled_from(["rule", "secondaryip"]), st.one_of(_SETTING, _entry(_SETTING), _EDITING))
_TABLE: Final = _table(
    st.sampled_from(["firewall address", "firewall addrgrp", "firewall policy", "system global"]),
    st.one_of(_SETTING, _entry(st.one_of(_SETTING, _CHILD)), _EDITING),
)
_RING: Final = _table(st.just("user group"), _entry(st.builds("set member {}".format, _KEY)))
_NAMES: Final = st.sampled_from(["tunnel1", "tunnel2"])
_TUNNEL: Final = st.builds(
    "config vpn ipsec phase1-interface\nedit {0}\nset interface {1}\nnext\nend\n"
    "config system interface\nedit {0}\nset type tunnel\n{2}\nnext\nend".format,
    _NAMES,
    _KEY,
    st.lists(_SETTING, max_size=2).map("\n".join),
)
_TUNNEL_OF_DOMAIN: Final = st.builds(
    "config vdom\nedit {0}\nconfig vpn ipsec phase1-interface\nedit {1}\nset interface {0}\nnext\nend\nend\n"
    "config global\nconfig system interface\nedit {1}\nset type tunnel\n{2}\nnext\nend\nend".format,
    _KEY,
    _NAMES,
    st.lists(_SETTING, max_size=2).map("\n".join),
)
BLOCK: Final = st.lists(
    st.one_of(
        _TABLE,
        _RING,
        _TUNNEL,
        _table(st.just("vdom"), _entry(_TABLE)),
        _table(st.just("global"), _TABLE),
        _TUNNEL_OF_DOMAIN,
    ),
    max_size=5,
).map("\n".join)

STATEMENTS: Final = st.lists(
    st.one_of(
        st.lists(
            st.one_of(WORD, st.sampled_from(['"two words"', '"\\"q\\""', "filter", "add"])), min_size=1, max_size=5
        ).map(" ".join),
        st.builds(
            "filter add {} direction in action pass {} enable".format,
            WORD,
            st.sampled_from(["", "state disable", "logging on"]),
        ),
        st.builds("sshd hostkey rsa {}".format, st.sampled_from(["auto", "none", "12,00ff"])),
        st.just("! comment"),
    ),
    max_size=8,
).map("\n".join)

KEY_VALUE: Final = st.dictionaries(
    st.lists(st.sampled_from(["route", "ipv4", "0", "9", "10", "100", "password"]), min_size=1, max_size=3).map(
        ".".join
    ),
    st.one_of(WORD, st.sampled_from(['"two words"', '"pem\\\\nline"', '""', "${ NAME}/24"])),
    max_size=8,
).map(lambda pairs: "\n".join(f"{key}: {value}" for key, value in pairs.items()))

BY_NAME: Final = {"indented": INDENTED, "block": BLOCK, "statements": STATEMENTS, "key-value": KEY_VALUE}

_SCRAPS: Final = st.one_of(
    st.sampled_from(list("\n\r\t \ufeff\\\"'!#:.,@\x03\x00\udc80\ud800é\x0b\u2028a")),
    st.sampled_from(
        ["\r\n", "^C", "banner motd ", "certificate x", "quit", "0A 1B", "key-string", "macro name m", "exit"]
    ),
    st.sampled_from(
        ["interface Vlan1", "ip access-list extended A", "10 permit", "ip prefix-list P ", "seq 5 ", "permit 1"]
    ),
    st.sampled_from(
        ["config ", "edit ", "next", "end", "abort", "set ", "clone 1 to 2", "move 1 before 2", "no ", "default "]
    ),
    st.sampled_from(["password 7 ", "${ X}", "hostname", "route.1", "filter add ", "state ", "enable"]),
)
SCRAPS: Final = st.lists(_SCRAPS, max_size=30).map("".join)
"""Text made of what the parsers look for, in any order."""

ANY_TEXT: Final = st.one_of(SCRAPS, st.text(st.characters(exclude_categories=()), max_size=60))
