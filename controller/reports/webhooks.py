"""Reports by HTTP: the JSON itself is the body, signed if the recipient has a secret."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from functools import cache

import httpx

from controller.reports.sending import Outcome, Parcel, Tried
from inventory.reporthead import digest
from inventory.secrets import Secret

AGAIN = frozenset({408, 425, 429})
"""Answers below 500 that say: later."""


def headers_of(parcel: Parcel, secret: Secret | None, now_ms: int) -> dict[str, str]:
    """What goes with the body. The delivery's number is the same at each try, so a receiver can tell a repetition.

    The signature is the hex HMAC-SHA-256 of `<milliseconds>.<body>` under the recipient's secret.
    """
    found = {
        "Content-Type": "application/json",
        "User-Agent": "kajitori",
        "Kajitori-Delivery": str(parcel.delivery.id),
        "Kajitori-Report": parcel.delivery.report_key,
        "Kajitori-Sha256": digest(parcel.encoded),
    }
    if secret is not None:
        signed = hmac.new(secret.reveal().encode(), f"{now_ms}.".encode() + parcel.encoded, hashlib.sha256).hexdigest()
        found["Kajitori-Signature"] = f"t={now_ms},v1={signed}"
    return found


async def post(parcel: Parcel, url: str, secret: Secret | None, *, now_ms: int, timeout_s: float) -> Tried:
    """Send a report to a URL. No redirect is followed. Never raises for what the other side does."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(trust_env=False, timeout=_timeouts(timeout_s), verify=_trusted()) as client,
            client.stream("POST", url, content=parcel.encoded, headers=headers_of(parcel, secret, now_ms)) as answer,
        ):
            return _answered(answer.status_code)
    except (httpx.InvalidURL, UnicodeError):  # nobody can be looked up by such a name
        return Tried(Outcome.REFUSED, "the target is no address that could be reached")
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        # Its words name a host at most, such as that of a certificate: what follows the host in the URL may be a key.
        return Tried(Outcome.FAILED, f"no connection: {str(error) or type(error).__name__}"[:300])
    except TimeoutError:
        return Tried(Outcome.UNKNOWN, f"no answer within {timeout_s:g} s")
    except httpx.TransportError as error:
        return Tried(Outcome.UNKNOWN, f"the connection ended before the answer: {type(error).__name__}")


def _timeouts(timeout_s: float) -> httpx.Timeout:
    """A connection that takes half of the time comes no more: so it is known that nothing was sent."""
    return httpx.Timeout(timeout_s, connect=timeout_s / 2)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom HTTPS trusts. Reading the CAs of the system takes a while, so it is done once."""
    return ssl.create_default_context()


def _answered(status: int) -> Tried:
    said = f"answered {status}"
    if 200 <= status < 300:
        return Tried(Outcome.SENT, said)
    return Tried(Outcome.FAILED if status >= 500 or status in AGAIN else Outcome.REFUSED, said)
