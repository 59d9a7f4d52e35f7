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

from tests.bench import heartbeats, lists
from tests.bench.figure import Figure


async def measure(quick: bool) -> list[Figure]:
    """All figures; `quick` shrinks the load, to see that the benches run."""
    with tempfile.TemporaryDirectory(prefix="kajitori-bench-") as folder:
        return [
            *await heartbeats.measure(Path(folder) / "heartbeats", count=2_000 if quick else 60_000),
            *await lists.measure(
                Path(folder) / "lists", adapters=1_000 if quick else 20_000, requests=50 if quick else 1_000
            ),
        ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small load, to see that the benches run")
    options = parser.parse_args()
    python = f"Python {platform.python_version()}, uvloop, {platform.machine()}"
    print(f"{python}; the load is made by one process beside the one that is measured", file=sys.stderr)
    for figure in uvloop.run(measure(options.quick)):
        print(figure)


if __name__ == "__main__":
    main()
