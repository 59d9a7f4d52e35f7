"""AAA domains: devices that ask the same server who may log in (devices-ios-fortios §C.3, §C.5).

Such a server is asked a few times a second only, and after refusals on different devices in a row it is left alone:
accounts are locked by whoever goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from drivers.errors import DomainPaused, JumpHostRefused, LockedOut
from drivers.sessions.contract import CliSession, Endpoint
from inventory.errors import AuthenticationFailed

REFUSALS: Final = 2
"""Different devices that refuse us in a row before the domain is left alone."""
_AFTER_LOGIN: Final = "first prompt"


@dataclass(slots=True)
class _Domain:
    refused_by: set[tuple[str, int]]
    next_s: float = 0.0
    paused_until_s: float = 0.0


class Domains:
    """What one process knows of AAA domains. `logins_per_s` and `pause_s` are of each of them."""

    def __init__(self, *, logins_per_s: float, pause_s: float) -> None:
        self._apart_s = 1 / logins_per_s
        self._pause_s = pause_s
        self._known: dict[str, _Domain] = {}

    async def login(self, endpoint: Endpoint, login: Callable[[], Awaitable[CliSession]], *, again: bool) -> CliSession:
        """Log in when it is the domain's turn. `again`: the device has let us in and holds a session of ours.

        Raises DomainPaused, by which nothing was sent, unless `again`; and as `login`.
        """
        if not endpoint.aaa_domain:
            return await login()
        domain = self._known.setdefault(endpoint.aaa_domain, _Domain(set()))
        now_s = asyncio.get_running_loop().time()
        if not again:
            self._require_open(endpoint.aaa_domain, domain, now_s)
        at_s = max(now_s, domain.next_s)
        domain.next_s = at_s + self._apart_s
        if at_s > now_s:
            await asyncio.sleep(at_s - now_s)
            if not again:  # it may have been refused by another meanwhile
                self._require_open(endpoint.aaa_domain, domain, asyncio.get_running_loop().time())
        try:
            session = await login()
        except (JumpHostRefused, LockedOut):
            raise
        except AuthenticationFailed as error:
            if error.facts.get("step") != _AFTER_LOGIN:
                self._refused(endpoint, domain)
            raise
        domain.refused_by.clear()
        domain.paused_until_s = 0.0
        return session

    def _refused(self, endpoint: Endpoint, domain: _Domain) -> None:
        domain.refused_by.add((endpoint.host, endpoint.port))
        if len(domain.refused_by) >= REFUSALS:
            domain.paused_until_s = asyncio.get_running_loop().time() + self._pause_s

    def _require_open(self, name: str, domain: _Domain, now_s: float) -> None:
        left_s = domain.paused_until_s - now_s
        if left_s > 0:
            raise DomainPaused(
                f"{len(domain.refused_by)} devices of AAA domain {name} have refused us in a row; none of it is logged "
                f"in to for {left_s:.0f} s.",
                step="authentication",
                next_step="Look at the server that knows the accounts, or whether ours is locked.",
            )
