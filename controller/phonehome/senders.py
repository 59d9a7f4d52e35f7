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
from controller.phonehome.beats import Heard, Recall
from controller.phonehome.context import Context
from controller.store import identities as rows
from controller.store.heartbeats import Standing, standings_of_whole, standings_whole
from drivers.arms.ids import DistributionId
from inventory.adapters import FINAL
from inventory.contacts import ArmsIdentity
from inventory.replays import DAY_MS, MASK, Remembered, Told, digest, mark_of

FRESH_MS: Final = 30_000
"""How long a looked-up key and place are believed."""
REMEMBERED: Final = 16
"""Heartbeats of each adapter that are remembered with their instants, to tell copies from replays."""
AWAY: Final = 2.5
"""Intervals after which an adapter that is not heard here may have sent its heartbeats to another node."""
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

    id: bytes
    """Its distribution id."""
    identity: ArmsIdentity
    adapter_id: int
    entry: int
    """Number of its entry; 0: it sits in none."""
    keys: tuple[bytes, ...]
    """Passphrases that are believed, the newest first; two while one is rotated."""
    fresh_until_ms: float
    text: str = ""
    """Its distribution id in text."""
    standing: Standing = ()
    """What all of this was read from."""
    source: str | None = None
    last_ms: int | None = None
    """When its last accepted heartbeat came."""
    received_ms: int = 0
    """The same on the wall clock."""
    recent: dict[int, int] = field(default_factory=dict)
    """Contents that came lately, as hashes, with the instant of their first copy."""
    older: Remembered = field(default_factory=Remembered)
    """Hashes of all that came here in the last day."""
    recalled: Remembered | None = None
    """Digests of what came in the last day before this process knew the adapter; None: of nothing."""
    recalled_until_ms: float = 0.0
    suspect_until_ms: float = 0.0
    """Heartbeats are remembered in `trail` until then: they came faster than one unit sends them."""
    trail: deque[Heard] = field(default_factory=lambda: deque(maxlen=TRAIL))
    told_source: str | None = None
    """The source that an operator was last told of."""
    touched: bool = False
    """Heard since its contact was last noted."""

    def copies(self, content: bytes, now_ms: int, received_ms: int) -> float | None:
        """Milliseconds since the first copy of this content in the last day, infinite for one that is not recent; None
        for a new one, which is remembered.

        The hash is keyed by the process: nobody can make two contents meet on purpose.
        """
        mark = hash(content) & MASK
        first_ms = self.recent.get(mark)
        if first_ms is not None:
            return now_ms - first_ms
        if mark in self.older or (self.recalled is not None and self._is_recalled(content, now_ms)):
            return math.inf
        self.recent[mark] = now_ms
        self.older.add(mark, received_ms)
        if len(self.recent) > REMEMBERED:
            del self.recent[next(iter(self.recent))]
        return None

    def _is_recalled(self, content: bytes, now_ms: int) -> bool:
        if now_ms > self.recalled_until_ms:
            self.recalled = None
        return self.recalled is not None and mark_of(digest(content)) in self.recalled

    def recall(self, told: Told, now_ms: int) -> None:
        """What it sent in the last day, as the database tells."""
        self.recalled, self.recalled_until_ms = Remembered(told), now_ms + DAY_MS


class Senders:
    """The senders that this node has heard of, by distribution id in binary."""

    def __init__(self, context: Context, recall: Recall) -> None:
        self._context = context
        self._recall = recall
        self.known: dict[bytes, Sender] = {}
        self.unknown: dict[bytes, int] = {}
        """Ids that nobody had when they were looked up, and when that was."""
        self._grace_ms = grace_ms(context.settings.heartbeat_interval_s)
        self._away_ms = AWAY * context.settings.heartbeat_interval_s * 1000 / context.clock.pace

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
            asked = ids[begin : begin + AT_ONCE]
            known = {sender.text: sender for id_ in asked if (sender := self.known.get(id_)) is not None}
            strangers = {str(DistributionId(id_)): id_ for id_ in asked if id_ not in self.known}
            looked = partial(
                _looked_up,
                keyring=self._context.keyring,
                strangers=list(strangers),
                known={text: (one.adapter_id, one.standing) for text, one in known.items()},
            )
            standings, found = await self._context.database.read_whole(looked)
            admitted = {one.distribution_id: one for one in found if one.life not in FINAL}
            recalled = await self._recalled(known, strangers, admitted)
            now_ms = self._context.clock.monotonic_ms()
            for text, sender in known.items():
                standing = standings.get(text)
                if standing is not None and standing == sender.standing:
                    self._believe(sender, now_ms)
                else:
                    self._remember(sender.id, admitted.get(text), standing or (), now_ms)
            for text, id_ in strangers.items():
                self._remember(id_, admitted.get(text), standings.get(text, ()), now_ms)
            for id_, told in recalled.items():
                if id_ in self.known:
                    self.known[id_].recall(told, now_ms)

    async def _recalled(
        self, known: Mapping[str, Sender], strangers: Mapping[str, bytes], admitted: Mapping[str, ArmsIdentity]
    ) -> dict[bytes, Told]:
        """What those have sent in the last day of which this node does not know it, or not any more."""
        wanted = {one.adapter_id: strangers[text] for text, one in admitted.items() if text in strangers}
        if self._context.database.dialect == "postgresql":
            since_ms = self._context.clock.monotonic_ms() - self._away_ms
            for sender in known.values():
                if sender.last_ms is None or sender.last_ms < since_ms:  # another node may have heard it meanwhile
                    wanted[sender.adapter_id] = sender.id
        found = await self._recall(list(wanted)) if wanted else {}
        return {wanted[adapter_id]: told for adapter_id, told in found.items()}

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
            sender = self.known[id_] = Sender(id_, identity, identity.adapter_id, 0, (), 0.0)
        sender.identity, sender.standing, sender.entry = identity, standing, identity.entry_id or 0
        sender.text, sender.keys = identity.distribution_id, ()
        self._believe(sender, now_ms)

    def _believe(self, sender: Sender, now_ms: int) -> None:
        """For a while; an old passphrase not beyond its grace."""
        sender.fresh_until_ms = now_ms + FRESH_MS
        if len(sender.keys) == 1:
            return  # nothing of it ends with time
        keys, wall_ms = sender.identity.passphrases, self._context.clock.now_ms()
        accepted = keys.accepted(wall_ms, grace_ms=self._grace_ms)
        sender.keys = tuple(one.reveal().encode() for one in accepted)
        if len(accepted) > 1 and keys.delivered_ms is not None:
            sender.fresh_until_ms = now_ms + min(FRESH_MS, keys.delivered_ms + self._grace_ms - wall_ms)


def _looked_up(
    connection: Connection,
    *,
    keyring: Keyring,
    strangers: Sequence[str],
    known: Mapping[str, tuple[int, Standing]],
) -> tuple[dict[str, Standing], list[ArmsIdentity]]:
    """How all of them stand, and the identities of those that stand otherwise than is known."""
    # Standings first: what changes in between is looked up again next time.
    standings = standings_of_whole(connection, [adapter_id for adapter_id, _ in known.values()])
    changed = [text for text, (_, standing) in known.items() if standings.get(text, standing) != standing]
    found = standings_whole(connection, strangers)
    identities = rows.by_distribution_ids_whole(connection, keyring, [*found, *changed]) if found or changed else []
    return standings | found, identities
