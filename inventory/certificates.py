"""Certificates of phone-home in words: what each is for, how it stands, what to do (arms-protocol §3, §12)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

AuthorityRole = Literal["root", "rs-ca", "sa-ca"]
AUTHORITIES: Final[tuple[AuthorityRole, ...]] = ("root", "rs-ca", "sa-ca")
CertificateRole = Literal["root", "ls", "rs-ca", "rs", "sa-ca"]
DAY_MS: Final = 86_400_000
WARN_DAYS: Final[dict[CertificateRole, int]] = {
    "root": 5 * 365,
    "rs-ca": 2 * 365,
    "sa-ca": 2 * 365,
    "ls": 60,
    "rs": 60,
}
"""Days before the end from which it is an incident. A root is built into devices: replacing it takes years."""


IMPORT_FOLLOWS: Final[dict[AuthorityRole, str]] = {
    "root": "with another root they refuse this Location Server until it is written into each device",
    "rs-ca": "with another RS CA each refuses this Resource Server until it has asked the Location Server again",
    "sa-ca": "each gets a new certificate at its next pull; the old ones stay accepted",
}


class Standing(StrEnum):
    """How a certificate stands."""

    VALID = "valid"
    ENDING = "ending"
    ENDED = "ended"


_FOR: Final[dict[CertificateRole, str]] = {
    "root": "the root that adapters are built with; it signs the Location Server's certificate",
    "ls": "shown by the Location Server",
    "rs-ca": "handed to adapters by the Location Server; it signs the Resource Server's certificate",
    "rs": "shown by the Resource Server and its tunnels, and by us when we dial an adapter",
    "sa-ca": "signs the certificates of the adapters",
}
_NEXT: Final[dict[CertificateRole, str]] = {
    "root": "Write a new root into the devices in good time, then import it: no server can change what they trust.",
    "rs-ca": "Import a new RS CA; adapters learn it from the Location Server when they no longer know the RS.",
    "sa-ca": "Import a new SA CA; every adapter gets a new certificate at its next pull, the old ones stay accepted.",
    "ls": "It is renewed in the background; its root must live longer. Read the log for why it was not.",
    "rs": "It is renewed in the background; its CA must live longer. Read the log for why it was not.",
}


@dataclass(frozen=True, slots=True)
class CertificateWords:
    """A certificate explained: for what it is, how it stands, what to do."""

    standing: Standing
    summary: str
    next_action: str


def standing(role: CertificateRole, not_after_ms: int, now_ms: int) -> Standing:
    """How a certificate of that role stands at this instant."""
    if not_after_ms <= now_ms:
        return Standing.ENDED
    return Standing.ENDING if not_after_ms - now_ms <= WARN_DAYS[role] * DAY_MS else Standing.VALID


def explain(role: CertificateRole, not_after_ms: int, now_ms: int) -> CertificateWords:
    """One certificate in words; no two roles and standings read the same."""
    how = standing(role, not_after_ms, now_ms)
    days = abs(not_after_ms - now_ms) // DAY_MS
    when = {
        Standing.VALID: f"is good for {days} days more",
        Standing.ENDING: f"ends in {days} days",
        Standing.ENDED: f"ended {days} days ago",
    }[how]
    return CertificateWords(how, f"{role}, {_FOR[role]}: it {when}", _NEXT[role] if how is not Standing.VALID else "")


def policy_warnings(tls_floor: str, client_certificates: str) -> list[str]:
    """What the settings open, in words; `explain` and the list of certificates show it."""
    found = []
    if tls_floor == "1.0":
        found.append(
            "the ARMS listeners accept TLS 1.0, which somebody on the path can break (arms.tls_floor); REST does not"
        )
    if client_certificates == "off":
        found.append("adapters are not asked for their certificates (arms.client_certificates)")
    elif client_certificates == "ask":
        found.append("an adapter need not show the certificate that it was given (arms.client_certificates)")
    return found
