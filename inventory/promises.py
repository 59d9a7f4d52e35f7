"""What no text for customers says: constant availability, or freedom from faults (MPC-18.2, SMF-12.2)."""

from __future__ import annotations

import re
from typing import Final

from inventory.catalogue import Service

RULE: Final[dict[Service, str]] = {"mpc": "MPC-18.2", "smfsx": "SMF-12.2"}
_PROMISE: Final = re.compile(
    r"guarante|warrant|always (?:available|reachable|up)|(?:never|not ever) (?:fails|breaks|goes down)"
    r"|fault[- ]free|without (?:any )?(?:faults|downtime|interruption)|zero downtime|uptime of|\b99\.\d+ ?%"
    r"|保証|常時(?:可用|利用)|無停止",
    re.IGNORECASE,
)


def promised(text: str) -> tuple[str, ...]:
    """The words of a text, English or Japanese, that promise what the terms do not warrant; none if it promises
    nothing."""
    return tuple(found[0] for found in _PROMISE.finditer(text))
