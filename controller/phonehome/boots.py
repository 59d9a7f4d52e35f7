"""How far each adapter's boot is, and what a new pull says against the config of the boot before it.

What is open is kept in memory: a boot that this node has not seen from its pull on is no evidence against a config,
for it may have been the node that was away.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.clock import Clock
from controller.phonehome.ledger import Ledger
from controller.store.startups import Proof
from drivers.arms.parameters import ConfigSolicitation
from inventory.boots import check_failed
from inventory.contacts import ArmsIdentity
from inventory.modules import WantedModule
from inventory.startups import Served


@dataclass(slots=True)
class _Asking:
    """Asked since the last pull; milliseconds UTC."""

    ls_ms: int | None = None
    rs_ms: int | None = None


@dataclass(slots=True)
class _Open:
    """A boot since its pull."""

    version_id: int | None
    """What was served; not its text, which would be kept as long as the adapter stays."""
    proven: bool
    failures: int
    modules: tuple[WantedModule, ...]
    pulled_ms: int
    """Monotonic."""
    confirmed: bool = False
    excuse: str | None = None
    """Why it is no evidence against its config that it did not confirm."""
    beat: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A boot with an unproven config failed its connection check."""

    version_id: int
    why: str


class Boots:
    """Notes the stages of boots; runs on the loop, awaits nothing."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger
        self._asking: dict[int, _Asking] = {}
        self._open: dict[int, _Open] = {}

    def ls_asked(self, identity: ArmsIdentity) -> None:
        """It asked the Location Server and was answered."""
        now_ms = self._clock.now_ms()
        self._asking[identity.adapter_id] = _Asking(ls_ms=now_ms)
        self._ledger.contact(identity, ls_ms=now_ms, asked_ms=None)

    def rs_asked(self, identity: ArmsIdentity) -> None:
        """It asked the Resource Server for its config, whatever it is answered."""
        now_ms = self._clock.now_ms()
        asking = self._asking.setdefault(identity.adapter_id, _Asking(ls_ms=identity.ls_ms))
        asking.rs_ms = now_ms
        self._ledger.contact(identity, asked_ms=now_ms)

    def failure(self, identity: ArmsIdentity, trigger: str) -> Failure | None:
        """What this pull says against the config of the boot before it; None when it says nothing."""
        before = self._open.get(identity.adapter_id)
        if before is None or before.confirmed:
            return None
        waited_s = (self._clock.monotonic_ms() - before.pulled_ms) * self._clock.pace / 1000
        why = check_failed(trigger, waited_s=waited_s)
        if why is None:
            return None
        del self._open[identity.adapter_id]
        if before.excuse is not None:
            self._ledger.boot_step(identity, ended=f"{why}; not held against its config: {before.excuse}")
            return None
        self._ledger.boot_step(identity, ended=why)
        if before.proven or before.version_id is None:
            return None
        return Failure(before.version_id, why)

    def pulled(self, identity: ArmsIdentity, asked: ConfigSolicitation, served: Served) -> None:
        """It was answered its config: a boot begins."""
        asking = self._asking.pop(identity.adapter_id, _Asking())
        self._open[identity.adapter_id] = _Open(
            served.version_id, served.proven, served.failures, served.modules, self._clock.monotonic_ms()
        )
        self._ledger.boot(
            identity,
            trigger=asked.trigger[:200],
            rs_ms=self._clock.now_ms(),
            ls_ms=asking.ls_ms,
            asked_ms=asking.rs_ms,
            firmware=(asked.firmware or "")[:32] or None,
            version_id=served.version_id,
            instead_of=served.instead_of,
        )
        self._ledger.contact(identity, ls_ms=None, asked_ms=None)

    def applied(self, identity: ArmsIdentity) -> None:
        """It asks for a push method, so its config is applied."""
        self._ledger.boot_step(identity, applied_ms=self._clock.now_ms())

    def method_agreed(self, identity: ArmsIdentity) -> None:
        """It was told its push methods."""
        self._ledger.boot_step(identity, method_ms=self._clock.now_ms())

    def excuse(self, identity: ArmsIdentity, why: str) -> None:
        """We refused it something on its way: that it does not confirm is not the fault of its config."""
        before = self._open.get(identity.adapter_id)
        if before is not None and not before.confirmed:
            before.excuse = why

    def confirmed(self, identity: ArmsIdentity) -> None:
        """A path was confirmed: the connection check has passed, and the config that was served is proven."""
        now_ms = self._clock.now_ms()
        self._ledger.boot_step(identity, confirmed_ms=now_ms)
        opened = self._open.get(identity.adapter_id)
        if opened is None or opened.confirmed:
            return
        opened.confirmed = True
        if not opened.proven and opened.version_id is not None:
            self._ledger.proof(Proof(opened.version_id, now_ms, f"boot of {identity.serial}", opened.failures > 0))

    def ready(self, identity: ArmsIdentity, shown: str) -> None:
        """The device has shown its serial number (or distribution id): it is push-ready."""
        self._ledger.boot_step(identity, ready_ms=self._clock.now_ms(), shown=shown)

    def wanted_modules(self, adapter_id: int) -> tuple[WantedModule, ...]:
        """What its place wanted when it pulled last; nothing when this node has not seen that."""
        opened = self._open.get(adapter_id)
        return () if opened is None else opened.modules

    def heartbeat(self, adapter_id: int, at_ms: int) -> None:
        """A heartbeat came; the first after the confirmation is a stage of the boot."""
        opened = self._open.get(adapter_id)
        if opened is not None and opened.confirmed and not opened.beat:
            opened.beat = True
            self._ledger.first_beat(adapter_id, at_ms)
