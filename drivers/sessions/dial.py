"""From an endpoint to an authenticated SSH connection, with the host key checked before any credential is sent."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import asyncssh

from drivers.errors import DeviceBusy, NegotiationFailed
from drivers.sessions.contract import Endpoint, Limits, SshProfile
from drivers.sessions.lent import give_up, inode
from drivers.sessions.permission import permitted
from drivers.sessions.plain_ssh import connect, make_plain
from inventory.errors import AuthenticationFailed, DeviceError, IdentityMismatch, NotOnboarded, Unreachable

KEEPALIVE_S: Final = 15
KEEPALIVES: Final = 3


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What one SSH profile offers. Short lists on purpose: some IOS releases refuse a long first packet."""

    key_exchange: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]

    def plus(self, other: Algorithms) -> Algorithms:
        """Both, ours first."""
        return Algorithms(
            self.key_exchange + other.key_exchange,
            self.ciphers + other.ciphers,
            self.macs + other.macs,
            self.host_keys + other.host_keys,
        )


_MODERN: Final = Algorithms(
    (
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group-exchange-sha256",
    ),
    ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"),
    ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"),
    (
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ),
)
_COMPAT: Final = _MODERN.plus(
    Algorithms(
        ("diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1"),
        ("aes256-cbc", "aes128-cbc"),
        ("hmac-sha1",),
        ("ssh-rsa",),
    )
)
_LEGACY: Final = _COMPAT.plus(
    Algorithms(("diffie-hellman-group1-sha1",), ("3des-cbc",), ("hmac-sha1-96", "hmac-md5"), ("ssh-dss",))
)
PROFILES: Final[dict[SshProfile, Algorithms]] = {"modern": _MODERN, "compat": _COMPAT, "legacy": _LEGACY}

_NEW_PASSWORD: Final = re.compile(r"(?i)\b(?:new|retype|re-enter|change)\b.*passw")
_BY_KEY_TYPE: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


def host_key_algorithms(profile: SshProfile, pinned: str | None) -> tuple[str, ...]:
    """Host key algorithms to offer: only the pinned key's type, so that a device with several keys shows that one."""
    offered = PROFILES[profile].host_keys
    if pinned is None:
        return offered
    kind = pinned.split()[0]
    return tuple(name for name in offered if name in _BY_KEY_TYPE.get(kind, (kind,)))


def same_key(pinned: str, shown: str) -> bool:
    """Whether two keys in OpenSSH form are equal; comments do not count."""
    return pinned.split()[:2] == shown.split()[:2]


class Caller(asyncssh.SSHClient):
    """Our side of one login: checks the host key, gives the password once, and remembers how far it got."""

    def __init__(self, endpoint: Endpoint, limits: Limits, deadline: asyncio.Timeout) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._deadline = deadline
        self._password_given = False
        self.phase = "handshake"
        self.host_key = ""
        self.key_refused = False
        self.change_asked = False
        self.second_factor = False
        self._connection: asyncssh.SSHClientConnection | None = None
        self._greeted = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Called when the TCP connection is ours."""
        self._connection = conn
        make_plain(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is over: neither holds the other any longer."""
        self._greeted, self._connection = self.greeted, None

    @property
    def greeted(self) -> bool:
        """Whether the other side has sent its SSH version line."""
        if self._connection is None:
            return self._greeted
        return bool(self._connection.get_extra_info("server_version"))

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called in each key exchange: before authentication begins, and again when a long session changes its keys."""
        self.host_key = key.export_public_key().decode("ascii").strip()
        pinned = self._endpoint.host_key
        if pinned is not None and not same_key(pinned, self.host_key):
            self.key_refused = True
            return False
        if self.phase == "handshake":
            self.phase = "authentication"
            if not self._deadline.expired():
                self._deadline.reschedule(asyncio.get_running_loop().time() + self._limits.authentication_s)
        return True

    async def password_auth_requested(self) -> str | None:
        """The password, once; a second request means that the device refused it."""
        if self._password_given:
            return None
        await permitted()
        self._password_given = True
        return self._endpoint.password.reveal()

    def password_change_requested(self, prompt: str, lang: str) -> tuple[str, str]:
        """A first password belongs to onboarding: refuse by giving up the login."""
        self.change_asked = True
        raise asyncssh.PermissionDenied("the device wants a new password")

    def kbdint_auth_requested(self) -> str | None:
        """Take part in keyboard-interactive only while the password was not given."""
        return None if self._password_given else ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer one prompt that asks for a password; anything more is a second factor."""
        if not prompts:
            return []
        if any(_NEW_PASSWORD.search(prompt) for prompt, _ in prompts):
            self.change_asked = True
            return None
        if len(prompts) > 1 or "pass" not in prompts[0][0].lower():
            self.second_factor = True
            return None
        password = await self.password_auth_requested()
        return None if password is None else [password]


def place(endpoint: Endpoint) -> str:
    """How an endpoint is named in errors."""
    return f"{endpoint.host} port {endpoint.port}"


def options(endpoint: Endpoint, caller: Caller) -> dict[str, object]:
    """Arguments of `asyncssh.connect` that every session uses: no agent, no user files, our key check, short lists."""
    host_keys = host_key_algorithms(endpoint.profile, endpoint.host_key)
    return {
        **_options(endpoint.username, endpoint.profile, host_keys, KEEPALIVE_S),
        "host": endpoint.host,  # with `sock` these two only name the peer
        "port": endpoint.port,
        "client_factory": lambda: caller,
    }


def _options(username: str, profile: SshProfile, host_keys: tuple[str, ...], keepalive_s: float) -> dict[str, object]:
    algorithms = PROFILES[profile]
    return {
        "username": username,
        "password": None,
        "client_keys": None,
        "client_host_keysign": False,
        "agent_path": None,
        "config": None,
        "known_hosts": ([], [], []),
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "gss_host": None,
        "preferred_auth": ("password", "keyboard-interactive"),
        "kex_algs": list(algorithms.key_exchange),
        "encryption_algs": list(algorithms.ciphers),
        "mac_algs": list(algorithms.macs),
        "server_host_key_algs": list(host_keys),
        "compression_algs": ["none"],
        "keepalive_interval": keepalive_s,
        "keepalive_count_max": KEEPALIVES,
        "login_timeout": 0,
        "utf8_decode_errors": "replace",
    }


@lru_cache(maxsize=256)
def _alike(
    username: str, profile: SshProfile, host_keys: tuple[str, ...], keepalive_s: float
) -> asyncssh.SSHClientConnectionOptions:
    """What connections have in common that differ in their peer only."""
    return asyncssh.SSHClientConnectionOptions(**_options(username, profile, host_keys, keepalive_s))


def explain(error: BaseException, endpoint: Endpoint, caller: Caller, limits: Limits) -> DeviceError:
    """The error of ours that a failed login is, by its cause and by how far the login had come."""
    where = place(endpoint)
    if caller.key_refused:
        return IdentityMismatch(
            f"{where} showed another host key than the one on record; no credential was sent.",
            step="host key",
            next_step="If the device was replaced, approve its new serial number and key together.",
        )
    if caller.change_asked:
        return NotOnboarded(
            f"{where} asks for a new password.", step="authentication", next_step="Onboard the device first."
        )
    if caller.second_factor:
        return AuthenticationFailed(
            f"{where} asks for an interactive second factor.",
            step="authentication",
            next_step="Give the controller an account that logs in with a password alone.",
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationFailed(
            f"{where} refused the password of {endpoint.username}; one attempt was made.",
            step="authentication",
            next_step="Correct the credential; it is not tried again by itself.",
        )
    return _explain_connection(error, endpoint, caller, limits)


def _explain_connection(error: BaseException, endpoint: Endpoint, caller: Caller, limits: Limits) -> DeviceError:
    where = place(endpoint)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        offered = host_key_algorithms(endpoint.profile, endpoint.host_key)
        return NegotiationFailed(
            f"{where} and profile {endpoint.profile} have no algorithm in common: {error.reason} "
            f"(host keys offered: {', '.join(offered)}).",
            step="handshake",
            next_step="Allow the device the profile `compat` or `legacy`, if your policy permits it.",
        )
    if isinstance(error, asyncssh.ProtocolNotSupported):
        return NegotiationFailed(f"{where} speaks SSH 1 only, which is unsupported: {error.reason}.", step="handshake")
    if isinstance(error, TimeoutError):
        limit = limits.handshake_s if caller.phase == "handshake" else limits.authentication_s
        if not caller.greeted:
            return Unreachable(
                f"{where} accepted the connection and sent no SSH greeting within {limit:g} s.", step=caller.phase
            )
        return Unreachable(
            f"{where} accepted the connection but did not finish the {caller.phase} within {limit:g} s.",
            step=caller.phase,
        )
    cut = caller.phase == "handshake" and isinstance(error, ConnectionResetError | asyncssh.ConnectionLost)
    if cut and caller.greeted:
        # Its list of algorithms may be lost with the connection, so that only one side knows what was the matter.
        return NegotiationFailed(
            f"{where} greeted us and closed the connection in the key exchange; it may know no algorithm of profile "
            f"{endpoint.profile}, or have no terminal line left.",
            step="handshake",
            next_step="Try again; if it stays so, allow the device the profile `compat` or `legacy`, if your policy "
            "permits it.",
        )
    if cut:
        return DeviceBusy(
            f"{where} closed the connection before the key exchange; all its terminal lines may be in use.",
            step="handshake",
            next_step="Wait for a line to fall free, or end a session that somebody left open.",
        )
    return Unreachable(f"{where} ended the connection: {error}.", step=caller.phase)


async def login(sock: socket.socket, endpoint: Endpoint, limits: Limits) -> tuple[asyncssh.SSHClientConnection, Caller]:
    """An authenticated connection over `sock`, which is closed if there is none. Raises Unreachable (also
    NegotiationFailed, DeviceBusy), AuthenticationFailed, IdentityMismatch, NotOnboarded; a time-out is never taken for
    a wrong password."""
    known = inode(sock)
    deadline = asyncio.timeout(limits.handshake_s)
    caller = Caller(endpoint, limits, deadline)
    try:
        async with deadline:
            host_keys = host_key_algorithms(endpoint.profile, endpoint.host_key)
            alike = _alike(endpoint.username, endpoint.profile, host_keys, KEEPALIVE_S)
            connection = await connect(sock, endpoint.host, endpoint.port, alike, lambda: caller)
    except (TimeoutError, OSError, asyncssh.Error) as error:
        give_up(sock, known)
        raise explain(error, endpoint, caller, limits) from error
    except BaseException:
        give_up(sock, known)
        raise
    return connection, caller


async def hang_up(connection: asyncssh.SSHClientConnection, *, within_s: float = 2.0) -> None:
    """Close, and abort if the device does not answer the close in time."""
    connection.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await connection.wait_closed()
            return
    connection.abort()
