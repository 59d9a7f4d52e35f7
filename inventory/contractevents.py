"""What can happen to a contract line or an option (service-terms §8). `day` is the Tokyo day on which it happened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final, Literal, get_args

from inventory.eligibility import Obstacle

ProviderGround = Literal["suspension-ground", "insolvency", "unavoidable", "harassment"]
"""SMF-23.1 (1), (2), (3); SMF-25.4."""
PROVIDER_GROUNDS: Final[tuple[ProviderGround, ...]] = get_args(ProviderGround)


@dataclass(frozen=True, slots=True)
class ContractEvent:
    """One event; a fact is never refused."""

    day: date
    is_fact: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Accept(ContractEvent):
    """The application is accepted; `obstacles` is what eligibility found over the whole of it."""

    billing_start: date
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse(ContractEvent):
    """Refused for one of the seven reasons of SMF-3.2, and notified."""

    reason: int


@dataclass(frozen=True, slots=True)
class Withdraw(ContractEvent):
    """The applicant takes it back."""


@dataclass(frozen=True, slots=True)
class BillingStarts(ContractEvent):
    """The billing start date has come; an Ultra Firewall outside an entry is dormant at once (SMF-2)."""

    in_entry: bool = True

    is_fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ChangeCounts(ContractEvent):
    """Other entry or standby counts from `first_day` on (MPC-8, SMF-5.1)."""

    first_day: date


@dataclass(frozen=True, slots=True)
class Suspend(ContractEvent):
    """A suspension on one of the four grounds of SMF-21, until its day."""

    ground: int
    until: date | None = None
    notified: date | None = None
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Resume(ContractEvent):
    """The ground is gone, or the period over."""


@dataclass(frozen=True, slots=True)
class ChangeOption(ContractEvent):
    """Another plan, network type or number of packs (MPC-9.2); asked for and accepted on `day`."""

    what: str
    value: str | int


@dataclass(frozen=True, slots=True)
class ChangeDue(ContractEvent):
    """The day of a pending change has come."""

    is_fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class LeavesEntry(ContractEvent):
    """The adapter of an Ultra Firewall left its entry, or its model is no longer a designated one (SMF-2)."""

    is_fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class BackInEntry(ContractEvent):
    """The adapter of an Ultra Firewall sits in an entry again (SMF-2)."""

    is_fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Notice(ContractEvent):
    """A termination notice arrived, naming a day or none (MPC-14, MPC-9.5, SMF-23.2)."""

    named: date | None = None
    is_fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ProviderTerminates(ContractEvent):
    """The provider terminates on `effective` (SMF-23.1, SMF-25.4)."""

    effective: date
    ground: ProviderGround
    notified: date | None


@dataclass(frozen=True, slots=True)
class Abolition(ContractEvent):
    """The service, or this part of it, is abolished (SMF-22)."""

    effective: date
    notified: date


@dataclass(frozen=True, slots=True)
class DependencyEnds(ContractEvent):
    """What an option depends on ended on this day: adapter line, management, group or last member."""

    by_abolition: bool = False
    is_fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class DayOver(ContractEvent):
    """This day began, so the one before is over."""

    is_fact: ClassVar[bool] = True


def event_name(event: ContractEvent | type) -> str:
    """`billing-starts`, `notice`, …: the name as API and CLI write it."""
    kind = event if isinstance(event, type) else type(event)
    return re.sub(r"(?<!^)([A-Z])", r"-\1", kind.__name__).lower()
