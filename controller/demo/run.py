"""A demo from beginning to end: processes up, tour, summary, and down in order, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from controller.demo import show
from controller.demo.checks import Result
from controller.demo.tour import Wanted, play, running
from inventory.errors import BadInput

Value = TypeVar("Value")


class Interrupted(Exception):
    """Ctrl-C or SIGTERM came before the tour was over."""


async def demo(wanted: Wanted, console: Console, *, stay: bool, kept: bool) -> list[Result]:
    """Play the tour; with `stay` keep everything up afterwards until Ctrl-C.

    Raises Interrupted when that comes during the tour; NotStarted, BadInput.
    """
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_stop.set)
    progress = show.Progress(console)
    progress.begin()
    try:
        async with running(wanted) as world:
            results = await _unless(asked_to_stop, play(world, progress.step))
            progress.end()
            show.summary(console, results)
            if stay or kept:
                show.where_to_look(console, world, kept=kept)
            if stay:
                console.print("\nCtrl-C ends the demo.")
                await asked_to_stop.wait()
                console.print("stopping …")
            return results
    finally:
        progress.end()


async def _unless(asked_to_stop: asyncio.Event, work: Awaitable[Value]) -> Value:
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(asked_to_stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    raise Interrupted


@contextlib.contextmanager
def data_directory(keep: Path | None) -> Iterator[Path]:
    """`keep`, made if it is missing; else a temporary directory that is removed at the end.

    Raises BadInput for one that holds something: the tour registers its adapters for ever.
    """
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise BadInput(f"{keep} is not empty", field="keep", next_step="Name a new directory.")
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield keep.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="kajitori-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def timed(wanted: Wanted, console: Console, *, stay: bool, kept: bool) -> tuple[Sequence[Result], float]:
    """`demo` in a loop of its own, and the seconds that it took."""
    started = time.monotonic()
    results = asyncio.run(demo(wanted, console, stay=stay, kept=kept))
    return results, time.monotonic() - started
