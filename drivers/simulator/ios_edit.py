"""How a simulated IOS device carries out one configuration line on its tree."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.simulator.ios_grammar import (
    ACCESS_LIST,
    GLOBAL,
    INTERFACE,
    PHYSICAL,
    VIRTUAL,
    Mode,
    mode_of,
    opened_by,
    rank,
    words_of,
)
from drivers.simulator.ios_tree import IosNode, Path

INCOMPLETE = "% Incomplete command."
INVALID = "% Invalid input detected at '^' marker."
NEVER_BELOW = words_of(
    """hostname username enable archive interface router banner service snmp-server ntp clock boot
    access-list line end"""
)
"""First words that no section of free words can own: they always mean the global mode."""


class Refused(Exception):
    """A line that the device does not take. `word` is the index of the word under the `^`, or None."""

    def __init__(self, answer: str, word: int | None = None) -> None:
        super().__init__(answer)
        self.answer = answer
        self.word = word


@dataclass(frozen=True, slots=True)
class Done:
    """Where the session stands after the line, and the line in full."""

    path: Path
    line: str
    question: str = ""
    """Asked with `[confirm]` before it counts, as IOS does for some removals."""


def carry_out(root: IosNode, path: Path, typed: str) -> Done:
    """Carry out one line at `path`; the tree is changed only when this returns. Raises Refused."""
    words = typed.split()
    negated = words[0] == "no"
    if words[0] == "default" and not path:
        return _to_default(root, words)
    body = words[1:] if negated else words
    if not body:
        raise Refused(INCOMPLETE)
    offset = len(words) - len(body)
    level, line = _place(path, body, offset)
    where = path[:level]
    mode = mode_of(where)
    node = _node_at(root, where)
    if negated:
        return _take_away(root, node, mode, where, line)
    _check(root, mode, where, line, offset)
    if opened_by(mode, line) is not None:
        if node.child(line) is None:
            _insert(node, mode, IosNode(line))
        return Done((*where, line), line)
    stored = _encoded(line)
    _put(node, mode, stored)
    return Done(where, stored)


def _node_at(root: IosNode, path: Path) -> IosNode:
    node = root.find(path)
    if node is None:
        raise Refused(INVALID, 0)
    return node


# -- which mode owns a line ---------------------------------------------------------------------------------


def _place(path: Path, words: list[str], offset: int) -> tuple[int, str]:
    """The level of `path` whose mode knows these words, innermost first, and the line in full."""
    furthest = 0
    for level in range(len(path), -1, -1):
        mode = mode_of(path[:level])
        full = _expanded(mode, words)
        line = " ".join(full)
        known = _known_words(mode, full, line)
        if known is None:
            return level, line
        furthest = max(furthest, known)
    raise Refused(INVALID, furthest + offset)


def _known_words(mode: Mode, words: list[str], line: str) -> int | None:
    """None when the mode takes the line, else how many of its words it understood."""
    if opened_by(mode, line):
        return None
    first = words[0]
    if not mode.words:
        return 0 if first in NEVER_BELOW or opened_by(GLOBAL, line) or not first[0].isalnum() else None
    if mode is ACCESS_LIST and first.isdigit():
        first = words[1] if len(words) > 1 else "permit"
    if first not in mode.words:
        return 0
    seconds = mode.pairs.get(first)
    if seconds is not None and len(words) > 1 and words[1] not in seconds:
        return 1
    return None


def _expanded(mode: Mode, words: list[str]) -> list[str]:
    """Abbreviated first words in full, interface names as IOS writes them."""
    full = list(words)
    full[0] = _unabbreviated(full[0], mode.words)
    seconds = mode.pairs.get(full[0])
    if seconds and len(full) > 1:
        full[1] = _unabbreviated(full[1], seconds)
    if full[0] == "interface" and len(full) > 1 and mode is GLOBAL:
        full[1:] = [interface_name("".join(full[1:]))]
    return full


def _unabbreviated(word: str, known: frozenset[str]) -> str:
    if word in known:
        return word
    fits = [candidate for candidate in known if candidate.startswith(word)]
    return fits[0] if len(fits) == 1 else word


def interface_name(typed: str) -> str:
    """`gi0/1` → `GigabitEthernet0/1`; what is not known stays as it is."""
    parts = re.fullmatch(r"([A-Za-z-]+)([\d/.:]+)", typed)
    if not parts:
        return typed
    fits = [name for name in (*PHYSICAL, *VIRTUAL) if name.lower().startswith(parts[1].lower())]
    return (fits[0] if fits else parts[1]) + parts[2]


# -- what a line must look like -----------------------------------------------------------------------------

NEEDS_MORE: tuple[str, ...] = (
    r"(hostname|description|version|encapsulation|bandwidth|mtu|speed|duplex)$",
    r"(vlan|interface|router|username|access-list|route-map|banner|channel-group)$",
    r"ip (address|mtu|name-server|default-gateway|access-group|helper-address|prefix-list)$",
    r"(ntp server|logging host|snmp-server (location|contact|community|host)|enable (secret|password))$",
    r"(switchport (mode|access vlan|trunk allowed vlan)|exec-timeout|transport input|match|set)$",
    r"(neighbor|network|router-id|bgp router-id|redistribute|permit|deny|path)$",
    r"(neighbor|banner) \S+$",
)
NUMBERS: tuple[tuple[str, int, int], ...] = (
    (r"vlan (\d+)$", 1, 4094),
    (r"switchport (?:access|voice) vlan (\d+)$", 1, 4094),
    (r"(?:ip )?mtu (\S+)$", 64, 9216),
    (r"bandwidth (\d+)$", 1, 100_000_000),
    (r"ip ospf cost (\S+)$", 1, 65535),
    (r"router (?:bgp|ospf|eigrp) (\d+)$", 1, 4_294_967_295),
)


def _check(root: IosNode, mode: Mode, where: Path, line: str, offset: int) -> None:
    if any(re.match(pattern, line) for pattern in NEEDS_MORE):
        raise Refused(INCOMPLETE)
    for pattern, low, high in NUMBERS:
        number = re.match(pattern, line)
        if number and not (number[1].isdigit() and low <= int(number[1]) <= high):
            raise Refused(INVALID, len(line[: number.start(1)].split()) + offset)
    words = line.split()
    if mode is GLOBAL and words[0] == "hostname" and not re.fullmatch(r"[A-Za-z][\w.-]{0,62}", words[1]):
        raise Refused("% Hostname contains one or more illegal characters.")
    if mode is GLOBAL and words[0] == "interface":
        _check_interface(root, line, offset)
    if mode is GLOBAL and words[:2] == ["ip", "route"] and "vrf" not in words:
        _check_quads(words, (2, 3), offset)
        if len(words) < 5:
            raise Refused(INCOMPLETE)
    if mode is INTERFACE and words[:2] == ["ip", "address"] and words[2] not in ("dhcp", "negotiated"):
        _check_address(root, where, words, offset)


def _check_interface(root: IosNode, line: str, offset: int) -> None:
    name = line.split()[1]
    base = name.split(".")[0]
    if base.startswith(VIRTUAL) and re.search(r"\d$", base):
        return
    if root.child(f"interface {base}") is None or not re.search(r"\d$", base):
        raise Refused(INVALID, 1 + offset)


def _check_quads(words: list[str], places: tuple[int, ...], offset: int) -> None:
    for place in places:
        if place >= len(words):
            raise Refused(INCOMPLETE)
        try:
            ipaddress.IPv4Address(words[place])
        except ValueError:
            raise Refused(INVALID, place + offset) from None


def _check_address(root: IosNode, where: Path, words: list[str], offset: int) -> None:
    _check_quads(words, (2, 3), offset)
    try:
        mine = ipaddress.IPv4Interface(f"{words[2]}/{words[3]}")
    except ValueError:
        raise Refused(f"Bad mask {words[3]} for address {words[2]}") from None
    if mine.network.prefixlen < 31 and mine.ip in (
        mine.network.network_address,
        mine.network.broadcast_address,
    ):
        raise Refused(f"Bad mask /{mine.network.prefixlen} for address {words[2]}")
    for name, theirs in addresses(root):
        if name != where[-1].split()[1] and theirs.network.overlaps(mine.network):
            raise Refused(f"% {mine.network.network_address} overlaps with {name}")


def addresses(root: IosNode) -> Iterator[tuple[str, ipaddress.IPv4Interface]]:
    """Interface name and IPv4 address, for each address that is configured outside a VRF."""
    for node in root.children:
        if not node.text.startswith("interface "):
            continue
        if any(child.text.startswith(("vrf forwarding", "ip vrf forwarding")) for child in node.children):
            continue
        for child in node.children:
            found = re.match(r"ip address (\d+\.\d+\.\d+\.\d+) (\d+\.\d+\.\d+\.\d+)", child.text)
            if found:
                yield node.text.split()[1], ipaddress.IPv4Interface(f"{found[1]}/{found[2]}")


# -- setting ------------------------------------------------------------------------------------------------


def single_key(mode: Mode, line: str) -> tuple[str, str] | None:
    """What makes two lines values of the same thing: the pattern and what it matched."""
    for pattern in mode.single:
        found = re.match(rf"(?:{pattern})(?= |$)", line)
        if found:
            return pattern, found.group()
    return None


def _put(node: IosNode, mode: Mode, line: str) -> None:
    negative = node.child(f"no {line}")
    if negative:
        node.children.remove(negative)
    if any(re.fullmatch(pattern, line) for pattern in mode.default_on):
        return
    if mode is INTERFACE and line.startswith("ip address"):
        _drop(node, lambda text: text == "no ip address")
    if node.child(line) is not None:
        return
    key = single_key(mode, line)
    if key is not None:
        for place, child in enumerate(node.children):
            if single_key(mode, child.text) == key:
                node.children[place] = IosNode(_merged_user(child.text, line), child.children)
                return
    if mode is ACCESS_LIST:
        _put_entry(node, line)
        return
    _insert(node, mode, IosNode(line))


def _merged_user(old: str, new: str) -> str:
    """A user keeps the privilege level that the new line does not mention."""
    level = re.match(r"username \S+ (privilege \d+) ", old)
    if level and re.match(r"username \S+ (?!.*privilege )", new):
        name, rest = new.split()[1], new.split(maxsplit=2)[2]
        return f"username {name} {level[1]} {rest}"
    return new


def _put_entry(node: IosNode, line: str) -> None:
    """Access list entries: by sequence number where the list shows them, else at the end, twins ignored."""
    numbered = [child for child in node.children if child.text.split()[0].isdigit()]
    words = line.split()
    if words[0].isdigit():
        twin = next((child for child in numbered if child.text.split()[0] == words[0]), None)
        if twin:
            raise Refused("% Duplicate sequence number")
        place = sum(int(child.text.split()[0]) < int(words[0]) for child in numbered)
        node.children.insert(place, IosNode(line))
        return
    if any(" ".join(child.text.split()[1:]) == line for child in numbered):
        return
    if numbered:
        line = f"{int(numbered[-1].text.split()[0]) + 10} {line}"
    node.children.append(IosNode(line))


def _insert(node: IosNode, mode: Mode, new: IosNode) -> None:
    """After the last line of its kind; a new kind of global line at its place in the printed order."""
    if mode is INTERFACE and new.text.startswith("description "):
        node.children.insert(0, new)
        return
    words = new.text.removeprefix("no ").split()
    for depth in (2, 1):
        alike = [
            place
            for place, child in enumerate(node.children)
            if child.text.removeprefix("no ").split()[:depth] == words[:depth]
        ]
        if alike and (mode is not GLOBAL or rank(node.children[alike[-1]].text) == rank(new.text)):
            node.children.insert(alike[-1] + 1, new)
            return
    if mode is not GLOBAL:
        node.children.append(new)
        return
    place = next(
        (place for place, child in enumerate(node.children) if rank(child.text) > rank(new.text)),
        len(node.children),
    )
    node.children.insert(place, new)


def _encoded(line: str) -> str:
    """A clear-text secret as IOS keeps it: hashed with a salt of its own."""
    clear = re.match(r"(enable secret|username \S+(?: privilege \d+)? secret) (?:0 )?(\S+)$", line)
    if not clear:
        return line
    salt = secrets.token_hex(7)
    hashed = base64.b64encode(hashlib.sha256((salt + clear[2]).encode()).digest(), b"./").decode().rstrip("=")
    return f"{clear[1]} 9 $9${salt}${hashed}"


# -- removing -----------------------------------------------------------------------------------------------


def _drop(node: IosNode, fits: Callable[[str], bool]) -> bool:
    kept = [child for child in node.children if not fits(child.text)]
    dropped = len(kept) < len(node.children)
    node.children[:] = kept
    return dropped


def _take_away(root: IosNode, node: IosNode, mode: Mode, where: Path, line: str) -> Done:
    said = f"no {line}"
    if mode is GLOBAL and line.startswith("interface "):
        name = line.split()[1]
        if name.startswith(PHYSICAL) and "." not in name:
            raise Refused("% Removal of physical interfaces is not permitted")
    if (
        mode is GLOBAL
        and line.startswith("username ")
        and any(child.text.startswith(f"username {line.split()[1]} ") for child in node.children)
    ):
        return Done(where, said, question=_USER_QUESTION)
    remove(node, mode, line)
    return Done(where, said)


_USER_QUESTION = (
    "This operation will remove all username related configurations with same name.Do you want to continue? [confirm]"
)


def remove(node: IosNode, mode: Mode, line: str) -> None:
    """What `no <line>` does: the line itself, else the value of that key, else all lines that begin so."""
    if mode is ACCESS_LIST and line.isdigit():
        _drop(node, lambda text: text.split()[0] == line)
    elif mode is ACCESS_LIST:
        _drop(node, lambda text: text == line or " ".join(text.split()[1:]) == line)
    elif not _drop(node, lambda text: text == line):
        key = single_key(mode, line)
        if key is None or not _drop(node, lambda text: single_key(mode, text) == key):
            _drop(node, lambda text: text.startswith(f"{line} "))
    if mode is INTERFACE and line.startswith("ip address"):
        if not any(child.text.startswith("ip address") for child in node.children) and not node.child("no ip address"):
            node.children.insert(_after_description(node), IosNode("no ip address"))
    elif node.child(f"no {line}") is None and any(
        re.fullmatch(pattern, line) for pattern in (*mode.default_on, *mode.both_shown)
    ):
        _insert(node, mode, IosNode(f"no {line}"))


def _after_description(node: IosNode) -> int:
    return sum(child.text.startswith("description") for child in node.children)


def _to_default(root: IosNode, words: list[str]) -> Done:
    """`default interface X`: the interface as it left the factory."""
    if len(words) < 3 or not "interface".startswith(words[1]):
        raise Refused(INVALID if len(words) > 1 else INCOMPLETE, 1)
    line = f"interface {interface_name(''.join(words[2:]))}"
    node = root.child(line)
    if node is None:
        raise Refused(INVALID, 2)
    node.children[:] = [IosNode("no ip address")]
    return Done((), f"default {line}")
