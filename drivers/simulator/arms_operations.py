"""What the device does when the server asks: the operations of arms-protocol §6.5 and §6.6.

Pure of connections: requests come in parsed, answers go out as pieces. Tunnel and https-simple use the same.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from drivers.simulator import arms_messages as messages
from drivers.simulator.arms_log import GroundTruth
from drivers.simulator.arms_messages import MalformedMessage, Pieces, ServerMessage
from drivers.simulator.arms_reactions import Departure
from drivers.simulator.arms_unit import ArmsUnit, Module

TRANSACTION_LIMIT = 10
COMMAND_OCTETS = 8192
SCRIPT_LIMIT_S = 30.0

ASYNCHRONOUS = frozenset({"configure", "read-status", "clear-status", "ping", "traceroute", "read-storage"})
SYNCHRONOUS = frozenset({"md-command", "read-module-list", "dump-debug", "check-transaction", "pull-config", "reboot"})


class Host(Protocol):
    """What an operation needs of the device around it."""

    unit: ArmsUnit
    truth_log: GroundTruth
    open_transactions: dict[int, str]

    async def script(self) -> bool:
        """Run a device script for as long as the fault says; False if it was killed at the limit."""

    async def wait(self, seconds: float) -> None:
        """Let protocol time pass, divided by `pace`."""


@dataclass(frozen=True, slots=True)
class Change:
    """A configure request: the whole module list, and the texts that change."""

    modules: dict[int, Module]
    texts: dict[int, str]


@dataclass(frozen=True, slots=True)
class Started:
    """Answer to an asynchronous start. Without `work` it ends here (code ≠ 100)."""

    kind: str
    transaction_id: int
    answer: Pieces
    work: Callable[[], Awaitable[Pieces]] | None = None
    """Executes and returns the `-done` request."""
    change: Change | None = None
    """Instead of `work`, for configure."""


@dataclass(slots=True)
class Operations:
    """The operations of one device. `chance` draws transaction ids: random, 31 bits, never 0."""

    host: Host
    writer: messages.Writer
    chance: random.Random
    base64_mode: bool = False
    _last_output: bytes = field(default=b"")

    # -- asynchronous ------------------------------------------------------------------------------------

    def start(self, request: ServerMessage) -> Started:
        """Answer `X-start`, and say what follows. An id is drawn for refusals too; those are void (§2.3)."""
        kind = request.kind.removesuffix("-start")
        transaction_id = self.chance.randint(1, 0x7FFFFFFF)
        change: Change | None = None
        work: Callable[[], Awaitable[Pieces]] | None = None
        if kind == "configure":
            code, change = self._start_configure(request)
        else:
            code, job = self._start_other(kind, request)
            if job is not None:

                async def work() -> Pieces:
                    result, items = await job()
                    return self.writer.done(kind, transaction_id, result, items)

        if code == 100 and len(self.host.open_transactions) >= TRANSACTION_LIMIT:
            code = 406
        answer = messages.response(request.kind, code, transaction_id=transaction_id)
        if code != 100:
            return Started(kind, transaction_id, answer)
        self.host.open_transactions[transaction_id] = kind
        return Started(kind, transaction_id, answer, work, change)

    def _start_configure(self, request: ServerMessage) -> tuple[int, Change | None]:
        if "configure" in self.host.open_transactions.values():
            return 302, None
        modules = module_list(request)
        self.host.unit.replace_module_list(modules)
        texts: dict[int, str] = {}
        seen: list[int] = []
        for element in request.parameters.findall("md-config"):
            module_id = messages.id_attribute(element)
            if module_id not in modules:
                return 415, None
            seen.append(module_id)
            if "content-type" in element.keys():  # noqa: SIM118 – an Element has no other way to ask
                continue  # reported as success and ignored (§6.0)
            texts[module_id] = messages.content(element).decode("utf-8", "replace")
        twice = {each for each in seen if seen.count(each) > 1}
        return 100, Change(modules, {number: text for number, text in texts.items() if number not in twice})

    def _start_other(
        self, kind: str, request: ServerMessage
    ) -> tuple[int, Callable[[], Awaitable[tuple[int, list[str]]]] | None]:
        """Result code of the start, and the job that gives transaction-result and items."""
        if kind == "read-status":
            return 100, lambda: self._read_status(request)
        if kind == "clear-status":
            wanted = request.parameters.find("status-request") is not None
            return (100, lambda: self._clear_status(request)) if wanted else (203, None)
        if kind == "ping":
            return (100, lambda: self._ping(request)) if request.text("address") else (203, None)
        if kind == "traceroute":
            hops = request.number("max-hop") or 0
            good = request.text("address") and (request.number("count") or 0) >= 1 and hops <= 256
            return (100, lambda: self._traceroute(request)) if good else (203, None)
        storage = request.text("storage")
        good = storage in {None, "running", "candidate", "backup"}
        return (100, lambda: self._read_storage(storage)) if good else (203, None)

    async def _read_status(self, request: ServerMessage) -> tuple[int, list[str]]:
        wanted = request.parameters.findall("status-request")
        if not wanted:
            return 100, self._status_report(0, 402, b"")
        items: list[str] = []
        for element in wanted:
            module_id = messages.id_attribute(element)
            if not self.host.unit.is_started(module_id):
                # The real client's buffer still holds the item before; servers must not believe it (§6.5).
                items += self._status_report(module_id, 402, self._last_output)
                continue
            finished = await self.host.script()
            command = messages.content(element).decode("utf-8", "replace")
            self._last_output = self.host.unit.execute(command) if finished else b""
            items += self._status_report(module_id, 100, self._last_output)
        self._last_output = b""
        return 100, items

    async def _clear_status(self, request: ServerMessage) -> tuple[int, list[str]]:
        items: list[str] = []
        for element in request.parameters.findall("status-request"):
            module_id = messages.id_attribute(element)
            started = self.host.unit.is_started(module_id)
            finished = started and await self.host.script()
            output = b"counters cleared\n" if finished else b""
            items += self._status_report(module_id, 100 if started else 402, output[: messages.PIECE_OCTETS])
        return 100, items

    def _status_report(self, module_id: int, result: int, output: bytes) -> list[str]:
        items = messages.report("status-report", output, id=module_id, result=result, base64_mode=self.base64_mode)
        return messages.with_first_text_joined(items)

    async def _ping(self, request: ServerMessage) -> tuple[int, list[str]]:
        address, count = request.text("address") or "", request.number("count") or 0
        if count < 1 or not _is_address(address):
            return 502, []
        await self.host.wait(count - 1)
        lost = address in self.host.unit.faults.unreachable
        answered, missed = (0, count) if lost else (count, 0)
        return 100, [messages.number_element("success", answered) + messages.number_element("failure", missed)]

    async def _traceroute(self, request: ServerMessage) -> tuple[int, list[str]]:
        address, hops = request.text("address") or "", request.number("max-hop") or 0
        if not _is_address(address):
            return 502, []
        await self.host.wait(1)
        path = ["192.0.2.1", "198.51.100.9"]
        if address not in self.host.unit.faults.unreachable:
            path.append(address)
        return 100, ["".join(messages.node_element(at, node) for at, node in enumerate(path[:hops], 1))]

    async def _read_storage(self, storage: str | None) -> tuple[int, list[str]]:
        unit = self.host.unit
        if not all(map(unit.is_started, unit.modules)):
            # A module that is listed but never had a configuration kills the client here (§6.2).
            self.host.truth_log.note("crash", why="read-storage with a module that never started")
            raise Departure("reboot", "power on boot")
        items: list[str] = []
        for module_id in unit.modules:
            text = ""
            if storage in {"running", "candidate", "backup"}:
                text = unit.stores[storage].get(module_id, "")  # type: ignore[index]  # narrowed by the set
            report = messages.report("md-config", text.encode(), id=module_id, base64_mode=self.base64_mode)
            items += messages.with_first_text_joined(report)
        return 100, items

    # -- synchronous -------------------------------------------------------------------------------------

    async def answer(self, request: ServerMessage) -> Pieces:
        """Carry out a synchronous operation inside its request."""
        unit = self.host.unit
        match request.kind:
            case "md-command":
                return await self._md_command(request)
            case "read-module-list":
                listed = [messages.module_element(m.module_id, m.version, m.about) for m in unit.modules.values()]
                return messages.response(request.kind, 100, ["".join(listed)])
            case "dump-debug":
                await self.host.script()
                text = f"state dump, {len(unit.modules)} modules, digest {unit.digest()}\n".encode()
                return messages.response(request.kind, 100, messages.report("md-result", text, id=0))
            case "check-transaction":
                # The request itself counts as a transaction without a number (§6.6).
                numbers = [*self.host.open_transactions, 0]
                listed = [messages.number_element("transaction-id", number) for number in numbers]
                return messages.response(request.kind, 100, ["".join(listed)])
            case _:
                return messages.response(request.kind, 100)

    async def _md_command(self, request: ServerMessage) -> Pieces:
        commands = request.parameters.findall("md-command")
        if len(commands) != 1:
            return messages.response(request.kind, 422 if commands else 203)
        module_id, command = messages.id_attribute(commands[0]), messages.content(commands[0])
        if not self.host.unit.is_started(module_id) or len(command) > COMMAND_OCTETS:
            return messages.response(request.kind, 402)
        finished = await self.host.script()
        output = self.host.unit.execute(command.decode("utf-8", "replace")) if finished else b""
        self.host.truth_log.note("command", command=command.decode("utf-8", "replace"), module=module_id)
        report = messages.report("md-result", output, id=module_id, base64_mode=self.base64_mode)
        return messages.response(request.kind, 100, report)


def read_message(octets: bytes, distribution_id: str) -> tuple[ServerMessage | None, Pieces]:
    """The message; or None and the answer of §6.7 to a request that is no good."""
    try:
        message = messages.parse(octets)
    except MalformedMessage as error:
        return None, messages.response(error.kind or "generic-error", 201)
    if not message.is_request:
        return message, ()
    asynchronous = message.kind.endswith("-start") and message.kind.removesuffix("-start") in ASYNCHRONOUS
    if not (asynchronous or message.kind in SYNCHRONOUS or message.kind == "push-confirmation-done"):
        return None, messages.response("generic-error", 202)
    if message.distribution_id != distribution_id:
        return None, messages.response(message.kind, 423)
    return message, ()


def module_list(message: ServerMessage) -> dict[int, Module]:
    """Modules named in a pull response or a configure request, in order."""
    found = {}
    for element in message.parameters.findall("module"):
        module_id = messages.id_attribute(element)
        found[module_id] = Module(module_id, element.get("version", ""), element.text or "")
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
