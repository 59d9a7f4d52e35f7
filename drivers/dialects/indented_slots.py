"""IOS commands that hold one value, so that a new one takes the place of the old one. All of it is data (§A.7)."""

from __future__ import annotations

import re
from typing import Final

_ONE_VALUE: Final = {
    "hostname config-register": (r"(\S+) ",),
    "clock": (r"(clock timezone) ",),
    "ntp": (r"(ntp source) ", r"(ntp authentication-key \d+) "),
    "banner": (r"(banner \S+) ",),
    "enable": (r"(enable (?:secret|password)(?: level \d+)?) ",),
    "username": (r"(username \S+) (?:.* )?(?:password|secret) ",),
    "logging": (
        r"(logging (?:buffered|console|monitor|trap|facility)) ",
        r"(logging source-interface) \S+( vrf \S+)?$",
    ),
    "snmp-server": (r"(snmp-server (?:location|contact|chassis-id|trap-source)) ",),
    "aaa": (
        r"(aaa authentication (?:banner|fail-message)) ",
        r"(aaa (?:authentication|authorization|accounting) \S+(?: \d+)? \S+) ",
    ),
    "menu": (r"(menu \S+ (?:title|prompt)) ",),
    "description mtu bandwidth speed duplex encapsulation load-interval rd default-metric router-id": (r"(\S+) ",),
    "delay": (r"(delay(?: (?:up|down))?) ",),
    "ipv6": (
        r"(ipv6 mtu) ",
        # One route by one way has one distance, name and track.
        r"(ipv6 route (?:vrf \S+ )?\S+ \S+(?: [0-9A-F]*:[0-9A-F:.]*)?)(?= |$)",
    ),
    "ip": (
        r"(ip (?:default-gateway|ssh version|mtu|unnumbered|tcp adjust-mss|vrf forwarding|policy route-map)) ",
        r"(ip domain[ -]name) \S+$",
        # With its length behind a slash it is FRRouting's, which keeps any number of them.
        r"(ip address)(?!.* secondary\b| \S+/) ",
        r"(ip ospf (?:cost|priority|network|hello-interval|dead-interval)) ",
        r"(ip access-group) \S+ (in|out)$",
        r"(ip route (?:vrf \S+ )?\S+ \S+ \S+(?: \d+\.\d+\.\d+\.\d+)?)(?= |$)",
    ),
    "vrf": (r"(vrf forwarding) ",),
    "crypto": (r"(crypto map) \S+$",),
    "tunnel": (r"(tunnel (?:source|destination|mode|key)) ",),
    "switchport": (r"(switchport (?:mode|access vlan|voice vlan|trunk (?:native|allowed) vlan)) ",),
    "service-policy": (r"(service-policy (?:input|output)) ",),
    "standby": (r"(standby \d+ (?:ip|priority)) \S+$",),
    "bgp ospf eigrp": (r"(\S+ router-id) ",),
    "neighbor": (
        r"(neighbor \S+ (?:remote-as|description|password|update-source|local-as|maximum-prefix)) ",
        r"(neighbor \S+ (?:route-map|prefix-list|distribute-list|filter-list)) \S+ (in|out)$",
    ),
    "exec-timeout session-timeout password": (r"(\S+) ",),
    "transport": (r"(transport (?:input|output|preferred)) ",),
    "login": (r"(login authentication) ",),
    "access-class": (r"(access-class) \S+ (in|out)",),
    "maximum-paths": (r"(maximum-paths(?: e?ibgp)?) ",),
    "action": (r"(action \S*\d\S*) ",),
}
"""By first word; what is in groups names the value."""

_BY_FIRST_WORD: Final = {
    word: tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
    for words, patterns in _ONE_VALUE.items()
    for word in words.split()
}


def slot_of(text: str) -> str | None:
    """What a single-valued command sets; a second one with the same slot replaces the first. None for all others."""
    for pattern in _BY_FIRST_WORD.get(text.partition(" ")[0].lower(), ()):
        found = pattern.match(text)
        if found:
            return " ".join(group.strip() for group in found.groups("")).strip().lower()
    return None
