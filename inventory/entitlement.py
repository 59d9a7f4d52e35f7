"""What a contract line does not entitle to is not controlled; the rule that says so (service-terms §1, §8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inventory.contracts import FINAL, Cause, Contract, State


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an adapter or a management is not controlled."""

    rule: str
    words: str

    def __str__(self) -> str:
        """Words with the rule, as answers and refusals show them."""
        return f"{self.words} ({self.rule})"


_NOT_IN_FORCE = FINAL | {State.APPLIED}
_ENDINGS = {
    Cause.ABOLITION: ("SMF-22", "SMF-22"),
    Cause.PROVIDER: ("SMF-23.1", "SMF-23.1"),
    Cause.DEPENDENCY: ("MPC-6.5", "SMF-23.3"),
    Cause.NOTICE: ("MPC-14", "SMF-23.2"),
}


def lack_of(contract: Contract, every: Iterable[Contract], *, guest: bool = False) -> Stop | None:
    """What an mpc line that goes on can no longer do because the last one of the other kind has ended; nobody refuses
    that end, and fees go on (MPC-6.1, service-terms §3).

    `every`: all lines of its contractor. `guest`: it uses another contractor's management (MPC-6.2).
    """
    if contract.service != "mpc" or contract.state in _NOT_IN_FORCE:
        return None
    kinds = {one.kind for one in every if one.service == "mpc" and one.state not in _NOT_IN_FORCE}
    if contract.kind == "management" and "adapter" not in kinds:
        return Stop("MPC-6.1", "no adapter line is left, so that there is nothing to control; its fees go on")
    if contract.kind == "adapter" and not guest and "management" not in kinds:
        return Stop("MPC-6.1", "no management is left, so that its adapter cannot be controlled; its fees go on")
    return None


def stop_with(of: str) -> Stop:
    """Why an option gives no service while what it is on, a line or a management, is suspended (SMF-21)."""
    return Stop("SMF-21", f"{of}, which it is on, is suspended")


def stop_of(key: str, contract: Contract) -> Stop | None:
    """Why the line gives no service now; None: it does, or it was never in force and governs nothing."""
    mpc = contract.service == "mpc"
    if contract.state in {State.APPLIED, State.REFUSED, State.WITHDRAWN} or contract.entitled:
        return None
    if contract.state is State.ENDED:
        cause = contract.cause or Cause.NOTICE
        return Stop(_ENDINGS[cause][0 if mpc else 1], f"{key} has ended with {contract.effective}")
    if contract.suspended:
        return Stop("SMF-21", f"{key} is suspended")
    if contract.state is State.DORMANT:
        return Stop("SMF-2", f"{key} is dormant: its adapter sits in no entry")
    return Stop("MPC-5" if mpc else "SMF-15.3", f"{key} starts on its billing start date, {contract.billing_start}")
