"""Whether the transport libraries installed are the ones that were proven (devices-ios-fortios §0, rows 6 and 86).

scrapli is two libraries under one name, and Paramiko 5 cannot speak to old devices: a wrong major must be said at
start-up in one line, not found out in a push.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Final

from inventory.errors import Conflict


@dataclass(frozen=True, slots=True)
class Wanted:
    """A library, the versions that serve (by their beginning), what for, and the command that installs one."""

    name: str
    begins: str
    serves: str
    remedy: str


SCRAPLI: Final = Wanted("scrapli", "2026.2.20", "configuration of IOS", 'pip install "scrapli[asyncssh]==2026.2.20"')
NETMIKO: Final = Wanted("netmiko", "4.", "the compatibility lane", 'pip install "netmiko>=4.8,<5"')
PARAMIKO: Final = Wanted("paramiko", "4.", "the compatibility lane", 'pip install "paramiko>=4.0,<5"')
ASYNCSSH: Final = Wanted("asyncssh", "2.", "every SSH session", 'pip install "asyncssh>=2.24.1,<3"')


@cache
def installed(name: str) -> str:
    """Version of a library, read once: its metadata are a file of some kilobytes. Raises PackageNotFoundError."""
    return metadata.version(name)


def problem(wanted: Wanted, version: Callable[[str], str] = installed) -> str:
    """What is wrong with one library, with its remedy, in one line; empty if it serves."""
    try:
        found = version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing, which serves {wanted.serves}: {wanted.remedy}"
    if found.startswith(wanted.begins):
        return ""
    return f"{wanted.name} {found} cannot serve {wanted.serves}: {wanted.remedy}"


def problems(version: Callable[[str], str] = installed) -> list[str]:
    """One line for each library that does not serve; for the start of a daemon."""
    return [found for wanted in (ASYNCSSH, SCRAPLI, NETMIKO, PARAMIKO) if (found := problem(wanted, version))]


def require(*wanted: Wanted, version: Callable[[str], str] = installed) -> None:
    """Raises Conflict, with the remedy, if one of them does not serve."""
    for one in wanted:
        found = problem(one, version)
        if found:
            raise Conflict(found, next_step=f"{one.remedy}, then start the daemon again.")
