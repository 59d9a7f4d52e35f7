"""Keyset pagination: a page names the key it ends at, so rows that come and go shift nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from controller.api.state import LARGEST
from inventory.errors import BadInput

Item = TypeVar("Item", bound=BaseModel)
MOST = 1000


class Page(BaseModel, Generic[Item]):
    """One page, in the order of the noun's number, or of its age with the newest first."""

    items: list[Item]
    next: str | None = Field(default=None, description="Send as `after` for the next page; null on the last one.")


class Window(BaseModel):
    """Which page is wanted."""

    after: int
    limit: int

    @property
    def before(self) -> int | None:
        """The same cursor where the newest comes first; None on the first page."""
        return self.after or None


def window(
    after: Annotated[str | None, Query(description="`next` of the page before.", max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Window:
    """Query parameters of a list. Raises BadInput for an `after` that no page gave out."""
    return Window(after=_decode(after), limit=limit)


def page(items: list[Item], ids: list[int], wanted: Window) -> Page[Item]:
    """A page of rows that were read with `limit + 1`; `ids` are their numbers."""
    more = len(items) > wanted.limit
    kept = items[: wanted.limit]
    return Page[Item](items=kept, next=_encode(ids[len(kept) - 1]) if more else None)


def _encode(number: int) -> str:
    return base64.urlsafe_b64encode(b"a%d" % number).decode().rstrip("=")


def _decode(after: str | None) -> int:
    if after is None:
        return 0
    try:
        raw = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
        if raw[:1] == b"a" and raw[1:].isdigit() and len(raw) < 20 and int(raw[1:]) <= LARGEST:
            return int(raw[1:])
    except (binascii.Error, ValueError):
        pass
    raise BadInput("after: not a cursor of this API", field="after", next_step="Send the `next` of the page before.")
