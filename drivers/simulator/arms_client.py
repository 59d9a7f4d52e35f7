"""A simulated service adapter: the reference ARMS client's life on real sockets (arms-protocol §1, §7, §8).

    device = ArmsDevice(fleet_member(SA_W2, 7), ArmsSettings(ls_urls=(…,), root_ca_pem=…, pace=30))
    device.start()
    await device.ground_truth.until("confirmed")
    device.faults.slow_script_s = 40
    await device.stop()

Everything it writes comes from templates of its own; it shares no code with the controller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from drivers.simulator.arms_answers import (
    Fatal,
    Location,
    NoLine,
    Pulled,
    PushOffer,
    Unusable,
    read_location,
    read_pull,
    read_push_offer,
)
from drivers.simulator.arms_faults import ArmsFaults
from drivers.simulator.arms_http import Endpoint, Unanswered, endpoint, exchange, pull_request
from drivers.simulator.arms_log import GroundTruth, LogRecord, wall_clock_ms
from drivers.simulator.arms_messages import Pieces, ServerMessage
from drivers.simulator.arms_push import PushMode
from drivers.simulator.arms_reactions import Departure, Reaction, Step, after_pull_step, departure
from drivers.simulator.arms_runtime import ArmsRuntime, ArmsSettings, OctetCounter
from drivers.simulator.arms_tls import dialling_context, ls_refusal
from drivers.simulator.arms_tree import Refused
from drivers.simulator.arms_tunnel import MethodFailed
from drivers.simulator.identity import ArmsIdentity
from drivers.simulator.tls_stream import LinkLost, TlsStream

__all__ = ["ArmsDevice", "ArmsSettings"]

HOT_LOOP_S = 0.1
"""Real seconds between two rounds where the reference client would loop at about ten a second (§8.2)."""


class ArmsDevice:
    """One device. Not started until `start`; may be unplugged, plugged in, cloned and stopped."""

    def __init__(
        self,
        identity: ArmsIdentity,
        settings: ArmsSettings,
        *,
        interfaces: Mapping[int, OctetCounter] | None = None,
        faults: ArmsFaults | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        instance: int = 0,
    ) -> None:
        self._runtime = ArmsRuntime(identity, settings, interfaces or {}, faults or ArmsFaults(), now_ms, instance)
        self._life: asyncio.Task[None] | None = None
        self._twin: ArmsDevice | None = None
        self._url_at = {"ls": 0, "rs": 0, "query": 0}
        """Position of the last good URL of each list."""

    # -- from outside ------------------------------------------------------------------------------------

    @property
    def identity(self) -> ArmsIdentity:
        return self._runtime.identity

    @property
    def faults(self) -> ArmsFaults:
        """Switches; `unplug` and `clone` go through `set_fault`, the others may be set directly."""
        return self._runtime.faults

    @property
    def ground_truth(self) -> GroundTruth:
        return self._runtime.truth_log

    @property
    def log(self) -> list[LogRecord]:
        return self._runtime.truth_log.records

    @property
    def state(self) -> str:
        """State of §1, such as PUSH_WAIT; OFF without power."""
        return self._runtime.state

    def running(self, module_id: int = 0) -> str:
        """Text that the module really runs, as the device prints it."""
        return self._runtime.unit.stores["running"].get(module_id, "")

    def start(self) -> None:
        """Power on."""
        assert self._life is None, "already started"
        self._life = asyncio.create_task(self._live())
        self._life.add_done_callback(self._note_failure)

    def _note_failure(self, life: asyncio.Task[None]) -> None:
        if not life.cancelled() and life.exception() is not None:
            self.ground_truth.note("simulator-failed", why=repr(life.exception()))

    async def stop(self) -> None:
        """Power off and give all sockets back. Raises what the simulator itself failed with, if it did."""
        if self._twin is not None:
            await self._twin.stop()
            self._twin = None
        try:
            await self._end_life()
        finally:
            self._runtime.state = "OFF"
            await self._runtime.drop_streams()

    async def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            await asyncio.wait({life})
            if not life.cancelled():
                life.result()

    async def unplug(self) -> None:
        """Cut the power: connections stay open at the other end and nothing comes any more."""
        for stream in self._runtime.streams:
            stream.fall_silent()
        await self._end_life()
        self.faults.unplug = True
        self._runtime.enter("OFF")
        self.ground_truth.note("unplugged")

    async def plug(self) -> None:
        """Power returns: the device boots. What it had been running is lost."""
        await self._runtime.drop_streams()
        self.faults.unplug = False
        if self._life is None:
            self.start()

    async def set_fault(self, name: str, value: object) -> None:
        """Change a fault by name. Raises NotFound or BadInput."""
        before = (self.faults.unplug, self.faults.clone)
        self.faults.switch(name, value)
        self.ground_truth.note("fault", name=name, value=value)
        if name == "unplug" and value != before[0]:
            await (self.unplug() if value else self.plug())
        if name == "clone" and value != before[1]:
            await self._set_clone(bool(value))

    async def _set_clone(self, wanted: bool) -> None:
        if self._twin is not None:
            await self._twin.stop()
            self._twin = None
        if wanted:
            runtime = self._runtime
            self._twin = ArmsDevice(
                runtime.identity,
                runtime.settings,
                interfaces=runtime.interfaces,
                now_ms=runtime.now_ms,
                instance=runtime.instance + 1,
            )
            self._twin.start()

    @property
    def clone(self) -> ArmsDevice | None:
        """The second unit with our identity, while the fault is on."""
        return self._twin

    async def truth(self) -> dict[str, object]:
        """What is really so, JSON-ready; configuration texts included, keys not."""
        runtime = self._runtime
        unit = runtime.unit
        modules = [
            {
                "id": module.module_id,
                "version": module.version,
                "about": module.about,
                "running": unit.stores["running"].get(module.module_id),
                "startup": unit.stores["startup"].get(module.module_id),
                "digest": unit.digest(module.module_id),
                "skipped_lines": [each.line for each in unit.skipped.get(module.module_id, ())],
            }
            for module in unit.modules.values()
        ]
        return {
            "serial_number": self.identity.serial_number,
            "distribution_id": self.identity.distribution_id,
            "model": self.identity.model.name,
            "state": runtime.state,
            "modules": modules,
            "open_transactions": dict(sorted(runtime.open_transactions.items())),
            "heartbeats_sent": runtime.heartbeats_sent,
            "boots": self.ground_truth.count("boot"),
            "booted_at_ms": unit.booted_at_ms,
            "clone": self._twin is not None,
        }

    # -- life --------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        trigger = await self._boot("power on boot")
        while True:
            try:
                await self._pull_and_be_pushed(trigger)
            except Departure as leaving:
                self.ground_truth.note("leaving", to=leaving.destination, trigger=leaving.trigger)
                await self._close_streams()
                trigger = leaving.trigger
                self._runtime.open_transactions.clear()
                if leaving.destination == "stop":
                    self._runtime.enter("BOOT_FAIL")
                    return
                if leaving.destination == "reboot":
                    trigger = await self._boot(trigger)
                elif leaving.destination == "ls":
                    self._runtime.location = None
                await asyncio.sleep(HOT_LOOP_S)

    async def _close_streams(self) -> None:
        for stream in tuple(self._runtime.streams):
            await stream.aclose()
            self._runtime.streams.discard(stream)

    async def _boot(self, trigger: str) -> str:
        runtime = self._runtime
        runtime.enter("INITIAL")
        runtime.sa_certificate = None
        if not runtime.settings.remembers_location:
            runtime.location = None
        # The running configuration dies with the power, not when the boot is over.
        runtime.unit.boot("power on" if trigger == "power on boot" else "rebooting by software reset")
        await runtime.wait(runtime.settings.boot_s)
        self.ground_truth.note("boot", trigger=trigger)
        return trigger

    async def _pull_and_be_pushed(self, trigger: str) -> None:
        runtime = self._runtime
        if runtime.location is None:
            runtime.enter("LSPULL")
            runtime.location = await self._ask_location(trigger)
        runtime.enter("RSPULL")
        pulled = await self._pull(trigger)
        await self._apply_startup(pulled)
        runtime.enter("PULLDONE")
        if not pulled.pull_urls:
            raise Departure("stop", "RS not found")
        offer = await self._query(pulled)
        # One address family until the next pull: that of the method query (§10.7).
        family = pulled.pull_urls[self._url_at["query"]].family
        pulled, offer = pulled.of_family(family), offer.of_family(family)
        usable = [method for method in offer.methods if method in runtime.methods]
        if not usable:
            raise Departure("rs", "no push method")
        for method in usable:
            try:
                await PushMode(runtime, pulled, offer, method).run()
            except MethodFailed as error:
                self.ground_truth.note("method-failed", method=method, why=str(error))
        raise Departure("rs", "push server not found")

    async def _apply_startup(self, pulled: Pulled) -> None:
        runtime = self._runtime
        runtime.sa_certificate = pulled.sa_certificate
        async with runtime.thread:
            await runtime.script()
            try:
                runtime.unit.take_startup(pulled.modules, pulled.texts)
            except Refused as refused:
                self.ground_truth.note("apply-refused", how="pull", reason=str(refused))
                runtime.enter("BOOT_FAIL")
                await runtime.wait(60)
                raise Departure("rs", "invalid config") from refused
        for module_id in pulled.texts:
            skipped = [each.line for each in runtime.unit.skipped.get(module_id, ())]
            digest = runtime.unit.digest(module_id)
            self.ground_truth.note("applied", how="pull", module=module_id, digest=digest, skipped=skipped)

    # -- pulls -------------------------------------------------------------------------------------------

    async def _ask_location(self, trigger: str) -> Location:
        """Ask the LS list in turn, then again every interval × 20 s, max × 500 rounds (§7)."""
        settings = self._runtime.settings
        urls = [url for url in map(endpoint, settings.ls_urls[:5]) if url is not None]
        message = self._runtime.writer.rs_solicitation(trigger)
        for _ in range(settings.ls_retry_max * 500):
            for at, url in self._in_turn("ls", urls):
                answer = await self._ask("rs-solicitation", url, message)
                if answer is None:
                    continue
                try:
                    location = read_location(answer)
                except NoLine as error:
                    self.ground_truth.note("unusable", step="rs-solicitation", why=str(error))
                    await self._runtime.wait(60)
                except Unusable as error:
                    self.ground_truth.note("unusable", step="rs-solicitation", why=str(error))
                except Fatal as error:
                    self.ground_truth.note("crash", why=str(error))
                    raise Departure("reboot", "boot failed") from error
                else:
                    self._url_at["ls"] = at
                    return location
            await self._runtime.wait(settings.ls_retry_interval_s * 20)
        raise Departure("reboot", "LS not found")

    async def _pull(self, trigger: str) -> Pulled:
        location = self._runtime.location
        assert location is not None
        message = self._runtime.writer.config_solicitation(trigger, self.identity.model.firmware)
        for round_number in range(location.retry_max + 1):
            if round_number:
                await self._runtime.wait(location.retry_interval_s)
            for at, url in self._in_turn("rs", location.urls):
                answer = await self._ask("config-solicitation", url, message)
                if answer is None:
                    continue
                try:
                    pulled = read_pull(answer)
                except Unusable as error:
                    self.ground_truth.note("unusable", step="config-solicitation", why=str(error))
                    continue
                self._url_at["rs"] = at
                # Lists of the same length name the same servers, position by position (§6.2).
                same = len(pulled.pull_urls) == len(location.urls)
                self._url_at["query"] = at if same else 0
                return pulled
        raise Departure("ls", "RS not found")

    async def _query(self, pulled: Pulled) -> PushOffer:
        location = self._runtime.location
        assert location is not None
        message = self._runtime.writer.push_method_query(self._runtime.methods)
        for round_number in range(location.retry_max + 1):
            if round_number:
                await self._runtime.wait(location.retry_interval_s)
            for at, url in self._in_turn("query", pulled.pull_urls):
                answer = await self._ask("push-method-query", url, message)
                if answer is None:
                    continue
                try:
                    offer = read_push_offer(answer)
                except Unusable as error:
                    self.ground_truth.note("unusable", step="push-method-query", why=str(error))
                    continue
                except Fatal as error:
                    self.ground_truth.note("crash", why=str(error))
                    raise Departure("reboot", "boot failed") from error
                self._url_at["query"] = at
                return offer
        raise Departure("rs", "retry is over")

    def _in_turn(self, which: str, urls: list[Endpoint] | tuple[Endpoint, ...]) -> list[tuple[int, Endpoint]]:
        """The list from its last good URL on, round to where it began."""
        location = self._runtime.location
        families = {4, 6} if which == "ls" or location is None else location.families
        first = self._url_at[which] % max(1, len(urls))
        turn = [(at % len(urls), urls[at % len(urls)]) for at in range(first, first + len(urls))]
        return [(at, url) for at, url in turn if url.family in families]

    async def _ask(self, step: Step, url: Endpoint, message: Pieces) -> ServerMessage | None:
        """One request; the answer, or None when it has to be tried again. Raises Departure."""
        runtime = self._runtime
        try:
            stream, authorization = await self._dial_for(step, url)
            answer = await exchange(
                stream,
                pull_request(url, authorization, message),
                step_timeout_s=runtime.timeout_s(30),
            )
        except LinkLost as error:
            self.ground_truth.note("unanswered", step=step, why=str(error))
            return None
        except Unanswered as error:
            if error.status is not None and error.status >= 400:
                self.ground_truth.note("refused", step=step, code=error.status, http=True)
            else:
                self.ground_truth.note("unanswered", step=step, why=str(error))
            return None
        reaction = after_pull_step(step, answer.result_code)
        if reaction is Reaction.CONTINUE:
            return answer
        self.ground_truth.note("refused", step=step, code=answer.result_code)
        if reaction is Reaction.RETRY:
            return None
        raise departure(reaction, answer.result_code)

    async def _dial_for(self, step: Step, url: Endpoint) -> tuple[TlsStream, bytes]:
        runtime = self._runtime
        if step != "rs-solicitation":
            return await runtime.dial(url, runtime.context()), runtime.rs_authorization()
        context = dialling_context(runtime.settings.root_ca_pem, runtime.settings.tls, runtime.sa_certificate)
        stream = await runtime.dial(url, context)
        refusal = ls_refusal(stream.tls)
        if refusal is not None:
            await stream.close()
            raise LinkLost(refusal)
        return stream, runtime.ls_authorization()
