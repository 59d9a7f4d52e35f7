"""`ETag` out, `If-Match` in: a change is made to what the caller has seen, or not at all (RFC 9110 §13)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from inventory.errors import BadInput


def tag(response: Response, version: int) -> None:
    """Send the version of what is answered."""
    response.headers["ETag"] = f'"{version}"'


def if_match(
    if_match: Annotated[
        str | None, Header(description='The `ETag` last read, such as `"3"`; `*` for any version.')
    ] = None,
) -> int | None:
    """Version the caller has seen; None for `*`. Raises BadInput when the header is missing or malformed."""
    if if_match is None:
        raise BadInput(
            "If-Match is missing", field="If-Match", next_step='Read the thing, then send its ETag: If-Match: "3".'
        )
    if if_match.strip() == "*":
        return None
    found = re.fullmatch(r'\s*"(\d{1,18})"\s*', if_match)
    if found is None:
        raise BadInput(
            "If-Match is not an ETag of this API", field="If-Match", next_step="Send the ETag as it was read."
        )
    return int(found[1])


def if_match_or_any(
    if_match_header: Annotated[
        str | None, Header(alias="If-Match", description="The `ETag` last read, if you care.")
    ] = None,
) -> int | None:
    """Version the caller has seen; None without the header. For moves, which check the state of the place anyway."""
    return None if if_match_header is None else if_match(if_match_header)


IfMatchOrAny = Annotated[int | None, Depends(if_match_or_any)]
IfMatch = Annotated[int | None, Depends(if_match)]
