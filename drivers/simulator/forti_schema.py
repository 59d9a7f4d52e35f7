"""What a simulated FortiGate knows of its tables: kinds, values, references. Data, not code.

Paths that are listed without rules take any field name; paths that are not listed do not exist.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

INTERFACES = ("system interface", "system zone")
ADDRESSES = ("firewall address", "firewall addrgrp", "firewall vip")
SERVICES = ("firewall service custom", "firewall service group")

BUILT_IN: dict[str, frozenset[str]] = {
    "system interface": frozenset({"any"}),
    "firewall address": frozenset({"all", "none"}),
    "firewall service custom": frozenset({"ALL", "HTTP", "HTTPS", "PING", "SSH", "DNS"}),
    "firewall schedule recurring": frozenset({"always", "none"}),
    "system vdom": frozenset({"root"}),
    "system accprofile": frozenset({"super_admin", "prof_admin", "no_access"}),
}
"""Entries that every unit has and `show` does not print."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one value may be: `kind` with its numbers, words or tables. `many`: a list of such values."""

    kind: str
    low: int = 0
    high: int = 0
    words: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    many: bool = False


def _enum(words: str, *, many: bool = False) -> Rule:
    return Rule("enum", words=tuple(words.split()), many=many)


def _text(longest: int) -> Rule:
    return Rule("text", high=longest)


def _number(low: int, high: int) -> Rule:
    return Rule("number", low=low, high=high)


def _ref(*tables: str, many: bool = False) -> Rule:
    return Rule("ref", tables=tables, many=many)


@dataclass(frozen=True, slots=True)
class Shape:
    """One path. `closed`: only the fields in `rules` exist."""

    is_table: bool
    rules: dict[str, Rule] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    closed: bool = False
    numbered: bool = False
    """Keys are numbers; `edit 0` takes the next free one."""


_ON_OFF = _enum("enable disable")
SHAPES: dict[str, Shape] = {
    "system global": Shape(
        False,
        {
            "hostname": _text(35),
            "alias": _text(35),
            "cfg-save": _enum("automatic manual revert"),
            "cfg-revert-timeout": _number(10, 4294967295),
            "admintimeout": _number(1, 480),
            "timezone": _text(63),
            "admin-sport": _number(1, 65535),
            "admin-ssh-port": _number(1, 65535),
            "admin-scp": _ON_OFF,
            "pre-login-banner": _ON_OFF,
            "post-login-banner": _ON_OFF,
            "revision-backup-on-logout": _ON_OFF,
            "switch-controller": _ON_OFF,
            "language": _text(20),
            "admin-lockout-threshold": _number(1, 10),
            "admin-lockout-duration": _number(1, 2147483647),
            "vdom-mode": _enum("no-vdom multi-vdom"),
            "gui-theme": _text(30),
            "remoteauthtimeout": _number(1, 300),
        },
        closed=True,
    ),
    "system console": Shape(
        False, {"output": _enum("standard more"), "baudrate": _text(10), "mode": _text(10)}, closed=True
    ),
    "system interface": Shape(
        True,
        {
            "vdom": _ref("system vdom"),
            "ip": Rule("ipmask"),
            "allowaccess": _enum(
                "ping https ssh snmp http telnet fgfm radius-acct probe-response fabric ftm", many=True
            ),
            "mode": _enum("static dhcp pppoe"),
            "status": _enum("up down"),
            "alias": _text(25),
            "description": _text(255),
            "interface": _ref("system interface"),
            "vlanid": _number(1, 4094),
            "mtu": _number(68, 65535),
            "vrf": _number(0, 251),
            "role": _enum("lan wan dmz undefined"),
        },
    ),
    "system zone": Shape(True, {"interface": _ref("system interface", many=True), "intrazone": _enum("allow deny")}),
    "system dns": Shape(False, {"primary": Rule("ip"), "secondary": Rule("ip")}),
    "system admin": Shape(True, {"accprofile": _ref("system accprofile"), "vdom": _ref("system vdom")}),
    "system ntp": Shape(
        False, {"ntpsync": _ON_OFF, "syncinterval": _number(1, 1440), "type": _enum("fortiguard custom")}
    ),
    "firewall address": Shape(
        True,
        {
            "type": _enum("ipmask iprange fqdn geography wildcard dynamic interface-subnet mac"),
            "subnet": Rule("ipmask"),
            "start-ip": Rule("ip"),
            "end-ip": Rule("ip"),
            "comment": _text(255),
            "associated-interface": _ref(*INTERFACES),
        },
    ),
    "firewall addrgrp": Shape(
        True,
        {
            "member": _ref(*ADDRESSES, many=True),
            "exclude": _ON_OFF,
            "exclude-member": _ref(*ADDRESSES, many=True),
            "comment": _text(255),
            "type": _enum("default folder"),
        },
        required=("member",),
    ),
    "firewall service custom": Shape(
        True,
        {
            "protocol": _enum("TCP/UDP/SCTP ICMP ICMP6 IP HTTP FTP CONNECT SOCKS-TCP SOCKS-UDP ALL"),
            "protocol-number": _number(0, 254),
            "icmptype": _number(0, 4294967295),
            "icmpcode": _number(0, 255),
            "comment": _text(255),
        },
    ),
    "firewall service group": Shape(True, {"member": _ref(*SERVICES, many=True)}, required=("member",)),
    "firewall policy": Shape(
        True,
        {
            "name": _text(35),
            "srcintf": _ref(*INTERFACES, many=True),
            "dstintf": _ref(*INTERFACES, many=True),
            "srcaddr": _ref(*ADDRESSES, many=True),
            "dstaddr": _ref(*ADDRESSES, many=True),
            "service": _ref(*SERVICES, many=True),
            "schedule": _ref("firewall schedule recurring", "firewall schedule onetime"),
            "action": _enum("accept deny ipsec"),
            "status": _ON_OFF,
            "nat": _ON_OFF,
            "logtraffic": _enum("all utm disable"),
            "comments": _text(1023),
        },
        required=("srcintf", "dstintf", "srcaddr", "dstaddr"),
        numbered=True,
    ),
    "router static": Shape(
        True,
        {
            "dst": Rule("ipmask"),
            "gateway": Rule("ip"),
            "device": _ref("system interface"),
            "distance": _number(1, 255),
            "priority": _number(1, 65535),
            "status": _ON_OFF,
            "blackhole": _ON_OFF,
            "comment": _text(255),
        },
        numbered=True,
    ),
    "vpn ipsec phase1-interface": Shape(
        True, {"interface": _ref("system interface"), "remote-gw": Rule("ip")}, required=("interface",)
    ),
    "vpn ipsec phase2-interface": Shape(
        True, {"phase1name": _ref("vpn ipsec phase1-interface")}, required=("phase1name",)
    ),
}
SHAPES |= {
    path: Shape(True)
    for path in (
        "system accprofile",
        "system api-user",
        "system vdom",
        "system snmp user",
        "system snmp community",
        "system dhcp server",
        "system automation-stitch",
        "user local",
        "user group",
        "user tacacs+",
        "user radius",
        "firewall vip",
        "firewall ippool",
        "firewall schedule recurring",
        "firewall schedule onetime",
        "firewall service category",
        "firewall local-in-policy",
        "firewall shaping-policy",
        "router policy",
        "router access-list",
        "router prefix-list",
        "router route-map",
        "vpn certificate local",
        "system replacemsg-image",
    )
}
SHAPES |= {
    path: Shape(False)
    for path in (
        "system settings",
        "system snmp sysinfo",
        "system ha",
        "system fortiguard",
        "system password-policy",
        "system replacemsg admin pre_admin-disclaimer-text",
        "log syslogd setting",
        "log memory setting",
        "log setting",
        "router bgp",
        "router ospf",
        "router multicast",
        "system autoupdate schedule",
        "system central-management",
        "system netflow",
    )
}
OF_DOMAIN = re.compile(r"(?:firewall|router|vpn|user) .*|system (?:settings|zone|dhcp server)|log setting")
"""Paths that stand in each virtual domain, on a unit that has some; the others are of the whole unit."""
TUNNELS = ("vpn ipsec phase1-interface",)
"""Tables of which each entry makes an interface of its name, which goes with it and not by itself."""
ANY_SHAPE = Shape(False)
"""Sections inside an entry: whatever is used in them."""


def fits(rule: Rule, value: str) -> bool:
    """Whether a value has the form that its rule asks for; references are looked up by the caller."""
    if rule.kind == "enum":
        return value in rule.words
    if rule.kind == "number":
        return value.isascii() and value.isdigit() and rule.low <= int(value) <= rule.high
    if rule.kind == "text":
        return len(value) <= rule.high
    if rule.kind == "ip":
        return _is(ipaddress.IPv4Address, value)
    return True


def _is(kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv4Interface], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def as_ip_and_mask(values: list[str]) -> list[str] | None:
    """`10.0.0.1/24` or `10.0.0.1 255.255.255.0` as FortiOS prints it, or None."""
    text = "/".join(values)
    if len(values) > 2 or not re.fullmatch(r"[\d.]+/[\d.]+", text) or not _is(ipaddress.IPv4Interface, text):
        return None
    interface = ipaddress.IPv4Interface(text)
    return [str(interface.ip), str(interface.netmask)]
