"""What an answer has given to an adapter, noted: with it a rotation gets on (arms-protocol §10.4)."""

from __future__ import annotations

from controller.phonehome.context import Context
from controller.store import arms_keys
from drivers.arms.ids import Credential
from inventory.contacts import ArmsIdentity


async def at_the_ls(context: Context, identity: ArmsIdentity, credential: Credential | None) -> None:
    """The LS has answered: the RS key of this record is the adapter's, and a new LS key may have been used."""
    ls = identity.ls_keys
    used = ls.in_flight and credential is not None and context.keyring.matches(credential.password, ls.current)
    if not used and not identity.rs_keys.in_flight:
        return
    async with context.database.write() as tx:
        if identity.rs_keys.in_flight:
            await arms_keys.fetched(tx, identity.adapter_id, identity.rs_keys)
        if used:
            await arms_keys.ls_key_used(tx, identity.adapter_id, ls)
    if identity.rs_keys.in_flight:
        context.ledger.event("phonehome.key-fetched", identity, key="rs")
    if used:
        context.ledger.event("phonehome.key-fetched", identity, key="ls")


async def at_the_rs(context: Context, identity: ArmsIdentity, credential: Credential | None) -> None:
    """The config went out: with it certificate and passphrase of this record. Whoever asks with the new RS key has it,
    also if the note of the LS was lost."""
    now_ms = context.clock.now_ms()
    if identity.certificate is not None:
        context.ledger.contact(
            identity, certificate_delivered_ms=now_ms, certificate_delivered_serial=identity.certificate_serial
        )
    rs, passphrases = identity.rs_keys, identity.passphrases
    used = rs.in_flight and credential is not None and credential.proves(rs.current)
    if not used and not passphrases.in_flight:
        return
    async with context.database.write() as tx:
        if used:
            await arms_keys.fetched(tx, identity.adapter_id, rs)
        if passphrases.in_flight:
            await arms_keys.passphrase_delivered(tx, identity.adapter_id, passphrases, at_ms=now_ms)
    if passphrases.in_flight:
        context.ledger.event("phonehome.key-fetched", identity, key="heartbeat")
