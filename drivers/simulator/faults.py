"""Switches that make a simulated device misbehave, as devices in the field do.

Each names the row of the failure catalogue (devices-ios-fortios, section D) that it serves. A switch can be
thrown while the device runs; sessions that are open obey at once.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from inventory.errors import BadInput


@dataclass(frozen=True, slots=True)
class Faults:
    """The positions of all switches; the defaults are a healthy device."""

    greeting: Literal["normal", "silent", "reset"] = "normal"
    """`silent`: TCP is accepted, no SSH version line comes (row 1). `reset`: reset before it (row 3)."""
    other_host_key: bool = False
    """New connections are shown a host key that was never seen before (row 10)."""
    after_login: Literal["prompt", "silent", "hang-up"] = "prompt"
    """`silent`: never a prompt (row 14). `hang-up`: the channel ends at once, as with an expired
    password (13)."""
    accept_banner: str = ""
    """Text before the first prompt of a shell; the device then waits for `a` (row 19)."""
    cut_output_after: int | None = None
    """The connection is cut when this many more bytes have been sent to clients. Falls back to None when it
    has struck."""
    cut_input_after: int | None = None
    """The same for bytes received: what came before byte n is carried out, the rest never arrived."""
    answer_delay_s: float = 0.0
    """Seconds before each answer, divided by the pace (rows 17, 37); IOS: the prompt alone is one, too."""
    output_chunk_bytes: int | None = None
    """Output leaves in pieces of this size (row 35)."""
    truncate_show_at: int | None = None
    """The answer to a `show` ends after this many characters and the prompt follows (row 38)."""
    stray_line: str = ""
    """A log line that falls into every answer after its first line (row 31)."""
    prompt: str | None = None
    """Shown instead of the device's own prompt (row 29)."""
    timestamps: bool = False
    """IOS: `exec prompt timestamp` is on (row 41)."""
    serial: str | None = None
    """The serial number that the device claims instead of its own."""
    clock_jump_ms: int = 0
    """The device's own clock is off by this much; the ground truth's is not."""
    unauthorised: tuple[str, ...] = ()
    """Commands that begin with one of these are refused by command authorisation (rows 18, 59)."""
    locked_by: str = ""
    """User who holds the configuration lock (rows 47, 67)."""
    reject_lines: tuple[str, ...] = ()
    """Configuration lines that are refused although they are right (row 42)."""
    archive_missing: bool = False
    """IOS: the archive feature is off whatever the configuration says (row 45)."""
    save: Literal["ok", "busy", "no-ok", "failed"] = "ok"
    """How a save ends (rows 57, 58): `no-ok` prints nothing wrong, and nothing was saved."""
    save_failures: int | None = None
    """How many saves end so before they work again; None: all."""
    replace: Literal["ok", "partial", "partial-no-way-back"] = "ok"
    """IOS: `configure replace` stops after five passes with part applied (rows 43, 44)."""
    strike_at: str | None = None
    """The command at which `strike_how` happens; matched as typed, outer blanks removed. Works once."""
    strike_when: Literal["before", "after"] = "before"
    """Whether the command is carried out first. Its answer is lost in both cases."""
    strike_how: Literal["hang-up", "reload", "power-off"] = "hang-up"
    """`reload`: comes back with what was saved (row 63). `power-off`: stays off until switched on."""

    def changed(self, changes: Mapping[str, object]) -> Faults:
        """A copy with other positions. Raises BadInput that names an unknown switch or a wrong value."""
        hints = typing.get_type_hints(type(self))
        known = {item.name for item in fields(self)}
        clean: dict[str, object] = {}
        for name, value in changes.items():
            if name not in known:
                raise BadInput(f"No switch {name!r}.", field=name, next_step=f"Known: {', '.join(sorted(known))}.")
            clean[name] = _checked(name, value, hints[name])
        return replace(self, **clean)  # type: ignore[arg-type]  # each value was checked against its field


def _checked(name: str, value: object, hint: object) -> object:
    """`value` as `hint` wants it: JSON has lists for tuples and no difference between 1 and 1.0."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType and value is not None:
        return _checked(name, value, next(choice for choice in choices if choice is not type(None)))
    if origin is tuple and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    plain = hint in (bool, int, str) and type(value) is hint
    if plain or (origin is Literal and value in choices) or (origin is types.UnionType and value is None):
        return value
    wanted = " or ".join(repr(choice) for choice in choices) if origin is Literal else str(hint)
    raise BadInput(f"Switch {name} cannot be {value!r}.", field=name, next_step=f"It takes {wanted}.")
