"""Waiting, in a test without a loop, for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], *, what: str, deadline_s: float = 40.0) -> Seen:
    """What `look` sees once it is true; an AssertionError after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while not (seen := look()):
        assert time.monotonic() < end, f"{what} did not come in {deadline_s:g} s"
        time.sleep(0.05)  # another process tells when asked; there is no event for it
    return seen
