"""Cutting bytes in every way a network may."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import strategies as st

from inventory.errors import ProtocolViolation


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The pieces between the places, empty ones included."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def refusal(read: Callable[[], object]) -> str:
    """The reason why reading was refused; empty when it was not. Any other exception gets through."""
    try:
        read()
    except ProtocolViolation as violation:
        return violation.reason
    return ""


places = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=12)
