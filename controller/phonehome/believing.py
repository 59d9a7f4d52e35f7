"""Whether a caller is who it says: the key of that door, its certificate, the TLS it speaks (arms-protocol §12)."""

from __future__ import annotations

from controller.phonehome import tls
from controller.phonehome.context import Context
from controller.phonehome.exchange import Exchange
from drivers.arms.ids import Credential
from inventory.admission import Door
from inventory.contacts import ArmsIdentity
from inventory.keys import certificate_doubt


def key_ok(context: Context, door: Door, identity: ArmsIdentity, credential: Credential | None) -> bool:
    """The key of that door, or while it is rotated the one before (`inventory.keys`)."""
    if credential is None:
        return False
    now_ms = context.clock.now_ms()
    if door is Door.LS:
        return any(context.keyring.matches(credential.password, digest) for digest in identity.ls_keys.accepted(now_ms))
    return any(credential.proves(key) for key in identity.rs_keys.accepted(now_ms))


def doubt(context: Context, door: Door, identity: ArmsIdentity, exchange: Exchange, *, pulling: bool) -> str | None:
    """What speaks against a caller with the right key; None when nothing does. `pulling`: it may be asking for what
    it lacks."""
    found = tls.doubt(identity, exchange.tls_version)
    if found is not None or door is Door.LS:
        return found
    until_ms = exchange.certificate_until_ms
    return certificate_doubt(
        context.settings.client_certificates,
        distribution_id=identity.distribution_id,
        shown=exchange.certificate_name,
        replaced=bool(identity.certificate_serials) and exchange.certificate_serial not in identity.certificate_serials,
        ended=until_ms is not None and until_ms <= context.clock.now_ms(),
        issued=identity.certificate_issued,
        pulling=pulling,
    )
