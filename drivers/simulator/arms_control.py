"""Commands of an ARMS device's control port."""

from __future__ import annotations

from drivers.simulator.arms_client import ArmsDevice
from drivers.simulator.control import ControlServer, Handler, serve_control


def control_handlers(device: ArmsDevice) -> dict[str, Handler]:
    """`truth`, `log` (with `since`, a record number), `fault` (`name`, `value`), `unplug`, `plug`."""

    async def truth(_request: dict[str, object]) -> dict[str, object]:
        return await device.truth()

    async def log(request: dict[str, object]) -> dict[str, object]:
        since = request.get("since", 0)
        first = since if isinstance(since, int) and since >= 0 else 0
        return {"records": [each.as_json() for each in device.log[first:]], "next": len(device.log)}

    async def fault(request: dict[str, object]) -> dict[str, object]:
        await device.set_fault(str(request.get("name")), request.get("value"))
        return {}

    async def unplug(_request: dict[str, object]) -> dict[str, object]:
        await device.set_fault("unplug", True)
        return {}

    async def plug(_request: dict[str, object]) -> dict[str, object]:
        await device.set_fault("unplug", False)
        return {}

    return {"truth": truth, "log": log, "fault": fault, "unplug": unplug, "plug": plug}


async def serve_device(device: ArmsDevice, *, port: int = 0) -> ControlServer:
    """A control port of its own on loopback for this device."""
    return await serve_control(control_handlers(device), port=port)
