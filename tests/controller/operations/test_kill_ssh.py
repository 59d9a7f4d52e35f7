"""`kill -9` of the daemon in the middle of operations over SSH, to routers that live on.

After the restart nothing is sent again: what changes a router ends as unknown, what reads it as not done, a reboot as
what a new login shows, and what had only waited is carried out, once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from drivers.simulator.ios_cli import IosDevice
from tests.controller.house import Fleet, Json, ok, serial, serving
from tests.controller.routers import USERNAME, router
from tests.controller.waiting_here import until

pytestmark = pytest.mark.slow
CLEAR = {"items": [{"text": "clear counters"}]}
CLOCK = {"items": [{"text": "show clock"}]}
PING = {"address": "192.0.2.9", "count": 2}


@contextmanager
def routers(count: int) -> Iterator[dict[str, IosDevice]]:
    """Routers by serial number."""
    with ExitStack() as stack:
        names = [serial() for _ in range(count)]
        standing = {name: stack.enter_context(router(name)) for name in names}
        for device in standing.values():
            device.started_ms -= 3 * 86_400_000  # an uptime is told in whole minutes
        yield standing


def test_what_was_under_way_is_never_sent_again_and_what_waited_is_sent_once(tmp_path: Path) -> None:
    with routers(3) as standing:
        clearing, reading, booting = standing
        with serving(tmp_path / "data") as house:
            fleet = Fleet(house.client())
            seat(fleet, standing)
            asked = ask_all(fleet.api, clearing, reading, booting, standing)
            for name in (clearing, reading):
                until(partial(has_struck, standing[name]), what=f"the fault of {name}")
            until(lambda: standing[booting].log.count("reload"), what="the reload")
            house.process.send_signal(signal.SIGKILL)
            house.process.wait(10)
        with serving(tmp_path / "data") as house:
            api = house.client()
            ended = {name: over(api, number) for name, number in asked.items()}
    assert {name: told["outcome"] for name, told in ended.items()} == {
        "clear": "unknown",
        "clock": "not-done",
        "reboot": "done",
        "waited": "done",
    }
    for told in ended.values():
        sent_once(told)
    assert standing[clearing].log.count("cleared") == 1
    assert standing[booting].log.count("reload") == 1
    assert "restarted before the answer" in str(ended["clear"]["journal"])
    assert ended["waited"]["result"]["answered"] == 2


def sent_once(told: Json) -> None:
    """Whatever was tried before the last time had not come to the sending: the router could not be logged in to."""
    steps = [(step["state"], step["said"]) for step in told["journal"]]
    tried = [at for at, (state, _) in enumerate(steps) if state == "sending"]
    assert len(tried) == told["tries"], steps
    after = [steps[at + 1] for at in tried[:-1]]
    assert [one for one in after if one[0] != "waiting" or not one[1].startswith("nothing was sent")] == [], steps


def seat(fleet: Fleet, standing: dict[str, IosDevice]) -> None:
    """Each router in an entry of its own, identified."""
    management = fleet.management(entries=len(standing))
    for name, device in standing.items():
        endpoint = {"host": "127.0.0.1", "port": device.port, "username": USERNAME, "password": "correct horse"}
        fleet.register(fleet.ssh(serial_number=name, endpoint=endpoint, place={"management": management}))
        for item in ("line", "site", "installation", "other", "device"):
            ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
        ok(fleet.api.post(f"/adapters/{name}/identify"))


def ask_all(
    api: httpx.Client, clearing: str, reading: str, booting: str, standing: dict[str, IosDevice]
) -> dict[str, int]:
    """Operations of which three are cut off in the middle and one waits behind another; their numbers."""
    standing[clearing].throw(strike_at="clear counters", strike_when="after", strike_how="silence")
    standing[reading].throw(strike_at="show clock", strike_when="before", strike_how="silence")
    wanted: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("clear", clearing, "clear-status", CLEAR),
        ("clock", reading, "read-status", CLOCK),
        ("reboot", booting, "reboot", {}),
        ("waited", clearing, "ping", PING),
    )
    numbers = {}
    for called, name, kind, parameters in wanted:
        body = {"adapter": name, "kind": kind, "parameters": parameters, "wait_s": 86_400}
        numbers[called] = int(ok(api.post("/operations", json=body))["id"])
    return numbers


def has_struck(device: IosDevice) -> bool:
    """Whether the switch that works once has worked."""
    return device.faults.strike_at is None


def over(api: httpx.Client, number: int) -> Json:
    """The operation, once it is over."""

    def look() -> Json | None:
        told: Json = ok(api.get(f"/operations/{number}"))
        return told if told["outcome"] else None

    return until(look, what=f"the end of operation {number}", deadline_s=60) or {}
