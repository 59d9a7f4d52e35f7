"""The TLS that adapters speak: who may speak an old version, who was talked down to one (arms-protocol §12)."""

from __future__ import annotations

from typing import Final

from controller.phonehome.ledger import Ledger
from inventory.contacts import ArmsIdentity

ORDER: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
FIRST_MODERN: Final = ORDER.index("TLSv1.2")


def is_legacy(version: str) -> bool:
    """Whether it is below 1.2."""
    return version in ORDER[:FIRST_MODERN]


def doubt(identity: ArmsIdentity, version: str) -> str | None:
    """Why the version speaks against this adapter; None when it does not."""
    if identity.legacy_tls is False and is_legacy(version):
        return f"it speaks {version}, and TLS below 1.2 is not allowed for this adapter"
    return None


def note(ledger: Ledger, identity: ArmsIdentity, version: str, source: str) -> None:
    """The version goes on record. One below 1.2 from an adapter that has spoken a newer one is an alert: somebody on
    the path may have talked it down; it is none where an operator has allowed it."""
    if version not in ORDER:
        return
    best = identity.tls_best
    newest = version if best is None or ORDER.index(version) > ORDER.index(best) else best
    if (identity.tls, best) == (version, newest):
        return
    ledger.contact(identity, tls=version, tls_best=newest)
    if is_legacy(version) and not is_legacy(newest) and identity.legacy_tls is not True:
        ledger.event("phonehome.tls-downgrade", identity, source=source, now=version, before=newest)
