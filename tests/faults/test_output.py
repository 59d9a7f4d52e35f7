"""Stories of the failure catalogue, D.2: prompts and output. The number is the row's."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from drivers.registry import driver
from drivers.sessions import dial
from drivers.sessions.carriers import connector
from drivers.sessions.contract import Endpoint, Limits
from inventory.errors import Truncated, Unreachable
from inventory.plans import ConfigText, PushState
from inventory.secrets import Secret
from tests.configs import FORTIOS
from tests.controller.push.cutting import IOS_CONFIG, DeviceClock
from tests.faults.bench import LIMITS, PASSWORD, USER, Bench, firewall, router
from tests.faults.conftest import Make

LONG_NAME = "osaka-warehouse-edge-router-01"
LOOKS_LIKE_A_PROMPT = "osaka-edge-01#"
LOG = "*Mar  1 00:01:02.003: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up"


def unsalted(config: ConfigText) -> str:
    """A reading without what a FortiGate encodes anew each time."""
    return re.sub(r"ENC \S+", "ENC", config.text())


async def test_26_a_long_host_name_is_cut_in_configuration_mode(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(router(clock, IOS_CONFIG.replace("osaka-edge-01", LONG_NAME)), clock)
    assert (await made.pushed()).state is PushState.DONE


async def test_27_a_name_that_ends_in_a_tilde_is_the_same_name(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(firewall(clock, FORTIOS.replace("kobe-fw-01", LONG_NAME)), clock)
    made.device.throw(name_cut_at=17)
    assert (await made.pushed()).state is PushState.DONE


async def test_28_the_role_may_stand_in_the_prompt(forti: Bench) -> None:
    forti.device.throw(ha_prompt=True)
    assert (await forti.pushed()).state is PushState.DONE


async def test_29_a_prompt_of_its_own_is_learned_or_clearly_refused(ios: Bench) -> None:
    ios.device.throw(prompt="edge.osaka:1#")
    assert (await ios.reach().identify()).serial is not None
    ios.device.throw(prompt="[edge 1]#")
    with pytest.raises(Unreachable, match="showed no prompt") as unknown:
        await ios.reach(Limits(prompt_s=0.5)).identify()
    assert "[edge 1]#" in unknown.value.last_words


async def test_30_a_new_host_name_in_the_change_is_followed(ios: Bench) -> None:
    push = await ios.pushed(("hostname osaka-edge-01\n", "hostname nagoya-9\n"))
    assert push.state is PushState.DONE
    assert ios.device.current_hostname() == "nagoya-9"


async def test_a_line_that_speaks_of_log_messages_is_a_line(bench_of: Make) -> None:
    clock = DeviceClock()
    alias = "alias exec up show logging | include %SYS-5-RESTART: System\n"
    made = await bench_of(router(clock, IOS_CONFIG.replace("line vty", f"{alias}line vty")), clock)
    assert alias in (await made.reach().read()).text()
    assert (await made.pushed()).state is PushState.DONE
    assert alias in made.device.saved_text()


async def test_31_log_messages_fall_into_every_answer(ios: Bench) -> None:
    whole = await ios.reach().read()
    ios.device.throw(stray_line=LOG)
    assert await ios.reach().read() == whole
    assert (await ios.pushed()).state is PushState.DONE


async def test_32_a_line_that_looks_like_a_prompt_is_a_line(bench_of: Make) -> None:
    clock = DeviceClock()
    text = IOS_CONFIG.replace("line vty", f"banner motd ^C\nkeep out\n{LOOKS_LIKE_A_PROMPT}\n^C\nline vty")
    made = await bench_of(router(clock, text), clock)
    assert LOOKS_LIKE_A_PROMPT in (await made.reach().read()).text()
    assert (await made.pushed()).state is PushState.DONE


async def test_33_a_message_to_all_after_the_prompt_confuses_no_command(ios: Bench) -> None:
    ios.device.throw(broadcast="***\n*** --- SHUTDOWN ABORTED ---\n***")
    assert (await ios.pushed()).state is PushState.DONE


async def test_34_a_pager_that_comes_although_it_was_switched_off_leaves_no_trace(ios: Bench, forti: Bench) -> None:
    for made in (ios, forti):
        whole = unsalted(await made.reach().read())
        made.device.throw(stubborn_pager=True)
        assert unsalted(await made.reach().read()) == whole


@pytest.mark.parametrize("chunk", [1, 65536])
async def test_35_pieces_and_odd_line_ends_read_the_same(ios: Bench, chunk: int) -> None:
    whole = await ios.reach().read()
    ios.device.throw(output_chunk_bytes=chunk, line_end="\r\r\n")
    assert await ios.reach().read() == whole


async def test_36_a_very_long_answer_takes_time_by_its_length_and_has_a_limit(ios: Bench) -> None:
    seconds = []
    for size in (100_000, 400_000):
        ios.device.throw(padding=size)
        device = ios.reach(Limits())
        await device.identify()
        began = time.process_time()
        assert len((await device.read()).text()) > size * 0.9
        seconds.append(time.process_time() - began)
    assert seconds[1] < 12 * seconds[0]
    with pytest.raises(Truncated, match="size limit"):
        await ios.reach(Limits(output_octets=300_000)).read()


async def test_37_a_configuration_that_starts_late_is_waited_for(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(router(clock, pace=60.0), clock)
    device = made.reach(Limits(command_s=30.0 / 10, read_config_s=180.0 / 10))
    await device.identify()
    made.device.throw(answer_delay_s=60.0)
    assert (await device.read()).text()


async def test_38_a_reading_that_ends_early_is_never_stored(ios: Bench) -> None:
    ios.device.throw(truncate_show_at=200)
    with pytest.raises(Truncated):
        await ios.reach().read()
    with pytest.raises(Truncated):
        await ios.planned()
    async with ios.database().read() as tx:
        assert await ios.truth(tx) is None


async def test_39_a_line_that_falls_silent_is_given_up_by_its_keepalives(
    ios: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dial.KEEPALIVE_S * (dial.KEEPALIVES + 1) <= 60
    monkeypatch.setattr(dial, "KEEPALIVE_S", 0.2)
    ios.device.throw(silence_after=1200)
    endpoint = Endpoint("127.0.0.1", ios.device.port, USER, Secret(PASSWORD))
    session = await connector(LIMITS)(driver("ios"), endpoint)
    began, worked = time.monotonic(), time.process_time()
    lost: list[str] = []
    while not lost:
        try:
            await session.command("show running-config", timeout_s=30)
        except Truncated as error:
            lost.append(error.message)
    assert "connection was lost" in lost[0]
    assert time.monotonic() - began < 5.0
    assert time.process_time() - worked < 1.0


async def test_40_octets_that_no_text_has_are_tolerated(ios: Bench) -> None:
    whole = await ios.reach().read()
    ios.device.throw(odd_octets=True)
    assert await ios.reach().read() == whole
    assert (await ios.pushed()).state is PushState.DONE


async def test_41_time_stamps_before_each_answer_are_no_difference(ios: Bench) -> None:
    whole = await ios.reach().read()
    ios.device.throw(timestamps=True)
    assert await ios.reach().read() == whole
    assert (await ios.pushed()).state is PushState.DONE


async def test_87_a_device_that_never_answers_a_close_is_left_in_time(ios: Bench) -> None:
    ios.device.throw(strike_at="exit", strike_how="silence")
    device = ios.reach()
    await device.identify()
    began = time.monotonic()
    await device.close()
    assert time.monotonic() - began < 5.5
    await asyncio.sleep(0)
