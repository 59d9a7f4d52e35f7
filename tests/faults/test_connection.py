"""Stories of the failure catalogue, D.1: connection, keys, login. The number is the row's."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from drivers.errors import DeviceBusy, NegotiationFailed
from drivers.registry import driver
from drivers.sessions.carriers import connector
from drivers.sessions.contract import Endpoint, Limits
from inventory.errors import AuthenticationFailed, DeviceError, IdentityMismatch, NotOnboarded, Unreachable
from inventory.plans import PushState
from inventory.secrets import Secret
from tests.controller.push.cutting import DIVIDED, DeviceClock
from tests.faults.bench import LIMITS, PASSWORD, SHORT, USER, Bench, firewall, router
from tests.faults.conftest import Make


async def test_01_a_port_that_never_greets_is_a_missing_connection_and_no_bad_password(ios: Bench) -> None:
    ios.device.throw(greeting="silent")
    with pytest.raises(Unreachable, match="no SSH greeting") as silent:
        await ios.reach(SHORT).identify()
    assert silent.value.step == "handshake"
    assert ios.device.logins == ()


async def test_02_a_greeting_after_twelve_seconds_is_waited_for(bench_of: Make) -> None:
    clock = DeviceClock()
    slow = await bench_of(router(clock, pace=12.0), clock)
    slow.device.throw(greeting_delay_s=12.0)
    began = time.monotonic()
    await slow.reach(Limits()).identify()
    assert time.monotonic() - began > 1.0


async def test_03_a_device_whose_lines_are_all_taken_is_tried_again_with_longer_and_longer_waits(ios: Bench) -> None:
    await ios.started()
    ios.device.session_limit = 0
    with pytest.raises(DeviceBusy):
        await ios.reach().identify()
    asked, since_ms = ios.device.log.count("refused"), ios.clock.now_ms()
    push = await ios.ended()
    assert push.state is PushState.NOT_DONE
    assert "all its terminal lines may be in use" in push.said
    tries = [record.at_ms - since_ms for record in ios.device.log.records if record.what == "refused"][asked:]
    assert len(tries) == 4
    assert [
        later - sooner >= least for sooner, later, least in zip(tries, tries[1:], (1400, 5600, 21000), strict=False)
    ]
    assert ios.untouched()


async def test_04_a_session_limit_told_behind_the_login_is_busy_at_once(ios: Bench) -> None:
    ios.device.throw(after_login="limit")
    began = time.monotonic()
    with pytest.raises(DeviceBusy, match="no session left"):
        await ios.reach().identify()
    assert time.monotonic() - began < 2.0


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.parametrize(("kind", "profile"), [("sha1", "compat"), ("group1", "legacy")])
async def test_05_an_old_device_is_named_as_such_and_works_with_its_profile(
    ios: Bench, kind: str, profile: str
) -> None:
    ios.device.throw(key_exchange=kind, host_key_kind="rsa")
    endpoint = Endpoint("127.0.0.1", ios.device.port, USER, Secret(PASSWORD))
    with pytest.raises(NegotiationFailed, match="no algorithm in common") as refused:
        await connector(LIMITS)(driver("ios"), endpoint)
    assert "diffie-hellman" in str(refused.value)
    assert "profile `compat` or `legacy`" in refused.value.next_step
    assert ios.device.logins == ()
    old = replace(endpoint, profile=profile)  # type: ignore[arg-type]  # a parameter of this test, from the literal
    session = await connector(LIMITS)(driver("ios"), old)
    assert "Version" in await session.command("show version", timeout_s=10)
    await session.close()


async def test_07_a_device_that_takes_short_first_packets_only_is_given_one(ios: Bench) -> None:
    ios.device.throw(key_exchange="short")
    with pytest.raises(asyncssh.Error, match="Incomplete packet"):
        await asyncssh.connect(
            "127.0.0.1", ios.device.port, username=USER, password=PASSWORD, known_hosts=None, config=None
        )
    await ios.reach().identify()


async def test_08_ssh_1_is_said_to_be_unsupported(ios: Bench) -> None:
    ios.device.throw(greeting="ssh1")
    with pytest.raises(NegotiationFailed, match="SSH 1 only, which is unsupported"):
        await ios.reach(SHORT).identify()


async def test_09_a_key_that_signs_with_sha2_only_is_taken_and_a_broken_one_is_a_clear_error(ios: Bench) -> None:
    endpoint = Endpoint("127.0.0.1", ios.device.port, USER, Secret(PASSWORD))
    ios.device.throw(host_key_kind="rsa")
    session = await connector(LIMITS)(driver("ios"), endpoint)
    assert session.host_key.startswith("ssh-rsa ")
    await session.close()
    ios.device.throw(host_key_kind="malformed")
    logins = ios.device.logins
    with pytest.raises(DeviceError) as broken:
        await connector(LIMITS)(driver("ios"), endpoint)
    assert not isinstance(broken.value, AuthenticationFailed)
    assert ios.device.logins == logins


async def test_10_a_changed_host_key_is_shown_no_credential_and_ends_the_push(ios: Bench) -> None:
    await ios.started()
    logins = len(ios.device.logins)
    ios.device.throw(other_host_key=True)
    with pytest.raises(IdentityMismatch, match="no credential was sent"):
        await ios.reach().identify()
    push = await ios.ended()
    assert push.state is PushState.NOT_DONE
    assert "another host key" in push.said
    assert len(ios.device.logins) == logins


async def test_11_a_refused_password_is_tried_exactly_once(ios: Bench) -> None:
    await ios.started()
    logins = len(ios.device.logins)
    ios.device.throw(refuse_logins=True)
    push = await ios.ended()
    assert push.state is PushState.NOT_DONE
    assert "refused the password" in push.said
    assert len(ios.device.logins) == logins + 1


async def test_12_a_second_factor_is_named_and_gets_nothing(ios: Bench) -> None:
    ios.device.throw(second_factor=True)
    with pytest.raises(AuthenticationFailed, match="interactive second factor"):
        await ios.reach().identify()
    assert ios.device.logins == ()


async def test_13_a_session_that_ends_behind_the_login_is_told_at_once(ios: Bench) -> None:
    ios.device.throw(after_login="hang-up")
    began = time.monotonic()
    with pytest.raises(AuthenticationFailed, match="password may have expired"):
        await ios.reach().identify()
    assert time.monotonic() - began < 2.0
    assert len(ios.device.logins) == 1


async def test_14_a_login_without_a_prompt_is_given_up_and_leaves_no_line_taken(ios: Bench) -> None:
    ios.device.throw(after_login="silent")
    with pytest.raises(Unreachable, match="showed no prompt"):
        await ios.reach(SHORT).identify()
    await ios.device.wait_for("ended")
    assert ios.device.truth().sessions == 0


async def test_15_a_login_that_is_asked_for_again_is_answered_once(ios: Bench) -> None:
    ios.device.throw(login_again=True)
    await ios.reach().identify()
    assert [(login.method, login.accepted) for login in ios.device.logins][1:] == [("in the channel", True)]


async def test_16_enable_may_ask_in_other_words_or_not_at_all_and_is_tried_once(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(router(clock, enable="open sesame"), clock)
    made.enable = "open sesame"
    for words in ("", "Password: ", "TACACS passcode: ", "Password for op: "):
        made.device.throw(enable_prompt=words)
        assert (await made.reach().identify()).serial is not None
    made.device.throw(enable_prompt="Password: ")
    made.enable = "wrong"
    with pytest.raises(AuthenticationFailed, match="one attempt was made"):
        await made.reach().identify()


async def test_17_a_pause_before_each_answer_is_waited_for(ios: Bench) -> None:
    await ios.started()
    ios.device.throw(answer_delay_s=0.04)
    assert (await ios.ended()).state is PushState.DONE


async def test_18_a_pager_that_may_not_be_switched_off_is_paged_through(ios: Bench) -> None:
    whole = await ios.reach().read()
    ios.device.throw(unauthorised=("terminal length",))
    assert await ios.reach().read() == whole


async def test_19_a_banner_full_of_prompts_is_accepted_once(forti: Bench) -> None:
    forti.device.throw(accept_banner="kobe-fw-01 # \nAuthorised # use\nonly $ \n# ")
    assert (await forti.reach().identify()).hostname == "kobe-fw-01"


async def test_20_a_first_password_is_left_to_onboarding(forti: Bench) -> None:
    await forti.started()
    forti.device.throw(onboarding="shell")
    push = await forti.ended()
    assert push.state is PushState.NOT_DONE
    assert "insists on a new password" in push.said
    assert [record for record in forti.device.log.records if record.detail.get("method") == "new password"] == []


async def test_21_a_new_password_within_the_login_is_left_to_onboarding(forti: Bench) -> None:
    forti.device.throw(onboarding="ssh")
    with pytest.raises(NotOnboarded, match="asks for a new password"):
        await forti.reach().identify()
    assert len(forti.device.logins) == 1


async def test_22_an_account_that_may_only_read_is_read_with_and_writes_nothing(forti: Bench, bench_of: Make) -> None:
    await forti.started()
    forti.device.throw(read_only=True)
    assert (await forti.reach().read()).text()
    push = await forti.ended()
    assert push.state is PushState.NOT_DONE
    assert "read-only" in push.said
    assert forti.device.log.count("rejected") == 0
    assert forti.untouched()

    clock = DeviceClock()
    divided = await bench_of(firewall(clock, DIVIDED), clock)
    await divided.started()
    divided.device.throw(vdom_admin="kobe")
    assert "office" in (await divided.reach().read()).text()
    push = await divided.ended()
    assert push.state is PushState.NOT_DONE
    assert "of one virtual domain" in push.said
    assert divided.sent() == []
    assert divided.untouched()


async def test_25_failing_connections_leave_nothing_behind(ios: Bench) -> None:
    ios.device.throw(greeting="reset")

    async def fail(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            with pytest.raises(Unreachable):
                await ios.reach().identify()
        await asyncio.sleep(0)
        return _open_files(), _threads(), len(asyncio.all_tasks())

    first = await fail(20)
    assert await fail(200) == first


def _threads() -> int:
    """Without the loop's own workers: there is a bounded pool of them, and which are busy is a matter of the moment."""
    return sum(1 for one in threading.enumerate() if not one.name.startswith("asyncio_"))


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
