"""What every handler needs of the daemon: itself, who acts and when, and numbers out of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fastapi import Request

from controller.store.scope import By
from inventory.errors import BadInput, NotFound
from inventory.slots import parse_key

if TYPE_CHECKING:
    from controller.api.auth import Caller
    from controller.main import Daemon


LARGEST = 2**31 - 1
"""Largest number that a sequence gives out."""


def daemon_of(request: Request) -> Daemon:
    """The daemon that serves this request."""
    return cast("Daemon", request.app.state.daemon)


def acting(request: Request, caller: Caller) -> By:
    """The caller, at this instant: what the audit shows."""
    return By(caller.actor, daemon_of(request).clock.now_ms())


def number(key: str, kind: str, field: str = "key") -> int:
    """Number of a key such as `E-12` of the kind `E`.

    Raises BadInput for another kind or form, NotFound for a number that no sequence gives out.
    """
    try:
        found, value = parse_key(key)
    except BadInput as error:
        raise BadInput(error.message, field=field, next_step=f"Give a key of the form {kind}-12.") from None
    if found != kind:
        raise BadInput(f"{key} is a key of another noun", field=field, next_step=f"Give a key of the form {kind}-12.")
    if value > LARGEST:
        raise NotFound(f"there is no {key}", field=field, next_step="Check the key; lists show what you can see.")
    return value
