"""Operations on command lines: what is typed and refused as data, and simulated devices that answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.device import CommandLineDevice
from drivers.devices import over_ssh
from drivers.operating import commands_for, hops_of, operations_of, prepared, probes_of
from drivers.registry import driver
from drivers.sessions.contract import Endpoint, Limits
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.ios_cli import IosDevice
from drivers.simulator.seil_cli import SeilDevice
from drivers.simulator.ssh_device import CliDevice
from inventory.errors import CommandRejected, NotEligible, OutcomeUnknown, RuleViolation
from inventory.operations import Given, Item, OperationKind, Parameters, parameters_of
from inventory.secrets import Secret

LIMITS = Limits(connect_s=5.0, handshake_s=5.0, authentication_s=5.0, prompt_s=5.0, command_s=10.0, line_s=5.0)
IOS = "version 15.2\nalias exec zap configure terminal\ninterface GigabitEthernet0/0\n no shutdown\nend\n"
FORTI = "config system interface\n    edit mgmt\n        set vdom root\n    next\nend\n"
SEIL = 'hostname "a"\nenvironment login-timer 600\nenvironment pager on\nenvironment terminal column 80\nsshd enable\n'
FAMILIES = ("ios", "fortios", "seil-ssh")


def unit(family: str) -> CliDevice:
    if family == "ios":
        return IosDevice(
            hostname="r", serial="S1", model="ISR", config_text=IOS, username="op", password="pw", pace=600
        )
    if family == "fortios":
        return FortiDevice(
            hostname="f", serial="S1", model="FGT", config_text=FORTI, username="op", password="pw", pace=600
        )
    return SeilDevice(hostname="a", serial="S1", model="SEIL/X1", config_text=SEIL, username="admin", password="pw")


async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds / 600)


@pytest.fixture(params=FAMILIES)
async def device(request: pytest.FixtureRequest) -> AsyncIterator[CliDevice]:
    async with unit(request.param) as made:
        yield made


def reached(device: CliDevice, kind: OperationKind) -> CommandLineDevice:
    family = "seil-ssh" if isinstance(device, SeilDevice) else device.family
    endpoint = Endpoint("127.0.0.1", device.port, device.username, Secret("pw"))
    made = over_ssh(family, endpoint, "S1", wait=wait, limits=LIMITS)
    made.driver = prepared(made.driver, kind)
    return made


async def asked(device: CliDevice, kind: OperationKind, given: Given) -> str:
    """What the device says to an operation."""
    one = reached(device, kind)
    try:
        (commands,) = commands_for(one.driver, kind, parameters_of(kind, given))
        return await one.ask(*commands, timeout_s=5.0)
    finally:
        await one.close()


async def test_a_ping_counts_what_was_answered_in_every_family(device: CliDevice) -> None:
    known = operations_of(reached(device, OperationKind.PING).driver)
    said = await asked(device, OperationKind.PING, Given(address="192.0.2.9", count=4))
    assert probes_of(known, said) == (4, 0)
    said = await asked(device, OperationKind.PING, Given(address="10.9.9.9", count=2))
    assert probes_of(known, said) == (0, 2)


async def test_a_traceroute_names_the_nodes_that_answered(device: CliDevice) -> None:
    known = operations_of(reached(device, OperationKind.TRACEROUTE).driver)
    said = await asked(device, OperationKind.TRACEROUTE, Given(address="203.0.113.7"))
    assert [(hop.hop, hop.address) for hop in hops_of(known, said, 30)] == [(1, "192.0.2.254"), (3, "203.0.113.7")]
    assert [hop.hop for hop in hops_of(known, said, 2)] == [1]


async def test_a_status_is_read_in_every_family(device: CliDevice) -> None:
    assert len(await asked(device, OperationKind.READ_STATUS, Given(items=(Item(0, ""),)))) > 20


async def test_a_command_that_the_device_does_not_know_is_told_in_its_words(device: CliDevice) -> None:
    with pytest.raises(CommandRejected, match="refused"):
        await asked(device, OperationKind.MD_COMMAND, Given(command="show nonsense at all"))


async def test_an_alias_into_the_configuration_mode_is_left_by_dropping_the_connection() -> None:
    async with unit("ios") as device:
        before = device.running_text()
        with pytest.raises(OutcomeUnknown, match="mode of configuration"):
            await asked(device, OperationKind.MD_COMMAND, Given(command="zap"))
        assert device.running_text() == before


async def test_a_question_after_an_arbitrary_command_is_never_agreed_to() -> None:
    async with unit("ios") as device:
        with pytest.raises(CommandRejected, match="asked"):
            await asked(device, OperationKind.MD_COMMAND, Given(command="clear counters"))
        assert device.log.count("cleared") == 0
        await asked(device, OperationKind.CLEAR_STATUS, Given(items=(Item(0, "clear counters"),)))
        assert device.log.count("cleared") == 1


@pytest.mark.parametrize("command", ["WR", "cop run start", "Write Memory"])
async def test_nothing_is_saved_by_a_command_that_a_router_reads_in_any_case_and_shortened(command: str) -> None:
    async with unit("ios") as device:
        with pytest.raises(RuleViolation, match="copies or saves"):
            await asked(device, OperationKind.MD_COMMAND, Given(command=command))
        assert device.log.count("saved") == 0


@pytest.mark.parametrize("family", ["ios", "fortios"])
async def test_a_reboot_is_sent_once_and_its_uptime_starts_anew(family: str) -> None:
    async with unit(family) as device:
        device.started_ms -= 3 * 86_400_000
        one = reached(device, OperationKind.REBOOT)
        restart = operations_of(one.driver).restart
        assert restart is not None
        before_s = restart.uptime_s(await one.ask(restart.uptime_command, timeout_s=5.0))
        assert before_s is not None
        assert before_s >= 3 * 86_400
        with pytest.raises(OutcomeUnknown):
            await one.ask(restart.command, timeout_s=5.0)
        await one.close()
        async with asyncio.timeout(10):
            while not device.powered:  # noqa: ASYNC110  # the simulator boots by a timer of its own
                await asyncio.sleep(0.01)
        assert restart.uptime_s(await one.ask(restart.uptime_command, timeout_s=5.0)) == 0
        await one.close()
        assert device.log.count("reload") == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("family", "command"),
    [
        ("ios", "configure terminal"),
        ("ios", "  conf t"),
        ("ios", "confi t"),
        ("ios", "copy tftp://192.0.2.1/x running-config"),
        ("ios", "write memory"),
        ("ios", "wr"),
        ("ios", "reload in 5"),
        ("ios", "show run | redirect nvram:startup-config"),
        ("ios", "erase startup-config"),
        ("ios", "show version\nconf t"),
        ("ios", "show ?"),
        ("ios", "tclsh"),
        ("ios", "WR"),
        ("ios", "Conf T"),
        ("ios", "cop run start"),
        ("ios", "arch config"),
        ("ios", "sq flash:"),
        ("ios", "upgrade rom-monitor file flash:x"),
        ("ios", "hw-module subslot 0/1 reload"),
        ("ios", "show version | r flash:x"),
        ("ios", "show version | Redirect flash:x"),
        ("ios", "show version |te flash:x"),
        ("ios", "show version | a flash:x"),
        ("fortios", "config system global"),
        ("fortios", "Config system global"),
        ("fortios", "EXECUTE reboot"),
        ("fortios", "conf sys global"),
        ("fortios", "set hostname x"),
        ("fortios", "execute reboot"),
        ("fortios", "exec factoryreset"),
        ("fortios", "execute restore config flash 1"),
        ("fortios", "sudo global execute reboot"),
        ("fortios", "sudo  global exec  factoryreset"),
        ("fortios", "sud root sudo global execute formatlogdisk"),
        ("fortios", "sudo root config firewall policy"),
        ("fortios", "execute log delete-all"),
        ("fortios", "execute date 2020-01-01"),
        ("seil-ssh", "route add default pppoe1"),
        ("seil-ssh", "reboot"),
        ("recipe-ssh", "load-from stdin"),
    ],
)
def test_a_command_that_would_change_the_configuration_is_refused_with_rule_and_next_step(
    family: str, command: str
) -> None:
    with pytest.raises(RuleViolation) as refused:
        commands_for(driver(family), OperationKind.MD_COMMAND, Parameters(items=(Item(0, command),)))
    assert refused.value.rule
    assert refused.value.next_step


@pytest.mark.fast
@pytest.mark.parametrize(
    ("family", "command"),
    [
        ("ios", "show running-config | include hostname"),
        ("ios", "show configuration lock"),
        ("ios", "SHOW VERSION | include uptime"),
        ("ios", "show ip route | include a|redist"),
        ("ios", "clear ip route *"),
        ("fortios", "diagnose sys top 1 20"),
        ("fortios", "execute ping 192.0.2.1"),
        ("fortios", "sudo root execute ping 192.0.2.1"),
        ("fortios", "sudo kobe show firewall policy"),
        ("fortios", "execute log display"),
        ("fortios", "execute time"),
        ("seil-ssh", "show status route"),
    ],
)
def test_an_ordinary_command_goes_out_as_it_is(family: str, command: str) -> None:
    assert commands_for(driver(family), OperationKind.MD_COMMAND, Parameters(items=(Item(0, command),))) == (
        (command,),
    )


@pytest.mark.fast
def test_what_a_family_cannot_do_is_refused_with_the_reason() -> None:
    with pytest.raises(NotEligible, match="dialogue are known of no model"):
        commands_for(driver("seil-ssh"), OperationKind.REBOOT, Parameters())
    with pytest.raises(NotEligible, match="request of ARMS"):
        commands_for(driver("ios"), OperationKind.DUMP_DEBUG, Parameters())
    with pytest.raises(NotEligible, match="over IPv6"):
        commands_for(driver("seil-ssh"), OperationKind.PING, Parameters(address="2001:db8::1", count=1))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("family", "kind", "example"),
    [
        ("ios", OperationKind.READ_STATUS, "`show ip interface brief`"),
        ("ios", OperationKind.CLEAR_STATUS, "`clear counters`"),
        ("fortios", OperationKind.READ_STATUS, "`get system status`"),
        ("fortios", OperationKind.CLEAR_STATUS, "`execute clear system arp table`"),
        ("seil-ssh", OperationKind.READ_STATUS, "`show system`"),
    ],
)
def test_who_asks_for_what_is_no_status_is_shown_one_as_it_is_typed(
    family: str, kind: OperationKind, example: str
) -> None:
    with pytest.raises(RuleViolation) as refused:
        commands_for(driver(family), kind, Parameters(items=(Item(0, "reload"),)))
    assert example in refused.value.next_step


@pytest.mark.fast
@pytest.mark.parametrize("text", ["show version | r flash:x", "show version | Tee flash:x", "show log |app flash:x"])
def test_a_status_does_not_write_a_file_however_short_the_filter_is_written(text: str) -> None:
    with pytest.raises(RuleViolation):
        commands_for(driver("ios"), OperationKind.READ_STATUS, Parameters(items=(Item(0, text),)))


@pytest.mark.fast
def test_a_ping_is_written_in_the_words_of_the_family() -> None:
    given = parameters_of(OperationKind.PING, Given(address="192.0.2.1", size=1400))
    assert commands_for(driver("ios"), OperationKind.PING, given) == (("ping 192.0.2.1 repeat 3 size 1400",),)
    plain = parameters_of(OperationKind.PING, Given(address="2001:db8::1"))
    assert commands_for(driver("fortios"), OperationKind.PING, plain) == (
        ("execute ping6-options reset", "execute ping6-options repeat-count 3", "execute ping6 2001:db8::1"),
    )


@pytest.mark.fast
def test_an_uptime_is_read_from_its_words() -> None:
    restart = operations_of(driver("ios")).restart
    assert restart is not None
    assert restart.uptime_s("r1 uptime is 1 year, 2 weeks, 3 days, 1 hour, 5 minutes\n") == 33_008_700
    assert restart.uptime_s("no such line") is None
