"""What the client does when the server answers with a code: the tables of arms-protocol §8.2–8.4."""

from __future__ import annotations

from enum import Enum
from typing import Literal


class Reaction(Enum):
    """Next move of the client."""

    CONTINUE = "continue"
    RETRY = "retry"
    REPULL = "re-pull"
    ROLL_BACK = "roll back"
    REBOOT = "reboot"
    STOP = "stop"


Step = Literal["rs-solicitation", "config-solicitation", "push-method-query", "push-confirmation-start"]


def after_pull_step(step: Step, code: int | None) -> Reaction:
    """Reaction to a response on the way to push mode. `code` None: the number was missing, so retry."""
    pulling = step in {"rs-solicitation", "config-solicitation"}
    if code is None or 300 <= code <= 499:
        return Reaction.RETRY
    if 100 <= code <= 199:
        return Reaction.CONTINUE
    if code == 501:
        return Reaction.STOP
    if code == 502 or (not pulling and (code <= 299 or code in {507, 508})):
        return Reaction.REPULL
    return Reaction.REBOOT


def after_done(code: int | None, *, configure: bool) -> Reaction:
    """Reaction to the response to a `-done` request (§8.4). A missing number counts as 2xx."""
    if code is not None and 100 <= code <= 199:
        return Reaction.CONTINUE
    if code == 501:
        return Reaction.STOP
    if code == 502:
        return Reaction.REPULL
    if code is not None and code >= 500:
        return Reaction.REBOOT
    if configure:
        return Reaction.ROLL_BACK
    return Reaction.CONTINUE if code is not None and code >= 300 else Reaction.REPULL


Destination = Literal["ls", "rs", "reboot", "stop"]


class Departure(Exception):
    """The client leaves what it is doing. `trigger` is what it will say in its next pull (§6.9)."""

    def __init__(self, destination: Destination, trigger: str) -> None:
        super().__init__(f"{destination}: {trigger}")
        self.destination = destination
        self.trigger = trigger


def departure(reaction: Reaction, code: int | None) -> Departure:
    """The Departure that a reaction other than CONTINUE and RETRY means."""
    if reaction is Reaction.STOP:
        return Departure("stop", "received 501 Out of service")
    if reaction is Reaction.REBOOT:
        return Departure("reboot", f"received {code} Need reboot")
    if reaction is Reaction.ROLL_BACK:
        return Departure("rs", "rollback failure")
    said = "received 502 Push failed" if code == 502 else "got result of failure from server"
    return Departure("rs", said)
