"""Which key of an adapter is accepted when, and what it must show besides (arms-protocol §2.2, §10.4, §12).

A key is rotated in three steps: a new one is made, the adapter is given it, the old one ends. Until the adapter has the
new one, both are accepted, so an adapter that is away comes back; whatever happens in between, it gets the newest key
from whoever hands it out (RS key: the LS; passphrase and certificate: the RS; LS key: a person). Pure; instants are
milliseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Generic, Literal, Protocol, TypeVar

from inventory.errors import BadInput, Conflict
from inventory.secrets import Secret

K = TypeVar("K")
KeyKind = Literal["ls", "rs", "heartbeat", "certificate"]
ClientCertificates = Literal["require", "ask", "off"]
MIN_DEADLINE_S: Final = 60
MAX_DEADLINE_S: Final = 90 * 86_400
RS_DEADLINE_S: Final = 86_400
"""How long an old RS key is accepted at most, unless the operator says otherwise."""


class RotationState(StrEnum):
    """Where a rotation stands."""

    SETTLED = "settled"
    """One key, and nothing to wait for."""
    WAITING = "waiting"
    """Old and new are accepted; the adapter has not been given the new one."""
    OVERDUE = "overdue"
    """The deadline has passed, or the old one was ended at once: only the new one is accepted, which the adapter does
    not have."""
    GRACE = "grace"
    """The adapter has the new one; the old one is still accepted for a short while."""


@dataclass(frozen=True, slots=True)
class Keys(Generic[K]):
    """One key of an adapter and, while it is being rotated, the one before."""

    current: K
    previous: K | None = None
    rotated_ms: int | None = None
    """When `current` was made by a rotation; names the rotation, so no two of an adapter have the same."""
    deadline_ms: int | None = None
    """From then on the previous key is refused, also if the adapter knows no other. None: never."""
    delivered_ms: int | None = None
    """When the adapter was given `current`; only kept while the previous one has its grace."""

    def accepted(self, now_ms: int, *, grace_ms: int = 0) -> tuple[K, ...]:
        """The keys that open the door now; the newest first."""
        if self.previous is None or self.state(now_ms, grace_ms=grace_ms) in {
            RotationState.OVERDUE,
            RotationState.SETTLED,
        }:
            return (self.current,)
        return (self.current, self.previous)

    @property
    def known(self) -> K:
        """The key that the adapter has as far as we know: the one to use towards it."""
        return self.current if self.previous is None or self.delivered_ms is not None else self.previous

    def towards(self, now_ms: int) -> tuple[K, ...]:
        """The keys to use towards the adapter, the one that it has as far as we know first: also after the deadline,
        when it is refused from it, for nothing else reaches an adapter that asks nobody by itself."""
        return (self.known, *(key for key in self.accepted(now_ms) if key != self.known))

    @property
    def in_flight(self) -> bool:
        """Whether the adapter still has to be given the current key."""
        return self.previous is not None and self.delivered_ms is None

    def state(self, now_ms: int, *, grace_ms: int = 0) -> RotationState:
        """Where the rotation stands."""
        if self.previous is None:
            return RotationState.SETTLED
        if self.delivered_ms is not None:
            return RotationState.GRACE if now_ms < self.delivered_ms + grace_ms else RotationState.SETTLED
        overdue = self.deadline_ms is not None and now_ms >= self.deadline_ms
        return RotationState.OVERDUE if overdue else RotationState.WAITING

    def rotate(self, new: K, now_ms: int, *, deadline_ms: int | None = None, at_once: bool = False) -> Keys[K]:
        """With a new key. `at_once`: every older key is refused from now on, as one that got into wrong hands.

        Raises Conflict while a rotation is in flight: with a third key it would be open which two are accepted.
        """
        rotated_ms = max(now_ms, (self.rotated_ms or 0) + 1)
        if at_once:
            return Keys(new, self.known, rotated_ms, deadline_ms=now_ms)
        if self.in_flight:
            raise Conflict(
                "a rotation of this key is in flight: the adapter has not been given the new key yet",
                next_step="Wait until it has, or rotate with `at_once`, which ends every older key now.",
                facts={"rotated_ms": self.rotated_ms, "deadline_ms": self.deadline_ms},
            )
        return Keys(new, self.current, rotated_ms, deadline_ms)

    def delivered(self, rotation_ms: int | None, now_ms: int) -> Keys[K]:
        """The adapter was given the key of that rotation; that of an older one changes nothing."""
        if not self.in_flight or rotation_ms != self.rotated_ms:
            return self
        return replace(self, delivered_ms=now_ms)


def deadline(kind: KeyKind, wanted_s: int | None, now_ms: int, *, at_once: bool) -> int | None:
    """When the old key of this kind ends at the latest. Raises BadInput where a deadline has no meaning."""
    if wanted_s is not None and (at_once or kind not in {"ls", "rs"}):
        raise BadInput(
            "only an LS or RS key that is not ended at once has a deadline",
            field="deadline_s",
            next_step="Leave deadline_s out; a heartbeat passphrase ends a short while after the next config pull.",
        )
    if wanted_s is not None and not MIN_DEADLINE_S <= wanted_s <= MAX_DEADLINE_S:
        raise BadInput(f"deadline_s is {MIN_DEADLINE_S} to {MAX_DEADLINE_S}", field="deadline_s")
    if at_once or (wanted_s is None and kind != "rs"):
        return None
    return now_ms + (RS_DEADLINE_S if wanted_s is None else wanted_s) * 1000


_NAMES: Final[dict[KeyKind, str]] = {
    "ls": "LS key",
    "rs": "RS key",
    "heartbeat": "heartbeat passphrase",
    "certificate": "certificate",
}
_WORDS: Final[dict[RotationState, str]] = {
    RotationState.SETTLED: "one {name} is in force",
    RotationState.WAITING: "a new {name} was made and the adapter does not have it yet; old and new are accepted",
    RotationState.OVERDUE: "a new {name} was made and the adapter does not have it yet; the old one is refused",
    RotationState.GRACE: "the adapter has its new {name}; the old one is accepted for a short while",
}
_LEARNS: Final[dict[KeyKind, str]] = {
    "ls": "Write the new key into the device; the old one ends when the new one is first used.",
    "rs": "Wait: it is asked to pull from the Location Server as soon as it can be pushed to.",
    "heartbeat": "Wait: it is asked to pull its config, which brings the new one, as soon as it can be pushed to.",
    "certificate": "Wait: it gets the new one with its next config pull.",
}
_OVERDUE: Final[dict[KeyKind, str]] = {
    "ls": "Write the new key into the device: the Location Server lets it in with no other.",
    "rs": "Have it restarted if it does not come back: one that pulls goes to the Location Server, one that only lost "
    "its tunnel tries the old key for ever.",
    "heartbeat": "Wait for its next config pull.",
    "certificate": "Wait for its next config pull.",
}


@dataclass(frozen=True, slots=True)
class KeyWords:
    """A key explained."""

    summary: str
    next_action: str


def explain(kind: KeyKind, state: RotationState) -> KeyWords:
    """Where the rotation of a key stands, in words; no two read the same."""
    then = {RotationState.WAITING: _LEARNS[kind], RotationState.OVERDUE: _OVERDUE[kind]}.get(state, "")
    return KeyWords(_WORDS[state].format(name=_NAMES[kind]), then)


class CertificateState(Protocol):
    """How the certificate of an adapter stands, as the store tells it."""

    @property
    def rotated_ms(self) -> int | None:
        """When an operator asked for a new one; None when the adapter has what was asked for."""
        ...


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """One key of an adapter, and how its rotation stands."""

    kind: KeyKind
    state: RotationState
    rotated_ms: int | None
    deadline_ms: int | None
    words: KeyWords


def standing(
    *,
    ls: Keys[bytes],
    rs: Keys[Secret],
    heartbeat: Keys[Secret],
    certificate: CertificateState,
    now_ms: int,
    grace_ms: int,
) -> list[KeyStanding]:
    """Every key of an adapter, LS first."""
    waits = certificate.rotated_ms is not None
    rows: list[tuple[KeyKind, RotationState, int | None, int | None]] = [
        ("ls", ls.state(now_ms), ls.rotated_ms, ls.deadline_ms),
        ("rs", rs.state(now_ms), rs.rotated_ms, rs.deadline_ms),
        ("heartbeat", heartbeat.state(now_ms, grace_ms=grace_ms), heartbeat.rotated_ms, None),
        (
            "certificate",
            RotationState.WAITING if waits else RotationState.SETTLED,
            certificate.rotated_ms,
            None,
        ),
    ]
    return [KeyStanding(*row, explain(row[0], row[1])) for row in rows]


def accepted_certificates(current: str | None, previous: str | None, *, delivered: str | None) -> tuple[str, ...]:
    """Serial numbers of the certificates that stand: the newest, and until a config pull has `delivered` that one, the
    one before. None when the newest is not known: then none is asked for."""
    if current is None:
        return ()
    return (current,) if delivered == current or not previous else (current, previous)


def certificate_doubt(
    policy: ClientCertificates,
    *,
    distribution_id: str,
    shown: str | None,
    replaced: bool,
    ended: bool,
    issued: bool,
    pulling: bool,
) -> str | None:
    """Why the certificate that a caller showed, or did not show, speaks against it; None when it does not.

    `shown` is its CN; `replaced`: another certificate has taken the place of the one that it showed; `issued`: a config
    pull has given the adapter one; `pulling`: this may be the config pull that gives it one, so it need not have any
    (after a restart it has none, and one that has ended or was replaced is replaced by it).
    """
    if policy == "off":
        return None
    if shown is not None and shown != distribution_id:
        return f"it showed the certificate of {shown[:64] or 'nobody'}"
    if pulling:
        return None
    if shown is not None and replaced:
        return "its certificate was replaced; its next config pull brings the new one"
    if policy == "ask":
        return None
    if shown is None:
        return "it showed no certificate, though one was issued to it" if issued else None
    return "its certificate has ended; its next config pull brings a new one" if ended else None
