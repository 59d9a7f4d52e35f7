"""SEIL/X4, CA10, x86 Ayame, SA-W2 and SA-W2L, managed over ARMS: one text of keys and values (devices-seil §4, §9)."""

from __future__ import annotations

import re
from typing import Final

from drivers.driver import Driver

DRIVER: Final = Driver(
    family="recipe",
    title="SEIL/X4, CA10, x86 Ayame, SA-W2",
    dialect="key-value",
    carrier="arms",
    modules=(0,),
    identity_commands=("show system", "show key"),
    cuts_off=(
        re.compile(r"^interface\.(?:ge0|ge4|pppoe\d|ppp\d|wwan\d)\."),
        re.compile(r"^route\.ipv[46]\."),
        re.compile(r"^filter\."),
        re.compile(r"^resolver\."),
        re.compile(r"^nat\.ipv[46]\.(?:bypass|dnat|snat|reflect)\."),
        re.compile(r"^(?:interface\.ipsec\d|ipsec|ike)\."),
        re.compile(r"^(?:bgp|ospf|ospf6|rip|ripng)\."),
    ),
)
