"""Instants on the wire, and when something that is asked for may begin."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

from inventory.errors import BadInput

_BEGINS_WITH_A_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")
_CLOCKS_APART_MS: Final = 300_000
"""By so much a client's clock may be behind ours: what it wants now is no mistake."""
RULE: Final = "schedule.one-month"


def _written_out(given: object) -> object:
    # A number, also one in quotes, would be read as seconds since 1970: `20261201` began at once, not in December.
    if given is None or isinstance(given, datetime) or (isinstance(given, str) and _BEGINS_WITH_A_DAY.match(given)):
        return given
    raise PydanticCustomError("instant", "an instant is written as 2026-12-01T02:00:00+09:00")


WrittenOut: Final = BeforeValidator(_written_out)
"""Refuses numbers in place of an instant."""
Instant = Annotated[AwareDatetime, WrittenOut]
"""RFC 3339 with offset."""


def begins_ms(not_before: datetime | None, now_ms: int) -> int | None:
    """From when on something may begin, milliseconds UTC; None: at once.

    Raises BadInput for an instant that is over by more than five minutes: a slip in the year must not begin a push.
    """
    if not_before is None:
        return None
    wanted_ms = int(not_before.timestamp() * 1000)
    if wanted_ms < now_ms - _CLOCKS_APART_MS:
        raise BadInput(
            f"{not_before.isoformat()} is over",
            field="not_before",
            rule=RULE,
            next_step="Choose a time to come, at most 31 days ahead, or leave it out to begin at once.",
        )
    return wanted_ms
