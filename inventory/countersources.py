"""How a device's counters are doing as a source: what the last polls say of it, in words for a person.

One device's trouble is its own: nothing here looks at others. Source: metering specification §2.2, §2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, get_args

from inventory.errors import BadInput
from inventory.secrets import Secret

Protocol = Literal["snmp-v2c", "snmp-v3", "fortios-rest"]
PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
AuthProtocol = Literal["md5", "sha1", "sha256", "sha512"]
PrivacyProtocol = Literal["des", "aes128", "aes192", "aes256"]
PASSWORD_MIN: Final = 8
"""Characters of a password of SNMPv3 (RFC 3414 §11.2)."""
SLOW_MS: Final = 1_000
"""An agent whose answers take longer is slow: readings are placed in the middle of request and answer."""
FORGIVEN_AFTER: Final = 10
"""Polls without a lie after which an agent is believed again."""


def usual_port(protocol: Protocol) -> int:
    """The port that agents of a protocol listen on unless somebody changed it."""
    return 443 if protocol == "fortios-rest" else 161


@dataclass(frozen=True, slots=True)
class CounterAgent:
    """Where and as whom an adapter's counters are read."""

    protocol: Protocol
    host: str
    port: int
    username: str = ""
    auth: AuthProtocol | None = None
    privacy: PrivacyProtocol | None = None
    community: Secret | None = None
    auth_password: Secret | None = None
    privacy_password: Secret | None = None
    token: Secret | None = None
    fingerprint: str | None = None
    """SHA-256 of the certificate that the device's REST interface must show, in hexadecimal."""
    version: int = 0


def require_agent(agent: CounterAgent) -> None:
    """Raises BadInput unless the credential fits the protocol, and nothing else is given."""
    wanted = {
        "snmp-v2c": {"community"},
        "snmp-v3": {"username"},
        "fortios-rest": {"token", "fingerprint"},
    }[agent.protocol]
    allowed = wanted | ({"auth", "auth_password", "privacy", "privacy_password"} if "username" in wanted else set())
    fields = ("username", "auth", "privacy", "community", "auth_password", "privacy_password", "token", "fingerprint")
    for field in fields:
        given = bool(getattr(agent, field))
        if field in wanted and not given:
            raise BadInput(f"{agent.protocol} needs {field}", field=field, next_step="Give it.")
        if given and field not in allowed:
            raise BadInput(f"{agent.protocol} has no {field}", field=field, next_step="Leave it out.")
    for field, protocol, password in (
        ("auth_password", agent.auth, agent.auth_password),
        ("privacy_password", agent.privacy, agent.privacy_password),
    ):
        if (protocol is None) != (password is None):
            raise BadInput("a protocol and its password belong together", field=field, next_step="Give both or none.")
        if password is not None and len(password.reveal()) < PASSWORD_MIN:
            raise BadInput(
                f"a password of SNMPv3 has {PASSWORD_MIN} characters or more",
                field=field,
                next_step="Use a longer one.",
            )
    if agent.privacy is not None and agent.auth is None:
        raise BadInput("privacy needs authentication (RFC 3414)", field="auth", next_step="Give auth as well.")


class SourceState(StrEnum):
    """State of the counters of one adapter."""

    NEVER = "never-asked"
    OK = "answering"
    SILENT = "silent"
    REFUSED = "refused"
    LYING = "lying"
    SLOW = "slow"
    INCOMPLETE = "incomplete"

    @property
    def words(self) -> str:
        """What the state means."""
        return _WORDS[self][0]

    @property
    def next_step(self) -> str:
        """What a person does about it; empty if nothing."""
        return _WORDS[self][1]


_WORDS: Final = {
    SourceState.NEVER: ("its counters have not been asked for yet", "Wait one polling interval; it needs a place."),
    SourceState.OK: ("its counters are read", ""),
    SourceState.SILENT: (
        "the agent does not answer",
        "Check address, access list and that the agent is on; an agent is silent to a wrong community too, and to a "
        "privacy password that was changed.",
    ),
    SourceState.REFUSED: (
        "the agent refuses the credential, is silent to its privacy only, or shows another certificate than the "
        "recorded one; it is asked again when the credential is changed, or in an hour",
        "Compare user, protocols, passwords and the certificate's fingerprint with the device's.",
    ),
    SourceState.LYING: (
        "the agent's counters cannot be true; what contradicts itself is kept as uncertain, never as traffic",
        "Update the device's software, or let it be polled another way.",
    ),
    SourceState.SLOW: ("the agent answers slowly", "Look at the load of the device, or poll it less often."),
    SourceState.INCOMPLETE: (
        "the agent answers, but interfaces of links are not there",
        "Compare the links' interfaces with the list that was discovered.",
    ),
}


@dataclass(frozen=True, slots=True)
class Told:
    """One interface's counters as far as a lie can be seen in them."""

    name: str
    t_ms: int
    in_octets: int
    out_octets: int
    counter_bits: int
    uptime_cs: int | None
    discontinuity: int | None
    speed_bps: int | None


def lie(before: Told, now: Told) -> str | None:
    """What cannot be true of two answers in a row, in words; None if they agree.

    A counter that falls although neither a restart nor a discontinuity was declared, one that rises faster than the
    port, or an uptime that ran faster than the clock. A 32-bit counter may fall: it may have wrapped.
    """
    length_ms = now.t_ms - before.t_ms
    if length_ms <= 0:
        return None
    if before.uptime_cs is not None and now.uptime_cs is not None:
        ran_ms = (now.uptime_cs - before.uptime_cs) * 10
        if ran_ms < 0 or ran_ms + max(2_000, length_ms // 100) < length_ms:
            return None  # it restarted: counters may begin anew
        if ran_ms > length_ms + max(60_000, length_ms // 4):
            return f"its uptime ran {ran_ms // 1000} s in {length_ms // 1000} s"
    if before.discontinuity != now.discontinuity:
        return None
    for word, a, b in (
        ("in", before.in_octets, now.in_octets),
        ("out", before.out_octets, now.out_octets),
    ):
        if now.counter_bits == 64 and before.counter_bits == 64:
            if b < a:
                return f"{now.name} {word} fell from {a} to {b} without a restart"
            if now.speed_bps and b - a > now.speed_bps * (length_ms + 15_000) // 8_000:
                return (
                    f"{now.name} {word} rose by {b - a} octets in {length_ms // 1000} s, more than its port can carry"
                )
    return None


@dataclass(frozen=True, slots=True)
class Poll:
    """What came of asking one device once."""

    asked: Sequence[str]
    answered: Sequence[str]
    round_trip_ms: int = 0
    lies: Sequence[str] = ()
    since_lie: int | None = None
    """Polls since the last lie; None: there was none."""
    last_lie: str = ""


def judge(poll: Poll) -> tuple[SourceState, str]:
    """State and reason of a source that answered. The worst speaks: a lie, a missing interface, slowness."""
    if poll.lies:
        return SourceState.LYING, "; ".join(poll.lies[:3])
    if poll.since_lie is not None and poll.since_lie < FORGIVEN_AFTER:
        return SourceState.LYING, poll.last_lie
    missing = [name for name in poll.asked if name not in set(poll.answered)]
    if missing:
        return SourceState.INCOMPLETE, f"no {', '.join(missing[:5])}"
    if poll.round_trip_ms >= SLOW_MS:
        return SourceState.SLOW, f"an answer took {poll.round_trip_ms} ms"
    return SourceState.OK, ""
