"""A simulated IOS router, driven with a plain SSH client."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest

from drivers.simulator.starting import starting_config
from tests.drivers.simulator.shell import (
    DEADLINE_S,
    FAST,
    IOS_SERIAL,
    PASSWORD,
    USER,
    Shell,
    connected,
    ios,
    once,
    shell,
)


async def test_a_person_finds_prompt_version_serial_and_whole_configuration() -> None:
    async with ios() as device, shell(device) as router:
        version = await router.run("show version")
        inventory = await router.run("sh inv")
        running = await router.run("show running-config")

    assert f"Processor board ID {IOS_SERIAL}" in version
    assert "Version 17.09.04a" in version
    assert version.startswith("show version\n")
    assert version.endswith("\ntokyo-r1#")
    assert f"SN: {IOS_SERIAL}" in inventory
    assert "Building configuration...\n\nCurrent configuration : " in running
    assert running.index("\nversion 15.2\n") < running.index("\nhostname tokyo-r1\n")
    assert running.endswith("\nend\n\ntokyo-r1#")


async def test_a_pushed_line_shows_where_ios_shows_it_and_replaces_the_old_value() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal", r"\(config\)#$")
        await router.run("interface GigabitEthernet1/0", r"\(config-if\)#$")
        await router.run("description to the core")
        await router.run("description to the new core")
        await router.run("ntp server 192.0.2.1", r"\(config\)#$")
        await router.run("interface gi1/0", r"\(config-if\)#$")
        await router.run("no negotiation auto")
        await router.run("end", r"r1#$")
        shown = await router.run("show running-config interface GigabitEthernet1/0")
        whole = await router.run("show running-config")

    head = "interface GigabitEthernet1/0\n description to the new core\n ip address 10.12.11.1 255.255.255.0\n"
    assert f"{head} no negotiation auto\n!\n" in shown
    assert shown.count("description") == 1
    assert "\nntp server 192.0.2.1\n" in whole
    assert "! Last configuration change at " in whole


async def test_no_takes_away_and_access_lists_keep_their_order() -> None:
    async with ios() as device, shell(device) as router:
        for line in (
            "configure terminal",
            "ip access-list extended GUARD",
            "permit tcp any any eq 22",
            "permit tcp any any eq 22",
            "deny ip any any",
            "no permit tcp any any eq 22",
            "permit udp any any eq 161",
            "interface GigabitEthernet1/0",
            "no ip address",
            "interface Loopback7",
            "ip address 192.0.2.7 255.255.255.255",
            "exit",
            "no interface Loopback7",
            "no route-map as1_to_as3 permit 2",
            "end",
        ):
            await router.run(line)
        running = device.running_text()

    assert "ip access-list extended GUARD\n deny ip any any\n permit udp any any eq 161\n" in running
    assert "interface GigabitEthernet1/0\n no ip address\n" in running
    assert "Loopback7" not in running
    assert "route-map as1_to_as3 permit 2" not in running
    assert "route-map as1_to_as3 permit 1" in running


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("frobnicate 7", "% Invalid input detected at '^' marker."),
        ("hostname", "% Incomplete command."),
        ("interface GigabitEthernet9/9", "% Invalid input detected at '^' marker."),
        ("vlan 5000", "% Invalid input detected at '^' marker."),
        ("ip route 10.0.0.0 255.0.0.300 192.0.2.1", "% Invalid input detected at '^' marker."),
        ("no interface GigabitEthernet1/0", "% Removal of physical interfaces is not permitted"),
    ],
)
async def test_a_wrong_line_is_refused_in_the_words_of_ios_and_changes_nothing(line: str, answer: str) -> None:
    async with ios() as device, shell(device) as router:
        before = device.truth().running_digest
        await router.run("configure terminal")
        said = await router.run(line)
        assert answer in said
        assert device.truth().running_digest == before
        assert device.log.records[-1].what == "rejected"


async def test_the_caret_stands_under_the_word_that_was_not_understood() -> None:
    async with ios() as device, shell(device) as router:
        said = await router.run("show frobnicate")
    lines = said.split("\n")
    assert lines[1] == " " * len("tokyo-r1#show ") + "^"


async def test_an_address_that_another_interface_has_is_refused() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal")
        await router.run("interface Loopback8")
        said = await router.run("ip address 10.12.11.9 255.255.255.0")
    assert "% 10.12.11.0 overlaps with GigabitEthernet1/0" in said


async def test_a_long_host_name_is_cut_in_configuration_mode_only() -> None:
    async with ios(hostname="a-host-name-of-twenty-six-c") as device, shell(device) as router:
        said = await router.run("configure terminal")
        assert said.endswith("\na-host-name-of-twent(config)#")
        assert (await router.run("end")).endswith("\na-host-name-of-twenty-six-c#")


async def test_a_new_host_name_is_in_the_very_next_prompt() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal")
        assert (await router.run("hostname kobe-r2")).endswith("kobe-r2(config)#")


async def test_a_banner_of_several_lines_comes_back_as_it_was_sent() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal")
        router.type("banner motd ^C\nkeep # out\nor > else\n^C\n")
        await router.expect(r"\(config\)#$")
        await router.run("end")
        assert "banner motd ^C\nkeep # out\nor > else\n^C\n" in await router.run("show running-config")
        assert "keep # out\nor > else\n" in device.running_text()


async def test_a_guarded_push_that_is_confirmed_and_saved_stays() -> None:
    async with ios(pace=1.0) as device, shell(device) as router:
        said = await router.run("configure terminal revert timer 5")
        assert "Rollback Confirmed Change: Backing up current running config to flash:archive" in said
        await router.run("! push 4711 of kajitori")
        await router.run("ntp server 192.0.2.1")
        await router.run("end")
        pending = device.truth().pending
        assert pending is not None
        assert pending.timeout_s == 300
        timer = await router.run("show archive config rollback timer")
        assert "Timer value: 5 min" in timer
        await router.run("configure confirm")
        assert "No Rollback Confirmed Change pending" in await router.run("show archive config rollback timer")
        assert "[OK]" in await router.run("write memory")

        truth = device.truth()
        assert truth.pending is None
        assert truth.running_digest == truth.saved_digest
        assert "ntp server 192.0.2.1" in truth.saved
        lines = [record.detail for record in truth.log if record.what == "line"]
        assert [(d["line"], d["comment"]) for d in lines] == [("ntp server 192.0.2.1", "push 4711 of kajitori")]
        assert [r.what for r in truth.log if r.what in ("armed", "commit", "confirmed", "saved", "reverted")] == [
            "armed",
            "commit",
            "confirmed",
            "saved",
        ]


async def test_a_push_that_nobody_confirms_undoes_itself() -> None:
    async with ios(pace=100.0) as device, shell(device) as router:
        before = device.truth()
        await router.run("configure terminal revert timer 1")
        await router.run("no ip domain lookup")
        await router.run("ntp server 192.0.2.1")
        await router.run("end")
        pushed = await device.wait_for("commit")
        assert pushed.detail["running"] != before.running_digest
        reverted = await device.wait_for("reverted", DEADLINE_S)

        assert reverted.detail["why"] == "the timer ran out"
        assert device.truth().running_digest == before.running_digest
        assert "%ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_ROLLBACK_START" in await router.run("show logging")
        assert "%No Rollback Confirmed Change pending" in await router.run("configure confirm")


async def test_revert_now_brings_the_before_image_back_at_once() -> None:
    async with ios() as device, shell(device) as router:
        before = device.truth().running_digest
        await router.run("configure terminal revert timer 2")
        await router.run("ntp server 192.0.2.1")
        await router.run("end")
        assert "Rollback Done" in await router.run("configure revert now")
        assert device.truth().running_digest == before
        assert device.truth().pending is None


async def test_a_push_that_cuts_off_its_own_management_comes_back_by_the_timer() -> None:
    async with ios(pace=100.0) as device:
        async with shell(device) as router:
            await router.run("configure terminal revert timer 1")
            await router.run("interface Loopback900")
            before = len(device.log.records)
            router.type("shutdown\n")
            await device.wait_for("line", since=before)
            assert not device.is_reachable()
            await device.wait_for("reverted", DEADLINE_S)
        assert device.is_reachable()
        assert "Processor board ID" in await once(device, "show version")


async def test_a_reload_loses_what_was_not_saved() -> None:
    async with ios(pace=FAST) as device:
        before = device.truth().running_digest
        async with shell(device) as router:
            await router.run("configure terminal")
            await router.run("ntp server 192.0.2.1")
            await router.run("end")
            await router.run("reload", r"Save\? \[yes/no\]: $")
            await router.run("no", r"\[confirm\]$")
            router.type("\n")
            with pytest.raises(ConnectionError):
                await router.expect("never")
        await device.wait_for("booted", since=1)
        assert device.truth().running_digest == before
        assert "tokyo-r1" in await once(device, "show version")


async def test_copy_to_startup_asks_for_the_name_and_saves() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal")
        await router.run("ntp server 192.0.2.1")
        await router.run("end")
        await router.run("copy running-config startup-config", r"\[startup-config\]\? $")
        assert "[OK]" in await router.run("")
        assert "ntp server 192.0.2.1" in await router.run("show startup-config")


async def test_configure_replace_takes_a_whole_file_and_shows_what_it_did() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("copy running-config flash:before.cfg", r"\[before.cfg\]\? $")
        await router.run("")
        wanted = device.flash["before.cfg"].replace("hostname tokyo-r1", "hostname nara-r1")
        device.flash["after.cfg"] = wanted
        shown = await router.run("show archive config differences system:running-config flash:after.cfg")
        assert "-hostname tokyo-r1\n+hostname nara-r1\n" in shown
        said = await router.run("configure replace flash:after.cfg list force revert trigger error timer 3")
        assert "Rollback Done" in said
        assert said.endswith("nara-r1#")
        assert device.running_text() == wanted
        await router.run("configure confirm")
        device.flash["half.cfg"] = wanted.removesuffix("end\n")
        assert "not a valid config file" in await router.run("configure replace flash:half.cfg force")


async def test_a_file_with_a_line_that_ios_does_not_know_ends_where_it_began() -> None:
    async with ios() as device, shell(device) as router:
        before = device.truth().running_digest
        device.flash["typo.cfg"] = device.running_text().replace("hostname ", "asdasdasdasd\nhostname ")
        said = await router.run("configure replace flash:typo.cfg force revert trigger error timer 3")
        assert "asdasdasdasd" in said
        assert "original configuration has been successfully restored" in said
        assert device.truth().running_digest == before


async def test_the_pager_stops_after_a_screen_until_a_key_is_pressed() -> None:
    async with ios() as device, connected(device) as connection:
        process = await connection.create_process(term_type="vt100")
        router = Shell(process)
        await router.expect("#$")
        router.type("show running-config\n")
        first = await router.expect(r" --More-- $")
        assert first.count("\n") <= 25
        router.type(" ")
        await router.expect(r" --More-- $")
        router.type("q")
        assert (await router.expect("#$")).endswith("tokyo-r1#")


async def test_one_exec_request_answers_without_prompt_pager_or_echo() -> None:
    async with ios() as device:
        answer = await once(device, "show running-config")
    assert answer.startswith("Building configuration...")
    assert answer.endswith("\nend\n\n")
    assert "tokyo-r1#" not in answer


async def test_a_user_without_privilege_needs_the_enable_password() -> None:
    async with ios(enable_password="up we go") as device:
        async with shell(device, prompt=">$") as router:
            assert "% Invalid input" in await router.run("configure terminal", ">$")
            await router.run("enable", "Password: $")
            said = await router.run("up we go", "#$")
            assert "up we go" not in said
            assert "Current privilege level is 15" in await router.run("show privilege")
        async with shell(device, prompt=">$") as router:
            router.type("enable\nno\nno\nno\n")
            assert "% Bad secrets" in await router.expect("Bad secrets[^>]*>$")


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_a_wrong_password_is_refused_and_recorded_without_itself(method: str) -> None:
    async with ios(auth_methods=(method,)) as device:
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                device.host,
                device.port,
                username=USER,
                password="wrong and secret",
                known_hosts=device.known_hosts(),
                client_keys=None,
                config=None,
            )
        connection = await _open(device.port, device.known_hosts(), method)
        connection.abort()
        await device.wait_for("ended", since=5)
        logins = [(login.username, login.method, login.accepted) for login in device.logins]
        assert logins[0] == (USER, method, False)
        assert logins[-1] == (USER, method, True)
        assert "wrong and secret" not in str(device.truth())


async def _open(port: int, known: asyncssh.SSHKnownHosts, method: str = "password") -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1",
        port,
        username=USER,
        password=PASSWORD,
        known_hosts=known,
        client_keys=None,
        config=None,
        preferred_auth=method,
    )


async def test_the_sixth_login_is_reset_before_the_version_line() -> None:
    async with ios() as device:
        open_ones = [await asyncio.wait_for(_open(device.port, device.known_hosts()), 5) for _ in range(5)]
        try:
            with pytest.raises((OSError, asyncssh.Error)):
                await _open(device.port, device.known_hosts())
            assert (await device.wait_for("refused")).detail["why"] == "all lines busy"
        finally:
            for connection in open_ones:
                connection.abort()
                await connection.wait_closed()
        await device.wait_for("ended")
        assert "tokyo-r1" in await once(device, "show version")


async def test_a_removed_account_asks_first_and_then_cannot_log_in() -> None:
    async with ios() as device:
        async with shell(device) as router:
            await router.run("configure terminal")
            await router.run(f"no username {USER}", r"\[confirm\]$")
            await router.run("", "#$")
        with pytest.raises(asyncssh.PermissionDenied):
            await _open(device.port, device.known_hosts())


async def test_a_clear_secret_is_stored_hashed() -> None:
    async with ios() as device, shell(device) as router:
        await router.run("configure terminal")
        await router.run("username guest secret hello-world")
    assert "hello-world" not in device.running_text()
    assert "username guest secret 9 $9$" in device.running_text()


async def test_every_starting_configuration_is_whole_and_unlike_the_others() -> None:
    texts = [starting_config("ios", n) for n in range(10)]
    assert len(set(texts)) == 10
    for n, text in enumerate(texts):
        assert text.startswith("version ")
        assert text.endswith("\nend\n")
        assert f"hostname ios-{n:04d}\n" in text
        assert "\narchive\n path " in text
        device = ios(config_text=text, hostname=f"ios-{n:04d}")
        assert f"\nhostname ios-{n:04d}\n" in device.running_text()
