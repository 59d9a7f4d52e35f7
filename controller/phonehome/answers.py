"""What LS and RS say to an adapter that is admitted (arms-protocol §6.1–§6.3)."""

from __future__ import annotations

import re
from typing import Final

from controller.phonehome.context import Context
from controller.phonehome.gate import own_interval_s
from drivers.arms import location
from drivers.arms.location import Line, LocationConfig
from drivers.arms.parameters import (
    ConfigSolicitation,
    ConfigSolicitationAnswer,
    HeartbeatServer,
    Module,
    ModuleConfig,
    Proposal,
    PushMethodAnswer,
    ResourceServer,
    RsSolicitationAnswer,
)
from drivers.arms.rules import MAX_LIST
from inventory.contacts import ArmsIdentity
from inventory.modules import WantedModule, differences
from inventory.modules import announced as modules_of_a_pull
from inventory.startups import Served

RS_PATH: Final = "/rs/arms"
TUNNEL_PATH: Final = "/tunnel"
TUNNEL_PATHS: Final = (TUNNEL_PATH, *(f"{TUNNEL_PATH}/{number}" for number in range(2, MAX_LIST + 1)))
"""One for each address, so that a tunnel is known by its URL also behind address translation."""
LINE_TIMEOUT_S: Final = 30
_LINES: Final = {4: Line("line-dhcp", (("ifindex", "0"),)), 6: Line("line-ra", (("ifindex", "0"),))}
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?")


def where_the_rs_is(context: Context, identity: ArmsIdentity, source: str) -> RsSolicitationAnswer:
    """Every RS, its key and its CA.

    The line is dhcp for IPv4, ra for IPv6: the site's own line, set by the installer. Each lets the adapter use URLs of
    its family alone; with addresses of both, the one comes first by which it asked.
    """
    told = context.settings.told
    families = [6, 4] if ":" in source else [4, 6]
    lines = [_LINES[family] for family in families if any((":" in address) == (family == 6) for address in told)]
    text = location.write(LocationConfig(tuple(lines), context.pki.resource_ca_certificate))
    return RsSolicitationAnswer(
        rs_key=identity.rs_key,
        line_timeout_s=LINE_TIMEOUT_S,
        retry_max=context.settings.rs_retry_max,
        retry_interval_s=own_interval_s(context.settings.rs_retry_interval_s, identity.serial.key),
        servers=tuple(ResourceServer(url, text) for url in context.urls(context.rs_port, RS_PATH)),
    )


def its_config(
    context: Context, identity: ArmsIdentity, served: Served, asked: ConfigSolicitation
) -> ConfigSolicitationAnswer:
    """Its certificate, where heartbeats go, and the startup config of its place, module by module.

    A module is announced with the version that its entry wants, module 0 else with the one that the adapter says it
    runs: another one starts an update.
    """
    modules = announced(identity, served, asked)
    return ConfigSolicitationAnswer(
        sa_certificate=identity.certificate,
        sa_private_key=identity.certificate_key if identity.certificate else None,
        proposal=_proposal(context),
        heartbeats=tuple(
            HeartbeatServer(
                address,
                context.heartbeat_port,
                identity.passphrase,
                context.settings.heartbeat_interval_s,
                "hmac-sha1",
            )
            for address in context.settings.told
        ),
        push_addresses=context.settings.told,
        pull_urls=context.urls(context.rs_port, RS_PATH),
        modules=tuple(Module(one.id, one.version, text=one.info) for one in modules),
        configs=tuple(ModuleConfig(one.id, served.text.text(one.id)) for one in modules),
    )


def announced(identity: ArmsIdentity, served: Served, asked: ConfigSolicitation) -> tuple[WantedModule, ...]:
    """The module list of a pull."""
    ids = identity.model.arms_modules or (0,)
    return modules_of_a_pull(ids, {0: module_version(asked.firmware)}, served.modules)


def syncing(identity: ArmsIdentity, served: Served, asked: ConfigSolicitation) -> str:
    """What the adapter has to fetch before it starts its config, in words; empty when it runs what is wanted.

    A pull tells the version of module 0 alone; what else it runs is asked when it is ready.
    """
    return differences(served.modules, {0: module_version(asked.firmware)}) if asked.firmware else ""


def module_version(firmware: str | None) -> str:
    """`5.40` → `5.40.0-0`, the form of module versions (devices-seil §9.1); `0.0.0-0` when it does not say."""
    found = _VERSION.search(firmware or "")
    if found is None:
        return "0.0.0-0"
    major, minor, patch = (int(part or 0) for part in found.groups())
    return f"{major}.{minor}.{patch}-0"


def _proposal(context: Context) -> Proposal | None:
    """The port at which the adapter had best listen: we dial no other."""
    if "https-simple" not in context.settings.push_methods:
        return None
    return Proposal(push_port=int(context.settings.push_ports.partition("-")[0]))


def how_to_push(context: Context, identity: ArmsIdentity, offered: tuple[str, ...]) -> PushMethodAnswer | None:
    """Our methods in our order, of those that it offers; None when there is none: it would loop (§6.3).

    An adapter whose certificate is not made yet cannot be dialled: it would fail in the handshake (§3).
    """
    methods = tuple(method for method in context.settings.push_methods if method in offered)
    if identity.certificate is None:
        methods = tuple(method for method in methods if method != "https-simple")
    if not methods:
        return None
    urls = context.urls(context.rs_port, "")
    return PushMethodAnswer(
        methods=methods,
        tunnel_urls=tuple(url + path for url, path in zip(urls, TUNNEL_PATHS, strict=False)),
        echo_interval_s=context.settings.echo_interval_s,
    )
