"""What a field of a vector must be. A value that is something else is refused with its place: `readings[3].octets`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from inventory.errors import BadInput

Json: TypeAlias = Any
"""JSON from a published file; a shape says what it is."""
Shape: TypeAlias = Callable[[Json, str], None]


def refuse(place: str, wanted: str, found: Json) -> BadInput:
    """The refusal of a value at a place."""
    shown = (
        repr(found) if not isinstance(found, dict | list) else f"{'an object' if isinstance(found, dict) else 'a list'}"
    )
    return BadInput(f"{place or 'input'}: wanted {wanted}, found {shown[:80]}", field=place or "input")


def whole(least: int = 0, most: int = 2**64) -> Shape:
    """A whole number, no truth value and no 1.0."""

    def check(found: Json, place: str) -> None:
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise refuse(place, f"a whole number from {least} to {most}", found)

    return check


def number(least: float = 0.0, most: float = 1e18, *, above: float | None = None) -> Shape:
    """A number, with or without a fraction."""

    def check(found: Json, place: str) -> None:
        if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
            raise refuse(place, f"a number from {least:g} to {most:g}", found)
        if above is not None and found <= above:
            raise refuse(place, f"a number above {above:g}", found)

    return check


def flag(found: Json, place: str) -> None:
    """A truth value."""
    if not isinstance(found, bool):
        raise refuse(place, "true or false", found)


def text(found: Json, place: str) -> None:
    """A text that is not empty."""
    if not isinstance(found, str) or not found:
        raise refuse(place, "a text", found)


def chosen(of: Collection[str | int]) -> Shape:
    """One of some values."""

    def check(found: Json, place: str) -> None:
        if isinstance(found, bool) or not isinstance(found, str | int) or found not in of:
            raise refuse(place, f"one of {', '.join(map(str, of))}", found)

    return check


def day(found: Json, place: str) -> None:
    """An ISO day."""
    _read(date.fromisoformat, r"\d{4}-\d\d-\d\d", "a day, YYYY-MM-DD", found, place)


def clock(found: Json, place: str) -> None:
    """A time of the day."""
    _read(time.fromisoformat, r"\d\d:\d\d(:\d\d)?", "a time, HH:MM", found, place)


def instant(found: Json, place: str) -> None:
    """An ISO instant with its offset."""
    _read(datetime.fromisoformat, r".*(Z|[+-]\d\d:\d\d)", "an instant with an offset", found, place)


def zone(found: Json, place: str) -> None:
    """The name of a time zone."""
    _read(ZoneInfo, r"[A-Za-z][\w+/-]*", "a time zone", found, place)


def _read(reader: Callable[[str], object], form: str, wanted: str, found: Json, place: str) -> None:
    if not isinstance(found, str) or not re.fullmatch(form, found):
        raise refuse(place, wanted, found)
    try:
        reader(found)
    except (ValueError, OSError, KeyError):  # a zone that there is not is a KeyError, one that is a folder an OSError
        raise refuse(place, wanted, found) from None


def maybe(shape: Shape) -> Shape:
    """Null, or the shape."""

    def check(found: Json, place: str) -> None:
        if found is not None:
            shape(found, place)

    return check


def each(shape: Shape, *, least: int = 0) -> Shape:
    """A list of such."""

    def check(found: Json, place: str) -> None:
        if not isinstance(found, list):
            raise refuse(place, "a list", found)
        if len(found) < least:
            raise BadInput(f"{place}: wanted {least} or more, found {len(found)}", field=place)
        for number_of, one in enumerate(found):
            shape(one, f"{place}[{number_of}]")

    return check


def record(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with these fields; others in it are explanations."""
    free = optional or {}

    def check(found: Json, place: str) -> None:
        if not isinstance(found, dict):
            raise refuse(place, "an object", found)
        for name, shape in {**required, **free}.items():
            where = f"{place}.{name}" if place else name
            if name in found:
                shape(found[name], where)
            elif name in required:
                raise BadInput(f"{where} is missing", field=where)

    return check


def same_length(found: Mapping[str, Sequence[Json]], first: str, second: str, place: str = "") -> None:
    """Raises BadInput unless two lists of an object are equally long."""
    if len(found[first]) != len(found[second]):
        where = f"{place}.{second}" if place else second
        raise BadInput(f"{where}: {len(found[second])} values beside {len(found[first])} of {first}", field=where)
