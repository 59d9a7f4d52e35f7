"""`make test-deep`: mutate the rules, run their tests, print the score; exit 1 below the floor.

The order of the mutants follows from the seed, so a shorter run is the beginning of a longer one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.eachrule import each_rule
from tests.mutation.points import Mutant, mutants
from tests.mutation.trial import LIMIT_S, ROOT, begin, observe, warm_up

RULES: Final = (
    "adapters",
    "agenda",
    "amounts",
    "billing",
    "bills",
    "calendar",
    "catalogue",
    "contractbook",
    "contracts",
    "deadlines",
    "eligibility",
    "entitlement",
    "fees",
    "invoicelife",
    "invoices",
    "liabilities",
    "locations",
    "onboarding",
    "optionrules",
    "outagebook",
    "outageclaims",
    "outages",
    "prices",
    "records",
    "slots",
    "standbyunits",
    "unitcharges",
)
FLOOR: Final = 80.0
"""Per cent of the mutants that must be found."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    killed: bool
    tests: int


def trials(order: Sequence[Mutant], seconds: float, workers: int) -> list[Verdict]:
    """Try mutants in this order until the time is over; 0 seconds: all of them."""
    with tempfile.TemporaryDirectory() as folder:
        seen = observe([f"inventory/{name}.py" for name in RULES], Path(folder) / "seen")
    sys.stdout.write(f"{len(seen.lines)} tests, {len(order)} mutants\n")
    ends = time.monotonic() + seconds if seconds else float("inf")
    running: dict[int, tuple[Mutant, int, float]] = {}
    verdicts: list[Verdict] = []
    waiting = list(reversed(order))
    while running or (waiting and time.monotonic() < ends):
        while waiting and len(running) < workers and time.monotonic() < ends:
            mutant = waiting.pop()
            tests = seen.tests_of(mutant)
            if tests:
                sys.stdout.flush()
                running[begin(mutant, tests)] = (mutant, len(tests), time.monotonic())
            else:
                verdicts.append(Verdict(mutant, killed=False, tests=0))
        for child in list(running):
            mutant, count, started = running[child]
            if time.monotonic() - started > LIMIT_S:
                os.kill(child, signal.SIGKILL)
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                del running[child]
                verdicts.append(Verdict(mutant, killed=os.waitstatus_to_exitcode(status) != 0, tests=count))
        time.sleep(0.005)
    return verdicts


def report(verdicts: Sequence[Verdict], whole: int, seconds: float) -> float:
    """Print what survived and the score by module; returns the score in per cent."""
    for one in sorted(
        (one for one in verdicts if not one.killed), key=lambda one: (one.mutant.module, one.mutant.line)
    ):
        sys.stdout.write(f"survived {one.mutant} ({one.tests} tests)\n")
    by_module: dict[str, list[bool]] = defaultdict(list)
    for one in verdicts:
        by_module[one.mutant.module].append(one.killed)
    for module, found in sorted(by_module.items()):
        sys.stdout.write(f"{module:<28}{sum(found):>5} of {len(found):>4} {100 * sum(found) / len(found):6.1f} %\n")
    killed = sum(one.killed for one in verdicts)
    score = 100 * killed / max(1, len(verdicts))
    sys.stdout.write(
        f"{killed} of {len(verdicts)} mutants were found: {score:.1f} % (floor {FLOOR:.0f} %); {len(verdicts)} of "
        f"{whole} were tried in {seconds:.0f} s\n"
    )
    return score


def main() -> int:
    """Read the options, run, judge."""
    options = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    options.add_argument("modules", nargs="*", default=RULES, help="names of rule modules; all of them by default")
    options.add_argument("--seconds", type=float, default=600, help="time box; 0: every mutant")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--each-rule", action="store_true", help="each rule of the terms against its own tests")
    chosen = options.parse_args()
    unknown = set(chosen.modules) - set(RULES)
    if unknown:
        options.error(f"no rule modules: {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    warm_up()
    if chosen.each_rule:
        return each_rule(chosen.seed)
    order: list[Mutant] = []
    for name in chosen.modules:
        path = Path("inventory") / f"{name}.py"
        order += mutants(str(path), path.read_text(encoding="utf-8"))
    random.Random(chosen.seed).shuffle(order)
    started = time.monotonic()
    verdicts = trials(order, chosen.seconds, chosen.workers)
    return int(report(verdicts, len(order), time.monotonic() - started) < FLOOR)


if __name__ == "__main__":
    raise SystemExit(main())
