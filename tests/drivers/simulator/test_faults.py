"""Every switch of the simulated devices, seen from the client's side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import asyncssh
import pytest

from drivers.simulator.control import ask_control
from drivers.simulator.faults import Faults
from drivers.simulator.ssh_device import CliDevice
from inventory.errors import BadInput
from tests.drivers.simulator.shell import (
    DEADLINE_S,
    FAST,
    FORTI_SERIAL,
    IOS_SERIAL,
    PASSWORD,
    USER,
    Shell,
    connected,
    forti,
    ios,
    once,
    shell,
)


async def attempt(device: CliDevice, timeout_s: float = 5.0) -> None:
    """One login, given up after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        async with connected(device):
            pass


async def test_no_greeting_is_silence_and_no_credential_is_sent() -> None:
    async with ios(faults=Faults(greeting="silent")) as device:
        with pytest.raises(TimeoutError):
            await attempt(device, 0.3)
        assert (await device.wait_for("refused")).detail == {"why": "silence"}
        assert device.logins == ()
        device.throw(greeting="normal")
        await attempt(device)


async def test_a_reset_comes_before_the_version_line() -> None:
    async with forti(faults=Faults(greeting="reset")) as device:
        with pytest.raises((OSError, asyncssh.Error)):
            await attempt(device)
        assert device.logins == ()


async def test_another_host_key_is_noticed_before_a_credential_is_sent() -> None:
    async with ios() as device:
        await attempt(device)
        device.throw(other_host_key=True)
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await attempt(device)
        await device.wait_for("ended", since=len(device.log.records) - 1)
        keys = [r.detail["host_key"] for r in device.log.records if r.what == "connected"]
        assert len(set(keys)) == 2
        assert len(device.logins) == 1


async def test_silence_after_login_never_shows_a_prompt() -> None:
    async with ios(faults=Faults(after_login="silent")) as device, connected(device) as connection:
        process = await connection.create_process(term_type="vt100")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await process.stdout.read(100)
        assert device.logins[-1].accepted


async def test_a_login_that_ends_at_once_ends_at_once() -> None:
    async with ios(faults=Faults(after_login="hang-up")) as device, connected(device) as connection:
        process = await connection.create_process(term_type="vt100")
        async with asyncio.timeout(DEADLINE_S):
            assert await process.stdout.read() == ""


@pytest.mark.parametrize("make", [ios, forti])
async def test_an_accept_banner_waits_for_a(make: Callable[..., CliDevice]) -> None:
    async with make(faults=Faults(accept_banner="No # trespassing $")) as device, connected(device) as link:
        router = Shell(await link.create_process(term_type="vt100"))
        assert "trespassing $\n(Press 'a' to accept):" in await router.expect(r"accept\):$")
        router.type("x")
        router.type("a")
        await router.expect("# ?$")


@pytest.mark.parametrize("size", [1, 700])
async def test_output_is_cut_exactly_after_byte_n(size: int) -> None:
    async with ios() as device:
        async with shell(device) as router:
            device.throw(cut_output_after=len("show running-config\r\n") + size)
            router.type("show running-config\n")
            with pytest.raises(ConnectionError) as cut:
                await router.expect("never")
        assert len(str(cut.value)) <= len("show running-config\r\n") + size
        assert (await device.wait_for("cut")).detail == {"direction": "output"}
        assert device.faults.cut_output_after is None
        assert "Processor" in await once(device, "show version")


async def test_input_is_cut_after_byte_n_and_what_came_before_was_carried_out() -> None:
    async with ios() as device:
        async with shell(device) as router:
            await router.run("configure terminal")
            first, second = "ntp server 192.0.2.1\n", "ntp server 192.0.2.2\n"
            device.throw(cut_input_after=len(first) + 5)
            router.type(first + second)
            with pytest.raises(ConnectionError):
                await router.expect("never")
        assert "ntp server 192.0.2.1\n" in device.running_text()
        assert "192.0.2.2" not in device.running_text()


async def test_small_pieces_and_slow_answers_arrive_whole() -> None:
    async with ios() as device:
        at_once = await once(device, "show startup-config")
        device.throw(output_chunk_bytes=7, answer_delay_s=0.01)
        assert await once(device, "show startup-config") == at_once


@pytest.mark.parametrize(
    ("make", "command", "last"),
    [(ios, "show running-config", "\nend\n"), (forti, "show", "config firewall policy")],
)
async def test_a_truncated_reading_ends_early_with_a_prompt_behind_it(
    make: Callable[..., CliDevice], command: str, last: str
) -> None:
    async with make(faults=Faults(truncate_show_at=200)) as device, shell(device) as router:
        text = await router.run(command)
        assert text.rstrip().endswith("#")
        assert last not in text


async def test_a_stray_log_line_and_time_stamps_fall_into_the_answer() -> None:
    stray = "*Mar  1 00:00:01.000: %LINK-3-UPDOWN: Interface GigabitEthernet1/0, changed state to up"
    async with ios(faults=Faults(stray_line=stray, timestamps=True)) as device, shell(device) as router:
        text = await router.run("show version")
        assert stray in text
        assert "Load for five secs" in text
        await router.run("terminal exec prompt no-timestamp")
        assert "Load for five secs" not in await router.run("show version")


async def test_the_wrong_prompt_and_the_wrong_serial_number_are_shown() -> None:
    async with ios(faults=Faults(prompt="[odd] r1# ", serial="OTHER0001")) as device, shell(device) as router:
        text = await router.run("show inventory")
        assert "SN: OTHER0001" in text
        assert IOS_SERIAL not in text
        assert text.endswith("[odd] r1# ")
        assert device.truth().serial == IOS_SERIAL
    async with forti(faults=Faults(serial="FGTOTHER")) as unit:
        text = await once(unit, "get system status")
        assert "Serial-Number: FGTOTHER\n" in text
        assert FORTI_SERIAL not in text


async def test_a_clock_jump_moves_what_the_device_shows_and_not_the_record() -> None:
    year_ms = 366 * 86_400_000
    async with ios(clock_ms=lambda: 1_700_000_000_000) as device:
        assert "2023" in await once(device, "show clock")
        device.throw(clock_jump_ms=year_ms)
        assert "2024" in await once(device, "show clock")
        assert {record.at_ms for record in device.log.records} == {1_700_000_000_000}


async def test_a_command_that_is_not_authorised_says_so() -> None:
    async with (
        ios(faults=Faults(unauthorised=("terminal length", "ntp"))) as device,
        connected(device) as link,
    ):
        router = Shell(await link.create_process(term_type="vt100"))
        await router.expect("#$")
        assert "Command authorization failed" in await router.run("terminal length 0")
        router.type("show running-config\n")
        await router.expect("--More-- $")
        router.type("q")
        await router.expect("#$")
        await router.run("configure terminal")
        assert "Command authorization failed" in await router.run("ntp server 192.0.2.1")
        assert "192.0.2.1" not in device.running_text()


async def test_a_locked_configuration_keeps_others_out() -> None:
    async with ios(faults=Faults(locked_by="aiko")) as device, shell(device) as router:
        assert "locked exclusively by user 'aiko'" in await router.run("configure terminal")
        assert "aiko" in await router.run("show configuration lock")
    async with forti(faults=Faults(locked_by="aiko")) as unit:
        before = unit.truth().running_digest
        said = await once(unit, "config firewall address\nedit x\nset subnet 10.0.0.0/8\nnext\nend\n")
        assert "locked by administrator aiko" in said
        assert unit.truth().running_digest == before


async def test_a_given_line_is_refused_although_it_is_right() -> None:
    async with ios(faults=Faults(reject_lines=("ntp server 192.0.2.1",))) as device, shell(device) as router:
        await router.run("configure terminal")
        assert "% Invalid input detected" in await router.run("ntp server 192.0.2.1")
        assert "% Invalid" not in await router.run("ntp server 192.0.2.2")
    async with forti(faults=Faults(reject_lines=("set alias x",))) as unit:
        said = await once(unit, "config system interface\nedit port1\nset alias x\nnext\nend\n")
        assert "value parse error before 'x'" in said


async def test_without_the_archive_no_guard_can_be_armed() -> None:
    async with ios(faults=Faults(archive_missing=True)) as device, shell(device) as router:
        assert "Archive feature not enabled" in await router.run("show archive")
        said = await router.run("configure terminal revert timer 5")
        assert "%Please turn config archive on" in said
        assert said.endswith("tokyo-r1#")
        assert device.truth().pending is None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("busy", "startup-config file open failed (Device or resource busy)"),
        ("no-ok", "Building configuration..."),
        ("failed", "% NVRAM write failed"),
    ],
)
async def test_a_failed_save_saves_nothing_and_can_work_the_second_time(kind: str, said: str) -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal")
        await router.run("ntp server 192.0.2.1")
        await router.run("end")
        device.throw(save=kind, save_failures=1)
        answer = await router.run("write memory")
        assert said in answer
        assert "[OK]" not in answer
        assert device.truth().saved_digest != device.truth().running_digest
        assert "[OK]" in await router.run("write memory")
        assert device.truth().saved_digest == device.truth().running_digest


async def test_fortios_can_fail_to_save_too() -> None:
    async with forti() as device:
        await once(device, "config system global\nset cfg-save manual\nend\nexecute cfg save\n")
        device.throw(save="failed")
        said = await once(device, "config system dns\nset primary 192.0.2.53\nend\nexecute cfg save\n")
        assert "save config failed" in said
        assert "192.0.2.53" not in device.truth().saved


@pytest.mark.parametrize(
    ("kind", "words", "restored"),
    [
        ("partial", "original configuration has been successfully restored", True),
        ("partial-no-way-back", "Rollback failed", False),
    ],
)
async def test_a_replace_that_stops_half_way(kind: str, words: str, restored: bool) -> None:
    async with ios() as device, shell(device) as router:
        before = device.truth().running_digest
        device.flash["new.cfg"] = device.running_text().replace("no ip http server", "ip http server")
        device.flash["new.cfg"] = device.flash["new.cfg"].replace("hostname tokyo-r1", "hostname nara-r1")
        device.throw(replace=kind)
        said = await router.run("configure replace flash:new.cfg force revert trigger error timer 5")
        assert "Rollback aborted after 5 passes" in said
        assert words in said
        assert (device.truth().running_digest == before) is restored
        assert (device.truth().pending is None) is restored


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_line_drops_at_a_command_before_or_after_it_is_carried_out(when: str) -> None:
    async with ios() as device:
        async with shell(device) as router:
            await router.run("configure terminal")
            device.throw(strike_at="ntp server 192.0.2.1", strike_when=when)
            router.type("ntp server 192.0.2.1\n")
            with pytest.raises(ConnectionError):
                await router.expect("never")
        assert ("ntp server 192.0.2.1" in device.running_text()) is (when == "after")
        assert "Processor" in await once(device, "show version")


async def test_a_reload_in_the_middle_of_a_push_brings_the_saved_configuration() -> None:
    async with forti(pace=FAST) as device:
        await once(device, "config system global\nset cfg-save manual\nend\nexecute cfg save\n")
        before = device.truth().running_digest
        device.throw(strike_at="end", strike_when="after", strike_how="reload")
        with pytest.raises((asyncssh.Error, OSError)):
            await once(device, "config system dns\nset primary 192.0.2.53\nend\n")
        await device.wait_for("booted", since=1)
        assert device.truth().running_digest == before


async def test_a_device_that_dies_stays_off_until_it_is_switched_on() -> None:
    async with ios() as device:
        device.throw(strike_at="show version", strike_how="power-off")
        with pytest.raises((asyncssh.Error, OSError)):
            await once(device, "show version")
        assert not device.truth().powered
        with pytest.raises((asyncssh.Error, OSError)):
            await attempt(device)
        device.power_on()
        assert "Processor" in await once(device, "show version")


async def test_a_running_guard_dies_with_a_reload_and_the_saved_configuration_runs() -> None:
    async with ios(pace=FAST) as device:
        before = device.truth().running_digest
        device.pace = 1.0
        async with shell(device) as router:
            await router.run("configure terminal revert timer 120")
            await router.run("ntp server 192.0.2.1")
        device.pace = FAST
        device.reload("lightning")
        assert device.truth().pending is None
        await device.wait_for("booted", since=1)
        assert device.truth().running_digest == before
        assert device.log.count("reverted") == 0


async def test_an_examiner_throws_switches_and_reads_the_truth_on_the_control_port() -> None:
    async with ios() as device, await device.serve_control() as control:
        said = await ask_control(control.host, control.port, "fault", name="reject_lines", value=["end"])
        assert said["reject_lines"] == ["end"]
        assert device.faults.reject_lines == ("end",)
        truth = await ask_control(control.host, control.port, "truth")
        assert truth["serial"] == IOS_SERIAL
        assert truth["running"] == device.running_text()
        booted = await ask_control(control.host, control.port, "wait_for", what="booted", timeout_s=1)
        assert booted["what"] == "booted"
        assert await ask_control(control.host, control.port, "power", on=False) == {"powered": False}
        assert await ask_control(control.host, control.port, "power", on=True) == {"powered": True}
        for name, value in (
            ("frobnicate", 1),
            ("greeting", "shy"),
            ("cut_output_after", "7"),
            ("timestamps", 1),
        ):
            with pytest.raises(BadInput):
                await ask_control(control.host, control.port, "fault", name=name, value=value)
        with pytest.raises(BadInput):
            await ask_control(control.host, control.port, "wait_for", what="armed", timeout_s=0.01)


async def test_no_password_is_in_the_truth() -> None:
    async with ios() as device, forti() as unit:
        for one in (device, unit):
            await attempt(one)
            assert PASSWORD not in str(one.truth())
            assert USER in str(one.truth().logins)


@pytest.mark.fast
def test_every_switch_has_its_story_here_or_in_the_catalogue() -> None:
    catalogue = Path(__file__).parents[2] / "faults"
    stories = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__), *catalogue.glob("test_*.py")))
    assert [
        item.name for item in fields(Faults) if f"{item.name}=" not in stories and f'"{item.name}"' not in stories
    ] == []
