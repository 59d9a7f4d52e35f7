"""Reads the keys of recipe for `adapter`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from drivers.cutoff import adapter
from drivers.cutoff.adapter_model import Forwarding, Model, Route, Setting
from drivers.cutoff.adapter_parts import a_filter, ports
from drivers.cutoff.packets import network
from drivers.cutoff.way import Findings, Way
from drivers.dialects.key_value import KEY_VALUE
from drivers.dialects.tree import Tree

_INTERFACE: Final = re.compile(r"interface\.([a-z]+\d+)(?:p\d)?\.(.+)")
_FILTER: Final = {
    "interface": "interface",
    "direction": "direction",
    "action": "action",
    "protocol": "protocol",
    "source.address": "src",
    "source.port": "srcport",
    "destination.address": "dst",
    "destination.port": "dstport",
    "state": "state",
}
_ADDRESSES: Final = re.compile(r"ipv[46]\.address(?:\.\d+)?")
_RENAMED: Final = {"ipv4.source": "source", "ipv4.destination": "destination", "ipv4.unnumbered": "unnumbered"}


def judge(before: Tree, after: Tree, way: Way) -> Findings:
    """See `drivers.cutoff.findings`."""
    return adapter.judge(read(before), read(after), way)


def read(tree: Tree) -> Model:
    """The model of a text."""
    pairs = {}
    for node in KEY_VALUE.canonical(tree).nodes:
        key, _, value = node.text.partition(": ")
        pairs[key] = Setting(value.strip('"'), node.text)
    model = Model()
    for key, setting in pairs.items():
        _pair(model, key, setting)
    for head in ("route.ipv4.", "route.ipv6."):
        for _, entry in _listed(pairs, head):
            _route(model, entry, "0.0.0.0/0" if head == "route.ipv4." else "::/0")
    for index, entry in _listed(pairs, "filter.ipv4."):
        parts = {ours: entry[theirs].value for theirs, ours in _FILTER.items() if theirs in entry}
        line = entry.get("action", next(iter(entry.values()))).line
        model.filters.append(a_filter(line if line else index, parts))
    for _, entry in _listed(pairs, "nat.ipv4.snapt."):
        _snapt(model, entry)
    for kind, outside in (("static", "global"), ("dnat", "destination.address"), ("static", "external.address")):
        for _, entry in _listed(pairs, f"nat.ipv4.{kind}."):
            if outside in entry and "interface" in entry | {"interface": entry[outside]}:
                over = _value(entry, "interface")
                listen = ports(_value(entry, "destination.port") or _value(entry, "listen.port"))
                model.forwardings.append(
                    Forwarding(entry[outside].line, over, _value(entry, "protocol"), listen, entry[outside].value)
                )
    for _, entry in _listed(pairs, "ipsec.security-policy."):
        far, near = _value(entry, "destination.address"), _value(entry, "source.address")
        if far in {"", "any", "0.0.0.0/0"} and not near.startswith(("10.", "192.168.", "172.")):
            line = next(iter(entry.values())).line
            model.harmful[line] = Setting("takes every packet into a tunnel, ours too", line)
    return model


def _pair(model: Model, key: str, setting: Setting) -> None:
    found = _INTERFACE.fullmatch(key)
    if found:
        settings = model.interfaces.setdefault(found[1], {})
        name = _RENAMED.get(found[2], found[2])
        settings[f"address {found[2]}" if _ADDRESSES.fullmatch(found[2]) else name] = setting
    elif key == "resolver.service":
        model.resolvers["service"] = setting
    elif re.fullmatch(r"resolver\.\d+\.address", key):
        model.resolvers[f"address {setting.value}"] = setting
    elif (
        re.fullmatch(r"sshd\.(?:service|password-authentication|hostkey|authorized-keys\..*)", key)
        or key == "login.admin.encrypted-password"
    ):
        model.door[key] = setting
    elif re.match(r"(?:bgp|ospf6?|rip|ripng)\.", key):
        model.dynamic[key] = setting
    elif re.match(r"(?:ike|ipsec)\.", key):
        model.tunnels[key] = setting
    elif re.match(r"dialup-(?:device|network)\.", key) and "keepalive" not in key:
        model.dialup[key] = setting
    elif re.match(r"bridge\.bridge\d+\.|interface\.bridge\d+\.member\.", key) and setting.value in {"ge0", "ge4"}:
        model.harmful[setting.line] = Setting("puts the line under a bridge", setting.line)
    elif re.match(r"filter\.forward\.ipv4\.\d+\.direction", key) and setting.value in {"out", "inout"}:
        model.harmful[setting.line] = Setting("sends what the adapter says elsewhere", setting.line)


def _listed(pairs: Mapping[str, Setting], head: str) -> list[tuple[str, dict[str, Setting]]]:
    """Entries of a list by their index, in its order."""
    found: dict[str, dict[str, Setting]] = {}
    for key, setting in pairs.items():
        if key.startswith(head):
            index, _, rest = key[len(head) :].partition(".")
            if index.isdigit() and rest:
                found.setdefault(index, {})[rest] = setting
    return sorted(found.items(), key=lambda one: int(one[0]))


def _value(entry: Mapping[str, Setting], key: str) -> str:
    found = entry.get(key)
    return "" if found is None else found.value


def _route(model: Model, entry: Mapping[str, Setting], everywhere: str) -> None:
    destination = _value(entry, "destination")
    net = network(everywhere if destination == "default" else destination)
    distance = _value(entry, "distance") or "1"
    leads = entry.get("gateway") or entry.get("router-advertisement-interface")
    if net is not None and leads is not None:
        line = f"{entry['destination'].line}, {leads.line}"
        model.routes.append(Route(line, net, leads.value, int(distance) if distance.isdigit() else 1))


def _snapt(model: Model, entry: Mapping[str, Setting]) -> None:
    line = next(iter(entry.values())).line
    listen = entry.get("listen.port")
    model.forwardings.append(
        Forwarding(line, _value(entry, "interface"), _value(entry, "protocol"), ports(listen.value) if listen else None)
    )
