"""`kajitori sim`: one fake device by hand, on loopback, with a control port that says what it really holds."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.fleet import show
from controller.cli.options import AsJson
from controller.cli.output import out
from inventory.errors import BadInput
from inventory.secrets import Secret

if TYPE_CHECKING:
    from drivers.simulator.control import ControlServer
    from drivers.simulator.ssh_device import CliDevice

Pace = Annotated[float, typer.Option(min=0.01, max=1000, help="Divides the device's waits.")]
Config = Annotated[Path | None, typer.Option(help="What it boots with; a made-up one if left out.")]
Number = Annotated[int, typer.Option(min=1, max=9999, help="Tells devices of a family apart.")]
PASSWORD_VARIABLE = "KAJITORI_PASSWORD"  # noqa: S105 – the name of a variable
KEY_VARIABLE = "KAJITORI_LS_KEY"


def register(app: typer.Typer) -> None:
    """Add `sim` to the commands."""
    sim = typer.Typer(help="Fake devices by hand; the control port takes JSON lines.", no_args_is_help=True)
    app.add_typer(sim, name="sim")

    @sim.command("ios")
    def ios(
        number: Number = 1, config: Config = None, username: str = "admin", pace: Pace = 1.0, as_json: AsJson = False
    ) -> None:
        """A Cisco IOS router over SSH. Its password is in KAJITORI_PASSWORD, else `password`."""
        from drivers.simulator.ios_cli import IosDevice  # noqa: PLC0415 (only the simulator needs its libraries)
        from drivers.simulator.starting import MANAGEMENT, starting_config  # noqa: PLC0415

        text = starting_config("ios", number) if config is None else config.read_text(encoding="utf-8")
        _shell(
            IosDevice(
                hostname=f"ios-{number:04d}",
                serial=f"FDO2645{number:04d}",
                model="CISCO2921/K9",
                config_text=text,
                username=username,
                password=_password(),
                pace=pace,
                management=MANAGEMENT["ios"] if config is None else None,
            ),
            as_json,
        )

    @sim.command("fortios")
    def fortios(
        number: Number = 1, config: Config = None, username: str = "admin", pace: Pace = 1.0, as_json: AsJson = False
    ) -> None:
        """A FortiGate over SSH. Its password is in KAJITORI_PASSWORD, else `password`."""
        from drivers.simulator.forti_cli import FortiDevice  # noqa: PLC0415
        from drivers.simulator.starting import MANAGEMENT, starting_config  # noqa: PLC0415

        text = starting_config("fortios", number) if config is None else config.read_text(encoding="utf-8")
        _shell(
            FortiDevice(
                hostname=f"fgt-{number:04d}",
                serial=f"FGT40FTK2609{number:04d}",
                model="FortiGate-40F",
                config_text=text,
                username=username,
                password=_password(),
                pace=pace,
                management=MANAGEMENT["fortios"] if config is None else None,
            ),
            as_json,
        )

    @sim.command("arms")
    def arms(
        root_ca: Annotated[Path, typer.Option(help="`pki/arms-root-ca.crt` of the daemon's data directory.")],
        ls_url: Annotated[str, typer.Option(help="Location Server.")] = "https://127.0.0.1:17443/",
        model: Annotated[str, typer.Option(help="SEIL/X1, SEIL/x86 Ayame or SA-W2.")] = "SA-W2",
        number: Number = 1,
        pace: Pace = 1.0,
        as_json: AsJson = False,
    ) -> None:
        """A service adapter that phones home. Its LS key, as its registration answered, is in KAJITORI_LS_KEY."""
        asyncio.run(_arms(root_ca, ls_url, model, number, pace, as_json))


def _password() -> str:
    return os.environ.get(PASSWORD_VARIABLE, "password")


def _shell(device: CliDevice, as_json: bool) -> None:
    async def run() -> None:
        async with device, await device.serve_control() as control:
            key = " ".join(device.host_key.export_public_key().decode().split()[:2])
            said = {"serial_number": device.serial, "ssh": f"{device.host}:{device.port}", "username": device.username}
            await _until_stopped(control, {**said, "host_key": key}, as_json)

    asyncio.run(run())


async def _arms(root_ca: Path, ls_url: str, model: str, number: int, pace: float, as_json: bool) -> None:
    from drivers.simulator.arms_client import ArmsDevice, ArmsSettings  # noqa: PLC0415
    from drivers.simulator.arms_control import serve_device  # noqa: PLC0415
    from drivers.simulator.identity import ARMS_MODELS, fleet_member  # noqa: PLC0415

    if model not in ARMS_MODELS:
        raise BadInput(f"no simulated device is a {model}", field="model", next_step=f"Use {', '.join(ARMS_MODELS)}.")
    identity = fleet_member(ARMS_MODELS[model], number)
    said = {"serial_number": identity.serial_number, "distribution_id": identity.distribution_id}
    key = os.environ.get(KEY_VARIABLE)
    if key is None:
        show(dict(said), as_json)
        raise BadInput(
            f"{KEY_VARIABLE} is not set",
            field=KEY_VARIABLE,
            next_step="Register the adapter with the numbers above; the answer shows its LS key once.",
        )
    pem = await asyncio.to_thread(root_ca.read_text, "ascii")
    settings = ArmsSettings(ls_urls=(ls_url,), root_ca_pem=pem, pace=pace)
    device = ArmsDevice(replace(identity, ls_key=Secret(key)), settings)
    device.start()
    try:
        async with await serve_device(device) as control:
            await _until_stopped(control, said, as_json)
    finally:
        await device.stop()


async def _until_stopped(control: ControlServer, said: dict[str, str], as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    show({**said, "control_port": control.port}, as_json)
    if not as_json:
        out.print('Ask it with one JSON line, such as {"cmd": "truth"}. Ctrl-C ends it.', markup=False)
    await stop.wait()
