"""Reads SEIL command text for `adapter`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Final

from drivers.cutoff import adapter
from drivers.cutoff.adapter_model import Forwarding, Model, Read, Route, Setting
from drivers.cutoff.adapter_parts import a_filter, ports
from drivers.cutoff.packets import whole_number
from drivers.cutoff.way import Findings, Way
from drivers.dialects.statements import normal
from drivers.dialects.tree import Tree

_FILTER: Final = frozenset(
    {"interface", "direction", "action", "protocol", "src", "srcport", "dst", "dstport", "state"}
)
_FILTER_ELSE: Final = frozenset({"icmp-type", "ipopts", "exthdr", "state-ttl", "keepalive", "logging", "label"})
_ALL6: Final = ip_network("::/0")
_COMMANDS: Final = re.compile(
    r"(?:factory-config|reboot|shutdown|set boot mode|erase|load-from|option ip forwarding off)\b"
)


def judge(before: Tree, after: Tree, way: Way) -> Findings:
    """See `drivers.cutoff.findings`."""
    known = Read()
    return adapter.judge(read(before, known), read(after, known), way)


def read(tree: Tree, known: Read) -> Model:
    """The model of a text."""
    model = Model(read=known)
    for line, words in _standing(tree):
        _statement(model, line, words)
    return model


def _standing(tree: Tree) -> list[tuple[str, tuple[str, ...]]]:
    """Statements in their order, without those that a later `delete` takes away, and with what a later `modify` makes
    of them: a change may come as commands."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for line, words in tree.once(normal):
        if "modify" in words[1:4]:
            found = [_modified(one, line, words) for one in found]
            continue
        at = words.index("delete") if "delete" in words[1:4] else 0
        if not at:
            found.append((line, words))
            continue
        gone = (*words[:at], "add", *words[at + 1 :])
        found = [one for one in found if not _is_of(one[1], gone)]
    return found


def _modified(stands: tuple[str, tuple[str, ...]], line: str, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A statement after a `modify`; itself if that is about another."""
    at = words.index("modify")
    head = (*words[:at], "add", *words[at + 1 : at + 2])
    if stands[1][: len(head)] != head:
        return stands
    fixed = len(head) + (words[0] in {"route", "route6"})  # a route names its gateway without a word before it
    old, new = stands[1][fixed:], words[fixed:]
    said = dict(zip(old[::2], old[1::2], strict=False)) | dict(zip(new[::2], new[1::2], strict=False))
    last = old[-1:] if len(old) % 2 else ()
    return line, (*head, *words[len(head) : fixed], *(word for pair in said.items() for word in pair), *last)


def _is_of(words: Sequence[str], gone: Sequence[str]) -> bool:
    """Whether a statement is the one that was added by these words; an address is named without its length, too."""
    last = len(gone) - 1
    if len(words) <= last or words[:last] != gone[:last]:
        return False
    return words[last] == gone[last] or words[last].partition("/")[0] == gone[last]


def _statement(model: Model, line: str, words: Sequence[str]) -> None:
    match words:
        case ["interface", name, *rest] if rest:
            _interface(model, name, rest, line)
        case ["ppp", "add", name, *rest]:
            profile = model.profiles.setdefault(name, {})
            for key, value in zip(rest[::2], rest[1::2], strict=False):
                profile[key] = Setting(value, line)
            profile.setdefault("", Setting("", line))
        case ["route", "add", prefix, gateway, *rest]:
            net = model.read.network("0.0.0.0/0" if prefix == "default" else prefix)
            distance = rest[rest.index("distance") + 1] if "distance" in rest[:-1] else "1"
            if net is not None:
                watched = "on" if "keepalive" in rest[:-1] and rest[rest.index("keepalive") + 1] == "on" else ""
                model.routes.append(Route(line, net, gateway, whole_number(distance, 1), watched))
        case ["route6", "add", prefix, gateway, *_] if prefix in {"default", "::/0"}:
            model.routes.append(Route(line, _ALL6, gateway, 1))
        case ["route", "dynamic", *_]:
            model.dynamic[line] = Setting(line, line)
        case ["filter", "add", _, *rest] if rest[-1:] != ["disable"] or rest[-2:-1] == ["state"]:
            model.filters.append(a_filter(line, dict(_filter_parts(rest)), model.read))
        case ["filter6", "add", _, *rest] if rest[-1:] != ["disable"] or rest[-2:-1] == ["state"]:
            model.filters6.append(a_filter(line, dict(_filter_parts(rest)), model.read))
        case ["nat", *rest]:
            _translation(model, rest, line)
        case ["resolver", "enable" | "disable" as switch]:
            model.resolvers["service"] = Setting(switch, line)
        case ["resolver", "address", "add", value, *_]:
            model.resolvers[f"address {value}"] = Setting(value, line)
        case ["sshd", "enable" | "disable" as switch]:
            model.door["sshd"] = Setting(switch, line)
        case ["sshd", "password-authentication", value]:
            model.door["sshd password-authentication"] = Setting(value, line)
        case ["sshd", "hostkey", kind, *rest]:
            model.door[f"sshd hostkey {kind}"] = Setting(" ".join(rest), line)
        case ["sshd", "authorized-key", "admin", "add", name, *rest]:
            model.door[f"sshd authorized-key {name}"] = Setting(" ".join(rest), line)
        case ["encrypted-password" | "encrypted-password-long", "admin", value]:
            model.door["encrypted-password admin"] = Setting(value, line)
        case ["ike" | "ipsec", *_]:
            model.tunnels[line] = Setting(line, line)
            _grabs(model, words, line)
        case ["dialup-device" | "dialup-network", *_] if "keepalive" not in line:
            model.dialup[line] = Setting(line, line)
        case _:
            _others(model, line, words)


def _interface(model: Model, name: str, rest: Sequence[str], line: str) -> None:
    settings = model.interfaces.setdefault(name, {})
    match rest:
        case ["add" | "address", value, *more]:
            number = sum(key.startswith("address") for key in settings)
            settings[f"address {number}"] = Setting(
                " ".join([value, *more]) if value.startswith("dhcp") else value, line
            )
        case ["ppp-configuration", value]:
            settings["ppp"] = Setting(value, line)
        case ["tag", value, *more]:
            settings["vid"] = Setting(value, line)
            if more[:1] == ["over"]:
                settings["over"] = Setting(" ".join(more[1:]), line)
        case ["delete", *_]:
            pass
        case [key, *values]:
            settings[key] = Setting(" ".join(values), line)
        case _:
            pass


def _filter_parts(rest: Sequence[str]) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(rest):
        word = rest[at]
        if word in _FILTER | _FILTER_ELSE and at + 1 < len(rest):
            yield word, rest[at + 1]
            at += 2
        else:
            at += 1


def _translation(model: Model, rest: Sequence[str], line: str) -> None:
    over = rest[rest.index("interface") + 1] if "interface" in rest[:-1] else ""
    match rest:
        case ["snapt", "add", "default", *_]:
            model.forwardings.append(Forwarding(line, over, "", None))
        case ["snapt", "add", "protocol", protocol, "listen", listen, *_] if rest[-1] != "disable":
            model.forwardings.append(Forwarding(line, over, protocol, ports(listen)))
        case ["snapt", "add", "protocol", protocol, *_] if rest[-1] != "disable":
            model.forwardings.append(Forwarding(line, over, protocol, None))
        case ["static", "add", _, outside, *_]:
            model.forwardings.append(Forwarding(line, over, "", None, outside.partition("/")[0]))
        case _:
            pass


def _grabs(model: Model, words: Sequence[str], line: str) -> None:
    """A policy of IPsec that takes everything, our packets too."""
    if list(words[:3]) != ["ipsec", "security-policy", "add"] or words[-1] == "disable":
        return
    ends = dict(_pairs(words, ("src", "dst")))
    far = ends.get("dst", "any")
    near = ends.get("src", "any")
    if far in {"any", "0.0.0.0/0"} and not near.startswith(("10.", "192.168.", "172.")):
        model.harmful[line] = Setting("takes every packet into a tunnel, ours too", line)


def _pairs(words: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(words[:-1]):
        if word in names:
            yield word, words[at + 1]


def _others(model: Model, line: str, words: Sequence[str]) -> None:
    if _COMMANDS.match(line):
        model.harmful[line] = Setting("acts on the unit itself", line)
    if words[0] == "bridge" and any(word in {"lan1", "wan"} for word in words):
        model.harmful[line] = Setting("puts the line under a bridge", line)
    if list(words[:2]) == ["arp", "add"]:
        gateway = words[2] if len(words) > 2 else ""
        if any(route.gateway == gateway for route in model.routes):
            model.harmful[line] = Setting("names another station as the gateway", line)
    if list(words[:2]) == ["macfilter", "add"] and "block" in words and {"any", "*"} & set(words):
        model.harmful[line] = Setting("blocks every station", line)
