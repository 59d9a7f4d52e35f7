"""What a plan says beyond its own lines: our way to the device, and how common its lines are elsewhere."""

from __future__ import annotations

from controller.store import endpoints, shapes
from controller.store.database import Tx
from drivers.cutoff import Way
from drivers.push import Device
from inventory.plans import Computed, Rarity


def way_to(device: Device, endpoint: endpoints.Reached | None, source: str) -> Way:
    """What is known of our way to a device: that it calls us where it phones home, else its endpoint. Over other hosts
    it sees the last of them, whose address is not known."""
    if device.guard == "client rollback" or endpoint is None:
        return Way("arms" if device.guard == "client rollback" else "")
    return Way(
        "" if endpoint.rest else "ssh",
        address=endpoint.host,
        port=endpoint.port,
        source="" if endpoint.jumped else source,
        user=endpoint.username,
    )


async def rarity(tx: Tx, adapter_id: int, computed: Computed) -> tuple[Rarity | None, ...]:
    """How common the shape of each line of a difference is among the adapters of the same model."""
    wanted = [number for number in computed.diff_shapes if number is not None]
    found, counted = await shapes.standing(tx, adapter_id, wanted)
    if not counted:
        return ()
    return tuple(None if number is None else Rarity(found[number], counted) for number in computed.diff_shapes)
