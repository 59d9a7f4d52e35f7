"""The simulated fleet: devices on loopback, in a process of their own, with one control port for all of them.

It shares nothing with the daemon but the network, so what it says of a device is what the device itself holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from controller.demo.roster import ARMS_MODELS, WAN_IFINDEX, Unit
from drivers.simulator.arms_client import ArmsDevice, ArmsSettings
from drivers.simulator.arms_control import control_handlers
from drivers.simulator.control import ControlServer, Handler, serve_control
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.identity import fleet_member
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.ssh_device import CliDevice
from drivers.simulator.starting import MANAGEMENT, starting_config
from drivers.simulator.traffic import Traffic
from inventory.errors import BadInput, Conflict, NotFound
from inventory.secrets import Secret

USERNAME = "kajitori"
PASSWORD = "demo-password"  # noqa: S105 – of devices that do not exist outside this process
Request = dict[str, object]
Fault = tuple[str, str, object]
"""Serial number, switch, position: thrown when the device is switched on."""


class Fleet:
    """Devices of a roster. SSH devices are on from `start`; the others wait for `install`, which an installer does."""

    def __init__(
        self, units: Iterable[Unit], *, pace: float, history_start_ms: int, faults: Iterable[Fault] = ()
    ) -> None:
        self._units = {unit.serial: unit for unit in units}
        for serial, _, _ in faults:
            self._unit(serial)
        self._pace = pace
        self._history_start_ms = history_start_ms
        self._faults = tuple(faults)
        self._cli: dict[str, CliDevice] = {}
        self._arms: dict[str, ArmsDevice] = {}
        self.quitting = asyncio.Event()

    async def start(self) -> ControlServer:
        """Switch on what needs no installer, and open the control port."""
        for unit in self._units.values():
            if not unit.is_arms:
                self._cli[unit.serial] = device = _cli_device(unit, self._pace)
                await device.start()
                for name, value in self._faults_of(unit.serial):
                    device.throw(**{name: value})
        return await serve_control(self._handlers())

    async def stop(self) -> None:
        """Switch everything off."""
        await asyncio.gather(*(device.aclose() for device in self._cli.values()))
        await asyncio.gather(*(device.stop() for device in self._arms.values()))

    def _handlers(self) -> dict[str, Handler]:
        """Commands; those that end in the name of a device's own take its `serial`."""
        return {
            "endpoints": self._endpoints,
            "install": self._install,
            "overview": self._overview,
            "octets": self._octets,
            "quit": self._quit,
            **{name: self._of_one(name) for name in ("truth", "log", "fault", "unplug", "plug")},
        }

    async def _endpoints(self, _request: Request) -> Request:
        """Where the SSH devices are, how one logs in, and the configuration that their owners have on file."""
        return {
            serial: {
                "host": device.host,
                "port": device.port,
                "username": USERNAME,
                "password": PASSWORD,
                "text": device.running_text(),
            }
            for serial, device in self._cli.items()
        }

    async def _install(self, request: Request) -> Request:
        """Write address, root certificate and keys into the units named in `keys`, and switch them on."""
        keys, url, root = request.get("keys"), request.get("ls_url"), request.get("root_ca_pem")
        if not isinstance(keys, dict) or not isinstance(url, str) or not isinstance(root, str):
            raise BadInput("install takes keys, ls_url and root_ca_pem", field="keys")
        for serial, key in keys.items():
            unit = self._unit(serial)
            if not unit.is_arms or serial in self._arms:
                raise Conflict(f"{serial} phones home already, or never does", next_step="Name other units.")
            self._arms[serial] = self._arms_device(unit, Secret(str(key)), url, root)
            for name, value in self._faults_of(serial):
                await self._arms[serial].set_fault(name, value)
            self._arms[serial].start()
        return {"on": len(self._arms)}

    def _arms_device(self, unit: Unit, ls_key: Secret, ls_url: str, root_ca_pem: str) -> ArmsDevice:
        identity = replace(fleet_member(ARMS_MODELS[unit.family], unit.number), ls_key=ls_key)
        settings = ArmsSettings(ls_urls=(ls_url,), root_ca_pem=root_ca_pem, pace=self._pace)
        return ArmsDevice(identity, settings, interfaces={WAN_IFINDEX: self._counter(unit)})

    def _counter(self, unit: Unit) -> Callable[[int], tuple[int, int]]:
        traffic = self._traffic(unit)
        return (lambda _now_ms: (0, 0)) if traffic is None else traffic.octets_at

    def _traffic(self, unit: Unit) -> Traffic | None:
        return None if unit.metered is None else Traffic(unit.metered.profile, self._history_start_ms)

    async def _overview(self, _request: Request) -> Request:
        """One line a device: what it is doing."""
        arms = {
            serial: {
                "state": device.state,
                "boots": device.ground_truth.count("boot"),
                "confirmed": device.ground_truth.count("confirmed"),
                "heartbeats": (await device.truth())["heartbeats_sent"],
                "running": device.running(),
            }
            for serial, device in self._arms.items()
        }
        cli = {
            serial: {
                "state": "UP" if device.powered else "OFF",
                "logins": sum(login.accepted for login in device.logins),
                "refused_logins": sum(not login.accepted for login in device.logins),
                "host_key": " ".join(device.host_key.export_public_key().decode().split()[:2]),
                "lines": device.log.count("line"),
            }
            for serial, device in self._cli.items()
        }
        return {"arms": arms, "cli": cli}

    async def _octets(self, request: Request) -> Request:
        """What really passed the WAN interface of a unit, by slots of five minutes: `serial`, `start_ms`, `end_ms`."""
        traffic = self._traffic(self._unit(str(request.get("serial"))))
        start_ms, end_ms = request.get("start_ms"), request.get("end_ms")
        if traffic is None or not isinstance(start_ms, int) or not isinstance(end_ms, int):
            raise BadInput("octets takes the serial number of a metered unit, start_ms and end_ms", field="serial")
        slots = await asyncio.to_thread(traffic.slots, start_ms, end_ms)
        return {"in_octets": [one for one, _ in slots], "out_octets": [other for _, other in slots]}

    async def _quit(self, _request: Request) -> Request:
        self.quitting.set()
        return {}

    def _of_one(self, name: str) -> Handler:
        async def handle(request: Request) -> Request:
            return await self._handler(str(request.get("serial")), name)(request)

        return handle

    def _handler(self, serial: str, name: str) -> Handler:
        self._unit(serial)
        if serial in self._arms:
            return control_handlers(self._arms[serial])[name]
        device = self._cli.get(serial)
        if device is None:
            raise Conflict(f"{serial} is not installed yet", next_step="Install it first.")
        handlers = device.control_handlers()
        if name not in handlers:
            raise NotFound(f"a device with a command line has no {name}", next_step="Use truth or fault.")
        return handlers[name]

    def _faults_of(self, serial: str) -> list[tuple[str, object]]:
        return [(name, value) for whose, name, value in self._faults if whose == serial]

    def _unit(self, serial: str) -> Unit:
        if serial not in self._units:
            raise NotFound(f"no unit {serial!r} in this fleet", next_step="See `overview`.")
        return self._units[serial]


def _cli_device(unit: Unit, pace: float) -> CliDevice:
    if unit.family == "ios":
        return IosDevice(
            hostname=unit.hostname,
            serial=unit.serial,
            model="CISCO2921/K9",
            config_text=starting_config("ios", unit.number),
            username=USERNAME,
            password=PASSWORD,
            pace=pace,
            management=MANAGEMENT["ios"],
        )
    return FortiDevice(
        hostname=unit.hostname,
        serial=unit.serial,
        model="FortiGate-40F",
        config_text=starting_config("fortios", unit.number),
        username=USERNAME,
        password=PASSWORD,
        pace=pace,
        management=MANAGEMENT["fortios"],
    )
