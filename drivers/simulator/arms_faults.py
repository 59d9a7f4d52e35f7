"""Faults of a simulated ARMS device, changeable while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from inventory.errors import BadInput, NotFound


@dataclass(slots=True)
class ArmsFaults:
    """Switches. Those marked *once* go back to off by themselves when they have struck."""

    unplug: bool = False
    """No power: sockets fall silent without being closed. Power returns when it is switched off."""
    clone: bool = False
    """A second unit with the same identity is on the network."""
    cut_to_server_after: int | None = None
    """Once: the tunnel breaks after that many more bytes (before TLS) towards the server."""
    cut_to_device_after: int | None = None
    """Once: the same for bytes from the server."""
    drop_configure_done: bool = False
    """configure-done never leaves the device, whatever its result."""
    slow_script_s: float = 0.0
    """How long each device script runs, before `pace`. Beyond 30 s the client kills it (§6.6)."""
    wrong_ls_key: bool = False
    truncated_heartbeat: bool = False
    """The last TLV is cut off; the digest is right all the same (vector heartbeat-bad-02)."""
    no_heartbeat: bool = False
    hang_in_answer: bool = False
    """Once: in https-simple the answer stops half way and the connection stays open."""
    refuse_config: bool = False
    """Module 0 refuses every configuration: 411 (§6.5)."""
    skip_line: str | None = None
    """Lines that contain this text are skipped in silence; read-back differs from what was sent."""
    crash: Literal["before-apply", "after-apply"] | None = None
    """Once: power fails while a pushed configuration is being applied, just before or just after."""
    unreachable: list[str] = field(default_factory=list)
    """Addresses that answer neither ping nor traceroute."""

    def switch(self, name: str, value: object) -> None:
        """Set one fault by name, from outside. Raises NotFound or BadInput with the kind expected."""
        known = {each.name for each in fields(self)}
        if name not in known:
            raise NotFound(f"No fault {name!r}.", next_step=f"Known: {', '.join(sorted(known))}.")
        if not _fits(name, value):
            raise BadInput(f"Fault {name} cannot be {value!r}.", field="value")
        setattr(self, name, value)


def _fits(name: str, value: object) -> bool:
    if name in {"cut_to_server_after", "cut_to_device_after"}:
        return value is None or (type(value) is int and value >= 0)
    if name == "slow_script_s":
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if name == "skip_line":
        return value is None or isinstance(value, str)
    if name == "crash":
        return value in {None, "before-apply", "after-apply"}
    if name == "unreachable":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, bool)
