"""A simulated SA-W2 in an entry of a running daemon, in contact."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.controller.house import Fleet, House, environment, ok
from tests.controller.waiting_here import until

SECRET = "Planted-in-its-startup"
STARTUP = f"hostname: osaka\nppp.0.password: {SECRET}\n"
ITEMS = ("line", "site", "installation", "other")


@contextmanager
def phoning(house: House, fleet: Fleet, *, number: int = 41, startup: str = STARTUP) -> Iterator[str]:
    """Serial number of an adapter that can be pushed to, until the block ends. Another `number` is another unit."""
    command = [sys.executable, "-m", "controller", "sim", "arms", "--model", "SA-W2", "--number", str(number)]
    command += ["--root-ca", str(house.directory / "pki/arms-root-ca.crt")]
    command += ["--ls-url", f"https://127.0.0.1:{house.ports['ls']}/"]
    env = environment(house.directory)
    # Without its key it only says who it is.
    told = json.loads(subprocess.run([*command, "--json"], env=env, capture_output=True, check=False).stdout)
    place = {"management": fleet.management()}
    made = fleet.register(fleet.arms(**told, model="SA-W2", place=place))
    name = str(made["serial_number"])
    for item in ITEMS:
        ok(fleet.api.put(f"/adapters/{name}/checklist/{item}", json={}))
    modules = [{"text": startup}]
    ok(fleet.api.put(f"/entries/{made['place']}/configs/working", json={"modules": modules}))
    ok(fleet.api.post(f"/entries/{made['place']}/configs/startup"))
    env = environment(house.directory, LS_KEY=made["ls_key"])
    command += ["--pace", "50"]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as device:
        try:
            until(
                lambda: ok(fleet.api.get(f"/adapters/{name}/contact"))["stage"] == "ready",
                what="a push path",
                deadline_s=60,
            )
            yield name
        finally:
            device.terminate()
            device.wait(20)
