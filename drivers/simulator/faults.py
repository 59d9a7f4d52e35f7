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

    greeting: Literal["normal", "silent", "reset", "ssh1"] = "normal"
    """`silent`: TCP is accepted, no SSH version line comes (row 1). `reset`: reset before it (row 3). `ssh1`: the
    version line of a device that speaks SSH 1 only (8)."""
    greeting_delay_s: float = 0.0
    """Seconds before the version line, divided by the pace (row 2)."""
    key_exchange: Literal["modern", "sha1", "group1", "short"] = "modern"
    """What new connections can agree on: `sha1` and `group1` with CBC and SHA-1 (row 5). `short`: a first packet of
    the client that offers much is refused as incomplete (7)."""
    host_key_kind: Literal["ed25519", "rsa", "malformed"] = "ed25519"
    """`rsa`: an RSA key that signs with SHA-2 only; `malformed`: a key that cannot be read (row 9)."""
    other_host_key: bool = False
    """New connections are shown a host key that was never seen before (row 10)."""
    refuse_logins: bool = False
    """No password is right (row 11)."""
    second_factor: bool = False
    """After the password a code is asked for, in the same keyboard-interactive exchange (row 12)."""
    onboarding: Literal["no", "shell", "ssh"] = "no"
    """A new password is insisted on: behind the login (row 20) or within SSH authentication (21)."""
    after_login: Literal["prompt", "silent", "hang-up", "limit"] = "prompt"
    """`silent`: never a prompt (row 14). `hang-up`: the channel ends at once, as with an expired password (13).
    `limit`: the same, with a word about the session limit (4)."""
    login_again: bool = False
    """User name and password are asked for again inside the channel (row 15)."""
    enable_prompt: str = "Password: "
    """IOS: how `enable` asks; empty: it does not ask (row 16)."""
    read_only: bool = False
    """The account may not write: FortiOS shows `$` (row 22), IOS never gets privileged."""
    accept_banner: str = ""
    """Text before the first prompt of a shell; the device then waits for `a` (row 19)."""
    silence_after: int | None = None
    """After this many more bytes have been sent to clients nothing passes any more, and nothing is closed (row 39).
    For connections that are opened while the switch is on. Falls back to None when it has struck."""
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
    line_end: str = "\r\n"
    """How a line ends on a terminal (row 35)."""
    odd_octets: bool = False
    """NUL octets stand in every answer, and octets that are no UTF-8 in the greeting (row 40)."""
    padding: int = 0
    """The answer to a `show` of the configuration is longer by this many characters of comment (row 36)."""
    stubborn_pager: bool = False
    """Long answers are paged whatever was said about it (row 34)."""
    echo: Literal["plain", "spaced", "none"] = "plain"
    """`spaced`: the echo has other blanks than what was typed; `none`: there is none (row 60)."""
    stray_line: str = ""
    """A log line that falls into every answer after its first line (row 31)."""
    broadcast: str = ""
    """IOS: a message to all terminals, printed after the prompt behind each answer; no prompt follows it (row 33)."""
    prompt: str | None = None
    """Shown instead of the device's own prompt (row 29)."""
    name_cut_at: int | None = None
    """FortiOS: a prompt shows this many characters of the name, and `~` (row 27)."""
    ha_prompt: bool = False
    """FortiOS 7.6.7: the role stands in the prompt, without a blank before it (row 28)."""
    timestamps: bool = False
    """IOS: `exec prompt timestamp` is on (row 41)."""
    volatile_lines: bool = False
    """Lines that change by themselves are shown: IOS `ntp clock-period` (row 61), the header
    `private-encryption-key` of FortiOS (82)."""
    resalted: bool = False
    """IOS: type 7 secrets are shown in another encoding each time (row 62)."""
    serial: str | None = None
    """The serial number that the device claims instead of its own."""
    clock_jump_ms: int = 0
    """The device's own clock is off by this much; the ground truth's is not."""
    unauthorised: tuple[str, ...] = ()
    """Commands that begin with one of these are refused by command authorisation (rows 18, 59)."""
    locked_by: str = ""
    """User who holds the configuration lock (rows 47, 67)."""
    lock_looks: int | None = None
    """The lock falls free after it was looked at, or run into, so many times; None: it stays."""
    timer_of: str = ""
    """IOS: user whose revert timer is pending (row 46)."""
    ha_out_of_sync: bool = False
    """FortiOS: the members of the cluster hold different configurations (row 72)."""
    vdoms: Literal["multiple", "split-task", "enable"] = "multiple"
    """FortiOS: what a unit that has virtual domains says of them (row 83)."""
    vdom_admin: str = ""
    """FortiOS: the account is of this virtual domain and sees nothing but that (row 22)."""
    reject_lines: tuple[str, ...] = ()
    """Configuration lines that are refused although they are right (row 42)."""
    swallow_lines: tuple[str, ...] = ()
    """Configuration lines that are taken without a word and not carried out (row 43)."""
    question_at: str | None = None
    """The configuration line at which `question` is asked; anything but `yes` leaves the line out (row 53)."""
    question: str = "Do you really want to do this? [yes/no]: "
    flash_full: bool = False
    """Nothing more can be written to flash: no archive, no backup (row 55)."""
    archive_missing: bool = False
    """IOS: the archive feature is off whatever the configuration says (row 45)."""
    save: Literal["ok", "busy", "no-ok", "failed"] = "ok"
    """How a save ends (rows 57, 58): `no-ok` prints nothing wrong, and nothing was saved."""
    save_failures: int | None = None
    """How many saves end so before they work again; None: all."""
    save_question: str = ""
    """What a save asks before it goes on (row 57)."""
    revert: Literal["ok", "partial"] = "ok"
    """IOS: `partial`: on the way back, too, something is left of the change (row 44)."""
    replace: Literal["ok", "partial", "partial-no-way-back"] = "ok"
    """IOS: `configure replace` stops after five passes with part applied (rows 43, 44)."""
    strike_at: str | None = None
    """The command at which `strike_how` happens; matched as typed, outer blanks removed. Works once."""
    strike_when: Literal["before", "after"] = "before"
    """Whether the command is carried out first. Its answer is lost in both cases."""
    strike_how: Literal["hang-up", "reload", "power-off", "silence"] = "hang-up"
    """`reload`: comes back with what was saved (row 63). `power-off`: stays off until switched on. `silence`: as
    `silence_after` (rows 39, 87)."""

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
