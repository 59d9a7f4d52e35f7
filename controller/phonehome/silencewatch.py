"""Declares adapters silent, and makes silences of one cause one incident (architecture §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from controller.phonehome.context import Context
from controller.phonehome.silence import Silence
from controller.phonehome.undisturbed import undisturbed
from controller.store import heartbeats, incidents, phonehome
from controller.store import identities as rows
from controller.store.database import Tx
from controller.store.heartbeats import Whereabouts
from controller.store.scope import By, Scope
from inventory import silences
from inventory.explain import Contact
from inventory.incidents import IncidentKind, NewIncident
from inventory.silences import Cause, Group, Member

RIPE: Final = 3.5
"""Intervals after its last heartbeat before an adapter's silence is an incident: by then all that fell silent with it
have been told silent, so that one cause opens one incident."""
NAMED: Final = 50
"""Adapters that an incident names; it counts all."""
BY: Final = "phone-home"


class SilenceWatch:
    """Looks at the clock ten times an interval."""

    def __init__(self, context: Context, silence: Silence, interval_ms: float) -> None:
        self._context = context
        self._silence = silence
        self._interval_ms = interval_ms
        self._members: dict[str, set[int]] | None = None
        """Silent adapters of each open incident, by its cause; None: not read since the start."""

    async def watch(self) -> None:
        """Declare silent whoever is, a tenth of an interval after it is due at the latest."""
        while True:
            await self._context.clock.wait(self._context.settings.heartbeat_interval_s / 10)
            await undisturbed(self.look())
            await undisturbed(self._context.clones.look())

    async def look(self) -> None:
        """One look at the clock."""
        context, now_ms = self._context, self._context.clock.monotonic_ms()
        for adapter_id, peer in context.peers.items():
            if peer.configuring or peer.one_at_a_time.locked():
                self._silence.excuse(adapter_id, now_ms)
        due = self._silence.due(now_ms)
        if due:
            await self._declare(due, now_ms)
        if self._silence.silent or self._members:
            await self._incidents(now_ms)

    async def _declare(self, due: Sequence[int], now_ms: int) -> None:
        """Silent to this node; unless another node, which the database knows of, has heard it meanwhile."""
        context = self._context
        async with context.database.read() as tx:
            identities = await rows.by_adapter(tx, context.keyring, due)
            elsewhere = await self._heard_elsewhere(tx, due)
        for identity in identities:
            if identity.adapter_id in elsewhere:
                self._silence.heard(identity.adapter_id, now_ms)
                continue
            of_it = context.peers.get(identity.adapter_id)
            tunnel = of_it is not None and of_it.has_tunnel
            cause = (
                "its tunnel is still open: UDP is blocked, or its client hangs"
                if tunnel
                else silences.SAID[Cause.ALONE]
            )
            context.ledger.contact(identity, stage=Contact.SILENT, stage_ms=context.clock.now_ms())
            context.ledger.event("phonehome.silent", identity, tunnel_open=tunnel, cause=cause)

    async def _heard_elsewhere(self, tx: Tx, adapter_ids: Sequence[int]) -> set[int]:
        fresh_ms = self._context.clock.now_ms() - 1.5 * self._interval_ms
        return {
            one.adapter_id
            for one in await phonehome.contacts(tx, adapter_ids)
            if one.last_heartbeat_ms is not None and one.last_heartbeat_ms > fresh_ms
        }

    # --- incidents ----------------------------------------------------------------------------------------------------

    async def _incidents(self, now_ms: int) -> None:
        silent = self._silence.silent
        if self._members is None:
            self._members = await self._standing()
        self._members = {cause: members & silent.keys() for cause, members in self._members.items()}
        for cause in [cause for cause, members in self._members.items() if not members]:
            await self._settle(cause)
            del self._members[cause]
        taken = set().union(*self._members.values())
        ripe = {
            adapter_id
            for adapter_id, last_ms in silent.items()
            if adapter_id not in taken and now_ms - last_ms >= RIPE * self._interval_ms
        }
        if ripe:
            await self._open(ripe, silent)

    async def _open(self, ripe: set[int], silent: Mapping[int, int]) -> None:
        assert self._members is not None
        heard = self._silence.watched
        async with self._context.database.read() as tx:
            known = {one.adapter_id: one for one in await heartbeats.whereabouts(tx)}
        watched = [
            Member(one.adapter_id, one.contractor_id, heard[one.adapter_id], one.site, silences.network_of(one.source))
            for one in known.values()
            if one.adapter_id in heard
        ]
        of_silent = [one for one in watched if one.adapter_id in silent]
        for group in silences.group(of_silent, watched, self._interval_ms):
            if ripe.intersection(group.adapter_ids):
                await self._note(group, known)

    async def _note(self, group: Group, known: Mapping[int, Whereabouts]) -> None:
        """One incident a cause: found again while it is open, it grows."""
        assert self._members is not None
        cause = f"{group.cause.value} {group.key}"
        taken = set().union(*(ids for name, ids in self._members.items() if name != cause))
        members = self._members.setdefault(cause, set())
        members |= set(group.adapter_ids) - taken
        serials = [known[adapter_id].serial for adapter_id in sorted(members)]
        alone = group.cause is Cause.ALONE
        shift_ms = self._context.clock.now_ms() - self._context.clock.monotonic_ms()
        new = NewIncident(
            IncidentKind.SILENCE,
            cause,
            f"{serials[0]} is silent" if alone else f"{len(serials)} adapters are silent: {_common(group, known)}",
            adapter_id=group.adapter_ids[0] if alone else None,
            entry_id=known[group.adapter_ids[0]].entry_id if alone else None,
            facts={
                "cause": group.cause.value,
                "guess": silences.SAID[group.cause],
                "count": len(serials),
                "adapters": serials[:NAMED],
                "adapter_ids": sorted(members),
                "first_ms": group.first_ms + shift_ms,
            },
        )
        async with self._context.database.write() as tx:
            await incidents.note(tx, By(BY, self._context.clock.now_ms()), new)

    async def _settle(self, cause: str) -> None:
        async with self._context.database.write() as tx:
            why = "all of its adapters were heard again, or are not awaited any more"
            await incidents.settle(tx, By(BY, self._context.clock.now_ms()), IncidentKind.SILENCE, cause, why)

    async def _standing(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        async with self._context.database.read() as tx:
            for state in ("open", "acknowledged"):
                for one in await incidents.page(
                    tx, Scope.everything(), limit=1000, state=state, kind=IncidentKind.SILENCE
                ):
                    ids = one.facts.get("adapter_ids")
                    found[one.cause] = set(ids) if isinstance(ids, list) else set()
        return found


def _common(group: Group, known: Mapping[int, Whereabouts]) -> str:
    """What they share, in words."""
    first = known[group.adapter_ids[0]]
    return {
        Cause.HERE: "at least half of all",
        Cause.SITE: f"site {first.site}",
        Cause.NETWORK: f"network {group.key}",
        Cause.CONTRACTOR: f"contractor K-{first.contractor_id}",
    }[group.cause]
