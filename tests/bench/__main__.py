"""`make bench`: every figure beside a named baseline that is measured in the same run, on the same event loop.

A figure is a ratio, because machines differ; the absolute numbers are printed with it. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.bench import dialects, heartbeats, lists, load, metering, pulls, pushes, storm, tunnels
from tests.bench.figure import Figure


async def measure(quick: bool) -> list[Figure]:
    """All figures; `quick` shrinks the load, to see that the benches run."""
    with tempfile.TemporaryDirectory(prefix="kajitori-bench-") as folder:
        for place in ("pulls", "storm", "metering", "pushes"):
            (Path(folder) / place).mkdir()
        return [
            *dialects.measure(lines=800 if quick else 8_000, rounds=3 if quick else 9),
            *await pulls.measure(Path(folder) / "pulls", rounds=2 if quick else 8, seconds=0.5 if quick else 3.0),
            *await storm.measure(
                Path(folder) / "storm",
                count=200 if quick else 5_000,
                steady=100 if quick else 1_500,
            ),
            *await tunnels.measure(
                Path(folder) / "tunnels",
                count=200 if quick else tunnels.as_many(),
                with_certificates=100 if quick else 10_000,
                watch_s=5.0 if quick else 60.0,
            ),
            *await heartbeats.measure(Path(folder) / "heartbeats", count=2_000 if quick else 60_000),
            *await lists.measure(
                Path(folder) / "lists", adapters=1_000 if quick else 20_000, requests=50 if quick else 1_000
            ),
            *await metering.measure(
                Path(folder) / "metering",
                interfaces=200 if quick else 20_000,
                per_s=200 if quick else 3_333,
                seconds=5.0 if quick else 600.0,
                polls=100 if quick else 2_000,
            ),
            *await pushes.measure(
                Path(folder) / "pushes",
                count=60 if quick else 600,
                mixed=20 if quick else 300,
                rounds=1 if quick else 3,
                threads=pushes.THREADS[:1] if quick else pushes.THREADS,
            ),
        ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small load, to see that the benches run")
    options = parser.parse_args()
    python = f"Python {platform.python_version()}, uvloop, {platform.machine()}"
    load.allow_files()
    print(f"{python}; what is measured and the load are processes apart, each on a core of its own", file=sys.stderr)
    for figure in uvloop.run(measure(options.quick)):
        print(figure)


if __name__ == "__main__":
    main()
