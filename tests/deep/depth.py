"""How deep a run goes: a sample in every run of the suite, everything in `make test-deep`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, TypeVar

DEEP: Final = "KAJITORI_DEEP"
"""Set in the environment of a deep run."""

T = TypeVar("T")


def sample(everything: Sequence[T], chosen: Sequence[T]) -> Sequence[T]:
    """`everything` in a deep run, else the few that are `chosen` of it."""
    return everything if os.environ.get(DEEP) else chosen
