"""Simulated clients on record: the life of a device against a running phone-home."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from drivers.simulator.arms_client import ArmsSettings
from drivers.simulator.identity import SEIL_X1, ArmsModel, fleet_member
from tests.controller.phonehome.site import Site, Unit, eventually

FIRST = "hostname: first\n"
X1_FIRST = 'hostname "first"\n'


def free_on(*hosts: str) -> dict[str, int]:
    """Ports of the ARMS listeners that are free on each of these addresses."""
    names = ("ls_port", "rs_port", "heartbeat_port")
    found: list[int] = []
    while len(found) < len(names):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            port = 0
            for host in hosts:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    family = socket.AF_INET6 if ":" in host else socket.AF_INET
                    probe = held.enter_context(socket.socket(family, kind))
                    probe.bind((host, port))
                    port = probe.getsockname()[1]
            if port not in found:
                found.append(port)
    return dict(zip(names, found, strict=True))


def settings_of(site: Site, *, host: str = "127.0.0.1", **more: Any) -> ArmsSettings:
    """What the installer writes into a device; `host` is where its LS is."""
    literal = f"[{host}]" if ":" in host else host
    usual: dict[str, Any] = {"pace": site.clock.pace, "shortest_timeout_s": 3.0, "boot_s": 1.0}
    return ArmsSettings(
        ls_urls=(f"https://{literal}:{site.home.ports[0]}/ls/arms",),
        root_ca_pem=site.home.pki.root_certificate,
        **{**usual, **more},
    )


async def record(site: Site, model: ArmsModel, number: int, **how: str) -> Unit:
    """A fleet member on record, its LS key as the factory wrote it."""
    who = fleet_member(model, number)
    unit = await site.unit(
        model=model.name,
        serial=who.serial_number,
        distribution_id=who.distribution_id,
        ls_key=who.ls_key,
        startup=X1_FIRST if model is SEIL_X1 else FIRST,
        **how,  # type: ignore[arg-type]  # `seat` only
    )
    await certified(site, unit)
    return unit


async def certified(site: Site, unit: Unit) -> None:
    """Wait until its certificate is made."""
    site.home.provisioned()

    async def made() -> bool:
        identity = await site.home._context.identity(unit.distribution_id)
        return identity is not None and identity.certificate is not None

    await eventually(made)
