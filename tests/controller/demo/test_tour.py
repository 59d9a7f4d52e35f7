"""The demo as a user runs it: every step is true on both sides, and a device that lies is found out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("demo")]

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


def test_a_device_that_drops_a_pushed_line_is_found_out() -> None:
    """The first SA-W2 of the fleet says 100 to everything and skips the line that the tour pushes."""
    status, summary = play("--adapters", "10", "--fault", '1W00000001:skip_line="192.0.2.77"')
    assert status == 1
    assert summary["true"] is False
    steps = {step["name"]: step for step in summary["steps"]}
    lied = steps["push-sa-w2"]
    assert not lied["true"]
    assert not lied["device"]["true"]
    assert any("missing ['ntp.client.77" in check["said"] for check in lied["device"]["checks"] if not check["holds"])
    assert lied["last_lines"]
    for name in ("push-seil", "push-ayame", "push-ios", "push-fortios"):
        assert steps[name]["true"], untrue(summary)


def test_a_save_that_saves_nothing_is_found_out() -> None:
    """The first IOS router answers a save as if all were well, and its startup config stays as it was."""
    status, summary = play("--adapters", "10", "--fault", 'FDO26450001:save="no-ok"')
    assert status == 1
    step = next(step for step in summary["steps"] if step["name"] == "push-ios")
    assert not step["true"]
    assert not step["device"]["true"]
