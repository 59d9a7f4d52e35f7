"""What `explain` says of an adapter's keys and TLS, beside its state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from controller.keyring import Keyring
from controller.phonehome import tls
from controller.phonehome.senders import grace_ms
from controller.settings import ArmsSettings
from controller.store import arms_keys
from controller.store.database import Tx
from inventory import keys
from inventory.certificates import policy_warnings
from inventory.contacts import ContactRecord
from inventory.explain import Fact
from inventory.keys import RotationState


async def of_adapters(
    tx: Tx, keyring: Keyring, settings: ArmsSettings, contacts: Sequence[ContactRecord], now_ms: int
) -> dict[int, list[Fact]]:
    """Facts by adapter: what the settings open, the TLS that it speaks, rotations and what they wait for."""
    noted: dict[int, list[Fact]] = defaultdict(list)
    warnings = policy_warnings(settings.tls_floor, settings.client_certificates)
    for one in contacts:
        noted[one.adapter_id] = [Fact(now_ms, words, "settings") for words in warnings]
        if one.tls is not None and tls.is_legacy(one.tls):
            words = f"it speaks {one.tls}"
            if one.tls_best is not None and not tls.is_legacy(one.tls_best):
                words += f", though it has spoken {one.tls_best}: somebody on the path may have talked it down"
            noted[one.adapter_id].append(Fact(one.last_seen_ms or now_ms, words, "phone-home"))
    ids = [one.adapter_id for one in contacts]
    rotating = await arms_keys.rotating_among(tx, keyring, ids)
    certificates = await arms_keys.certificates(tx, [one.adapter_id for one in rotating]) if rotating else {}
    for identity in rotating:
        for told in keys.standing(
            ls=identity.ls_keys,
            rs=identity.rs_keys,
            heartbeat=identity.passphrases,
            certificate=certificates[identity.adapter_id],
            now_ms=now_ms,
            grace_ms=grace_ms(settings.heartbeat_interval_s),
        ):
            if told.state is not RotationState.SETTLED:
                words = f"{told.words.summary}. {told.words.next_action}".strip()
                noted[identity.adapter_id].append(Fact(told.rotated_ms or now_ms, words, "keys"))
    return noted
