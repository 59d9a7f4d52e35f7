"""How one report reaches one recipient: what a try can come to, which targets are allowed, what is shown of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import httpx

from controller.reports import rendering
from controller.settings import Settings
from controller.store.deliveries import Delivery, NewRecipient, Way
from inventory.errors import BadInput
from inventory.reporting import Format

FOLDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,7}")
MINUTES_BETWEEN: Final = (1, 5, 15, 60, 240, 720, 720)
"""Minutes from one try to the next; after the last one it is given up."""


class Outcome(StrEnum):
    """What a try came to."""

    SENT = "sent"
    REFUSED = "refused"
    """Not done, and another try would be refused too."""
    FAILED = "failed"
    """Not done; later it may be."""
    UNKNOWN = "unknown"
    """Nobody answered after everything was sent. The next try carries the same id, so it can be told from a new one."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try went, in words of the other side as far as there are any."""

    outcome: Outcome
    said: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A report on its way: the delivery, its JSON, and the files by name and format."""

    delivery: Delivery
    encoded: bytes
    files: Sequence[tuple[str, Format, bytes]]


def next_try_ms(attempts: int, now_ms: int) -> int | None:
    """When to try again after so many tries; None: no more."""
    if attempts > len(MINUTES_BETWEEN):
        return None
    return now_ms + MINUTES_BETWEEN[attempts - 1] * 60_000


def require_target(new: NewRecipient, settings: Settings) -> None:
    """Raises BadInput for a target that nothing could be sent to, or for a way that is not set up."""
    if new.secret is not None and new.way is not Way.WEBHOOK:
        raise BadInput("only webhooks are signed", field="secret", next_step="Leave the secret away.")
    match new.way:
        case Way.MAIL:
            _require_address(new.target)
            if not settings.mail.host or not settings.mail.sender:
                raise BadInput(
                    "no mail server is set up",
                    field="way",
                    next_step="Set mail.host and mail.sender, and start the daemon again.",
                )
        case Way.WEBHOOK:
            _require_url(new.target)
        case Way.FOLDER:
            if not FOLDER.fullmatch(new.target):
                raise BadInput(
                    f"{new.target} is no name of a folder below delivery.folder",
                    field="target",
                    next_step="Use letters, digits, dots, dashes and underscores, with “/” between folders.",
                )


def _require_address(text: str) -> None:
    try:
        found = Address(addr_spec=text)
        text.encode("ascii")
    except (ValueError, IndexError, UnicodeEncodeError) as error:
        raise BadInput(
            f"{text} is no mail address", field="target", next_step="Give one such as noc@a.example."
        ) from error
    if not found.domain or not found.username or re.search(r"[\s<>,]", text):
        raise BadInput(f"{text} is no mail address", field="target", next_step="Give one such as noc@a.example.")


def _require_url(text: str) -> None:
    wrong = BadInput("the target is no http or https address", field="target", next_step="Give the whole URL.")
    try:
        found = urlsplit(text)
        known = found.scheme in ("http", "https") and bool(found.hostname) and found.port != 0
        httpx.URL(text)
        (found.hostname or "").encode("idna")  # as a name server is asked: no empty label, none over 63 octets
    except (ValueError, httpx.InvalidURL):
        raise wrong from None
    if not known or re.search(r"[^\x21-\x7e]", text):
        raise wrong
    if found.username or found.password:
        raise BadInput("a URL with a password in it", field="target", next_step="Give a secret: it signs what is sent.")


def shown(way: Way, target: str) -> str:
    """A target as everybody may see it: of a URL, what follows the host may be a key and is left away."""
    if way is not Way.WEBHOOK:
        return target
    found = urlsplit(target)
    rest = "/…" if found.path.strip("/") or found.query else "/"
    return f"{found.scheme}://{found.netloc}{rest}"


async def require_formats(formats: Sequence[Format]) -> None:
    """Raises BadInput for a PDF that cannot be made here."""
    if Format.PDF in formats:
        await asyncio.to_thread(rendering.require_pdf)
