"""The control port: how an examiner asks a simulated device for its ground truth."""

from __future__ import annotations

import asyncio
import json

import pytest

from drivers.simulator.control import ask_control, serve_control
from inventory.errors import BadInput, Conflict


async def truth(request: dict[str, object]) -> dict[str, object]:
    return {"running": "hostname: x", "asked": request.get("module")}


async def refuse(_request: dict[str, object]) -> dict[str, object]:
    raise Conflict("The device is unplugged.", next_step="Plug it in first.")


async def test_an_examiner_asks_for_the_truth_and_gets_it() -> None:
    async with await serve_control({"truth": truth}) as control:
        answer = await ask_control(control.host, control.port, "truth", module=0)
    assert answer == {"running": "hostname: x", "asked": 0}


async def test_an_unknown_command_is_answered_with_the_known_ones() -> None:
    async with await serve_control({"truth": truth}) as control:
        with pytest.raises(BadInput) as refused:
            await ask_control(control.host, control.port, "thruth")
    assert refused.value.next_step == "Known: truth."


async def test_rubbish_and_refusals_are_answered_and_the_connection_stays_usable() -> None:
    async with await serve_control({"truth": truth, "boot": refuse}) as control:
        reader, writer = await asyncio.open_connection(control.host, control.port)
        writer.write(b'rubbish\n[1]\n{"cmd": 1}\n{"cmd": "boot"}\n{"cmd": "truth"}\n')
        answers = [json.loads(await reader.readline()) for _ in range(5)]
        writer.close()
        await writer.wait_closed()
    codes = [answer["error"]["code"] if not answer["ok"] else "ok" for answer in answers]
    assert codes == ["bad-input", "bad-input", "bad-input", "conflict", "ok"]


async def test_closing_the_port_ends_open_conversations() -> None:
    control = await serve_control({"truth": truth})
    reader, writer = await asyncio.open_connection(control.host, control.port)
    writer.write(b'{"cmd": "truth"}\n')
    await reader.readline()
    await control.aclose()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()
