"""What the push needs of the dialects: digests, differences, and a computed plan."""

from __future__ import annotations

from typing import Protocol

from drivers.cutoff import Way
from inventory.plans import Computed, ConfigText


class Planner(Protocol):
    """Text work of a family; long texts are parsed outside the event loop. Raises ConfigSyntax with line and column."""

    async def digest(self, family: str, config: ConfigText) -> str:
        """Digest of the canonical form: equal for configs that the device would show alike."""
        ...

    async def difference(self, family: str, before: ConfigText, after: ConfigText) -> str:
        """Difference for people, secrets masked; empty when the digests are equal."""
        ...

    async def compute(self, family: str, base: ConfigText, intent: ConfigText, way: Way) -> Computed:
        """Remediation, rollback, proof, and the verdict on our way to the device as far as that is known."""
        ...
