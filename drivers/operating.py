"""Operations on a command line, as data of the family: what is typed, how the answer is read, what is refused.

A configuration is never changed by an operation; whatever would do so is refused before anything is sent, and a
command that ends in a configuration mode all the same (an alias of the device) is left by dropping the connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from drivers.driver import Driver, Question
from inventory.errors import NotEligible, RuleViolation
from inventory.operations import Hop, OperationKind, Parameters

RULE: Final = "architecture §4: a change goes through plan and push"
_UNITS: Final = {"year": 31_536_000, "week": 604_800, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")
_ALL_UNITS: Final = re.compile(rf"(\d+)\s+({'|'.join(_UNITS)})s?\b")


@dataclass(frozen=True, slots=True)
class Refused:
    """Commands that are no operation: what they look like, in any case, why, and what to do instead."""

    looks: re.Pattern[str]
    reason: str
    next_step: str

    def means(self, line: str) -> bool:
        """Whether a line is such a command. Routers read theirs in capitals, too."""
        return re.compile(self.looks.pattern, self.looks.flags | re.IGNORECASE).search(line) is not None


@dataclass(frozen=True, slots=True)
class Restart:
    """How a family is rebooted, and how it is seen afterwards that it was.

    `questions` are the only ones that are agreed to. `uptime` has one group, a time in words such as `2 days, 1 hour`.
    """

    command: str
    questions: tuple[Question, ...]
    uptime_command: str
    uptime: re.Pattern[str]
    grain_s: int = 60
    """The uptime is cut to whole multiples of this."""

    def uptime_s(self, said: str) -> int | None:
        """Seconds since the device started, as it says; None if it does not say."""
        found = self.uptime.search(said)
        parts = _ALL_UNITS.findall(found[1]) if found else []
        return sum(int(number) * _UNITS[unit] for number, unit in parts) if parts else None


@dataclass(frozen=True, slots=True)
class LineOperations:
    """Operations of a family on its command line. `{address}`, `{count}`, `{size}` and `{max_hop}` are filled in; what
    stands in brackets is left out where its parameter was not given. `why_not` says why others are not offered.
    """

    ping: tuple[str, ...] = ()
    ping6: tuple[str, ...] = ()
    probes: re.Pattern[str] | None = None
    """Groups `sent` and `answered`."""
    traceroute: tuple[str, ...] = ()
    traceroute6: tuple[str, ...] = ()
    hop: re.Pattern[str] = re.compile(
        r"(?m)^ {0,4}(?P<hop>\d{1,3})\s+(?:\S+ \()?(?P<address>\d+\.\d+\.\d+\.\d+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)"
    )
    status: str = ""
    """What is read when a status is asked for without words."""
    reads_status: re.Pattern[str] | None = None
    clears_status: re.Pattern[str] | None = None
    clears_such_as: str = ""
    """An example for who asked for something else."""
    clearing: tuple[Question, ...] = ()
    restart: Restart | None = None
    only: re.Pattern[str] | None = None
    """Where every other command would change the configuration at once: those that may be sent."""
    refused: tuple[Refused, ...] = ()
    asks: re.Pattern[str] = re.compile(r"\[[^\[\]]{1,20}\]\s*[:?]?\s*$|\(y/n\)\s*[:?]?\s*$|\?\s*$")
    """A question after an arbitrary command; none is agreed to."""
    why_not: Mapping[OperationKind, str] | None = None

    def offers(self, kind: OperationKind) -> bool:
        """Whether this kind can be asked of the family."""
        match kind:
            case OperationKind.READ_STATUS:
                return self.reads_status is not None
            case OperationKind.CLEAR_STATUS:
                return self.clears_status is not None
            case OperationKind.PING:
                return bool(self.ping)
            case OperationKind.TRACEROUTE:
                return bool(self.traceroute)
            case OperationKind.REBOOT:
                return self.restart is not None
            case OperationKind.MD_COMMAND | OperationKind.READ_STORAGE:
                return True
            case _:
                return False


_ARMS_ONLY: Final = "it is a request of ARMS, and this adapter is reached over its command line"


def operations_of(driver: Driver) -> LineOperations:
    """What a family offers on its command line. Raises NotEligible for one that has described nothing."""
    if driver.operations is None:
        raise NotEligible(
            f"family {driver.family} offers no operations on its command line",
            rule="architecture §4",
            field="kind",
            next_step="Describe them in its driver (docs/drivers.md), or ask the device by hand.",
        )
    return driver.operations


def commands_for(driver: Driver, kind: OperationKind, parameters: Parameters) -> tuple[tuple[str, ...], ...]:
    """What is typed, one group for each result; read-storage types nothing of its own.

    Raises NotEligible where the family cannot, RuleViolation for a command that is no operation.
    """
    known = operations_of(driver)
    if not known.offers(kind):
        raise NotEligible(
            f"{driver.title} does not offer {kind}: {(known.why_not or {}).get(kind, _ARMS_ONLY)}",
            rule="architecture §4",
            field="kind",
            next_step="Offered are: " + ", ".join(one.value for one in OperationKind if known.offers(one)) + ".",
        )
    if any(item.module for item in parameters.items):
        raise NotEligible(
            "there are no modules on a command line",
            rule="architecture §4",
            field="parameters.module",
            next_step="Leave the module out, or give 0.",
        )
    match kind:
        case OperationKind.PING:
            return (_probing(driver, known.ping, known.ping6, parameters),)
        case OperationKind.TRACEROUTE:
            return (_probing(driver, known.traceroute, known.traceroute6, parameters),)
        case OperationKind.READ_STATUS:
            words = [item.text.strip() or known.status for item in parameters.items]
            return tuple((_fits(line, known.reads_status, kind, known.status),) for line in words)
        case OperationKind.CLEAR_STATUS:
            words = [item.text.strip() for item in parameters.items]
            return tuple((_fits(line, known.clears_status, kind, known.clears_such_as),) for line in words)
        case OperationKind.MD_COMMAND:
            return ((_permitted(driver, known, parameters.items[0].text),),)
        case OperationKind.REBOOT:
            return ((known.restart.command,),) if known.restart else ()
        case OperationKind.READ_STORAGE if parameters.storage == "running":
            return ()
        case _:
            raise NotEligible(
                f"{driver.title} has no {parameters.storage} storage that is read here",
                rule="architecture §4",
                field="parameters.storage",
                next_step="Read `running`.",
            )


def prepared(driver: Driver, kind: OperationKind) -> Driver:
    """The driver with only those questions answered that belong to an operation of this kind."""
    known, shell = operations_of(driver), driver.command_line
    questions: tuple[Question, ...] = ()
    if kind is OperationKind.REBOOT and known.restart is not None:
        questions = known.restart.questions
    elif kind is OperationKind.CLEAR_STATUS:
        questions = known.clearing
    return replace(driver, shell=replace(shell, questions=questions, any_question=known.asks))


def probes_of(known: LineOperations, said: str) -> tuple[int, int] | None:
    """Probes of a ping that were answered, and lost; None if the answer does not say."""
    found = known.probes.search(said) if known.probes else None
    return None if found is None else (int(found["answered"]), int(found["sent"]) - int(found["answered"]))


def hops_of(known: LineOperations, said: str, max_hop: int) -> tuple[Hop, ...]:
    """Nodes on the way that answered, up to `max_hop`."""
    found = (Hop(int(one["hop"]), one["address"]) for one in known.hop.finditer(said))
    return tuple(hop for hop in found if hop.hop <= max_hop)


def _probing(driver: Driver, four: tuple[str, ...], six: tuple[str, ...], parameters: Parameters) -> tuple[str, ...]:
    address = parameters.address or ""
    chosen = six if ":" in address else four
    if not chosen:
        raise NotEligible(
            f"{driver.title} does not offer this over IPv6",
            rule="architecture §4",
            field="parameters.address",
            next_step="Give an IPv4 address.",
        )
    given = {
        "address": address,
        "count": parameters.count,
        "size": parameters.size_octets,
        "max_hop": parameters.max_hop,
    }
    absent = [f"{{{name}}}" for name, value in given.items() if value is None]

    def kept(part: re.Match[str]) -> str:
        return "" if any(name in part[1] for name in absent) else part[1]

    lines = (_OPTIONAL.sub(kept, line) for line in chosen)
    return tuple(line.format(**given) for line in lines if line)


def _fits(line: str, looks: re.Pattern[str] | None, kind: OperationKind, such_as: str) -> str:
    _one_line(line)
    if looks is None or not looks.match(line):
        raise RuleViolation(
            f"that is no {kind} of this family",
            rule=RULE,
            field="parameters.items",
            next_step=f"Ask for one such as `{such_as}`, or send it as an md-command.",
        )
    return line


def _permitted(driver: Driver, known: LineOperations, text: str) -> str:
    line = text.strip()
    _one_line(line)
    for one in known.refused:
        if one.means(line):
            raise RuleViolation(
                f"the command is refused: it {one.reason}",
                rule=RULE,
                field="parameters.command",
                next_step=one.next_step,
            )
    if known.only is not None and not known.only.match(line):
        raise RuleViolation(
            f"the command is refused: what {driver.title} is sent only reads, and this is none of it",
            rule=RULE,
            field="parameters.command",
            next_step="Send a command that only reads; a change goes through a plan (POST /plans) and a push.",
        )
    return line


def _one_line(line: str) -> None:
    if not line.isprintable() or "?" in line:
        raise RuleViolation(
            "a command is one line without tabs and question marks: both are keys of the device's own editor",
            rule=RULE,
            field="parameters",
            next_step="Send one command at a time, written out.",
        )
