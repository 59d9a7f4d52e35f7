"""After a loss of contact or a crash: connect, read, compare; only then decide (architecture §4, devices-ios §C.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from controller.clock import Clock
from controller.push.planning import Planner
from drivers.push import Device, Guard, PushJob
from inventory.plans import TOUCHED, ConfigText, JournalRow, Phase, PushState, Verdict

GUARD_MARGIN_S: Final = 90.0
"""After a guard must have fired the device may still be busy undoing (devices-ios-fortios §A.3.1)."""
SETTLE_S: Final = 10.0
_READINGS: Final = 6

_FOUND: Final = {
    ("base", False): Verdict.FOUND_BASE,
    ("base", True): Verdict.FOUND_BASE_GUARDED,
    ("intent", False): Verdict.FOUND_INTENT,
    ("intent", True): Verdict.FOUND_INTENT_GUARDED,
    ("neither", False): Verdict.FOUND_NEITHER,
    ("neither", True): Verdict.FOUND_NEITHER_GUARDED,
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Canonical digests that a reading is compared with."""

    family: str
    base_digest: str
    intent_digest: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a device runs. `differences`: from base and from intent, secrets masked; empty unless it is neither."""

    verdict: Verdict
    reading: ConfigText
    digest: str
    differences: str = ""


def guard_may_run(journal: Sequence[JournalRow], guard: Guard) -> bool:
    """Whether the device's guard was armed, as far as we know, and not confirmed.

    A client that rolls back by itself begins with the change: one that refused it has nothing to roll back. A revert
    timer that was refused does not run; one that runs all the same is another's.
    """
    if guard == "none":
        return False
    first = PushState.APPLYING if guard == "client rollback" else PushState.ARMED
    armed = any(row.state is first for row in journal)
    # A FortiGate that refused to arm may have done half of it.
    if guard != "cfg-save revert" and any(row.state is first and row.verdict is Verdict.FAILED for row in journal):
        return False
    confirmed = any(row.state is PushState.CONFIRMED and row.verdict is Verdict.OK for row in journal)
    return armed and not confirmed


def guard_left_s(journal: Sequence[JournalRow], guard: Guard, job: PushJob, *, now_ms: int, pace: float) -> float:
    """Seconds of protocol time until the guard must have fired, counted from the last thing that reached the device.

    A device whose timer is postponed by activity needs that; for the others it is only late, never early.
    """
    if not guard_may_run(journal, guard):
        return 0.0
    contact_ms = max(row.at_ms for row in journal if row.state in TOUCHED or _heard(row))
    passed_s = max(0, now_ms - contact_ms) / 1000 * pace
    return max(0.0, job.guard_s + GUARD_MARGIN_S - passed_s)


def _refused_to_arm(journal: Sequence[JournalRow]) -> bool:
    return any(row.state is PushState.ARMED and row.verdict is Verdict.FAILED for row in journal)


def _heard(row: JournalRow) -> bool:
    return row.state is PushState.RECONCILE and row.phase is Phase.OUTCOME and row.verdict is not Verdict.LOST


async def observe(
    device: Device, job: PushJob, compared: Compared, journal: Sequence[JournalRow], *, planner: Planner, clock: Clock
) -> Finding:
    """Identify the device, read it, and say what it runs. Raises DeviceError.

    While a device takes a change back it may show anything. So where a guard may have run and no longer does, a
    reading other than the base counts only when the next one, `SETTLE_S` later, is the same.
    """
    await device.identify()
    ours = device.guard != "revert timer" or not _refused_to_arm(journal)
    pending = ours and bool(await device.guard_pending(job))
    finding = await _compare(await device.read(), pending, job, compared, planner)
    if not guard_may_run(journal, device.guard):
        return finding
    for _ in range(_READINGS):
        if pending or finding.verdict is Verdict.FOUND_BASE:
            return finding
        await clock.wait(SETTLE_S)
        pending = bool(await device.guard_pending(job))
        former, finding = finding, await _compare(await device.read(), pending, job, compared, planner)
        if finding.digest == former.digest:
            return finding
    return finding


async def _compare(reading: ConfigText, pending: bool, job: PushJob, compared: Compared, planner: Planner) -> Finding:
    digest = await planner.digest(compared.family, reading)
    if digest == compared.intent_digest:
        return Finding(_FOUND["intent", pending], reading, digest)
    if digest == compared.base_digest:
        return Finding(_FOUND["base", pending], reading, digest)
    from_base = await planner.difference(compared.family, job.base, reading)
    from_intent = await planner.difference(compared.family, job.intent, reading)
    differences = f"from the former config:\n{from_base}\nfrom the wanted config:\n{from_intent}"
    return Finding(_FOUND["neither", pending], reading, digest, differences)
