"""What simulated devices boot with: configurations that other people wrote, made manageable and told apart.

The files in `configs/` are unchanged from their origins (see `configs/MANIFEST.tsv` and `configs/LICENSES`).
What a managed device needs on top is added here, to the tree.
"""

from __future__ import annotations

import ipaddress
import re
from importlib.resources import files
from typing import Literal

from drivers.simulator.forti_cli import load
from drivers.simulator.forti_tree import Obj, Printer, SecretCodec, Section
from drivers.simulator.ios_edit import addresses, carry_out
from drivers.simulator.ios_tree import parse, render

Family = Literal["ios", "fortios"]

IOS_FILES = (
    "batfish__candidate_configs_as1border1.cfg",
    "batfish__candidate_configs_as1border2.cfg",
    "batfish__candidate_configs_as1core1.cfg",
    "batfish__candidate_configs_as3border1.cfg",
    "napalm__ios_ios_initial.conf",
)
FORTIOS_FILES = (
    "batfish__fortios_testconfigs_policy",
    "batfish__fortios_testconfigs_addrgrp",
    "batfish__fortios_testconfigs_bgp",
    "batfish__fortios_testconfigs_service_custom",
)
MANAGEMENT: dict[Family, str] = {"ios": "Loopback900", "fortios": "mgmt"}
"""The interface that the controller comes in by; give it to the device as `management`."""

ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


def starting_config(family: Family, n: int) -> str:
    """The configuration of the n-th device of a family (n ≥ 0), whole, manageable, unlike its siblings.

    Host name `ios-0007` or `fgt-0007`, management address 198.18.0.0/15 + n, interface addresses moved by n
    wherever they are mentioned.
    """
    if family == "ios":
        return _ios(n)
    return _fortios(n)


def management_address(n: int) -> str:
    """The management address of the n-th device, from the benchmarking range (RFC 2544)."""
    return str(ipaddress.IPv4Address("198.18.0.1") + n)


def _ios(n: int) -> str:
    text = _file("ios-config", IOS_FILES[n % len(IOS_FILES)])
    tree = parse(text)
    own = {str(address.ip) for _name, address in addresses(tree)}
    tree = parse(ADDRESS.sub(lambda found: _moved(found.group(), n) if found.group() in own else found.group(), text))
    for line in (
        f"hostname ios-{n:04d}",
        "ip domain name example.net",
        "ip ssh version 2",
    ):
        carry_out(tree, (), line)
    path = carry_out(tree, (), f"interface {MANAGEMENT['ios']}").path
    for line in ("description management", f"ip address {management_address(n)} 255.255.255.255"):
        path = carry_out(tree, path, line).path
    path = carry_out(tree, (), "archive").path
    for line in ("path flash:archive", "maximum 10"):
        path = carry_out(tree, path, line).path
    path = carry_out(tree, (), "line vty 0 4").path
    carry_out(tree, carry_out(tree, path, "login local").path, "transport input ssh")
    return render(tree)


def _moved(address: str, n: int) -> str:
    """The address with its second octet moved by n, so that devices of one origin differ."""
    octets = address.split(".")
    octets[1] = str((int(octets[1]) + n) % 256)
    return ".".join(octets)


def _fortios(n: int) -> str:
    codec = SecretCodec(b"starting")
    tree = load(_file("fortios-config", FORTIOS_FILES[n % len(FORTIOS_FILES)]), codec)
    system = tree.parts.setdefault("system global", Section())
    system.own.fields["hostname"] = [f"fgt-{n:04d}"]
    ports = tree.parts.setdefault("system interface", Section())
    for port in ports.entries.values():
        if "ip" in port.fields:
            port.fields["ip"] = [_moved(port.fields["ip"][0], n), *port.fields["ip"][1:]]
    ports.entries[MANAGEMENT["fortios"]] = Obj(
        {
            "vdom": ["root"],
            "ip": [management_address(n), "255.255.255.255"],
            "allowaccess": ["ping", "ssh"],
            "type": ["physical"],
            "description": ["management"],
        }
    )
    return "\n".join([*Printer(codec).tree(tree), ""])


def _file(folder: str, name: str) -> str:
    return (files("drivers.simulator") / "configs" / folder / name).read_text(encoding="utf-8")
