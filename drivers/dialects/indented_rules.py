"""What our model knows of IOS commands: which are volatile, hold one value, depend on their order.

All of it is data; a command that no rule names is one independent line. Source: devices-ios-fortios §A.7.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from drivers.dialects.indented_secrets import comparable

_VOLATILE: Final = re.compile(
    r"""!.*|end|exit|exit-\S+|Building\ configuration.*|Current\ configuration\ :.*|Using\ \d+.*bytes.*|Load\ for\ .*
      |Time\ source\ is.*|version\ \S+|ntp\ clock-period\ \d+|boot-(?:start|end)-marker|boot\ system\ .*
      |license\ udi\ .*""",
    re.VERBOSE | re.IGNORECASE,
)
_IN_INTERFACE: Final = re.compile(r"no shutdown|no ip address", re.IGNORECASE)
_INTERFACE: Final = re.compile(r"interface\s", re.IGNORECASE)
_FREE_TEXT: Final = re.compile(
    r"(?:description|remark|\d+ remark|banner|menu|macro|certificate|snmp-server (?:location|contact)"
    r"|.*(?:password|secret|key|alias|cli command))\s",
    re.IGNORECASE,
)


def volatile(parent: str, text: str) -> bool:
    """Whether a device prints this line by itself: it is neither compared nor sent.

    `version`, `boot system` and `license udi` are facts of the unit and of its firmware, not of its place.
    """
    if _VOLATILE.fullmatch(text):
        return True
    return bool(_INTERFACE.match(parent) and _IN_INTERFACE.fullmatch(text))


def comparable_text(text: str) -> str:
    """The spelling in which two statements are the same: blanks, delimiters, certificates and reversible secrets."""
    head, newline, body = text.partition("\n")
    if head.startswith("certificate ") and newline:
        digits = "".join(body.split()).removesuffix("quit").removesuffix("exit").upper()
        return f"{head} ‹{hashlib.sha256(digits.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}›"
    banner = re.match(r"(banner \S+) +(\^C(?=.*\^C)|\S)", text, re.DOTALL)
    if banner:
        said = text[banner.end() :].partition(banner[2])[0]
        return f"{banner[1]} ^C{said}^C"
    if newline:
        return text
    return comparable(text if _FREE_TEXT.match(text) else re.sub(r"[ \t]+", " ", text))


_ONE_VALUE: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(hostname|ip default-gateway|clock timezone|ntp source|ip ssh version|config-register) ",
        r"(ip domain[ -]name) \S+$",
        r"(banner \S+) ",
        r"(enable (?:secret|password)(?: level \d+)?) ",
        r"(username \S+) (?:.* )?(?:password|secret) ",
        r"(logging (?:buffered|console|monitor|trap|facility)) ",
        r"(logging source-interface) \S+( vrf \S+)?$",
        r"(snmp-server (?:location|contact|chassis-id|trap-source)) ",
        r"(aaa (?:authentication|authorization|accounting) \S+(?: \d+)? \S+) ",
        r"(description|mtu|ip mtu|ipv6 mtu|bandwidth|delay(?: (?:up|down))?|speed|duplex|encapsulation) ",
        r"(load-interval|ip unnumbered) ",
        r"(ip address)(?!.* secondary\b) ",
        r"(ip tcp adjust-mss|(?:ip )?vrf forwarding|ip policy route-map) ",
        r"(crypto map) \S+$",
        r"(tunnel (?:source|destination|mode)) ",
        r"(switchport (?:mode|access vlan|voice vlan|trunk native vlan)) ",
        r"(ip ospf (?:cost|priority|network|hello-interval|dead-interval)) ",
        r"(ip access-group) \S+ (in|out)$",
        r"(service-policy (?:input|output)) ",
        r"(standby \d+ (?:ip|priority)) \S+$",
        r"((?:bgp |ospf |eigrp )?router-id) ",
        r"(neighbor \S+ (?:remote-as|description|password|update-source|local-as|maximum-prefix)) ",
        r"(neighbor \S+ (?:route-map|prefix-list|distribute-list|filter-list)) \S+ (in|out)$",
        r"(exec-timeout|session-timeout|transport (?:input|output|preferred)|password|login authentication) ",
        r"(access-class) \S+ (in|out)",
        r"(maximum-paths(?: e?ibgp)?|default-metric|rd) ",
    )
)


def slot_of(text: str) -> str | None:
    """What a single-valued command sets; a second one with the same slot replaces the first. None for all others."""
    for pattern in _ONE_VALUE:
        found = pattern.match(text)
        if found:
            return " ".join(group.strip() for group in found.groups("")).strip().lower()
    return None


_UNSHOWN: Final = re.compile(
    r"description|ip address|hostname|banner \S+|username \S+|enable (?:secret|password)|password|crypto map"
    r"|ip unnumbered|(?:ip )?vrf forwarding|router-id|rd",
    re.IGNORECASE,
)


def shown_when_absent(target: str) -> bool:
    """Whether a device prints `no target` for what is not there."""
    return not _UNSHOWN.fullmatch(target)


_NEGATED_BY_HEAD: Final = re.compile(
    r"banner \S+|username \S+|enable (?:secret|password)|macro name \S+", re.IGNORECASE
)


def negation(text: str) -> str:
    """The command that removes `text`: secrets and texts over several lines are not repeated in it."""
    head = text.partition("\n")[0]
    short = _NEGATED_BY_HEAD.match(head)
    return f"no {short[0] if short else head}"


_ORDERED_IN: Final = re.compile(
    r"(?:ip|ipv6|mac) access-list |aaa group server |policy-map |parameter-map ", re.IGNORECASE
)
_ORDERED_HERE: Final = re.compile(
    r"(access-list \S+|ip nat|ip as-path access-list \S+|ip community-list (?:(?:standard|expanded) )?\S+) ",
    re.IGNORECASE,
)
_REMOVED_AS_ONE: Final = re.compile(r"access-list |ip as-path access-list ", re.IGNORECASE)


def group_of(parent: str, text: str) -> str | None:
    """Name of the group of siblings within which the order of `text` has a meaning; None if it stands alone."""
    if _ORDERED_IN.match(parent):
        return "*"
    found = None if parent else _ORDERED_HERE.match(text)
    return found[1].lower() if found else None


def removed_as_one(group: str) -> bool:
    """Whether `no` with any line of the group removes all of it, as with numbered access lists."""
    return bool(_REMOVED_AS_ONE.match(group))


def numbered(parent: str) -> bool:
    """Whether lines below `parent` may begin with a sequence number, which our comparison then leaves out."""
    return bool(re.match(r"(?:ip|ipv6) access-list ", parent, re.IGNORECASE))


ADDED_FIRST: Final = re.compile(r"(?:ip|ipv6) route ", re.IGNORECASE)
"""Commands whose new value is sent before the old one is removed, because the session may hang on it."""

REMOVED_LAST: Final = re.compile(
    r"(?:class-map|policy-map|object-group|vrf definition|ip vrf|crypto|flow|track|ip sla|(?:ip|ipv6) access-list"
    r"|aaa group|radius server|tacacs server|key chain|template|zone|parameter-map|access-list|ip prefix-list) ",
    re.IGNORECASE,
)
"""Things that others refer to: devices refuse to remove them while they are in use."""

CLEARS_ADDRESSES: Final = re.compile(r"(?:no )?(?:ip )?vrf forwarding ", re.IGNORECASE)
ADDRESS: Final = re.compile(r"(?:ip|ipv6) address ", re.IGNORECASE)
"""A change of its VRF takes the addresses (`ADDRESS`) off an interface: they are entered again after it."""

PHYSICAL: Final = re.compile(
    r"interface (?:\w*Ethernet|\w*GigE|Serial|Cellular|ATM|Async|BRI|Hu|Te|Gi|Fa|Eth)[ ]?\d[\d/:]*", re.IGNORECASE
)
"""Interfaces that are there as long as their hardware is; `no` does not remove them."""

OPENS_SECTION: Final = re.compile(
    r"(?:interface|router|vrf definition|ip vrf|line|address-family|(?:ip|ipv6) access-list|route-map|class-map"
    r"|policy-map|class|object-group|key chain|vlan|controller|archive|aaa group server"
    r"|crypto (?:map|isakmp policy|ikev2|pki trustpoint)) ?",
    re.IGNORECASE,
)
"""Commands that change the mode even when nothing follows in it."""

NOT_REVERTIBLE: Final = re.compile(
    r"(?:no )?(?:crypto key (?:generate|import|zeroize)|crypto pki certificate|certificate |license |reload"
    r"|vlan database|aaa new-model|ip ssh (?:version|rsa))",
    re.IGNORECASE,
)
"""What a rollback does not bring back, or what survives it (§A.3.3)."""
