"""Values of operations: what can be asked of an adapter, within which limits, and how it may end (arms-protocol §6.5).

A configure is none of them: it goes through plan and push, which prove it, guard it and read it back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NoReturn

from inventory.errors import BadInput
from inventory.plans import Outcome
from inventory.secrets import MASK


class OperationKind(StrEnum):
    """What can be asked. The names are the protocol's."""

    READ_STATUS = "read-status"
    CLEAR_STATUS = "clear-status"
    MD_COMMAND = "md-command"
    PING = "ping"
    TRACEROUTE = "traceroute"
    READ_STORAGE = "read-storage"
    READ_MODULE_LIST = "read-module-list"
    DUMP_DEBUG = "dump-debug"
    REBOOT = "reboot"
    PULL_CONFIG = "pull-config"
    CHECK_TRANSACTION = "check-transaction"


ASYNCHRONOUS: Final = frozenset(
    {
        OperationKind.READ_STATUS,
        OperationKind.CLEAR_STATUS,
        OperationKind.PING,
        OperationKind.TRACEROUTE,
        OperationKind.READ_STORAGE,
    }
)
"""The result comes later, in a message of its own that is sent once; the others answer in the request."""
CHANGING: Final = frozenset(
    {OperationKind.CLEAR_STATUS, OperationKind.MD_COMMAND, OperationKind.REBOOT, OperationKind.PULL_CONFIG}
)
"""Those after which the adapter may be another; a lost result of the others has changed nothing."""
LEAVING: Final = frozenset({OperationKind.REBOOT, OperationKind.PULL_CONFIG})
"""After the answer the adapter leaves push mode; the next news of it is a pull (§14.18)."""


class OperationState(StrEnum):
    """Where an operation stands. Each is stored before the adapter sees anything of it."""

    WAITING = "waiting"
    """For its turn, for contact, or for an adapter that said it is busy. Nothing was started."""
    SENDING = "sending"
    """The request is about to go out, or has gone out; no answer yet."""
    RUNNING = "running"
    """The adapter has accepted it; its result is awaited."""
    RETURNING = "returning"
    """The adapter has said that it reboots or pulls; that pull is awaited."""
    SETTLING = "settling"
    """Answer or result did not come; the adapter is asked what is still open, and nothing is sent again."""
    DONE = "done"
    NOT_DONE = "not-done"
    UNKNOWN = "unknown"


FINAL: Final = frozenset({OperationState.DONE, OperationState.NOT_DONE, OperationState.UNKNOWN})
HOLDING: Final = frozenset(
    {OperationState.SENDING, OperationState.RUNNING, OperationState.RETURNING, OperationState.SETTLING}
)
"""States in which the adapter is taken: no other operation and no push begins."""


def outcome(state: OperationState) -> Outcome | None:
    """Outcome of an operation in `state`; None while it is under way."""
    return Outcome(state.value) if state in FINAL else None


# --- parameters -------------------------------------------------------------------------------------------------------

MAX_ITEMS: Final = 40
MAX_TEXT_OCTETS: Final = 8192
MAX_MODULE: Final = 2**31 - 1
MAX_PING_COUNT: Final = 10
MAX_PING_OCTETS: Final = 65_507
MAX_HOPS: Final = 256
SCRIPT_LIMIT_S: Final = 30
"""Time after which an adapter ends a script of its own (§6.6)."""
GRACE_S: Final = 60

Storage = Literal["running", "candidate", "backup"]
Origin = Literal["RS", "LS"]


@dataclass(frozen=True, slots=True)
class Item:
    """A text for one module: what status to read or clear, or the command."""

    module: int
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of an operation; those that its kind has are set, the others None or empty."""

    items: tuple[Item, ...] = ()
    address: str | None = None
    count: int | None = None
    size_octets: int | None = None
    max_hop: int | None = None
    storage: Storage | None = None
    start: Origin | None = None


_FIELDS: Final[Mapping[OperationKind, frozenset[str]]] = {
    OperationKind.READ_STATUS: frozenset({"items"}),
    OperationKind.CLEAR_STATUS: frozenset({"items"}),
    OperationKind.MD_COMMAND: frozenset({"module", "command"}),
    OperationKind.PING: frozenset({"address", "count", "size"}),
    OperationKind.TRACEROUTE: frozenset({"address", "count", "max_hop"}),
    OperationKind.READ_STORAGE: frozenset({"storage"}),
    OperationKind.PULL_CONFIG: frozenset({"start"}),
}


def parameters_of(kind: OperationKind, given: Given) -> Parameters:
    """The parameters of a request, with what is left out filled in. Raises BadInput with the field that is at fault.

    Left out are: a ping's count (3), a traceroute's count (1) and hops (30), storage (running), start (RS).
    """
    known = _FIELDS.get(kind, frozenset())
    for name in given.named():
        if name not in known:
            _refuse(f"{kind} has no {name}", name, f"It takes: {', '.join(sorted(known)) or 'nothing'}.")
    match kind:
        case OperationKind.READ_STATUS | OperationKind.CLEAR_STATUS:
            return Parameters(items=_items(given.items or ()))
        case OperationKind.MD_COMMAND:
            if not (given.command or "").strip():
                _refuse("a command is missing", "command", "Name the command, as the device's own shell takes it.")
            return Parameters(items=(_item(Item(given.module or 0, given.command or ""), "command"),))
        case OperationKind.PING:
            return Parameters(
                address=_address(given.address),
                count=_within(given.count, 3, 1, MAX_PING_COUNT, "count"),
                size_octets=None if given.size is None else _within(given.size, 0, 0, MAX_PING_OCTETS, "size"),
            )
        case OperationKind.TRACEROUTE:
            return Parameters(
                address=_address(given.address),
                count=_within(given.count, 1, 1, MAX_PING_COUNT, "count"),
                max_hop=_within(given.max_hop, 30, 1, MAX_HOPS, "max_hop"),
            )
        case OperationKind.READ_STORAGE:
            return Parameters(storage=given.storage or "running")
        case OperationKind.PULL_CONFIG:
            return Parameters(start=given.start or "RS")
        case _:
            return Parameters()


@dataclass(frozen=True, slots=True)
class Given:
    """What a request names, before it is judged; None is what it does not name."""

    items: tuple[Item, ...] | None = None
    module: int | None = None
    command: str | None = field(default=None, repr=False)
    address: str | None = None
    count: int | None = None
    size: int | None = None
    max_hop: int | None = None
    storage: Storage | None = None
    start: Origin | None = None

    def named(self) -> tuple[str, ...]:
        """Fields that are set, in their order."""
        held = (
            ("items", self.items),
            ("module", self.module),
            ("command", self.command),
            ("address", self.address),
            ("count", self.count),
            ("size", self.size),
            ("max_hop", self.max_hop),
            ("storage", self.storage),
            ("start", self.start),
        )
        return tuple(name for name, value in held if value is not None)


def _items(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if not 1 <= len(items) <= MAX_ITEMS:
        _refuse(f"1 to {MAX_ITEMS} items, not {len(items)}", "items", "Name a module and what to ask of it.")
    if len({item.module for item in items}) < len(items):
        _refuse("a module comes twice", "items", "Ask each module once; its answers could not be told apart.")
    return tuple(_item(item, "items") for item in items)


def _item(item: Item, name: str) -> Item:
    if not 0 <= item.module <= MAX_MODULE:
        _refuse(f"module {item.module} is outside 0…{MAX_MODULE}", name, "See the adapter's module list.")
    if any(not (sign.isprintable() or sign in "\t\n") for sign in item.text):
        _refuse("the text holds a control character", name, "Send text; line ends are LF.")
    if len(item.text.encode()) > MAX_TEXT_OCTETS:
        _refuse(f"the text has more than {MAX_TEXT_OCTETS} octets", name, "The adapter refuses longer ones; cut it.")
    if MASK in item.text:
        _refuse("the text holds a mask in place of a secret", name, "Write the secret itself in place of the mask.")
    return item


def _address(text: str | None) -> str:
    try:
        found = ipaddress.ip_address(text or "")
    except ValueError:
        found = None
    if found is None or "%" in str(found):
        _refuse(
            "the address is no IPv4 or IPv6 literal", "address", "Give a literal such as 192.0.2.1; names do not work."
        )
    return str(found)


def _within(given: int | None, default: int, low: int, high: int, name: str) -> int:
    value = default if given is None else given
    if not low <= value <= high:
        _refuse(f"{name} is {low} to {high}, not {value}", name, "Choose a value in that range.")
    return value


def _refuse(message: str, name: str, next_step: str) -> NoReturn:
    raise BadInput(message, field=f"parameters.{name}", next_step=next_step)


def answer_within_s(kind: OperationKind) -> int:
    """Seconds until the adapter must have answered the request: it is deaf while a script of its own runs (§14.19)."""
    return SCRIPT_LIMIT_S + (GRACE_S if kind not in ASYNCHRONOUS else SCRIPT_LIMIT_S)


def result_within_s(kind: OperationKind, parameters: Parameters) -> int:
    """Seconds until the result of an asynchronous operation must have come: script limit × items + 60 s (§6.5)."""
    match kind:
        case OperationKind.PING:
            return GRACE_S + 2 * (parameters.count or 1)
        case OperationKind.TRACEROUTE:
            return min(GRACE_S + 5 * (parameters.count or 1) * (parameters.max_hop or 1), 900)
        case OperationKind.READ_STORAGE:
            return 4 * SCRIPT_LIMIT_S + GRACE_S
        case _:
            return SCRIPT_LIMIT_S * max(len(parameters.items), 1) + GRACE_S


# --- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """What module `module` said. `code` is its own result code where it has one.

    Octets that are no UTF-8 stand in `text` as lone surrogates, so that none is lost.
    """

    module: int
    text: str = field(default="", repr=False)
    code: int | None = None


@dataclass(frozen=True, slots=True)
class ListedModule:
    """One module of the adapter; `about` is an info string, often a URL."""

    module: int
    version: str
    about: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One node on the way."""

    hop: int
    address: str


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What an operation brought; the parts that its kind has."""

    reports: tuple[Report, ...] = ()
    """Status, stored configurations, the output of a command, a dump."""
    modules: tuple[ListedModule, ...] = ()
    hops: tuple[Hop, ...] = ()
    transactions: tuple[int, ...] = ()
    """Ids that the adapter holds open, the question itself left out."""
    answered: int | None = None
    """Probes of a ping that were answered."""
    lost: int | None = None
    transcript: str = field(default="", repr=False)
    """All that was typed (`>`) and said (`<`) on a command line; empty over ARMS."""

    @property
    def octets(self) -> int:
        """Size of its texts."""
        texts = (*(report.text for report in self.reports), self.transcript)
        return sum(len(text.encode("utf-8", "surrogateescape")) for text in texts)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it may be shown, without its result. Times are milliseconds UTC."""

    id: int
    adapter_id: int
    entry_id: int
    serial: str
    kind: OperationKind
    shown: Parameters
    """Its parameters, secrets masked."""
    state: OperationState
    said: str
    """Why it is in that state."""
    tries: int
    """How often it was tried to send; again only where nothing was sent, or the adapter says that nothing began."""
    wait_s: int
    """Protocol seconds that it may wait for its turn and for contact."""
    transaction_id: int | None
    result_code: int | None
    created_ms: int
    started_by: str
    sent_ms: int | None
    finished_ms: int | None
    cancelled_by: str | None
    due_ms: int | None = None
    """Not begun before this; None: at once."""

    @property
    def begins_ms(self) -> int:
        """From when on it waits for its turn."""
        return self.created_ms if self.due_ms is None else max(self.created_ms, self.due_ms)

    @property
    def outcome(self) -> Outcome | None:
        """See `outcome`."""
        return outcome(self.state)


@dataclass(frozen=True, slots=True)
class OperationStep:
    """One step of an operation's journal: the state it came to, when, and why."""

    seq: int
    state: OperationState
    at_ms: int
    said: str
