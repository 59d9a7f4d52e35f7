"""A simulated FortiGate, driven with a plain SSH client."""

from __future__ import annotations

import re

import pytest

from drivers.simulator.forti_cli import load
from drivers.simulator.forti_tree import SecretCodec, Unclosed, statement
from drivers.simulator.starting import FORTIOS_FILES, starting_config
from inventory.errors import ConfigSyntax
from tests.drivers.simulator.shell import DEADLINE_S, FAST, FORTI_SERIAL, Shell, connected, forti, once, shell

STANDARD = "config system console\nset output standard\nend\n"


async def run_all(unit: Shell, *lines: str) -> list[str]:
    return [await unit.run(line) for line in lines]


async def test_a_person_finds_prompt_status_and_serial() -> None:
    async with forti() as device, connected(device) as connection:
        unit = Shell(await connection.create_process(term_type="vt100"))
        await unit.expect("osaka-fw1 # $")
        unit.type("get system status\n")
        status = await unit.expect("# $")

    assert f"\nSerial-Number: {FORTI_SERIAL}\n" in status
    assert "Version: FortiGate-60F v7.4.4,build2662,240514 (GA.F)\n" in status
    assert "Hostname: osaka-fw1\n" in status
    assert "Virtual domain configuration: disable\n" in status
    assert "Current HA mode: standalone\n" in status
    assert "get system status\r\r\n" in unit.seen


async def test_the_pager_stops_a_long_answer_unless_the_console_is_standard() -> None:
    async with forti() as device:
        async with shell(device) as unit:
            unit.type("show\n")
            await unit.expect(r"--More-- $")
            unit.type(" ")
            assert "\r         \r" not in await unit.expect(r"--More-- $")
            assert "\r         \r" in unit.seen
            unit.type("q")
            await unit.expect("# $")
        await once(device, STANDARD)
        async with shell(device) as unit:
            whole = await unit.run("show")
    assert "--More--" not in whole
    assert "\n#config-version=FGT60F-7.4.4-FW-build2662-240514:opmode=0:vdom=0:user=kaji\n" in whole
    assert whole.endswith("\nend\n\nosaka-fw1 # ")


async def test_an_entry_takes_effect_at_next_and_an_object_at_end() -> None:
    async with forti() as device, shell(device) as unit:
        assert (await unit.run("config firewall address")).endswith("osaka-fw1 (address) # ")
        assert (await unit.run("edit branch")).endswith("osaka-fw1 (branch) # ")
        await unit.run("set subnet 10.7.0.0/16")
        assert "branch" not in device.running_text()
        await unit.run("next")
        assert 'edit "branch"\n        set subnet 10.7.0.0 255.255.0.0\n    next\n' in device.running_text()
        await unit.run("end")
        await run_all(unit, "config system global", "set hostname kobe-fw2")
        assert device.current_hostname() == "osaka-fw1"
        assert (await unit.run("end")).endswith("kobe-fw2 # ")
        truth = device.truth()
        assert truth.running_digest == truth.saved_digest
        assert [r.detail["line"] for r in truth.log if r.what == "line"][:3] == [
            "config firewall address",
            "edit branch",
            "set subnet 10.7.0.0/16",
        ]


async def test_append_unset_rename_move_delete_and_purge_do_what_they_say() -> None:
    async with forti() as device:
        await once(
            device,
            """config firewall address
edit a
set subnet 10.1.0.0 255.255.0.0
next
edit b
set comment "two words"
end
config firewall addrgrp
edit both
set member a
append member b
next
end
config firewall policy
edit 0
set srcintf port1
set dstintf port2
set srcaddr both
set dstaddr all
set action accept
next
move 3 before 1
end
config firewall address
rename a to alpha
edit b
unset comment
end
""",
        )
        text = device.running_text()
        assert 'edit "both"\n        set member "alpha" "b"\n    next\n' in text
        policies = re.findall(r"\n    edit (\d+)\n", text[text.index("config firewall policy") :])
        assert policies[:3] == ["3", "1", "2"]
        assert '    edit "b"\n    next\n' in text
        async with shell(device) as unit:
            await unit.run("config firewall policy")
            await unit.run("delete 3")
            await unit.run("purge", r"\(y/n\)$")
            unit.type("y")
            await unit.expect("# $")
            await unit.run("end")
        assert "config firewall policy\nend\n" in device.running_text()


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["frobnicate"], "Unknown action 0"),
        (
            ["config system frobnicate"],
            "command parse error before 'frobnicate'\nCommand fail. Return code 1",
        ),
        (
            ["config system global", "set frobnicate 1"],
            "command parse error before 'frobnicate'\nCommand fail. Return code -61",
        ),
        (
            ["config system interface", "edit port1", "set ip 999.1.1.1/24"],
            "value parse error before '999.1.1.1/24'\nCommand fail. Return code -651",
        ),
        (
            ["config firewall policy", "edit 1", "set srcaddr nobody"],
            "entry not found in datasource\n\nvalue parse error before 'nobody'\nCommand fail. Return code -3",
        ),
        (
            ["config firewall service custom", "delete EXPLICIT_DENY1"],
            "The entry is used by other 1 entries\nCommand fail. Return code -23",
        ),
    ],
)
async def test_a_wrong_line_is_refused_in_the_words_of_fortios(lines: list[str], answer: str) -> None:
    async with forti() as device, shell(device) as unit:
        before = device.truth().running_digest
        said = await run_all(unit, *lines)
        assert answer in said[-1]
        await run_all(unit, "abort")
        assert device.truth().running_digest == before


async def test_a_failed_entry_is_discarded_and_the_next_lines_land_one_context_further_out() -> None:
    async with forti() as device, shell(device) as unit:
        before = device.truth().running_digest
        said = await run_all(unit, "config firewall policy", "edit 9", "set srcintf port1", "next")
        assert "Attribute 'dstintf' MUST be set." in said[-1]
        assert "discard the setting" in said[-1]
        assert said[-1].endswith("osaka-fw1 (policy) # ")
        said = await run_all(unit, "edit 9", "set srcintf port1", "end")
        assert "discard the setting" in said[-1]
        assert said[-1].endswith("\nosaka-fw1 # ")
        assert "Unknown action 0" in await unit.run("set dstintf port2")
        assert device.truth().running_digest == before


async def test_a_secret_is_written_differently_each_time_and_can_be_given_back() -> None:
    async with forti() as device:
        await once(device, "config user local\nedit bob\nset passwd 'horse battery'\nend\n")
        first = await once(device, "show user local")
        second = await once(device, "show user local")
        assert "horse battery" not in first + second + str(device.truth())
        written = re.search(r"set passwd (ENC \S+)", first)
        assert written
        assert written[1] not in second
        truth = device.truth()
        await once(device, f"config user local\nedit bob\nset passwd {written[1]}\nend\n")
        assert device.truth().running_digest == truth.running_digest


GUARD = "config system global\nset cfg-save revert\nset cfg-revert-timeout 120\nend\nexecute cfg save\n"


async def test_a_guarded_push_that_is_saved_stays() -> None:
    async with forti(pace=1.0) as device:
        await once(device, GUARD)
        assert device.truth().pending is None
        await once(device, "# push 4711 of kajitori\nconfig router static\nedit 0\nset device port1\nnext\nend\n")
        pending = device.truth().pending
        assert pending is not None
        assert (pending.kind, pending.timeout_s) == ("cfg-revert", 120)
        assert device.truth().running_digest != device.truth().saved_digest
        await once(device, "execute cfg save")
        await once(device, "config system global\nset cfg-save automatic\nend\nexecute cfg save\n")

        truth = device.truth()
        assert truth.pending is None
        assert truth.running_digest == truth.saved_digest
        assert "config router static\n    edit 1\n" in truth.saved
        assert "confirmed" in [record.what for record in truth.log]
        comments = {r.detail["comment"] for r in truth.log if r.detail.get("line", "").startswith("set device")}
        assert comments == {"push 4711 of kajitori"}


async def test_a_guarded_push_that_nobody_saves_goes_back_to_the_saved_configuration() -> None:
    async with forti(pace=200.0) as device:
        await once(device, GUARD)
        before = device.truth().running_digest
        async with shell(device) as unit:
            await run_all(unit, "config router static", "edit 0", "set device port1", "end")
            assert [r for r in device.log.records if r.what == "commit"][-1].detail["running"] != before
            reverted = await device.wait_for("reverted", DEADLINE_S)
            assert reverted.detail["why"] == "no input before the timeout"
            with pytest.raises(ConnectionError):
                await unit.expect("never")
        assert device.truth().running_digest == before
        assert "set cfg-save revert" in device.running_text()


async def test_typing_postpones_the_way_back() -> None:
    async with forti(pace=1.0) as device:
        await once(device, GUARD)
        async with shell(device) as unit:
            await run_all(unit, "config router static", "edit 0", "set device port1", "end")
            first = device.truth().pending
            assert first is not None
            device.throw(clock_jump_ms=5000)
            await unit.run("get system status")
            second = device.truth().pending
            assert second is not None
            assert second.armed_ms >= first.armed_ms + 5000


async def test_reload_of_the_saved_configuration_can_be_asked_for() -> None:
    async with forti(pace=FAST, revert_reboots=True) as device:
        await once(device, GUARD.replace("120", "4294967295"))
        before = device.truth().running_digest
        await once(device, "config system dns\nset primary 192.0.2.53\nend\n")
        assert device.truth().running_digest != before
        async with shell(device) as unit:
            unit.type("execute cfg reload\n")
            await device.wait_for("booted", since=1)
        assert device.truth().running_digest == before


async def test_a_manual_save_mode_keeps_changes_out_of_the_flash() -> None:
    async with forti(pace=FAST) as device:
        await once(device, "config system global\nset cfg-save manual\nend\nexecute cfg save\n")
        saved = device.truth().saved_digest
        await once(device, "config system dns\nset primary 192.0.2.53\nend\n")
        assert device.truth().saved_digest == saved
        device.reload("lightning")
        await device.wait_for("booted", since=1)
        assert "192.0.2.53" not in device.running_text()


async def test_an_exec_request_says_by_its_status_whether_a_line_failed() -> None:
    async with forti() as device, connected(device) as connection:
        good = await connection.run("config system dns\nset primary 192.0.2.53\nend\n")
        bad = await connection.run("config system dns\nset primary nowhere\nend\n")
    assert (good.exit_status, bad.exit_status) == (0, 1)
    assert "value parse error before 'nowhere'" in str(bad.stdout)


async def test_a_value_may_run_over_several_lines() -> None:
    async with forti() as device, shell(device) as unit:
        await run_all(unit, "config vpn certificate local", "edit one")
        await unit.run('set comments "first', "> $")
        await unit.run('second"')
        await unit.run("end")
        assert 'set comments "first\nsecond"' in device.running_text()


async def test_abort_leaves_everything_as_it_was() -> None:
    async with forti() as device, shell(device) as unit:
        before = device.truth().running_digest
        said = await run_all(unit, "config system interface", "edit port1", "set alias x", "show", "abort")
        assert 'set alias "x"' in said[3]
        assert said[-1].endswith("osaka-fw1 # ")
        assert device.truth().running_digest == before


async def test_a_backup_on_the_device_is_listed() -> None:
    async with forti() as device:
        assert "done." in await once(device, 'execute backup config flash "fc-1-before"')
        assert "fc-1-before" in await once(device, "execute revision list config")


async def test_the_own_management_access_can_be_cut_and_comes_back() -> None:
    async with forti(pace=200.0) as device:
        await once(device, GUARD)
        async with shell(device) as unit:
            for line in ("config system interface", "edit mgmt", "set allowaccess ping"):
                await unit.run(line)
            position = len(device.log.records)
            unit.type("end\n")
            await device.wait_for("commit", since=position)
            assert not device.is_reachable()
            await device.wait_for("reverted", DEADLINE_S)
        assert device.is_reachable()


def test_a_malformed_file_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigSyntax) as caught:
        load("config system dns\n    frobnicate 1\nend\n", SecretCodec(b"k"))
    assert caught.value.line == 2
    with pytest.raises(ConfigSyntax):
        load("config system dns\n", SecretCodec(b"k"))


def test_words_are_cut_at_blanks_outside_quotations() -> None:
    assert statement('set a "b c" \'d " e\' f\\ g ""') == ["set", "a", "b c", 'd " e', "f g", ""]
    with pytest.raises(Unclosed):
        statement('set a "b')


def test_every_starting_configuration_is_whole_and_unlike_the_others() -> None:
    texts = [starting_config("fortios", n) for n in range(2 * len(FORTIOS_FILES))]
    assert len(set(texts)) == len(texts)
    for text in texts:
        device = forti(config_text=text)
        assert load(device.running_text(), device.codec).parts.keys() == device.running.parts.keys()
        assert 'edit "mgmt"' in device.running_text()
