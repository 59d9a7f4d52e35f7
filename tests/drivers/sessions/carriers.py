"""The carriers of a command line in a terminal, each of which keeps the same promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from drivers.sessions.cli import open_cli
from drivers.sessions.lane import open_lane
from drivers.sessions.ssh import ShellSession, open_ssh

Opener = Callable[..., Awaitable[ShellSession]]
SHELLS: Final[Mapping[str, Opener]] = {"asyncssh": open_ssh, "scrapli": open_cli, "netmiko lane": open_lane}
