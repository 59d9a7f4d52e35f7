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
    PushMethodAnswer,
    ResourceServer,
    RsSolicitationAnswer,
)
from inventory.contacts import ArmsIdentity
from inventory.plans import ConfigText

RS_PATH: Final = "/rs/arms"
TUNNEL_PATH: Final = "/tunnel"
LINE_TIMEOUT_S: Final = 30
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?")


def where_the_rs_is(context: Context, identity: ArmsIdentity) -> RsSolicitationAnswer:
    """The RS, its key and its CA. The line is dhcp for IPv4, ra for IPv6: the site's own line, set by the installer."""
    line = Line("line-ra" if ":" in context.settings.address else "line-dhcp", (("ifindex", "0"),))
    text = location.write(LocationConfig((line,), context.pki.resource_ca_certificate))
    return RsSolicitationAnswer(
        rs_key=identity.rs_key,
        line_timeout_s=LINE_TIMEOUT_S,
        retry_max=context.settings.rs_retry_max,
        retry_interval_s=own_interval_s(context.settings.rs_retry_interval_s, identity.serial.key),
        servers=(ResourceServer(context.url(context.rs_port, RS_PATH), text),),
    )


def its_config(
    context: Context, identity: ArmsIdentity, startup: ConfigText, asked: ConfigSolicitation
) -> ConfigSolicitationAnswer:
    """Its certificate, where heartbeats go, and the startup config of its place, module by module.

    Module 0 is announced with the version that the adapter says it runs: another one would start an update.
    """
    ids = identity.model.arms_modules or (0,)
    running = module_version(asked.firmware)
    return ConfigSolicitationAnswer(
        sa_certificate=identity.certificate,
        sa_private_key=identity.certificate_key if identity.certificate else None,
        heartbeats=(
            HeartbeatServer(
                context.settings.address,
                context.heartbeat_port,
                identity.passphrase,
                context.settings.heartbeat_interval_s,
                "hmac-sha1",
            ),
        ),
        push_addresses=(context.settings.address,),
        pull_urls=(context.url(context.rs_port, RS_PATH),),
        modules=tuple(Module(id_, running if id_ == 0 else "0.0.0-0") for id_ in ids),
        configs=tuple(ModuleConfig(id_, startup.text(id_)) for id_ in ids),
    )


def module_version(firmware: str | None) -> str:
    """`5.40` → `5.40.0-0`, the form of module versions (devices-seil §9.1); `0.0.0-0` when it does not say."""
    found = _VERSION.search(firmware or "")
    if found is None:
        return "0.0.0-0"
    major, minor, patch = (int(part or 0) for part in found.groups())
    return f"{major}.{minor}.{patch}-0"


def how_to_push(context: Context, offered: tuple[str, ...]) -> PushMethodAnswer | None:
    """https-tunnel; None when the adapter cannot do it: an answer without methods would make it loop (§6.3)."""
    if "https-tunnel" not in offered:
        return None
    return PushMethodAnswer(
        methods=("https-tunnel",),
        tunnel_urls=(context.url(context.rs_port, TUNNEL_PATH),),
        echo_interval_s=context.settings.echo_interval_s,
    )
