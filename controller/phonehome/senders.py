"""Who may send heartbeats: keys and places, looked up once and believed for a while; and what each sent last."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import Connection

from controller.keyring import Keyring
from controller.phonehome.beats import Heard
from controller.phonehome.context import Context
from controller.store import phonehome as rows
from controller.store.heartbeats import Standing, standings_whole
from drivers.arms.ids import DistributionId
from inventory.adapters import FINAL
from inventory.contacts import ArmsIdentity

FRESH_MS: Final = 30_000
"""How long a looked-up key and place are believed."""
REMEMBERED: Final = 16
"""Contents kept of each adapter, against replays."""
TRAIL: Final = 24
"""Sightings kept of each adapter, for the clone rule."""
MAX_UNKNOWN: Final = 20_000
"""Ids that are known to be nobody's."""
AT_ONCE: Final = 1000
"""Ids in one query."""


def grace_ms(interval_s: int) -> int:
    """How long an old passphrase is accepted after the config pull that brought the new one: packets on the way, and a
    client that begins with the new one at its next interval only."""
    return 2 * interval_s * 1000


@dataclass(slots=True)
class Sender:
    """One adapter that is known, as its heartbeats see it. Times are monotonic milliseconds."""

    identity: ArmsIdentity
    adapter_id: int
    entry: int
    """Number of its entry; 0: it sits in none."""
    keys: tuple[bytes, ...]
    """Passphrases that are believed, the newest first; two while one is rotated."""
    fresh_until_ms: float
    standing: Standing = ()
    """What all of this was read from."""
    source: str | None = None
    last_ms: int | None = None
    """When its last accepted heartbeat came."""
    received_ms: int = 0
    """The same on the wall clock."""
    recent: dict[int, int] = field(default_factory=dict)
    """Contents that came lately, as hashes, with the instant of their first copy."""
    suspect_until_ms: float = 0.0
    """Heartbeats are remembered in `trail` until then: they came faster than one unit sends them."""
    trail: deque[Heard] = field(default_factory=lambda: deque(maxlen=TRAIL))
    told_source: str | None = None
    """The source that an operator was last told of."""
    touched: bool = False
    """Heard since its contact was last noted."""

    def copies(self, content: bytes, now_ms: int) -> int | None:
        """Milliseconds since the first copy of this content; None for a new one, which is remembered.

        The hash is keyed by the process and has 64 bits: nobody can make two contents meet on purpose.
        """
        mark = hash(content)
        first_ms = self.recent.get(mark)
        if first_ms is not None:
            return now_ms - first_ms
        self.recent[mark] = now_ms
        if len(self.recent) > REMEMBERED:
            del self.recent[next(iter(self.recent))]
        return None


class Senders:
    """The senders that this node has heard of, by distribution id in binary."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.known: dict[bytes, Sender] = {}
        self.unknown: dict[bytes, int] = {}
        """Ids that nobody had when they were looked up, and when that was."""
        self._grace_ms = grace_ms(context.settings.heartbeat_interval_s)

    def is_unknown(self, id_: bytes, now_ms: int) -> bool:
        """Whether nobody had this id when it was last looked up, a short while ago."""
        return self.unknown.get(id_, now_ms - FRESH_MS) > now_ms - FRESH_MS

    def keys_changed(self, distribution_id: str) -> None:
        """A passphrase was rotated or delivered: what is remembered of this adapter is looked up anew."""
        sender = self.known.get(DistributionId.parse(distribution_id).binary)
        if sender is not None:
            sender.fresh_until_ms = -math.inf

    def forget(self, adapter_id: int) -> None:
        """Its place or its life has changed: look it up again before it is believed."""
        for sender in self.known.values():
            if sender.adapter_id == adapter_id:
                sender.fresh_until_ms = -math.inf

    async def look_up(self, ids: Sequence[bytes]) -> None:
        """Ask the database for keys and places of these ids; of those that stand as before, for nothing else."""
        for begin in range(0, len(ids), AT_ONCE):
            texts = {str(DistributionId(id_)): id_ for id_ in ids[begin : begin + AT_ONCE]}
            known = {text: self.known[id_].standing for text, id_ in texts.items() if id_ in self.known}
            looked = partial(_looked_up, keyring=self._context.keyring, ids=list(texts), known=known)
            standings, found = await self._context.database.read_whole(looked)
            now_ms = self._context.clock.monotonic_ms()
            admitted = {one.distribution_id: one for one in found if one.life not in FINAL}
            for text, id_ in texts.items():
                standing = standings.get(text)
                sender = self.known.get(id_)
                if sender is not None and standing is not None and standing == known.get(text):
                    self._believe(sender, now_ms)
                else:
                    self._remember(id_, admitted.get(text), standing or (), now_ms)

    def _remember(self, id_: bytes, identity: ArmsIdentity | None, standing: Standing, now_ms: int) -> None:
        if identity is None:
            self.known.pop(id_, None)
            if len(self.unknown) >= MAX_UNKNOWN:
                self.unknown.clear()
            self.unknown[id_] = now_ms
            return
        self.unknown.pop(id_, None)
        sender = self.known.get(id_)
        if sender is None:
            sender = self.known[id_] = Sender(identity, identity.adapter_id, 0, (), 0.0)
        sender.identity, sender.standing, sender.entry = identity, standing, identity.entry_id or 0
        self._believe(sender, now_ms)

    def _believe(self, sender: Sender, now_ms: int) -> None:
        """For a while; an old passphrase only until its grace is over."""
        accepted = sender.identity.passphrases.accepted(self._context.clock.now_ms(), grace_ms=self._grace_ms)
        sender.keys = tuple(one.reveal().encode() for one in accepted)
        sender.fresh_until_ms = now_ms + FRESH_MS


def _looked_up(
    connection: Connection, *, keyring: Keyring, ids: Sequence[str], known: Mapping[str, Standing]
) -> tuple[dict[str, Standing], list[ArmsIdentity]]:
    """How all of them stand, and the identities of those that stand otherwise than is known."""
    # Standings first: what changes in between is looked up again next time.
    standings = standings_whole(connection, ids)
    changed = [text for text in ids if text in standings and standings[text] != known.get(text)]
    return standings, rows.by_distribution_ids_whole(connection, keyring, changed) if changed else []
