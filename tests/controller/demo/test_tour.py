"""The demo as a user runs it: every step is true on both sides, and a device that lies is found out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

STEPS = {
    "register",
    "history",
    "phone-home",
    "reach-out",
    "push-seil",
    "push-ayame",
    "push-sa-w2",
    "push-ios",
    "push-fortios",
    "silence",
    "congestion",
    "promotion",
    "report",
    "awakening",
    "live",
}


def play(*options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and summary of `kajitori demo --once --json`."""
    command = [sys.executable, "-m", "controller", "demo", "--once", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    assert done.stdout, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, summary


def untrue(summary: dict[str, Any]) -> list[str]:
    """What a person must know of the steps that are not true."""
    return [
        f"{step['name']} ({side}): {step['error'] or 'not asked'} "
        + "; ".join(f"expected {c['expected']}, said {c['said']}" for c in step[side]["checks"] if not c["holds"])
        for step in summary["steps"]
        for side in ("api", "device")
        if not step["true"] and not (step[side]["true"] and not step["error"])
    ]


def test_every_step_of_the_tour_is_true_on_both_sides() -> None:
    status, summary = play()
    assert untrue(summary) == []
    assert {step["name"] for step in summary["steps"]} == STEPS
    for step in summary["steps"]:
        assert step["true"], step["name"]
        assert step["api"]["checks"], f"{step['name']} did not ask the API"
        assert step["device"]["checks"], f"{step['name']} did not ask a device"
    assert summary["true"] is True
    assert summary["adapters"] == 50
    assert status == 0


def test_devices_that_lie_are_found_out_and_the_others_are_not_blamed() -> None:
    """The first SA-W2 says 100 to everything and skips the line that the tour pushes; the first IOS router answers a
    save as if all were well and saves nothing."""
    status, summary = play(
        *("--adapters", "10"),
        *("--fault", '1W00000001:skip_line="192.0.2.77"'),
        *("--fault", "FDO26450001:save=no-ok"),
    )
    assert status == 1
    assert summary["true"] is False
    steps = {step["name"]: step for step in summary["steps"]}
    for name, words in (("push-sa-w2", "missing ['ntp.client.77"), ("push-ios", "0 times")):
        assert not steps[name]["true"]
        assert not steps[name]["device"]["true"]
        assert any(words in check["said"] for check in steps[name]["device"]["checks"] if not check["holds"])
        assert not steps[name]["api"]["true"], "the controller says so itself"
        assert steps[name]["last_lines"]
    for name in ("register", "phone-home", "push-seil", "push-ayame", "push-fortios"):
        assert steps[name]["true"], untrue(summary)
