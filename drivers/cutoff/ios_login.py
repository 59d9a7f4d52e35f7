"""What cuts us off from an IOS device at the door: lines, SSH, accounts, authentication."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from drivers.cutoff.ios_model import Model, negated
from drivers.cutoff.packets import EPHEMERAL, Packet, candidates, passes, whole_number
from drivers.cutoff.way import MANAGING, Findings, Way
from inventory.plans import Finding

_RANGE: Final = re.compile(r"line vty (\d+)(?: (\d+))?")
_KEYED: Final = re.compile(
    r"(?:no )?ip ssh (?:version|port|server|dh|pubkey-chain|server algorithm|rsa keypair-name|ec|stricthostkeycheck)\b"
)
_AUTHENTICATION: Final = re.compile(
    r"(?:no )?aaa (?:new-model|authentication (?:login|enable|attempts)|local authentication"
    r"|authorization (?:exec|commands|config-commands|console))\b"
)
_SERVERS: Final = re.compile(
    r"(?:tacacs-server|radius-server) (?:host|key)|(?:tacacs|radius) server \S+|aaa group server \S+ \S+"
)
_LINE_KEEPS: Final = re.compile(r"(?:login|password|privilege level|transport input|authorization|rotary)\b")


_HINDERS: Final = re.compile(r"autocommand|no exec$|access-class \S+ out|session-limit 0$")
_LAST_LINE: Final = 4_095
_LEAST_LOGIN_S: Final = 10
"""Seconds that a login may take; below that, one through a slow server of accounts would be cut off."""


def logins(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Findings about the lines, the SSH server, the accounts and how they are proven.

    `names` are the interfaces of our way.
    """
    in_vrf = any(old.interfaces[name].vrf for name in names)
    yield from _lines(old, new, way, in_vrf=in_vrf)
    yield from _ssh(old, new)
    yield from _accounts(old, new, way)
    yield from _authentication(old, new)


def _lines(old: Model, new: Model, way: Way, *, in_vrf: bool) -> Findings:
    """The first lines decide: a device gives them out from the lowest."""
    was, now = _doors(old), _doors(new)
    opened = {number for number, door in was.items() if _opens(door)}
    left = {number for number in opened if number in now and _opens(now[number])}
    first = min(opened, default=0)
    for number in sorted(opened):
        door = was[number]
        after = now.get(number)
        if after is None:
            if number == first:
                yield Finding(f"no line vty {number}", "removes the lines that we log in by")
            continue
        if number == first:
            if number not in left:
                line = next((one for one in after if one.startswith("transport input")), "transport input")
                yield Finding(f"line vty {number} / {line}", "no longer takes SSH on the lines that we log in by")
            yield from _door(number, door, after, old, new, way)
            if in_vrf:
                yield from _of_vrf(f"line vty {number}", door, after)


def _door(number: int, was: tuple[str, ...], now: tuple[str, ...], old: Model, new: Model, way: Way) -> Findings:
    place = f"line vty {number}"
    for line in was:
        if line not in now and _LINE_KEEPS.match(line) and not line.startswith("transport input"):
            yield Finding(f"{place} / no {line}", "how we log in")
    for line in now:
        if line in was:
            continue
        if _LINE_KEEPS.match(line) and not line.startswith("transport input"):
            yield Finding(f"{place} / {line}", "how we log in")
        timeout = re.fullmatch(r"(?:exec|absolute)-timeout (\d+)(?: (\d+))?", line)
        seconds = whole_number(timeout[1]) * 60 + whole_number(timeout[2] or "0") if timeout else 0
        if (timeout and 0 < seconds < 60) or _HINDERS.match(line):
            yield Finding(f"{place} / {line}", "ends or hinders our session")
    for form in ("access-class", "ipv6 access-class"):
        yield from _admitted(place, form, was, now, old, new, way)


def _of_vrf(place: str, was: tuple[str, ...], now: tuple[str, ...]) -> Findings:
    """A list without `vrf-also` shuts out whoever comes by an interface with a routing table of its own."""
    for form in ("access-class", "ipv6 access-class"):
        (one, other) = ([line for line in door if re.match(rf"{form} \S+ in\b", line)] for door in (was, now))
        if other and not other[0].endswith("vrf-also") and (not one or one[0].endswith("vrf-also")):
            yield Finding(f"{place} / {other[0]}", "without `vrf-also` it lets nobody in from a table of its own")


def _admitted(
    place: str, form: str, was: tuple[str, ...], now: tuple[str, ...], old: Model, new: Model, way: Way
) -> Findings:
    one, other = _class(was, form), _class(now, form)
    if not other:
        return
    before, after = old.lists.of(one) if one else [], new.lists.of(other)
    if not after:
        if other not in new.lists and other != one:
            yield Finding(f"{place} / {form} {other} in", "the access list is not there; once it is, it decides")
        return
    if one == "" and way.source_ip is None:
        yield Finding(f"{place} / {form} {other} in", "restricts who may log in, and where we come from is not known")
        return
    for source in candidates(before, way.source_ip):
        packet = Packet(source, None, "tcp", EPHEMERAL, way.ports[0])
        if passes(before, packet, otherwise=not before) and not passes(after, packet, otherwise=False):
            decided = next((rule.line for rule in after if rule.matches(packet)), f"{place} / {form} {other} in")
            yield Finding(decided, "lets in no longer who may log in today")


def _class(lines: tuple[str, ...], form: str) -> str:
    for line in lines:
        found = re.match(rf"{form} (\S+)(?: in)?\b", line)
        if found and not line.endswith(" out"):
            return found[1]
    return ""


def _doors(model: Model) -> dict[int, tuple[str, ...]]:
    doors: dict[int, tuple[str, ...]] = {}
    for node in model.vty():
        found = _RANGE.match(node.text)
        if found:
            for number in range(whole_number(found[1]), min(whole_number(found[2] or found[1]), _LAST_LINE) + 1):
                doors[number] = tuple(child.text for child in node.children)
    return doors


def _opens(door: tuple[str, ...]) -> bool:
    """Whether SSH is taken here; without a word about it, it is."""
    said = [line.split()[2:] for line in door if line.startswith("transport input")]
    return not said or any("ssh" in words or "all" in words for words in said)


def _ssh(old: Model, new: Model) -> Findings:
    for text in old.top:
        if _KEYED.match(text) and text not in new.top and not text.startswith("no "):
            yield Finding(f"no {text}", "how the SSH server speaks with us")
    for text, node in new.top.items():
        if _KEYED.match(text) and old.top.get(text) != node:
            yield Finding(text, "how the SSH server speaks with us")
        if (
            re.match(r"login quiet-mode access-class|transport input|no crypto key|crypto key", text)
            and text not in old.top
        ):
            yield Finding(text, "decides whether the SSH server lets us in")
        within = re.fullmatch(r"ip ssh time-out (\d+)", text)
        if within and whole_number(within[1]) < _LEAST_LOGIN_S and text not in old.top:
            yield Finding(text, "leaves no time to log in")
    yield from _shut_after_failures(old, new)


def _shut_after_failures(old: Model, new: Model) -> Findings:
    """`login block-for` shuts all logins after failed ones, whoever made them, but for the sources of a list."""
    asked = [text for text in new.top if text.startswith("login block-for ")]
    spared = any(text.startswith("login quiet-mode access-class ") for text in new.top)
    was_spared = any(text.startswith("login quiet-mode access-class ") for text in old.top)
    for text in asked:
        if not spared and (text not in old.top or was_spared):
            yield Finding(text, "lets anybody who fails to log in shut the door for us, too")


def _accounts(old: Model, new: Model, way: Way) -> Findings:
    was, now = _users(old), _users(new)
    privileged = [name for name, lines in was.items() if any(_level(line) >= 15 for line in lines)]
    for name, lines in was.items():
        ours = name == way.user if way.user else (name in privileged or not privileged or bool(MANAGING.search(name)))
        left = now.get(name)
        if not ours or left == lines:
            continue
        if left is None:
            yield Finding(f"no username {name}", "the account that we log in with")
        else:
            changed = next((line for line in left if line not in lines), lines[0])
            yield Finding(changed, "the account that we log in with")
    needs_enable = any(_level(line) < 15 for line in was.get(way.user, ("privilege 1",))) if way.user else True
    for text in old.top:
        if re.match(r"enable (?:secret|password|algorithm-type)\b", text) and text not in new.top and needs_enable:
            kept = any(re.match(r"enable secret\b", other) for other in new.top)
            yield Finding(text if kept else f"no {text}", "the password that we become privileged with")


def _users(model: Model) -> dict[str, tuple[str, ...]]:
    users: dict[str, tuple[str, ...]] = {}
    for node in model.nodes:
        found = re.match(r"username (\S+)", node.text)
        if found:
            inside = tuple(child.text for child in node.children)
            users[found[1]] = (*users.get(found[1], ()), node.text, *inside)
    return users


def _level(line: str) -> int:
    found = re.search(r"\bprivilege (\d+)", line)
    return whole_number(found[1], 1) if found else 1


def _authentication(old: Model, new: Model) -> Findings:
    used = {"default"} | {
        child.text.rsplit(" ", 1)[1]
        for model in (old, new)
        for vty in model.vty()
        for child in vty.children
        if re.match(r"login authentication|authorization", child.text)
    }
    for text in old.top:
        if _proves(text, used) and text not in new.top:
            yield Finding(negated(text), "how our login is proven")
    for text in new.top:
        if _proves(text, used) and text not in old.top:
            yield Finding(text, "how our login is proven")
    asked = [text for text in old.top if re.match(r"aaa (?:authentication (?:login|enable)|authorization)", text)]
    if any(re.search(r"\bgroup\b|\btacacs\+|\bradius\b", text) for text in asked):
        for text, node in old.top.items():
            left = new.top.get(text)
            lost = left is None or not {child.text for child in node.children} <= {
                child.text for child in left.children
            }
            lost = lost or (left != node and not text.startswith("aaa group"))
            if _SERVERS.match(text) and lost:
                yield Finding(f"no {text}" if left is None else text, "the servers that prove our login")


def _proves(text: str, used: set[str]) -> bool:
    """Whether a statement of AAA is about logins like ours: not a list that no line of ours uses."""
    named = re.match(r"(?:no )?aaa (?:authentication (?:login|enable)|authorization (?:exec|commands \d+)) (\S+)", text)
    return bool(_AUTHENTICATION.match(text)) and (named is None or named[1] in used)
