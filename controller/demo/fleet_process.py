"""`python -m controller.demo.fleet_process`: the simulated fleet by itself.

Takes one JSON line on standard input (`adapters`, `pace`, `history_start_ms`, `faults`), answers with one
(`control_port`), and ends when standard input does: a fleet never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys

from controller.demo.fleet import Fleet
from controller.demo.roster import roster


async def _run() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asked = json.loads(await reader.readline())
    fleet = Fleet(
        roster(asked["adapters"]),
        pace=asked["pace"],
        history_start_ms=asked["history_start_ms"],
        faults=[(serial, name, value) for serial, name, value in asked["faults"]],
    )
    # Ctrl-C reaches the whole group; the one who started us decides when we go.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, fleet.quitting.set)
    async with await fleet.start() as control:
        sys.stdout.write(json.dumps({"control_port": control.port}) + "\n")
        sys.stdout.flush()
        alone = asyncio.create_task(reader.read())
        quitting = asyncio.create_task(fleet.quitting.wait())
        await asyncio.wait((alone, quitting), return_when=asyncio.FIRST_COMPLETED)
        await fleet.stop()
        for task in (alone, quitting):
            task.cancel()


if __name__ == "__main__":
    # Devices go on writing into connections that the other side has cut, as devices do; each would be a warning.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(_run())
