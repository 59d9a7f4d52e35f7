"""A device is pointed here for the first time, and does not come through: the operator sees why."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from tests.controller.phonehome.site import Site, eventually


def shake_hands(port: int, tls: ssl.SSLContext) -> None:
    """On a plain socket: a device tells by an alert what it does not like."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, tls.wrap_socket(plain) as stream:
        stream.recv(1)


async def refused(site: Site, tls: ssl.SSLContext) -> str:
    """A device tries the LS and fails in its handshake; what the claims say of it."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(shake_hands, site.home.ports[0], tls)

    async def told() -> str:
        return "".join(claim.reason for claim in await site.claims() if claim.claimed == "")

    return await eventually(told)


async def test_a_device_with_nothing_but_old_tls_is_told_from_one_that_never_came(site: Site) -> None:
    old = site.tls("ls", version=ssl.TLSVersion.TLSv1_1)
    assert await refused(site, old) == "TLS: it speaks no TLS that is served here, see arms.tls_floor"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_device_with_another_trust_root_is_told_from_one_that_never_came(
    site: Site, version: ssl.TLSVersion
) -> None:
    trusts_another = site.tls("rs", version=version)
    assert "does not trust our certificate" in await refused(site, trusts_another)
