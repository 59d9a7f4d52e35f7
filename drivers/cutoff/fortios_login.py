"""What cuts us off from a FortiGate at the door: administrators, profiles, tokens, ports, HA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from drivers.cutoff.fortios_model import Model, value, values
from drivers.cutoff.packets import Address, Network, masked
from drivers.cutoff.way import MANAGING, Findings, Way
from drivers.dialects.block_model import Table
from inventory.plans import Finding

_GLOBAL: Final = re.compile(
    r"admin-(?:sport|ssh-port|port|server-cert|restrict-local|https-pki-required|ssh-password|scp|concurrent|login-max"
    r"|https-ssl-versions|https-ssl-ciphersuites|https-ssl-banned-ciphers|forticloud-sso-login|hsts-max-age)"
    r"|ssh-(?:kex|enc|mac|hostkey|cbc|hmac|rsa).*|strong-crypto|management-(?:vdom|ip|port|port-use-admin-sport)"
    r"|vdom-(?:mode|admin)|private-data-encryption|rest-api-key-url-query|fips-cc|split-port|virtual-switch-vlan"
    r"|internal-switch-mode|interface-subnet-usage|cfg-save"
)
_HARMLESS_VALUES: Final = {
    "admin-scp": "enable",
    "admin-concurrent": "enable",
    "admin-restrict-local": "disable",
    "admin-ssh-password": "enable",
    "admin-https-pki-required": "disable",
    "rest-api-key-url-query": "",
    "admin-forticloud-sso-login": "",
    "interface-subnet-usage": "",
}
_FORTI_PORTS: Final = {"admin-port"}
_WRITES: Final = ("sysgrp", "netgrp", "fwgrp", "scope", "system-execute-ssh", "cli-config", "cli-exec")
_OURS: Final = re.compile(r"(?i)auto|api|svc|service|script|ansible|deploy")
_ACCOUNT: Final = (
    "accprofile", "password", "ssh-public-key1", "ssh-public-key2", "ssh-public-key3", "ssh-certificate", "vdom",
    "remote-auth", "remote-group", "force-password-change", "two-factor", "schedule", "peer-auth", "peer-group",
    "guest-auth", "api-key", "accprofile-override", "wildcard",
)  # fmt: skip


def logins(old: Model, new: Model, way: Way, names: Sequence[str]) -> Findings:
    """Findings about global settings of managing, accounts, profiles, servers that prove them, and HA."""
    yield from _global(old, new, way)
    ours = _accounts(old, way)
    for path, keys in ours.items():
        for key in keys:
            yield from _account(path, key, old, new, way)
    yield from _profiles(old, new, ours)
    yield from _servers(old, new, ours)
    yield from _cluster(old, new)


def _global(old: Model, new: Model, way: Way) -> Findings:
    was, now = old.settings("system global"), new.settings("system global")
    for setting in sorted({*was, *now}):
        one, other = was.get(setting, ()), now.get(setting, ())
        if one == other or not _GLOBAL.fullmatch(setting) or setting in _FORTI_PORTS:
            continue
        if setting in _HARMLESS_VALUES and (not other or _HARMLESS_VALUES[setting] in {"", *other}):
            continue
        if way.path == "ssh" and setting in {"admin-sport", "admin-server-cert"}:
            continue
        if setting == "cfg-save":  # the guard of our own push; see what the guard does not take back
            continue
        text = f"set {setting} {' '.join(other)}" if other else f"unset {setting}"
        yield Finding(f"config system global / {text}", "how managing reaches the unit")
    was, now = old.settings("system password-policy"), new.settings("system password-policy")
    admins = now.get("apply-to", ("admin-password",))[0].startswith("admin")
    if now != was and admins and now.get("status") == now.get("expire-status") == ("enable",):
        yield Finding("config system password-policy / set expire-status enable", "may ask us for a new password")


def _accounts(model: Model, way: Way) -> dict[str, tuple[str, ...]]:
    """Accounts that may be ours, by table."""
    admins, tokens = model.entries("system admin"), model.entries("system api-user")
    if way.user and (way.user in admins or way.user in tokens):
        found: dict[str, tuple[str, ...]] = {"system admin": (way.user,), "system api-user": (way.user,)}
    else:
        supers = tuple(
            key for key, one in admins.items() if value(one, "accprofile") == "super_admin" or key == "admin"
        )
        named = tuple(key for key in admins if key not in supers and (MANAGING.search(key) or _OURS.search(key)))
        found = {"system admin": (*supers, *named) or tuple(admins), "system api-user": tuple(tokens)}
    if way.path == "ssh":
        found["system api-user"] = ()
    return found


def _account(path: str, key: str, old: Model, new: Model, way: Way) -> Findings:
    was, now = old.entries(path).get(key), new.entries(path).get(key)
    if was is None:
        return
    if now is None:
        yield Finding(f"config {path} / delete {key}", "the account that we log in with")
        return
    place = f"config {path} / edit {key}"
    for setting in _ACCOUNT:
        one, other = was.settings.get(setting), now.settings.get(setting)
        if (one is None) == (other is None) and (
            one is None or other is None or _same(setting, one.values, other.values)
        ):
            continue
        if other is not None and other.values == ("disable",) and one is None:
            continue
        yield Finding(f"{place} / set {setting}", "the account that we log in with")
    yield from _trusted(place, was, now, way)


def _same(setting: str, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Values alike; what was only encoded anew cannot be told and is no change."""
    return one == other or (one[:1] == other[:1] == ("ENC",))


def _trusted(place: str, was: Table, now: Table, way: Way) -> Findings:
    one, other = _hosts(was), _hosts(now)
    if one == other or not other:
        return
    us = way.source_ip
    if us is not None:
        if not _let_in(us, [net for _, net in other]):
            yield Finding(
                f"{place} / set {other[0][0]} {other[0][1].with_netmask.replace('/', ' ')}",
                "the account no longer trusts where we come from",
            )
        return
    left = [net for _, net in other]
    for name, net in one:
        if not any(net.version == wide.version and net.subnet_of(wide) for wide in left):  # type: ignore[arg-type]  # same version
            yield Finding(f"{place} / unset {name}", "the account no longer trusts where we may come from")
    if not one:
        yield Finding(
            f"{place} / set {other[0][0]} {other[0][1].with_netmask.replace('/', ' ')}",
            "restricts where the account may come from, and where we come from is not known",
        )


def _hosts(entry: Table) -> list[tuple[str, Network]]:
    found = []
    for setting in sorted(name for name in entry.settings if re.fullmatch(r"trusthost\d+", name)):
        words = values(entry, setting)
        net = masked(words[0], words[1]) if len(words) > 1 else None
        if net is not None and net.prefixlen:
            found.append((setting, net))
    listed = entry.tables.get("trusthost")
    for key, one in (listed.entries if listed else {}).items():
        words = values(one, "ipv4-trusthost")
        net = masked(words[0], words[1]) if len(words) > 1 else None
        if net is not None and net.prefixlen:
            found.append((f"trusthost {key}", net))
    return found


def _let_in(us: Address, nets: Sequence[Network]) -> bool:
    return any(net.version == us.version and us in net for net in nets)


def _profiles(old: Model, new: Model, ours: dict[str, tuple[str, ...]]) -> Findings:
    used = {value(old.entries(path).get(key), "accprofile") for path, keys in ours.items() for key in keys} - {""}
    one, other = old.entries("system accprofile"), new.entries("system accprofile")
    for key in sorted(used & set(one)):
        left = other.get(key)
        if left is None:
            yield Finding(f"config system accprofile / delete {key}", "the rights of our account")
            continue
        for setting in _WRITES:
            was, now = value(one[key], setting), value(left, setting)
            if was != now and now in {"", "none", "read", "deny", "disable", "custom", "vdom"}:
                yield Finding(
                    f"config system accprofile / edit {key} / set {setting} {now}", "the rights of our account"
                )


def _servers(old: Model, new: Model, ours: dict[str, tuple[str, ...]]) -> Findings:
    remote = [
        one
        for key in ours["system admin"]
        if (one := old.entries("system admin").get(key)) and value(one, "remote-auth") == "enable"
    ]
    if not remote:
        return
    groups = {value(one, "remote-group") for one in remote}
    members = {name for group in groups for name in values(old.entries("user group").get(group), "member")}
    for path, keys in (
        ("user group", groups),
        ("user radius", members),
        ("user tacacs+", members),
        ("user ldap", members),
    ):
        for key in sorted(keys & set(old.entries(path))):
            if new.entries(path).get(key) != old.entries(path)[key]:
                yield Finding(f"config {path} / edit {key}", "proves the login of our account")


def _cluster(old: Model, new: Model) -> Findings:
    was, now = old.settings("system ha"), new.settings("system ha")
    for setting in sorted({*was, *now}):
        if was.get(setting) != now.get(setting) and not re.match(
            r"(?:gratuitous|arps|session-pickup|logical-sn|monitor)", setting
        ):
            if was.get(setting, ("",))[0] == "ENC" and now.get(setting, ("",))[0] == "ENC":
                continue
            yield Finding(f"config system ha / set {setting}", "may change which unit answers us")
    if was and not now:
        yield Finding("config system ha", "may change which unit answers us")
    one, other = (
        {path: table for each in model.tables("system ha") for path, table in each.tables.items()}
        for model in (old, new)
    )
    for path in one:
        left = other[path].entries if path in other else {}
        for key, entry in one[path].entries.items():
            if path == "ha-mgmt-interfaces" and left.get(key) != entry:
                place = f"config system ha / config {path} / {'edit' if key in left else 'delete'} {key}"
                yield Finding(place, "how each unit of the cluster is managed")
