"""What our model knows of IOS commands: which are volatile, hold one value, depend on their order.

All of it is data; a command that no rule names is one independent line. Source: devices-ios-fortios §A.7.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from drivers.dialects.indented_secrets import comparable

_VOLATILE: Final = re.compile(
    r"!.*|end|exit|exit-\S+|Building +configuration.*|Current +configuration *:.*|Using +\d+.*bytes.*|Load +for .*"
    r"|Time +source +is.*|version +\S+|ntp +clock-period +\d+|boot-(?:start|end)-marker|boot +system .*"
    r"|license +udi .*".replace(" +", "[ \t]+"),
    re.IGNORECASE,
)
_VOLATILE_STARTS: Final = frozenset("!eBbCcUuLlTtVvNnE")
"""First letters of what `_VOLATILE` matches: most lines need no closer look."""

_IN_INTERFACE: Final = re.compile(r"no[ \t]+shutdown|no[ \t]+ip[ \t]+address", re.IGNORECASE)
_INTERFACE: Final = re.compile(r"interface\s", re.IGNORECASE)
_FREE_TEXT: Final = re.compile(
    r"(?:no )?(?:description|remark|\d+ remark|banner|menu|macro|certificate|snmp-server (?:location|contact)"
    r"|aaa authentication (?:banner|fail-message)|ip (?:admission|auth-proxy) auth-proxy-banner"
    r"|.*(?:password|secret|key|alias|cli command))\s",
    re.IGNORECASE,
)


def volatile(parent: str, text: str) -> bool:
    """Whether a device prints this line by itself: it is neither compared nor sent.

    `version`, `boot system` and `license udi` are facts of the unit and of its firmware, not of its place.
    """
    first = text[:1]
    if first in _VOLATILE_STARTS and _VOLATILE.fullmatch(text):
        return True
    return first in "nN" and bool(_IN_INTERFACE.fullmatch(text) and _INTERFACE.match(parent))


def plain(text: str) -> str:
    """A statement with one blank between its words, as devices print most; free text keeps its own."""
    if ("  " in text or "\t" in text) and "\n" not in text and not _FREE_TEXT.match(text):
        return _BLANKS.sub(" ", text)
    return text


def comparable_text(text: str) -> str:
    """The spelling in which two `plain` statements are the same: delimiters, certificates and reversible secrets."""
    if "\n" in text or text.startswith(_MAY_BE_BLOCKS):
        return _comparable_block(text)
    return comparable(text)


def _comparable_block(text: str) -> str:
    """The same for what may span lines."""
    head, newline, body = text.partition("\n")
    if newline and head.startswith(("certificate ", "key-string")):
        digits = "".join(body.split()).removesuffix("quit").removesuffix("exit").upper()
        return f"{head} ‹{hashlib.sha256(digits.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}›"
    opener = DELIMITED.match(text)
    if opener:
        rest = text[opener.end() :]
        given = "^C" if rest.count("^C") > 1 and rest.startswith("^C") else rest[:1]
        said = rest.removeprefix(given).partition(given)[0]
        mark = next((mark for mark in ("^C", "\x03") if mark not in said), None)
        return text if mark is None else f"{opener[0].rstrip(' ')} {mark}{said}{mark}"
    if newline:
        return text
    # What could open a block is marked as having none, or lines sorted behind it might be taken for one.
    return f"{text} {NO_BLOCK}" if OPENS_BLOCK.fullmatch(text) else comparable(text)


NO_BLOCK: Final = "‹›"
OPENS_BLOCK: Final = re.compile(r"certificate[ ]+(?!\S*:|.*[ ]nvram:)\S.*(?<!›)|key-string", re.IGNORECASE)
"""Commands that may be followed by lines of hexadecimal digits."""

_BLANKS: Final = re.compile(r"[ \t]+")
_MAY_BE_BLOCKS: Final = (
    "banner ",
    "certificate ",
    "key-string",
    "aaa authentication ",
    "menu ",
    "ip admission ",
    "ip auth-proxy ",
)
"""How every statement begins that may span lines, as long as it stands on one."""


_UNSHOWN: Final = re.compile(
    r"description|ip address|hostname|banner \S+|username \S+|enable (?:secret|password)|password|crypto map"
    r"|ip unnumbered|(?:ip )?vrf forwarding|router-id|rd|switchport trunk allowed vlan"
    r"|(?:(?:ip|ipv6) )?(?:access-list|prefix-list|as-path access-list|community-list|route) .*|route-map .*",
    re.IGNORECASE,
)


def shown_when_absent(target: str) -> bool:
    """Whether a device prints `no target` for what is not there."""
    return not _UNSHOWN.fullmatch(target)


_NEGATED_BY_HEAD: Final = re.compile(
    r"banner \S+|username \S+|enable (?:secret|password)|macro name \S+|switchport trunk allowed vlan"
    r"|menu \S+ (?:title|prompt)|aaa authentication (?:banner|fail-message)"
    r"|ip (?:admission|auth-proxy) auth-proxy-banner (?:http|ftp|telnet)",
    re.IGNORECASE,
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


def ordered(parent: str) -> bool:
    """Whether the order of what stands below `parent` has a meaning."""
    return bool(parent) and bool(_ORDERED_IN.match(parent))


def group_of(text: str) -> str | None:
    """Name of the group of siblings at the top within which the order of `text` has a meaning; None if it has none."""
    found = _ORDERED_HERE.match(text) if text[:1] in {"a", "A", "i", "I"} else None
    return found[1].lower() if found else None


def removed_as_one(group: str) -> bool:
    """Whether `no` with any line of the group removes all of it, as with numbered access lists."""
    return bool(_REMOVED_AS_ONE.match(group))


_NUMBERED: Final = re.compile(r"(?:ip|ipv6) access-list ", re.IGNORECASE)


def numbered(parent: str) -> bool:
    """Whether lines below `parent` may begin with a sequence number, which our comparison then leaves out."""
    return bool(parent) and bool(_NUMBERED.match(parent))


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

_OF_A_KERNEL: Final = (
    r"(?-i:interface (?:lo|(?:eth|en[ospx]|swp|bond|br|dummy|veth|vlan|wg)\w*(?:\.\d+)?)(?: vrf \S+)?)"
)
OF_A_KERNEL: Final = re.compile(_OF_A_KERNEL)
"""Interfaces with the names that Linux gives them. They are FRRouting's, which knows no `default interface` and removes
none that is there: what stands below them goes line by line."""

HARDWARE: Final = re.compile(
    rf"{_OF_A_KERNEL}|"
    r"interface (?:[\w-]*Ethernet|\w*GigE|Serial|Cellular|ATM|Async|BRI|POS|Hssi|Dot11Radio|wlan-ap"
    r"|[\w-]*Engine|ISM|ucse|Hu|Te|Gi|Fa|Eth)[ ]?\d[\d/:]*|interface Vlan1"
    r"|line (?:con|aux|tty|vty) 0(?:(?:/\d+)*| \d+)",
    re.IGNORECASE,
)
"""Sections that are there as long as their hardware is, and lines and VLANs that are never removed."""

DELIMITED: Final = re.compile(
    r"""^(?:banner[ ]+(?:motd|login|exec|incoming|slip-ppp|prompt-timeout|config-save)
         | banner(?:[ ]+(?:title|text))?(?=[ ]+(?:\^C|\x03))
         | menu[ ]+\S+[ ]+(?:title|prompt)
         | aaa[ ]+authentication[ ]+(?:banner|fail-message)
         | ip[ ]+(?:admission|auth-proxy)[ ]+auth-proxy-banner[ ]+(?:http|ftp|telnet)
         | ip[ ]+(?:admission|auth-proxy)[ ]+auth-proxy-banner(?=[ ]+(?:\^C|\x03))
        )[ ]+(?=\S)""",
    re.VERBOSE | re.IGNORECASE,
)
"""Commands that are followed by `delimiter text delimiter`, the text over any number of lines."""

_OPENS: Final = re.compile(
    r"(?:interface|router|vrf definition|ip vrf|line|route-map|class-map|policy-map|object-group|key chain|vlan(?= \d)"
    r"|ip access-list (?:standard|extended)|ipv6 access-list(?! log)|controller|aaa group server|crypto map \S+(?= \d)"
    r"|crypto (?:isakmp policy|ikev2 (?:proposal|policy|profile|keyring)|pki trustpoint)) |archive$",
    re.IGNORECASE,
)
_OPENS_INSIDE: Final = re.compile(r"address-family |interface \S+$", re.IGNORECASE)


def opens_section(parent: str, text: str) -> bool:
    """Whether a command below `parent` (empty at the top) changes the mode even when nothing follows in it.

    Others begin like one and change none: `router-id`, `crypto map M` of an interface, `ip vrf forwarding`.
    """
    if parent.lower().startswith("policy-map ") and text.lower().startswith("class "):
        return True
    return bool((_OPENS_INSIDE if parent else _OPENS).match(text))


NEIGHBOUR: Final = re.compile(r"(?:(?:no|default) )?neighbor (\S+) ", re.IGNORECASE)
"""A line of a router's neighbour, which goes with all its lines in the address families when its first line goes."""

NAMES_ITS_VALUE: Final = re.compile(r"(?:(?:ip|ipv6) (?:address|route)|(?:ip )?vrf forwarding) ", re.IGNORECASE)
"""Commands whose `no` form is refused where another value is set; that of the others takes any value back."""

NOT_REVERTIBLE: Final = re.compile(
    r"(?:no )?(?:crypto key (?:generate|import|zeroize)|crypto pki certificate|certificate |license |reload"
    r"|vlan database|aaa new-model|ip ssh (?:version|rsa))",
    re.IGNORECASE,
)
"""What a rollback does not bring back, or what survives it (§A.3.3)."""

HASHED: Final = re.compile(
    r"(?:enable|username \S+(?: privilege \d+)?) secret (?:level \d+ )?(?:0 )?(?!\d+ )\S+$", re.IGNORECASE
)
"""A secret in clear that the device keeps as a hash: what it shows afterwards is never the text that was sent."""

STAYS: Final = re.compile(r"default interface ", re.IGNORECASE)
"""Sent for hardware that the intent does not name: what the device shows of it then, release and model decide."""
