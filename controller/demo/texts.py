"""Startup configs of the simulated ARMS families, one for each place, and one small change for each family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.demo.roster import Family, Unit

NTP: Final = "192.0.2.77"
"""The server that the change of the tour adds: seen on no device before, and no part of the way to any."""
AFTERWARDS: Final = "192.0.2.78"
"""A second one, added after the promotion: what only the new unit of the place may ever hold."""
Modules = dict[int, str]


def startup(unit: Unit) -> Modules:
    """Texts by module of the place that `unit` is first put into. Only for units that phone home."""
    texts: dict[Family, Callable[[Unit], Modules]] = {"seil": _seil, "ayame": _ayame, "sa-w2": _sa_w2}
    return texts[unit.family](unit)


def changed(family: Family, text: str, server: str = NTP) -> str:
    """The text of module 0 with one more NTP server, or for FortiOS one more address object."""
    match family:
        case "seil":
            return _after(text, "ntp mode client", f"ntp server add {server}")
        case "ayame" | "sa-w2":
            return text.rstrip("\n") + f"\nntp.client.{server.rpartition('.')[2]}.address: {server}\n"
        case "ios":
            lines = text.splitlines()
            lines.insert(len(lines) - 1 - lines[::-1].index("end"), f"ntp server {server}")
            return "\n".join([*lines, ""])
        case "fortios":
            new = f'    edit "ntp-{server}"\n        set subnet {server} 255.255.255.255\n    next'
            table = "config firewall address"
            return _after(text, table, new) if f"{table}\n" in text else f"{text}{table}\n{new}\nend\n"


def marker(family: Family, server: str = NTP) -> str:
    """The line that shows, on a device, that it has the change."""
    return {
        "seil": f"ntp server add {server}",
        "ayame": f"ntp.client.{server.rpartition('.')[2]}.address: {server}",
        "sa-w2": f"ntp.client.{server.rpartition('.')[2]}.address: {server}",
        "ios": f"ntp server {server}",
        "fortios": f"set subnet {server} 255.255.255.255",
    }[family]


def _after(text: str, line: str, new: str) -> str:
    assert f"{line}\n" in text, f"no line {line!r}"
    return text.replace(f"{line}\n", f"{line}\n{new}\n", 1)


def _octets(unit: Unit) -> str:
    return f"10.{20 + unit.number // 200}.{unit.number % 200}"


def _seil(unit: Unit) -> Modules:
    lan = _octets(unit)
    text = f"""hostname "{unit.hostname}"
timezone "Japan"
environment login-timer {300 + unit.number}
ppp add FLETS keepalive 30 ipcp enable ipcp-address on ipcp-dns on ipv6cp disable authentication-method auto \
identifier "{unit.hostname}@isp.example.jp" passphrase "pppoe-secret-{unit.number}" tcp-mss auto
interface lan0 description "{unit.site} LAN"
interface lan0 add {lan}.1/24
interface lan1 media auto
interface pppoe0 over lan1
interface pppoe0 ppp-configuration FLETS
interface pppoe0 unnumbered
route add default pppoe0
filter add MGMT_IN interface pppoe0 direction in action pass protocol tcp src 203.0.113.0/28 dst self dstport 22 \
state enable logging on enable
filter add OUT_ANY interface pppoe0 direction out action pass protocol any src any dst any state enable enable
filter add DENY_IN interface pppoe0 direction in action block protocol any src any dst any state disable logging on \
enable
nat timeout 900
nat napt add private {lan}.0-{lan}.255 interface pppoe0
dhcp enable
dhcp mode server
dhcp interface lan0 enable
dhcp interface lan0 pool {lan}.100/24 {20 + unit.number % 80}
dhcp interface lan0 gateway {lan}.1
dns forwarder enable
dns forwarder add ipcp
ntp enable
ntp mode client
ntp server add 192.0.2.123
snmp enable
snmp community "clinic-ro-{unit.number}"
snmp location "{unit.site}"
syslog remote on
syslog remote-server add NMS address 203.0.113.6 port 514 facility local1 log-level info
resolver enable
resolver address add ipcp
sshd hostkey rsa auto
sshd enable
telnetd disable
"""
    line = f"""config:
  line:
    - line-type: pppoe
      ifindex: 1
      account: "{unit.hostname}@isp.example.jp"
      password: "pppoe-secret-{unit.number}"
      ll-timeout: 30
"""
    return {0: text, 1: line}


def _ayame(unit: Unit) -> Modules:
    lan = _octets(unit)
    return {
        0: f"""hostname: {unit.hostname}
option.timezone: JST
interface.ge0.ipv4.address: 198.51.100.{unit.number % 200 + 2}/24
interface.ge1.ipv4.address: {lan}.1/24
interface.ge1.description: "{unit.site} LAN"
route.ipv4.100.destination: default
route.ipv4.100.gateway: 198.51.100.1
filter.ipv4.100.label: MGMT_IN
filter.ipv4.100.interface: ge0
filter.ipv4.100.direction: in
filter.ipv4.100.action: pass
filter.ipv4.100.protocol: tcp
filter.ipv4.100.source.address: 203.0.113.0/28
filter.ipv4.100.destination.port: 22
nat.ipv4.timeout: {600 + unit.number}
nat.ipv4.napt.100.private: {lan}.0-{lan}.255
nat.ipv4.napt.100.interface: ge0
resolver.service: enable
resolver.100.address: 192.0.2.53
ntp.service: enable
ntp.client.10.address: 192.0.2.123
snmp.service: enable
snmp.community: hub-ro-{unit.number}
snmp.sysname: {unit.hostname}
syslog.remote.server.0.ipv4.address: 203.0.113.6
"""
    }


def _sa_w2(unit: Unit) -> Modules:
    lan = _octets(unit)
    return {
        0: f"""hostname: {unit.hostname}
option.timezone: JST
interface.ge0.ipv4.address: dhcp
interface.ge1.ipv4.address: {lan}.1/24
interface.ge1.description: "{unit.site} LAN"
route.ipv4.100.destination: default
route.ipv4.100.gateway: dhcp
nat.ipv4.napt.100.private: {lan}.0-{lan}.255
nat.ipv4.napt.100.interface: ge0
dhcp.server.service: enable
dhcp.server.100.interface: ge1
dhcp.server.100.expire: 12
dhcp.server.100.pool.address: {lan}.100/24
dhcp.server.100.pool.count: {20 + unit.number % 80}
dns-forwarder.service: enable
dns-forwarder.100.address: dhcp
resolver.service: enable
resolver.100.address: dhcp
ntp.service: enable
ntp.client.10.address: 192.0.2.123
snmp.service: enable
snmp.community: store-ro-{unit.number}
syslog.remote.server.0.ipv4.address: 203.0.113.6
"""
    }
