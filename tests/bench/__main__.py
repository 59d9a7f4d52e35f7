"""`make bench`: every figure beside a named baseline that is measured in the same run, on the same event loop.

A figure is a ratio, because machines differ; the absolute numbers are printed with it. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import uvloop

from tests.bench import dialects, heartbeats, lists, load, metering, pulls, pushes, storm, tunnels
from tests.bench.figure import Figure

Bench: TypeAlias = Callable[[Path, bool], Coroutine[None, None, list[Figure]]]


async def _dialects(_folder: Path, quick: bool) -> list[Figure]:
    return await asyncio.to_thread(dialects.measure, lines=800 if quick else 8_000, rounds=3 if quick else 9)


BENCHES: Final[dict[str, Bench]] = {
    "dialects": _dialects,
    "pulls": lambda folder, quick: pulls.measure(folder, rounds=2 if quick else 8, seconds=0.5 if quick else 3.0),
    "storm": lambda folder, quick: storm.measure(folder, count=200 if quick else 5_000, steady=100 if quick else 1_500),
    "tunnels": lambda folder, quick: tunnels.measure(
        folder,
        count=200 if quick else 10_000,
        with_certificates=100 if quick else 10_000,
        watch_s=5.0 if quick else 15.0,
    ),
    "heartbeats": lambda folder, quick: heartbeats.measure(folder, count=2_000 if quick else 60_000),
    "lists": lambda folder, quick: lists.measure(
        folder, adapters=1_000 if quick else 20_000, requests=50 if quick else 1_000
    ),
    "metering": lambda folder, quick: metering.measure(
        folder,
        interfaces=200 if quick else 20_000,
        per_s=200 if quick else 3_333,
        seconds=5.0 if quick else 600.0,
        polls=100 if quick else 2_000,
    ),
    "pushes": lambda folder, quick: pushes.measure(
        folder,
        count=60 if quick else 600,
        mixed=20 if quick else 300,
        rounds=1 if quick else 3,
        threads=pushes.THREADS[:1] if quick else pushes.THREADS,
    ),
}
"""In this order; `quick` shrinks the load, to see that the benches run."""


def run(name: str, quick: bool) -> None:
    """Print the figures of one bench."""
    with tempfile.TemporaryDirectory(prefix="kajitori-bench-") as folder:
        place = Path(folder) / name
        place.mkdir()
        for figure in uvloop.run(BENCHES[name](place, quick)):
            print(figure, flush=True)


def run_each(names: Sequence[str], quick: bool) -> list[str]:
    """Each bench in a process of its own: one that fails costs the others nothing. Returns the names that failed."""
    flags = ["--quick"] if quick else []
    command = [sys.executable, "-m", "tests.bench", *flags]
    return [name for name in names if subprocess.run([*command, name], check=False).returncode]


def main() -> None:
    """Run and print; exit status 1 if a bench did not end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small load, to see that the benches run")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}; all if none is named")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHES))
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    load.allow_files()
    names = options.names or list(BENCHES)
    if len(names) == 1:
        return run(names[0], options.quick)
    python = f"Python {platform.python_version()}, uvloop, {platform.machine()}"
    print(f"{python}; what is measured and the load are processes apart, each on a core of its own", file=sys.stderr)
    failed = run_each(names, options.quick)
    if failed:
        print(f"did not end: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)
    return None


if __name__ == "__main__":
    main()
