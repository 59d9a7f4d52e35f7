"""Stories of the failure catalogue, D.3: writing on IOS, through the push engine. The number is the row's."""

from __future__ import annotations

import re

import pytest

from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.ios_tree import IosNode
from inventory.plans import Outcome, Phase, PushState
from tests.controller.push.cutting import IOS_CONFIG, DeviceClock
from tests.deep.depth import sample
from tests.faults.bench import DESCRIBED, LINES, LOCATION, ROUTE, ROUTED, SHORT, Bench, router
from tests.faults.conftest import Make

UPLINK = "interface GigabitEthernet0/0\n"
CERTIFICATE = """crypto pki certificate chain TP-self-signed-1
 certificate self-signed 01
  30820330 30820218 A0030201 02020101 300D0609 2A864886 F70D0101 05050030
  31312F30 2D060355 04031326 494F532D 53656C66 2D536967 6E65642D 43657274
  \tquit
"""


async def nothing_happened(bench: Bench, *words: str) -> None:
    """The push ended before anything was sent, and said why."""
    push = await bench.ended()
    assert (push.state, push.outcome) == (PushState.NOT_DONE, Outcome.NOT_DONE)
    assert all(word in push.said for word in words), push.said
    assert bench.device.log.count("armed") == bench.device.log.count("line") == 0
    assert bench.untouched()


async def went_back(bench: Bench, *words: str) -> None:
    """The push ended with the device as it was before, and said why."""
    push = await bench.ended()
    assert (push.state, push.outcome) == (PushState.REVERTED, Outcome.NOT_DONE)
    assert all(word in push.said for word in words), push.said
    assert bench.untouched()
    assert bench.device.log.count("confirmed") == 0


async def test_42_a_line_that_is_refused_is_named_and_what_was_sent_is_taken_back(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(reject_lines=[ROUTE])
    await went_back(ios, "Line 4 of 4", "Invalid input")
    assert ios.sent() == [LOCATION.strip(), "description to the warehouse"]


async def test_43_a_line_that_vanishes_without_a_word_is_found_by_reading(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(swallow_lines=[ROUTE])
    await went_back(ios, "differs from the intent")
    assert any(ROUTE in row.detail for row in await ios.journal())


async def test_44_a_way_back_that_fails_too_is_left_to_a_person_with_both_differences(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(swallow_lines=[ROUTE], revert="partial")
    push = await ios.ended()
    assert (push.state, push.outcome) == (PushState.QUARANTINED, Outcome.UNKNOWN)
    last = next(row.detail for row in reversed(await ios.journal()) if row.detail)
    assert "from the former config:" in last
    assert "from the wanted config:" in last
    assert "description to the warehouse" in last
    assert ROUTE in last
    assert ios.device.log.count("confirmed") == ios.device.log.count("saved") == 0


async def test_45_without_an_archive_nothing_is_sent(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(archive_missing=True)
    await nothing_happened(ios, "archive feature is off")


async def test_46_a_change_of_another_that_waits_for_its_confirmation_is_left_alone(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(timer_of="bob")
    await nothing_happened(ios, "Another change waits")


async def test_47_a_locked_configuration_is_waited_for_and_never_broken_into(ios: Bench, bench_of: Make) -> None:
    await ios.started()
    ios.device.throw(locked_by="bob", lock_looks=2)
    assert (await ios.ended()).state is PushState.DONE

    clock = DeviceClock()
    kept = await bench_of(router(clock), clock)
    await kept.started()
    kept.device.throw(locked_by="bob")
    await nothing_happened(kept, "locked by bob")


async def test_48_a_change_that_nobody_confirms_is_taken_back_and_told_so(ios: Bench) -> None:
    await ios.started()
    await ios.advance_while(lambda row: row.state is not PushState.VERIFIED)
    for one in ios.made:
        await one.close()
    ios.clock.leap(3600)
    assert ios.untouched()
    ios.restart()
    await went_back(ios)


async def test_49_a_change_that_cuts_us_off_is_taken_back_by_the_device(ios: Bench) -> None:
    await ios.started((UPLINK, f"{UPLINK} shutdown\n"))
    ios.limits = SHORT
    await went_back(ios)
    assert ios.device.log.count("reverted") == 1
    assert (await ios.reach().identify()).serial is not None


async def test_50_a_banner_of_several_lines_arrives_as_it_is(ios: Bench) -> None:
    banner = "banner motd ^C\nkeep out #\n% not a refusal\nplease ^C\n!\n"
    assert (await ios.pushed((LINES, banner + LINES))).state is PushState.DONE
    assert "keep out #\n% not a refusal\nplease" in ios.device.saved_text()


async def test_51_a_certificate_keeps_every_octet_and_is_no_part_of_a_change(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(router(clock, IOS_CONFIG.replace("line vty", f"{CERTIFICATE}line vty")), clock)
    assert CERTIFICATE in (await made.reach().read()).text()
    assert (await made.pushed()).state is PushState.DONE
    assert CERTIFICATE in made.device.saved_text()
    assert not [line for line in made.sent() if "certificate" in line or "quit" in line]


async def test_52_the_removal_of_a_user_is_confirmed_as_often_as_it_is_asked(bench_of: Make) -> None:
    users = "username ann privilege 1 secret 9 $9$aaaa$bbbb\nusername bob privilege 1 secret 9 $9$cccc$dddd\n"
    clock = DeviceClock()
    made = await bench_of(
        router(clock, IOS_CONFIG.replace("interface GigabitEthernet0/0", f"{users}{UPLINK.strip()}")), clock
    )
    gone = re.findall(r"(?m)^username (?:ann|bob) .*\n", made.before)
    assert len(gone) == 2
    assert (await made.pushed(*((line, "") for line in gone))).state is PushState.DONE
    assert not re.search(r"username (?:ann|bob)", made.device.saved_text())


async def test_53_an_unknown_question_is_answered_with_no_and_the_change_taken_back(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(question_at=ROUTE)
    await went_back(ios, "Do you really want to do this?", "it was refused")
    assert ROUTE not in ios.sent()


async def test_54_no_file_transfer_is_needed_where_none_is_offered(ios: Bench) -> None:
    assert (await ios.pushed()).state is PushState.DONE
    kinds = {record.detail["kind"] for record in ios.device.log.records if record.what == "session"}
    assert kinds == {"shell"}
    assert not [line for line in ios.sent() if "scp" in line]


async def test_55_a_full_flash_is_told_and_nothing_is_sent(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(flash_full=True)
    await went_back(ios, "No space left")
    assert ios.sent() == []
    assert ios.device.flash == {}  # type: ignore[union-attr]  # the bench of a router


@pytest.mark.parametrize(
    "question",
    [
        "Destination filename [startup-config]? ",
        "Warning: Attempting to overwrite an NVRAM configuration previously written by a different version of the "
        "system image.\nOverwrite the previous NVRAM configuration?[confirm]",
    ],
)
async def test_57_what_a_save_asks_is_answered_and_only_ok_is_saved(ios: Bench, question: str) -> None:
    await ios.started()
    ios.device.throw(save_question=question)
    assert (await ios.ended()).state is PushState.DONE
    assert ios.device.saved_text() == ios.device.running_text()


async def test_58_a_busy_save_is_repeated_and_one_that_never_works_is_not_called_saved(
    ios: Bench, bench_of: Make
) -> None:
    await ios.started()
    ios.device.throw(save="busy", save_failures=2)
    assert (await ios.ended()).state is PushState.DONE

    clock = DeviceClock()
    broken = await bench_of(router(clock), clock)
    await broken.started()
    broken.device.throw(save="no-ok")
    push = await broken.ended()
    assert (push.state, push.outcome) == (PushState.QUARANTINED, Outcome.UNKNOWN)
    assert "not saved" in push.said
    assert broken.device.saved_text() == broken.before


async def test_59_a_line_that_may_not_be_sent_takes_the_whole_change_back(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(unauthorised=["ip route"])
    await went_back(ios, "Command authorization failed")


@pytest.mark.parametrize("echo", ["spaced", "none"])
async def test_60_an_echo_that_is_rewritten_or_missing_is_no_obstacle(ios: Bench, echo: str) -> None:
    await ios.started()
    ios.device.throw(echo=echo)
    assert (await ios.ended()).state is PushState.DONE


async def test_61_lines_that_change_by_themselves_are_no_difference(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(volatile_lines=True)
    assert (await ios.ended()).state is PushState.DONE


async def test_62_a_secret_that_is_encoded_anew_each_time_is_no_difference(bench_of: Make) -> None:
    clock = DeviceClock()
    text = IOS_CONFIG.replace(UPLINK, f"username ann password 7 0822455D0A16\n{UPLINK}")
    made = await bench_of(router(clock, text), clock)
    await made.started((LOCATION, DESCRIBED))
    made.device.throw(resalted=True)
    assert len({(await made.reach().read()).text() for _ in range(4)}) > 1
    assert (await made.ended()).state is PushState.DONE


async def test_63_a_restart_in_the_middle_leaves_what_was_saved(ios: Bench) -> None:
    await ios.started((LOCATION, DESCRIBED), (LINES, ROUTED))
    ios.device.throw(strike_at=ROUTE, strike_how="reload")
    await went_back(ios)
    assert ios.device.log.count("booted") == 2
    assert ios.sent().count("description to the warehouse") == 1


STATES = (
    PushState.PREFLIGHT,
    PushState.BASELINED,
    PushState.ARMED,
    PushState.APPLYING,
    PushState.APPLIED,
    PushState.REACHABLE,
    PushState.VERIFIED,
    PushState.CONFIRMED,
    PushState.SAVED,
    PushState.DONE,
)


OFTEN = (PushState.BASELINED, PushState.APPLYING, PushState.CONFIRMED, PushState.SAVED)
"""States of every run; `make test-deep` takes all of them."""


@pytest.mark.parametrize("state", sample(STATES, OFTEN))
async def test_90_a_task_that_is_cancelled_in_any_state_leaves_the_journal_and_the_device_in_order(
    ios: Bench, state: PushState
) -> None:
    await ios.started()
    await ios.cancelled_in(state)
    rows = await ios.journal()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert (rows[-1].state, rows[-1].phase) == (state, Phase.INTENTION)
    push = await ios.ended()
    holds = {Outcome.DONE: ROUTE in ios.device.saved_text(), Outcome.NOT_DONE: ios.untouched()}
    assert push.outcome in holds
    assert holds[push.outcome]
    assert len(ios.sent()) == len(set(ios.sent()))


async def test_a_timer_that_another_starts_just_before_ours_is_left_alone(ios: Bench) -> None:
    await ios.started()
    await ios.advance_while(lambda row: row.state is not PushState.BASELINED or row.phase is Phase.INTENTION)
    device = ios.device
    assert isinstance(device, IosDevice)
    device.arm(10, "bob")

    push = await ios.ended()

    assert push.outcome is Outcome.NOT_DONE
    assert "could not be started" in push.said
    assert device.timer is not None
    assert device.log.count("reverted") == device.log.count("line") == 0


async def test_a_change_of_another_just_before_ours_is_neither_taken_back_nor_called_unknown(ios: Bench) -> None:
    await ios.started()
    await ios.advance_while(lambda row: row.state is not PushState.BASELINED or row.phase is Phase.INTENTION)
    device = ios.device
    assert isinstance(device, IosDevice)
    device.arm(10, "bob")
    device.running.children.append(IosNode("ip route 192.0.2.128 255.255.255.128 198.51.100.9"))

    push = await ios.ended()

    assert (push.state, push.outcome) == (PushState.NOT_DONE, Outcome.NOT_DONE)
    assert "none of its lines was sent" in push.said
    assert device.timer is not None
    assert device.log.count("reverted") == device.log.count("line") == 0


async def test_a_credential_that_the_change_broke_is_tried_again_only_when_the_device_has_gone_back(ios: Bench) -> None:
    await ios.started()
    await ios.advance_while(lambda row: row.state is not PushState.APPLIED or row.phase is Phase.INTENTION)
    known = len(ios.device.logins)
    ios.device.throw(refuse_logins=True)
    wait = ios.clock.wait

    async def until_the_guard_has_fired(seconds: float) -> None:
        await wait(seconds)
        ios.device.throw(refuse_logins=ios.device.pending_undo() is not None)

    ios.clock.wait = until_the_guard_has_fired  # type: ignore[method-assign]

    await went_back(ios)
    assert [login.accepted for login in ios.device.logins[known:]].count(False) == 1
