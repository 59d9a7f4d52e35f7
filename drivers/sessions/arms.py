"""The ARMS session: what the controller's phone-home side must offer (`ArmsLink`), and an adapter pushed to through it.

Whole text per module; the adapter's own rollback is the guard: a configure-done that is not answered is undone by it
(arms-protocol §6.5, architecture §4).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from drivers.arms.messages import Request, Response
from drivers.arms.parameters import (
    Command,
    CommandResults,
    Configure,
    MdCommand,
    Module,
    ModuleConfig,
    ModuleList,
    OpenTransactions,
    ReadStorage,
    StoredConfigs,
)
from drivers.arms.results import MODULE_SYNCING, NAMES, SUCCESS
from drivers.driver import Driver
from drivers.push import Guard, Identity, PushJob, Step, same_serial
from drivers.sessions.arms_letters import restored
from inventory.errors import (
    CommandRejected,
    Conflict,
    DeviceError,
    IdentityMismatch,
    OutcomeUnknown,
    RolledBack,
    StalePlan,
    Truncated,
    Unreachable,
)
from inventory.plans import ARMS_ORDER, ConfigText, PushState

Answer = TypeVar("Answer", CommandResults, ModuleList, OpenTransactions)
_COMMIT_FAILED: Final = 411
_ROLLED_BACK: Final = 414
_INTENT_PROVEN: Final = (PushState.SAVED, PushState.DONE)
"""From here on a reading that the base would give too, letter for `?`, is one of the intent."""


class ArmsLink(Protocol):
    """The push path to every adapter that phoned home; implemented by `controller.phonehome`.

    Time-outs are seconds of protocol time. Every method raises Unreachable when no push path exists.
    """

    async def wait_ready(self, serial: str, *, timeout_s: float) -> None:
        """Return when the adapter has confirmed its push path and may be sent operations."""
        ...

    async def request(self, serial: str, request: Request, *, timeout_s: float, failed_too: bool = False) -> Response:
        """Send an operation; the answer of a synchronous one, the start response of an asynchronous one.

        Fills in distribution id and transaction id. Raises OutcomeUnknown when the request was written and no answer
        came, CommandRejected (`refusal`) when the adapter answered anything but 100; with `failed_too` an answer of 101
        to 199, which says that it was carried out and failed, is returned with what it tells (§6.6).
        """
        ...

    async def wait_done(self, serial: str, transaction_id: int, *, timeout_s: float) -> Request:
        """The `-done` request. A configure-done is not answered yet; any other was answered 100 already.

        Raises OutcomeUnknown when it does not come or is lost with its tunnel, RolledBack when the adapter pulled again
        instead of finishing a configure.
        """
        ...

    async def acknowledge(self, serial: str, transaction_id: int) -> None:
        """Answer a configure-done with 100. Raises Unreachable when its connection is gone: the adapter repeats its
        configure-done then, and `wait_done` and `acknowledge` may be called again."""
        ...


CLOSING_S: Final = (0.1, 0.3, 0.6, 1.0, 2.0)
"""Pauses, in real time, after which an adapter is asked again for its open transactions: it lists one for a moment
longer than its result takes to us."""


@dataclass(frozen=True, slots=True)
class ArmsLimits:
    """Time-outs in seconds of protocol time. A boot or a new tunnel may take minutes on a slow line."""

    ready_s: float = 300.0
    answer_s: float = 60.0
    command_s: float = 90.0
    done_s: float = 600.0
    read_done_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two texts of a family are compared and shown: canonical form of one module, redacted difference of all."""

    canonical: Callable[[int, str], str]
    difference: Callable[[ConfigText, ConfigText], str]


class ArmsDevice:
    """An adapter under push over ARMS.

    `serial` is the one on record and the name on the link. `distribution_id` proves software routers, whose serial
    number reads `(unknown)`. `known` are texts that were sent to the place before: a reading in text mode has `?` for
    each byte beyond ASCII, and is completed from them (`arms_letters`).
    """

    guard: Guard = "client rollback"
    read_during_guard = False
    order = ARMS_ORDER

    def __init__(
        self,
        driver: Driver,
        link: ArmsLink,
        serial: str,
        *,
        compare: Comparison,
        distribution_id: str | None = None,
        known: Sequence[ConfigText] = (),
        limits: ArmsLimits | None = None,
    ) -> None:
        self.driver = driver
        self.family: str = driver.family
        self._link = link
        self._serial = serial
        self._compare = compare
        self._distribution_id = distribution_id
        self._known = tuple(known)
        self._limits = limits or ArmsLimits()

    async def identify(self) -> Identity:
        """See `push.Device.identify`: `show system`, and `show key` where no serial number is shown."""
        await self._link.wait_ready(self._serial, timeout_s=self._limits.ready_s)
        system = await self._command("show system")
        identity = identity_of(system, "")
        if identity.serial is None:
            identity = identity_of(system, await self._command("show key"))
        self._check(identity)
        return identity

    async def read(self) -> ConfigText:
        """See `push.Device.read`: `read-storage running`, all modules of the family; letters that it does not tell are
        put back from the known texts."""
        return restored(await self._reading(), self._known)

    async def _reading(self) -> ConfigText:
        """The running texts as the adapter tells them."""
        started = await self._start("read-storage", ReadStorage("running"))
        done = await self._link.wait_done(self._serial, started, timeout_s=self._limits.read_done_s)
        stored = done.parameters
        if done.transaction_result != SUCCESS or not isinstance(stored, StoredConfigs):
            raise self._truncated(f"ended with {_named(done.transaction_result)}")
        texts = {config.id: _text(config.content) for config in stored.configs}
        missing = [module for module in self.driver.modules if module not in texts]
        if missing or not texts[self.driver.modules[0]].strip():
            raise self._truncated(f"has no text of module {missing[0] if missing else self.driver.modules[0]}")
        return ConfigText(tuple(sorted(texts.items())))

    async def enter(self, state: PushState, job: PushJob) -> Step:
        """See `push.Device.enter`."""
        if state not in _INTENT_PROVEN:
            self._know(job.base, job.intent)
        match state:
            case PushState.PREFLIGHT:
                return await self._preflight()
            case PushState.BASELINED:
                return await self._baseline(job)
            case PushState.ARMED:
                return Step("the adapter rolls back by itself unless its configure-done is answered")
            case PushState.APPLYING:
                return await self._configure(job.intent)
            case PushState.APPLIED:
                return Step("configure was accepted")
            case PushState.REACHABLE:
                return await self._reachable(job)
            case PushState.CONFIRMED:
                return await self._confirm(self._transaction(job))
            case PushState.VERIFIED:
                return await self._verify(job)
            case PushState.SAVED:
                return Step("the text is the startup config of the place: its next pull gets it")
            case PushState.REVERTING:
                return await self.revert(job)
            case _:
                return Step()

    async def revert(self, job: PushJob) -> Step:
        """Back to the base by a configure of its own, unless the adapter is there already. Harmless to repeat."""
        await self._link.wait_ready(self._serial, timeout_s=self._limits.ready_s)
        self._know(job.base, job.intent)
        if self._same(await self._reading(), job.base):
            return Step("the adapter runs the base")
        started = (await self._configure(job.base)).transaction_id
        assert started is not None
        await self._done(started)
        await self._confirm(started)
        await self._link.wait_ready(self._serial, timeout_s=self._limits.ready_s)
        found = await self._reading()
        if not self._same(found, job.base):
            raise OutcomeUnknown(
                f"The former text was sent back and something else runs: {self._compare.difference(job.base, found)}",
                serial=self._serial,
                step=PushState.REVERTING.value,
                next_step="Compare the adapter with base and intent; nothing more is sent by itself.",
            )
        return Step("the former text was sent back; the adapter runs the base")

    async def guard_pending(self, job: PushJob) -> bool | None:
        """Whether the adapter still holds the transaction open; None before a transaction is known."""
        self._know(job.base, job.intent)
        if job.transaction_id is None:
            return None
        await self._link.wait_ready(self._serial, timeout_s=self._limits.ready_s)
        return job.transaction_id in await self._open_transactions()

    async def close(self) -> None:
        """Nothing to drop: the push path belongs to the link."""

    async def _preflight(self) -> Step:
        await self.identify()
        waiting = await self._open_transactions()
        for pause_s in CLOSING_S:
            if not waiting:
                break
            await asyncio.sleep(pause_s)  # of a reading that has just ended, such as the plan's own
            waiting = await self._open_transactions()
        if waiting:
            raise Conflict(
                f"Transaction {waiting[0]} is still open on the adapter.",
                next_step="Wait until it has reported.",
                facts={"serial_number": self._serial},
            )
        return Step("ready, no transaction open")

    async def _baseline(self, job: PushJob) -> Step:
        found = await self._reading()
        if not self._same(found, job.base):
            raise StalePlan(
                "The adapter's configuration has changed since the plan was made.",
                next_step="Make a new plan.",
                facts={"difference": self._compare.difference(job.base, restored(found, (job.base,)))},
            )
        return Step("running configuration is the plan's base")

    async def _configure(self, wanted: ConfigText) -> Step:
        """Send a whole configuration with the complete module list; modules left out would be removed.

        An md-config carries no content-type: with one the adapter reports success and ignores it.
        """
        texts = dict(wanted.modules)
        missing = [module for module in self.driver.modules if module not in texts]
        if missing:
            raise Conflict(
                f"The configuration has no text of module {missing[0]}, and a configure without it would remove it.",
                next_step="Give every module of the family a text; it may be empty.",
            )
        response = await self._ask("read-module-list", ModuleList, None)
        known = {module.id: module for module in response.modules}
        modules = tuple(known.get(module, Module(module)) for module in texts)
        configs = tuple(ModuleConfig(module, text) for module, text in texts.items())
        return Step(
            f"configure of module {', '.join(map(str, texts))} was accepted",
            transaction_id=await self._start("configure", Configure(modules, configs)),
        )

    async def _reachable(self, job: PushJob) -> Step:
        await self._done(self._transaction(job))
        return Step("configure-done came over the new path, result 100")

    async def _done(self, transaction_id: int) -> None:
        """Wait for configure-done with result 100. A failure is answered, so that the adapter stops repeating it."""
        try:
            done = await self._link.wait_done(self._serial, transaction_id, timeout_s=self._limits.done_s)
        except Unreachable as error:
            raise OutcomeUnknown(
                "The configure was accepted and no configure-done came.",
                serial=self._serial,
                step=PushState.REACHABLE.value,
                next_step="The adapter rolls back by itself; read it when it is back.",
            ) from error
        code = done.transaction_result
        if code == SUCCESS:
            return
        await self._link.acknowledge(self._serial, transaction_id)
        if code in (_COMMIT_FAILED, _ROLLED_BACK):
            raise RolledBack(
                f"The adapter did not take the configuration: {_named(code)}.",
                serial=self._serial,
                step=PushState.REACHABLE.value,
                next_step="Correct the text: the adapter runs its former configuration.",
            )
        if code == MODULE_SYNCING:
            raise OutcomeUnknown(
                "The adapter is syncing its modules and restarts; that is progress, not failure.",
                serial=self._serial,
                step=PushState.REACHABLE.value,
                next_step="Wait for its next boot: it takes its startup config, and is read then.",
            )
        raise OutcomeUnknown(
            f"The adapter ended the configure with {_named(code)}.",
            serial=self._serial,
            step=PushState.REACHABLE.value,
            next_step="Read the adapter back before anything else is sent.",
        )

    async def _confirm(self, transaction_id: int) -> Step:
        """Answer configure-done; once more if its connection was gone, because the adapter repeats it."""
        try:
            await self._link.acknowledge(self._serial, transaction_id)
        except Unreachable:
            await self._done(transaction_id)
            await self._link.acknowledge(self._serial, transaction_id)
        return Step("configure-done was answered")

    async def _verify(self, job: PushJob) -> Step:
        await self._link.wait_ready(self._serial, timeout_s=self._limits.ready_s)
        found = await self._reading()
        if not self._same(found, job.intent):
            raise Conflict(
                "The adapter's configuration differs from the intent after the change.",
                next_step="The change is taken back.",
                facts={"difference": self._compare.difference(job.intent, restored(found, (job.intent,)))},
            )
        self._known = (job.intent,)
        untold = "" if found == restored(found, (job.intent,)) else "; it tells letters beyond ASCII as ?"
        return Step(f"confirmed again, running configuration equals the intent{untold}")

    async def _start(self, operation: str, parameters: Configure | ReadStorage) -> int:
        request = Request(operation + "-start", "", parameters)
        response = await self._link.request(self._serial, request, timeout_s=self._limits.answer_s)
        self._accepted(operation, response)
        if response.transaction_id is None:
            raise OutcomeUnknown(
                f"The adapter accepted {operation} without a transaction id.", serial=self._serial, step=operation
            )
        return response.transaction_id

    async def _command(self, command: str) -> str:
        answer = await self._ask("md-command", CommandResults, MdCommand((Command(0, command),)))
        return "".join(_text(result.content) for result in answer.results)

    async def _open_transactions(self) -> tuple[int, ...]:
        """Ids of open transactions; the question itself is listed as 0 and left out."""
        answer = await self._ask("check-transaction", OpenTransactions, None)
        return tuple(one for one in answer.ids if one)

    async def _ask(self, operation: str, wanted: type[Answer], parameters: MdCommand | None) -> Answer:
        request = Request(operation, "") if parameters is None else Request(operation, "", parameters)
        response = await self._link.request(self._serial, request, timeout_s=self._limits.command_s)
        self._accepted(operation, response)
        answer = response.parameters
        return answer if isinstance(answer, wanted) else wanted()

    def _accepted(self, operation: str, response: Response) -> None:
        if response.result_code != SUCCESS:
            raise refusal(self._serial, operation, response.result_code)

    def _transaction(self, job: PushJob) -> int:
        if job.transaction_id is None:
            raise OutcomeUnknown(
                "The id of the configure transaction was lost.",
                serial=self._serial,
                step=PushState.REACHABLE.value,
                next_step="Without an answer the adapter rolls back by itself; read it when it is back.",
            )
        return job.transaction_id

    def _check(self, identity: Identity) -> None:
        if identity.serial is not None:
            if same_serial(identity.serial, self._serial):
                return
            shown = identity.serial
        else:
            shown = identity.distribution_id or "nameless"
            if _same_id(shown, self._distribution_id or self._serial):
                return
        raise IdentityMismatch(
            f"The adapter that phoned home says it is {shown}, and the record says {self._serial}.",
            serial=self._serial,
            step="identify",
            next_step="Find out which adapter it is; nothing was changed on it.",
        )

    def _know(self, *texts: ConfigText) -> None:
        self._known += tuple(text for text in texts if text not in self._known)

    def _same(self, reading: ConfigText, wanted: ConfigText) -> bool:
        """Whether a reading, in the letters of the wanted text where it does not tell them, is that text."""
        return self._canonical(restored(reading, (wanted,))) == self._canonical(wanted)

    def _canonical(self, config: ConfigText) -> dict[int, str]:
        return {module: self._compare.canonical(module, text) for module, text in config.modules}

    def _truncated(self, what: str) -> DeviceError:
        return Truncated(
            f"The reading of the running configuration {what}.",
            serial=self._serial,
            step="read",
            next_step="The reading was discarded; read again.",
        )


_FIELD: Final = re.compile(r"(?m)^[ \t]*([A-Za-z0-9 ]+?)[ \t]*:[ \t]+(.*?)\s*$")
_VERSION: Final = re.compile(r"(?m)^(?P<model>\S.*?) [Vv]er\.? ?(?P<version>\d+\.\d+) \([^)]*\)\s*$")


def identity_of(system: str, key: str) -> Identity:
    """Who answers, from `show system` and `show key` (devices-seil §6.1, §6.2). The IPL Monitor line has no version."""
    fields = {name.lower(): value for name, value in _FIELD.findall(system + "\n" + key)}
    version = _VERSION.search(system)
    serial = fields.get("serial", "")
    return Identity(
        serial=None if serial in ("", "(unknown)") else serial,
        model=version["model"] if version else "",
        version=version["version"] if version else "",
        hostname=fields.get("host", "").strip('"'),
        distribution_id=fields.get("distribution id"),
    )


def _same_id(one: str, other: str) -> bool:
    return one.strip().lower() == other.strip().lower()


def _text(content: str | bytes) -> str:
    return content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content


def refusal(serial: str, step: str, code: int) -> CommandRejected:
    """An adapter answered a request with a code other than 100, which stands in `facts["result_code"]`."""
    next_step = "Nothing was started. Correct the request, or ask again when the adapter is not busy."
    if code == MODULE_SYNCING:
        next_step = "Wait: it is syncing its modules, which is progress. Start again when it is ready."
    rejected = CommandRejected(
        f"{serial} refused {step} with {code} ({NAMES.get(code, 'a code that is not known')})",
        serial=serial,
        step=step,
        next_step=next_step,
    )
    rejected.facts["result_code"] = code
    return rejected


def _named(code: int | None) -> str:
    return "no result" if code is None else f"{code} {NAMES.get(code, '')}".strip()
