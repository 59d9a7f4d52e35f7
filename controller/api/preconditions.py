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
    header: Annotated[
        str,
        Header(
            alias="If-Match",
            description='The `ETag` last read, such as `"3"`; `*` for any version.',
            json_schema_extra={"pattern": r'^(\*|"[0-9]{1,18}")$', "examples": ["*"]},
        ),
    ],
) -> int | None:
    """Version the caller has seen; None for `*`. Raises BadInput when the header is missing or malformed."""
    if header.strip() == "*":
        return None
    found = re.fullmatch(r'\s*"(\d{1,18})"\s*', header)
    if found is None:
        raise BadInput(
            "If-Match is not an ETag of this API", field="If-Match", next_step="Send the ETag as it was read."
        )
    return int(found[1])


def if_match_or_any(
    header: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="The `ETag` last read, if you care.",
            json_schema_extra={"pattern": r'^(\*|"[0-9]{1,18}")$', "examples": ["*"]},
        ),
    ] = None,
) -> int | None:
    """Version the caller has seen; None without the header. For moves, which check the state of the place anyway."""
    return None if header is None else if_match(header)


IfMatchOrAny = Annotated[int | None, Depends(if_match_or_any)]
IfMatch = Annotated[int | None, Depends(if_match)]
