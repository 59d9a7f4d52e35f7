"""The daemon behind the API, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fastapi import Request

if TYPE_CHECKING:
    from controller.main import Daemon


def daemon_of(request: Request) -> Daemon:
    """The daemon that serves this request."""
    return cast("Daemon", request.app.state.daemon)
