"""Flags adapters that phone home from outside Japan, where the operator gave a list of locations (MPC-10.1, SMF-9.1).

An address is a hint, no proof: nothing is refused for it. An incident asks a person to look.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from controller.phonehome.context import Context
from controller.phonehome.undisturbed import undisturbed
from controller.store import incidents
from controller.store import phonehome as rows
from controller.store.phonehome import SeenAt
from controller.store.scope import By
from inventory.errors import BadInput
from inventory.incidents import IncidentKind, NewIncident
from inventory.locations import HOME, Locations, bound_to_japan, parse

EVERY_S: Final = 60.0
OVERLAP_MS: Final = 5_000
"""What is noted of a contact is written a little later: each look goes back so far behind the last."""
BY: Final = "phone-home"


def read(path: Path | None) -> Locations | None:
    """The list of the settings; None: there is none, and the check is off. Raises BadInput."""
    if path is None:
        return None
    try:
        return parse(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise BadInput(
            f"the locations cannot be read: {error}",
            field="arms.locations",
            next_step="Name a UTF-8 text of network,country lines, or leave the setting empty.",
        ) from None


class AbroadWatch:
    """Looks once a minute at who was in contact since, and from where."""

    def __init__(self, context: Context, locations: Locations) -> None:
        self._context = context
        self._locations = locations
        self._since_ms = 0
        self._told: dict[int, str] = {}
        """Adapter → the country for which it is flagged."""

    async def watch(self) -> None:
        """Flag whoever is abroad, a minute after its contact at the latest."""
        while True:
            await undisturbed(self.look())
            await self._context.clock.wait(EVERY_S)

    async def look(self) -> None:
        """One look at the contacts since the last."""
        now_ms = self._context.clock.now_ms()
        async with self._context.database.read() as tx:
            seen = await rows.seen_since(tx, self._since_ms - OVERLAP_MS)
        self._since_ms = now_ms
        for one in seen:
            rule, country = bound_to_japan(one.service, one.device_class), self._locations.country(one.source)
            if country in (None, HOME):
                self._told.pop(one.adapter_id, None)
            elif rule is not None and self._told.get(one.adapter_id) != country:
                await self._flag(one, str(country), rule, now_ms)
                self._told[one.adapter_id] = str(country)

    async def _flag(self, one: SeenAt, country: str, rule: str, now_ms: int) -> None:
        async with self._context.database.write() as tx:
            await incidents.note(
                tx,
                By(BY, now_ms),
                NewIncident(
                    IncidentKind.ABROAD,
                    f"adapter {one.adapter_id}",
                    f"{one.serial} phones home from {country}",
                    adapter_id=one.adapter_id,
                    facts={"rule": rule, "country": country, "source": one.source, "seen_ms": one.seen_ms},
                ),
            )
