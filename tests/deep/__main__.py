"""Second half of `make test-deep`: the connection of a push is cut after every byte, in both directions, and the daemon
is killed in every state.

Prints how many cuts there were for each family and direction and what the pushes ended as; exit 1 when one of them
ended in anything but the truth. The counts of a whole run stand in `docs/faults.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from controller.store.migrate import upgrade
from tests.controller.push import cutting, cutting_arms
from tests.controller.push.cutting import Case
from tests.deep.depth import DEEP
from tests.deep.slices import Work, carry_out

FAMILIES: Final = (*cutting.FAMILIES, "arms")
STORIES: Final = (
    "tests/controller/push/test_kill_ios.py",
    "tests/controller/push/test_kill_fortios.py",
    "tests/controller/push/test_kill_arms.py",
    "tests/controller/push/test_crash.py",
    "tests/faults/test_ios_writing.py",
    "tests/controller/test_generated_secrets.py",
)
STORY_S: Final = 1800
"""Longest time of a story: with all of its cases, on a machine that is shared, two minutes do not do."""
WORKERS: Final = 3 * (os.cpu_count() or 1)
"""A worker waits for most of its time."""
SLICE: Final = 40
"""Cuts that a process makes before the next ones are dealt out."""


@dataclass(frozen=True)
class Chosen:
    """Which cuts: the dialogues of these families in these directions, after every n-th byte from the first on."""

    families: Sequence[str]
    directions: Sequence[cutting.Direction]
    first: int
    every: int


async def plan(chosen: Chosen, folder: Path) -> list[Work]:
    """The slices of the whole; each dialogue is measured first."""
    template = folder / "head.db"
    await upgrade(f"sqlite:///{template}")
    found: list[Work] = []
    for family in chosen.families:
        started = await _prepared(family, template, folder)
        for direction in chosen.directions:
            whole = await cutting.length(started, folder, direction)
            cuts = tuple(range(chosen.first, whole + 1, chosen.every))
            sys.stdout.write(f"{family} {direction}: {whole} bytes, {len(cuts)} cuts\n")
            found += [Work(started, direction, cuts[at : at + SLICE], folder) for at in range(0, len(cuts), SLICE)]
    return found


async def _prepared(family: str, template: Path, folder: Path) -> Case:
    for over_ssh in cutting.FAMILIES:
        if family == over_ssh:
            return await cutting.prepare(over_ssh, template, folder)
    return await cutting_arms.prepare(template, folder)


def main() -> int:
    """Read the options, run, judge."""
    options = argparse.ArgumentParser(prog="python -m tests.deep", description=__doc__)
    options.add_argument("families", nargs="*", default=FAMILIES, help="all of them by default")
    options.add_argument("--every", type=int, default=1, help="cut after every n-th byte only")
    options.add_argument("--from", dest="first", type=int, default=0, help="begin after this many bytes")
    options.add_argument("--direction", choices=cutting.DIRECTIONS, help="output is what the device sends; else both")
    options.add_argument("--workers", type=int, default=WORKERS)
    only = options.add_mutually_exclusive_group()
    only.add_argument("--cuts-only", action="store_true", help="leave out the kills and cancellations")
    only.add_argument("--kills-only", action="store_true", help="leave out the cuts")
    given = options.parse_args()
    unknown = set(given.families) - set(FAMILIES)
    if unknown:
        options.error(f"no such families: {', '.join(sorted(unknown))}")
    os.environ[DEEP] = "1"
    directions = (given.direction,) if given.direction else cutting.DIRECTIONS
    chosen = Chosen(given.families, directions, given.first, given.every)
    untrue = 0 if given.kills_only else _cuts(chosen, given.workers)
    return int(bool(untrue) or (not given.cuts_only and _stories() != 0))


def _cuts(chosen: Chosen, workers: int) -> int:
    """Make all cuts, and print what came of them; how many ended in anything but the truth."""
    started = time.monotonic()
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    untrue: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        works = asyncio.run(plan(chosen, Path(folder)))
        sys.stdout.flush()
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for done in pool.imap_unordered(carry_out, works):
                key = done.work.started.family, done.work.direction
                outcomes.setdefault(key, Counter()).update(done.outcomes)
                untrue += done.untrue
                for line in done.untrue:
                    sys.stdout.write(f"UNTRUE {line}\n")
                cuts = done.work.cuts
                sys.stdout.write(f"{key[0]} {key[1]} {cuts[0]} to {cuts[-1]}: {sum(done.outcomes.values())} true\n")
                sys.stdout.flush()
    for (family, direction), found in sorted(outcomes.items()):
        told = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
        sys.stdout.write(f"{family:<13}{direction:<7}{sum(found.values()):>6} cuts, all true: {told}\n")
    sys.stdout.write(f"{len(untrue)} untrue; {time.monotonic() - started:.0f} s\n")
    sys.stdout.flush()
    return len(untrue)


def _stories() -> int:
    """The stories that take a few states in an ordinary run, with all of them; prints how many each file has."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "stories.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--timeout={STORY_S}", f"--junitxml={report}", *STORIES]
        status = subprocess.run(command, check=False).returncode
        passed: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for story in ElementTree.parse(report).iter("testcase"):  # our own file
            named = story.get("classname", "")
            (failed if any(part.tag in ("failure", "error") for part in story) else passed)[named] += 1
    for named in sorted({*passed, *failed}):
        sys.stdout.write(f"{named:<50}{passed[named]:>5} true, {failed[named]} untrue\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
