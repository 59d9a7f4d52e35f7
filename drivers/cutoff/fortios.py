"""What cuts us off from a FortiGate: interfaces, routes, policies on the way, the services and accounts of managing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Final

from drivers.cutoff.fortios_login import logins
from drivers.cutoff.fortios_model import Model, Route, answers, carriers, domains_on_the_way, value, values, way_in
from drivers.cutoff.fortios_ports import swallowed, switches
from drivers.cutoff.packets import (
    ANYBODY,
    EPHEMERAL,
    Address,
    Network,
    Packet,
    Rule,
    address,
    anybody,
    displaced,
    masked,
    passes,
    somebody_in,
    whole_number,
)
from drivers.cutoff.way import MANAGING, Findings, Way, on_device
from drivers.dialects.block_model import DOMAINS, GLOBAL, Table
from drivers.dialects.tree import Tree
from inventory.plans import Finding

_CARRIES: Final = frozenset(
    {
        "ip", "mode", "vdom", "vlanid", "interface", "type", "member", "remote-ip", "username", "password", "lacp-mode",
        "management-ip", "trust-ip-1", "trust-ip-2", "trust-ip-3", "trust-ip6-1", "dedicated-to", "vlan-protocol",
        "ip-managed-by-fortiipam", "substitute-dst-mac", "ipunnumbered", "pppoe-unnumbered-negotiate", "min-links",
        "fortilink", "macaddr", "auth-type", "vrf",
    }
)  # fmt: skip
_LINKS: Final = frozenset({"speed", "mediatype", "forward-error-correction"})
_HARMFUL: Final = {
    "defaultgw": "disable",
    "security-mode": "captive-portal",
    "ips-sniffer-mode": "enable",
    "switch-controller-access-vlan": "enable",
    "explicit-web-proxy": "",
    "port-security": "enable",
    "security-groups": "",
}
_TUNNELS: Final = ("vpn ipsec phase1-interface", "vpn ipsec phase2-interface", "vpn ipsec phase1", "vpn ipsec phase2")
_OWN: Final = str(IPv4Address(0))
"""Stands for the address of the interface that a translation is on."""
_FEW: Final = 20
"""Connections that a push and what reads beside it may open within a second."""
_DYNAMIC: Final = ("router ospf", "router bgp", "router rip", "router isis", "router ospf6")


def judge(before: Tree, after: Tree, way: Way) -> Findings:
    """See `drivers.cutoff.findings`. With virtual domains each on our way is judged with what is of the whole unit."""
    for domain in domains_on_the_way(before, way):
        old, new = Model.of(before, domain), Model.of(after, domain)
        for found in _judge(old, new, way):
            yield Finding(f"{_place(old, new, domain, found.line)}{found.line}", found.reason) if domain else found
    yield from _vdoms(Model.of(before), Model.of(after))


def _place(old: Model, new: Model, domain: str, line: str) -> str:
    """Where a finding stands on a unit with virtual domains."""
    path = line.partition(" / ")[0].removeprefix("config ")
    of_unit = any(path in table.tables for model in (old, new) if (table := model.roots[0].tables.get(GLOBAL)))
    return f"config {GLOBAL} / " if of_unit else f"config {DOMAINS} / edit {domain} / "


def _judge(old: Model, new: Model, way: Way) -> Findings:
    way = on_device(way, {own for name in old.interfaces for own, _ in old.networks(name)})
    names = way_in(old, way)
    yield from _interfaces(old, new, names, way)
    yield from _routes(old, new, way)
    yield from _elsewhere(old, new, way)
    yield from _probes(old, new, names)
    yield from _dynamic(old, new)
    yield from _local_in(old, new, way, names)
    yield from _floods(old, new, names)
    yield from _policies(old, new, way, names)
    yield from _translations(old, new, way, names)
    yield from logins(old, new, way, names)
    yield from _settings(old, new)
    yield from _tunnels(old, new, names)
    for path in ("system fips-cc", "system dedicated-mgmt"):
        if ("enable",) == new.settings(path).get("status") != old.settings(path).get("status"):
            yield Finding(f"config {path} / set status enable", "how the unit itself is reached")


def _interfaces(old: Model, new: Model, names: Sequence[str], way: Way) -> Findings:
    below = carriers(old, names)
    for name in [*names, *below]:
        was, now = old.interfaces[name], new.interfaces.get(name)
        place = f"config system interface / edit {name}"
        if now is None:
            yield Finding(f"config system interface / delete {name}", "removes an interface that we come through")
            continue
        if value(now, "status") == "down" and value(was, "status") != "down":
            yield Finding(f"{place} / set status down", "shuts an interface that we come through")
        for setting in sorted({*was.settings, *now.settings}):
            one, other = values(was, setting), values(now, setting)
            if one == other:
                continue
            shown = f"{place} / set {setting} {' '.join(other)}" if other else f"{place} / unset {setting}"
            if setting in _CARRIES and not (name in below and setting in {"ip", "mode"}):
                if setting == "member" and set(one) <= set(other):
                    continue
                if setting == "mode" and not one and other == ("static",):
                    continue
                secret = setting == "password"
                yield Finding(
                    f"{place} / set {setting}" if secret else shown, "how an interface that we come through is reached"
                )
            elif setting in _LINKS:
                yield Finding(shown, "the link of an interface that we come through")
            elif setting in _HARMFUL and other[:1] == (_HARMFUL[setting],):
                yield Finding(shown, "keeps our packets from an interface that we come through")
            elif setting == "mtu" and other and whole_number(other[0], 576) < 576:
                yield Finding(shown, "leaves no room for our packets")
        lost = {"ssh", "https"} & (set(values(was, "allowaccess")) - set(values(now, "allowaccess")))
        wanted = {"ssh"} if way.path == "ssh" else {"https"} if way.path == "rest" else {"ssh", "https"}
        if lost & wanted and name in names:
            allowed = " ".join(values(now, "allowaccess"))
            yield Finding(
                f"{place} / set allowaccess {allowed}" if allowed else f"{place} / unset allowaccess",
                f"no longer takes {' and '.join(sorted(lost & wanted))} on an interface that we come through",
            )
        yield from _secondary(place, was, now, way)
    yield from _zones(old, new, names)
    yield from switches(old, new, names)
    yield from swallowed(old, new, [*names, *below])


def _secondary(place: str, was: Table, now: Table, way: Way) -> Findings:
    one = was.tables["secondaryip"].entries if "secondaryip" in was.tables else {}
    other = now.tables["secondaryip"].entries if "secondaryip" in now.tables else {}
    for key, entry in one.items():
        ours = values(entry, "ip")[:1] == (way.address,) if way.address else answers(entry)
        left = other.get(key)
        if ours and (
            left is None or values(left, "ip") != values(entry, "ip") or (answers(entry) and not answers(left))
        ):
            yield Finding(f"{place} / config secondaryip / delete {key}", "an address that we may come to")


def _zones(old: Model, new: Model, names: Sequence[str]) -> Findings:
    one, other = old.entries("system zone"), new.entries("system zone")
    for zone in {**one, **other}:
        for name in sorted(set(values(one.get(zone), "interface")) ^ set(values(other.get(zone), "interface"))):
            if name in names:
                yield Finding(
                    f"config system zone / edit {zone} / set interface {name}",
                    "moves an interface that we come through",
                )
    for path in ("system sdwan", "system virtual-wan-link"):
        was, now = next(old.tables(path), None), next(new.tables(path), None)
        if was is None:
            continue
        if now is None or (value(was, "status") != "disable" and value(now, "status") == "disable"):
            yield Finding(f"config {path} / set status disable", "takes the routes of SD-WAN away")
            continue
        members = was.tables["members"].entries if "members" in was.tables else {}
        left = now.tables["members"].entries if "members" in now.tables else {}
        for key, member in members.items():
            if value(member, "interface") not in names or value(member, "status") == "disable":
                continue
            kept = left.get(key)
            place = f"config {path} / config members"
            if kept is None:
                yield Finding(f"{place} / delete {key}", "takes the route of an interface that we come through away")
            elif any(values(member, s) != values(kept, s) for s in ("interface", "gateway", "status")):
                yield Finding(f"{place} / edit {key}", "the route of an interface that we come through")


def _routes(old: Model, new: Model, way: Way) -> Findings:
    us = way.source_ip
    trusted = [somebody_in(net) for net in trusted_nets(old)]
    routed = [route.prefix for route in (*old.routes, *new.routes)]
    everybody: list[Address] = [us] if us is not None else [*anybody(routed), *trusted]
    for somebody in everybody:
        was, now = old.routes_to(somebody), new.routes_to(somebody)
        yield from _moved(was, now, old)
        if not was and now and any(one.blackhole for one in now) and old.routes:
            yield Finding(f"{now[0].line} / set blackhole enable", "drops answers to us")
    if (
        us is None
        and not old.routes_to(ANYBODY)
        and not any(value(e, "mode") in {"dhcp", "pppoe"} for e in old.interfaces.values())
    ):
        left = {(one.prefix, one.hop) for one in new.routes}
        for route in old.routes:
            if (route.prefix, route.hop) not in left:
                yield Finding(
                    f"config router static / delete {route.key}",
                    "without a default route it may be the one that answers to us take",
                )
    for key, entry in new.entries("router policy").items():
        if old.entries("router policy").get(key) == entry:
            continue
        wide = not (values(entry, "dst") or values(entry, "dstaddr")) and not (
            values(entry, "src") or values(entry, "srcaddr")
        )
        if wide and value(entry, "status") != "disable" and not values(entry, "input-device"):
            yield Finding(f"config router policy / edit {key}", "sends answers to us elsewhere")


def _moved(was: Sequence[Route], now: Sequence[Route], old: Model) -> Findings:
    hops = {one.hop for one in was}
    left = {one.hop for one in now}
    for route in was:
        if route.hop not in left:
            yield Finding(
                f"config router static / delete {route.key}" if not now else route.line,
                "the route that answers to us take",
            )
    for route in now:
        if was and route.hop not in hops:
            yield Finding(route.line, "sends answers to us elsewhere")


def _elsewhere(old: Model, new: Model, way: Way) -> Findings:
    """Networks of ours, or of the next hop to us, that come to stand on another interface."""
    us = way.source_ip
    hops = (address(route.gateway) for route in old.routes_to(us or ANYBODY))
    ours = [us] if us is not None else [somebody_in(net) for net in trusted_nets(old)]
    for name in displaced(old.standing(), new.standing(), [*ours, *(hop for hop in hops if hop is not None)]):
        yield Finding(f"config system interface / edit {name} / set ip", "has a network that answers to us then go to")


def _probes(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Probes that take the routes of an interface of our way away while nobody answers them."""
    path = "system link-monitor"
    for key, entry in new.entries(path).items():
        was = old.entries(path).get(key)
        asked = ("server", "srcintf", "gateway-ip", "protocol", "port", "status", "update-static-route", "failtime")
        same = was is not None and all(values(was, setting) == values(entry, setting) for setting in asked)
        off = "disable" in (value(entry, "status"), value(entry, "update-static-route"))
        if not same and not off and set(values(entry, "srcintf")) & {*names}:
            yield Finding(f"config {path} / edit {key}", "takes our route away while what it asks is silent")


def trusted_nets(model: Model) -> list[Network]:
    """Networks that administrators may come from."""
    found = []
    for entry in model.entries("system admin").values():
        for number in range(1, 11):
            trusted = values(entry, f"trusthost{number}")
            net = masked(trusted[0], trusted[1]) if len(trusted) > 1 else None
            if net is not None and net.prefixlen:
                found.append(net)
    return found


def _dynamic(old: Model, new: Model) -> Findings:
    alone = not old.routes_to(ANYBODY) and not any(
        value(entry, "mode") in {"dhcp", "pppoe"} for entry in old.interfaces.values()
    )
    for path in _DYNAMIC:
        was, now = next(old.tables(path), None), next(new.tables(path), None)
        if was is None or now == was:
            continue
        if now is None:
            yield Finding(f"config {path}", "the routing that answers to us may take")
        elif alone:
            for name, table in was.tables.items():
                left = now.tables[name].entries if name in now.tables else {}
                for key, entry in table.entries.items():
                    if left.get(key) != entry:
                        yield Finding(
                            f"config {path} / config {name} / edit {key}", "the routing that answers to us take"
                        )
            for setting in ("as", "router-id"):
                if setting in was.settings and values(was, setting) != values(now, setting):
                    yield Finding(f"config {path} / set {setting}", "the routing that answers to us take")


def _local_in(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Local-in policies let everything pass that they do not name."""
    sources: list[Address] = (
        [way.source_ip] if way.source_ip else [ANYBODY, *(somebody_in(n) for n in trusted_nets(old))]
    )
    for path in ("firewall local-in-policy", "firewall acl"):
        for name in names:
            was, now = _rules(old, path, name), _rules(new, path, name)
            mentioned = [net for rule in was if rule.permits for net in rule.sources or ()]
            own = way.address_ip or next((a for a, _ in old.networks(name)), None)
            ports = ports_of(old, way)
            for source in dict.fromkeys(
                [*sources, *((somebody_in(n) for n in mentioned) if not way.source_ip else ())]
            ):
                for port in ports:
                    packet = Packet(source, own, "tcp", EPHEMERAL, port)
                    if passes(was, packet, otherwise=True) and not passes(now, packet, otherwise=True):
                        decided = next(rule.line for rule in now if rule.matches(packet))
                        yield Finding(decided, "denies our packets to the unit itself")


def _floods(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Guards against floods that a login of ours would already set off."""
    path = "firewall DoS-policy"
    for key, entry in new.entries(path).items():
        if old.entries(path).get(key) == entry or value(entry, "status") == "disable":
            continue
        anomalies = entry.tables["anomaly"].entries if "anomaly" in entry.tables else {}
        for name, one in anomalies.items():
            few = whole_number(value(one, "threshold"), _FEW) < _FEW
            blocks = value(one, "status") == "enable" and value(one, "action") == "block"
            if few and blocks and name.startswith("tcp_") and {*names, "any"} & {*values(entry, "interface")}:
                yield Finding(f"config {path} / edit {key} / edit {name}", "blocks a handful of connections, and ours")


def ports_of(model: Model, way: Way) -> tuple[int, ...]:
    """TCP ports that managing uses."""
    settings = model.settings("system global")
    ssh = whole_number((settings.get("admin-ssh-port") or ("22",))[0], 22)
    https = whole_number((settings.get("admin-sport") or ("443",))[0], 443)
    ssh = way.port if way.port and way.path != "rest" else ssh
    https = way.port if way.port and way.path == "rest" else https
    return {"ssh": (ssh,), "rest": (https,)}.get(way.path, (ssh, https))


def _rules(model: Model, path: str, interface: str) -> list[Rule]:
    found = []
    for key, entry in model.entries(path).items():
        over = values(entry, "intf") or values(entry, "interface")
        if value(entry, "status") == "disable" or not ({interface, "any"} & set(over) or not over):
            continue
        permits = value(entry, "action") == "accept"
        sources = model.addresses(values(entry, "srcaddr") or ("all",))
        destinations = model.addresses(values(entry, "dstaddr") or ("all",))
        services = model.services(values(entry, "service") or ("ALL",))
        if any(value(entry, f"{one}-negate") == "enable" for one in ("srcaddr", "dstaddr", "service")):
            if permits:
                continue  # whom it lets in is everybody but those that it names: never counted on
            sources = destinations = services = None
        if permits and value(entry, "schedule") not in {"", "always"}:
            continue  # at times
        found.append(
            Rule(
                f"config {path} / edit {key}",
                permits,
                None,
                sources,
                destinations,
                None,
                services,
            )
        )
    return found


def _policies(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Policies matter to packets for the unit itself where we come to a loopback or by a link between VDOMs, and where
    people have named them after managing."""
    inner = {n for n in names if value(old.interfaces[n], "type") in {"loopback", "vdom-link"} or "vlink" in n}
    path = "firewall policy"
    one, other = old.entries(path), new.entries(path)
    for key, entry in one.items():
        said = " ".join(
            [value(entry, "name"), value(entry, "comments"), *values(entry, "srcaddr"), *values(entry, "dstaddr"),
             *values(entry, "service"), *values(entry, "dstintf"), *values(entry, "srcintf")]
        )  # fmt: skip
        ours = bool(inner & {*values(entry, "dstintf"), *values(entry, "srcintf")}) or bool(MANAGING.search(said))
        if not ours or value(entry, "status") == "disable" or value(entry, "action") not in {"accept", "ipsec"}:
            continue
        left = other.get(key)
        if left is None:
            yield Finding(f"config {path} / delete {key}", "a policy that lets managing pass")
        elif value(left, "status") == "disable" or value(left, "action") != value(entry, "action"):
            yield Finding(f"config {path} / edit {key}", "a policy that lets managing pass")
        else:
            for setting in ("srcintf", "dstintf", "srcaddr", "dstaddr", "service", "schedule", "groups", "users"):
                was, now = set(values(entry, setting)), set(values(left, setting))
                if (
                    now != was
                    and not (was < now and setting not in {"groups", "users"})
                    and "all" not in now
                    and "ALL" not in now
                ):
                    yield Finding(
                        f"config {path} / edit {key} / set {setting} {' '.join(sorted(now))}",
                        "narrows a policy that lets managing pass",
                    )
    for key, entry in other.items():
        if (
            (key in one and one[key] == entry)
            or value(entry, "action") == "accept"
            or value(entry, "status") == "disable"
        ):
            continue
        everything = "any" in values(entry, "srcintf") or inner & set(values(entry, "dstintf"))
        if everything and {"all"} <= set(values(entry, "srcaddr")) and (inner or "any" in values(entry, "dstintf")):
            keys = list(other)
            behind = [k for k in keys[keys.index(key) + 1 :] if value(other[k], "action") == "accept"]
            if behind or inner:
                yield Finding(f"config {path} / edit {key}", "denies everything before the policies behind it")


def _translations(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    mine = {str(own) for name in names for own, _ in old.networks(name)} | ({way.address} - {""})
    ports = ports_of(old, way)
    was = old.entries("firewall vip")
    for key, entry in new.entries("firewall vip").items():
        over = value(entry, "extintf")
        same = key in was and all(
            values(was[key], s) == values(entry, s)
            for s in ("extip", "extport", "portforward", "extintf", "protocol", "status")
        )
        if (
            same
            or not _takes(value(entry, "extip"), mine if over in {"", "any"} else {*mine, _OWN})
            or value(entry, "status") == "disable"
            or (over not in {*names, "any", ""})
        ):
            continue
        forwarded = value(entry, "portforward") == "enable"
        taken = any(low <= port <= high for low, high in _extports(value(entry, "extport")) for port in ports)
        if not forwarded or (taken and value(entry, "protocol") in {"", "tcp"}):
            yield Finding(f"config firewall vip / edit {key}", "takes the address or port that we come to")
    settings, former = new.settings("vpn ssl settings"), old.settings("vpn ssl settings")
    port = (settings.get("port") or ("0",))[0]
    if settings != former and whole_number(port) in ports and former.get("port") != settings.get("port"):
        yield Finding(f"config vpn ssl settings / set port {port}", "takes the port that managing uses")


def _takes(outer: str, mine: Collection[str]) -> bool:
    """Whether an outer address, or a range of them, is or holds one of ours."""
    low, high = (address(end) for end in (outer.partition("-")[0], outer.rpartition("-")[2]))
    own = [one for one in map(address, mine) if one is not None]
    if low is None or high is None or low.version != high.version:
        return outer in mine
    return any(low.version == one.version and int(low) <= int(one) <= int(high) for one in own)


def _extports(text: str) -> Iterator[tuple[int, int]]:
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if found:
            yield whole_number(found[1]), whole_number(found[2] or found[1])


def _vdoms(old: Model, new: Model) -> Findings:
    for name in sorted({*old.vdoms} - {*new.vdoms}):
        if old.roots[0].tables[DOMAINS].entries[name].tables:
            yield Finding(f"config vdom / delete {name}", "removes a VDOM with all in it")


def _settings(old: Model, new: Model) -> Findings:
    was, now = old.settings("system settings"), new.settings("system settings")
    for setting in ("opmode", "manageip", "gateway", "status", "vdom-type"):
        if was.get(setting) != now.get(setting):
            text = " ".join(now.get(setting, ()))
            yield Finding(f"config system settings / set {setting} {text}".rstrip(), "how the unit itself is reached")


def _tunnels(old: Model, new: Model, names: Sequence[str]) -> Findings:
    """Tunnels that an interface of our way is the end of."""
    for path in _TUNNELS:
        one, other = old.entries(path), new.entries(path)
        for key, entry in one.items():
            ours = key in names or value(entry, "phase1name") in names
            if ours and _plain(other.get(key)) != _plain(entry):
                yield Finding(f"config {path} / edit {key}", "the tunnel that we come through")


def _plain(entry: Table | None) -> Mapping[str, tuple[str, ...]] | None:
    if entry is None:
        return None
    hidden = {"comments", "uuid"}
    return {
        name: one.comparable(name) if not one.clear_secret(name) else one.values
        for name, one in entry.settings.items()
        if name not in hidden
    }
