"""Running configurations that stories begin with: a router, a firewall, and a firewall with virtual domains."""

from __future__ import annotations

IOS = """version 15.2
hostname osaka-edge-01
archive
 path flash:before
 maximum 10
interface GigabitEthernet0/0
 description uplink
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 ip address 198.51.100.1 255.255.255.0
line vty 0 4
 login local
end
"""
FORTIOS = """config system global
    set hostname "kobe-fw-01"
end
config system interface
    edit "mgmt"
        set vdom "root"
        set ip 192.0.2.2 255.255.255.0
        set allowaccess ping ssh
        set type physical
    next
end
config firewall address
    edit "office"
        set subnet 198.51.100.0 255.255.255.0
    next
end
"""


def divided(unit: str, **domains: str) -> str:
    """What a FortiGate with virtual domains shows: their list, what is the unit's, and what is each domain's."""
    listed = "".join(f"edit {name}\nnext\n" for name in domains)
    parts = "".join(f"config vdom\nedit {name}\n{part}end\n" for name, part in domains.items())
    return f"config vdom\n{listed}end\nconfig global\n{unit}end\n{parts}"
