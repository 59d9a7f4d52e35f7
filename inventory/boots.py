"""One start of an adapter, stage by stage, and what its next pull says about it (arms-protocol §1, §6.9).

A boot is on record from the moment that its config was pulled; before that, the contact says how far it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

POWER_ON: Final = "power on boot"
"""Pull reason after power came on."""
CHECK_FAILED: Final = frozenset(
    {"retry is over", "no push method", "boot failed", "invalid config", "internal error(socket)"}
)
"""Pull reasons by which the client itself says that it did not get through, or could not start, with its config.

Not among them: what we ordered (`Pull requested by RS`, `Reboot requested by RS`, `received 50x`), what our own answer
lacked (`push server not found`, `tunnel URL not found`, `LS not found`, `RS not found`, `got result of failure from
server`), what belongs to a pushed config (`rollback failure`), and a module that could not be fetched.
"""
MODULE_SYNC_FAILED: Final = "module sync failed"
PATIENCE_S: Final = 120
"""A boot that has not confirmed within this time and is followed by a power-on has failed: a person who waits in vain
switches it off, and a unit that crashes does so by itself. Sooner, it may just be a mains failure."""


class Stage(StrEnum):
    """The stages of a boot, in their order."""

    LS_ASKED = "ls-asked"
    RS_ASKED = "rs-asked"
    CONFIG_PULLED = "config-pulled"
    APPLIED = "applied"
    METHOD_AGREED = "method-agreed"
    CONFIRMED = "confirmed"
    READY = "ready"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of an adapter: when each stage was reached; milliseconds UTC, None: it was not (yet)."""

    id: int
    adapter_id: int
    trigger: str
    """The pull reason, in the client's words."""
    rs_ms: int
    """When its config was answered."""
    method_ms: int | None
    confirmed_ms: int | None
    ready_ms: int | None
    """Push-ready: the device has shown its serial number."""
    ls_ms: int | None = None
    asked_ms: int | None = None
    applied_ms: int | None = None
    """No message says so: a client asks for a push method only after it has applied its config."""
    heartbeat_ms: int | None = None
    shown: str | None = None
    """What the device said it is."""
    firmware: str | None = None
    version_id: int | None = None
    """Startup version that it got; None for boots of before this was kept."""
    instead_of: int | None = None
    """The startup version that was given up, when the last proven one was served in its place."""
    ended: str | None = None
    """What the next pull said of this boot."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage of a boot; `at_ms` None: not reached, or skipped, which `note` then says."""

    stage: Stage
    at_ms: int | None
    note: str = ""


def stages(boot: Boot) -> tuple[Reached, ...]:
    """All stages of a boot in their order, with what there is to say."""
    saved = "" if boot.ls_ms is not None else "it came back from its saved state: the Location Server was not asked"
    pulled = ""
    if boot.version_id is not None:
        pulled = f"startup version {boot.version_id}"
        if boot.instead_of is not None:
            pulled += f", the last proven one, in place of version {boot.instead_of}"
    return (
        Reached(Stage.LS_ASKED, boot.ls_ms, saved),
        Reached(Stage.RS_ASKED, boot.asked_ms, f"pull reason: {boot.trigger or 'none given'}"),
        Reached(Stage.CONFIG_PULLED, boot.rs_ms, pulled),
        Reached(Stage.APPLIED, boot.applied_ms),
        Reached(Stage.METHOD_AGREED, boot.method_ms),
        Reached(Stage.CONFIRMED, boot.confirmed_ms),
        Reached(Stage.READY, boot.ready_ms, f"the device shows {boot.shown}" if boot.shown else ""),
        Reached(Stage.HEARTBEAT, boot.heartbeat_ms),
    )


def furthest(boot: Boot) -> Stage:
    """The last stage that the boot has reached."""
    return [one.stage for one in stages(boot) if one.at_ms is not None][-1]


def check_failed(trigger: str, *, waited_s: float) -> str | None:
    """What a pull says against the config of the unconfirmed boot before it; None when it is no evidence.

    `trigger` is free text of the client, so an unknown one is never evidence; `waited_s` is the time between the pulls.
    """
    said = trigger.strip().lower()
    if said in CHECK_FAILED:
        return f"the adapter pulled again: {said}"
    if said == POWER_ON and waited_s >= PATIENCE_S:
        return f"it was powered on again after {waited_s:.0f} s without a confirmed path"
    return None
