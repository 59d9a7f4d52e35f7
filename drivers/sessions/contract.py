"""What every session promises, whatever library carries it. Nothing above this imports a transport library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from inventory.secrets import Secret

SshProfile = Literal["modern", "compat", "legacy"]
Transport = Literal["ssh", "lane", "telnet"]
"""`ssh`: asyncssh or scrapli, as the family's driver says, and the lane where these share no algorithm with a device
whose profile is not modern. `lane`: netmiko with Paramiko. `telnet`: netmiko, everything in clear."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A jump host on the way to a device, with a credential and a host key of its own (see `Endpoint`)."""

    host: str
    port: int
    username: str
    password: Secret
    host_key: str | None = None
    profile: SshProfile = "modern"


@dataclass(frozen=True, slots=True)
class Rest:
    """A device's REST API beside its command line, on the same host.

    `certificate` is the pinned SHA-256 of the certificate it shows, in hex; None means that it is learnt at this
    contact and must be stored by the caller.
    """

    token: Secret
    port: int = 443
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a device is reached over SSH.

    `host_key` is the pinned public key in OpenSSH form (`ssh-ed25519 AAAA…`); None means it is learnt at this
    contact (trust on first use) and must be stored by the caller.
    """

    host: str
    port: int
    username: str
    password: Secret
    enable_password: Secret | None = None
    host_key: str | None = None
    profile: SshProfile = "modern"
    transport: Transport = "ssh"
    jump: tuple[Hop, ...] = ()
    """Jump hosts in the order in which they are passed. Each must have its key pinned: nobody reads what it shows."""
    rest: Rest | None = None
    """FortiOS: read over REST first, and over the command line where REST cannot."""
    aaa_domain: str = ""
    """Devices of one name ask the same server who may log in: they are logged in to slowly, and left alone together
    when it refuses (`domains`). Empty: none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs in seconds of protocol time (devices-ios-fortios §C.4); a clock's pace divides the waits for guards,
    never these."""

    connect_s: float = 10.0
    handshake_s: float = 15.0
    authentication_s: float = 30.0
    prompt_s: float = 15.0
    command_s: float = 30.0
    read_config_s: float = 180.0
    line_s: float = 10.0
    save_s: float = 120.0
    rest_s: float = 30.0
    backup_s: float = 120.0
    output_octets: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LineResult:
    """What a device said to one configuration line; `number` counts from 1 in what was sent.

    A statement of several lines (a banner, a quoted value) is one result with the number of its first line.
    `said` and `shown`, which is the line, have secrets masked; `failed` tells that `said` holds one of the family's
    failure marks.
    """

    number: int
    line: str = field(repr=False)
    said: str = ""
    failed: bool = False
    shown: str = ""


class CliSession(Protocol):
    """One login on a device's command line. Every wait has a deadline; on a deadline the connection is aborted.

    Raises Unreachable before the first command was sent, OutcomeUnknown after a write was under way, Truncated for a
    read that ended early.
    """

    @property
    def host_key(self) -> str:
        """The key the device showed, in OpenSSH form; checked against `Endpoint.host_key` before any credential.

        Empty where there is none (telnet)."""
        ...

    @property
    def terminal(self) -> bool:
        """Whether the device talks as to a person: echo, pager, questions. False for a machine-readable channel."""
        ...

    @property
    def mode(self) -> str:
        """What the present prompt says of the mode, such as `(config-if)` or ` (global)`; empty at the top."""
        ...

    @property
    def privileged(self) -> bool:
        """Whether the present prompt may write."""
        ...

    async def command(self, command: str, *, timeout_s: float) -> str:
        """Send one command, return its output without echo, prompt or pager residue; line ends are LF.

        Known questions are answered from the family's table. Raises UnknownQuestion (drivers.errors) after
        refusing any other; the session is at a prompt again then.
        """
        ...

    async def lines(self, lines: Sequence[str], *, timeout_s: float) -> Sequence[LineResult]:
        """Send lines one by one in the present mode; each answer is read before the next line goes out.

        Stops after the first line to which the device answered with one of the family's failure marks: the last
        result is that line's.
        """
        ...

    async def close(self) -> None:
        """Log out and close; never waits longer than 5 s."""
        ...

    async def abort(self) -> None:
        """Drop the connection at once."""
        ...
