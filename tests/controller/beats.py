"""Batches of heartbeats as the receiver packs them."""

from __future__ import annotations

from controller.phonehome.beats import HEAD, Batch, Beat


def batch(*beats: Beat) -> Batch:
    """These in one batch."""
    packed = b"".join(
        HEAD.pack(one.adapter_id, one.entry_id or 0, one.received_ms, one.monotonic_ms, len(one.content)) + one.content
        for one in beats
    )
    return Batch(len(beats), packed)
