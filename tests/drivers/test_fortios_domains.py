"""A FortiGate with virtual domains: read, changed, verified and taken back, each domain on its own (§B.1, row 83)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from drivers import plan
from drivers.cutoff import Way
from drivers.device import CommandLineDevice
from drivers.devices import over_ssh
from drivers.fortios import domains_in
from drivers.operating import commands_for, prepared, probes_of
from drivers.push import PushJob
from drivers.registry import driver
from drivers.sessions.contract import Endpoint, Rest
from drivers.simulator.forti_cli import FortiDevice
from drivers.simulator.forti_rest import FortiRest
from inventory.errors import CommandRejected, Conflict, OutcomeUnknown, Truncated
from inventory.operations import Given, Item, OperationKind, parameters_of
from inventory.plans import ConfigText, PushState
from inventory.secrets import Secret
from tests.configs import divided
from tests.drivers.pushing import (
    FORTI_SERIAL,
    LIMITS,
    PASSWORD,
    SENDING,
    Reach,
    enter,
    firewall,
    reaching,
    up_to,
    wait,
)

UNIT = """config system global
    set hostname "fw"
    set management-vdom "kobe"
    set vdom-mode multi-vdom
end
config system interface
    edit "mgmt"
        set vdom "kobe"
        set ip 192.0.2.2 255.255.255.0
        set allowaccess ping ssh
    next
    edit "port1"
        set vdom "osaka"
        set ip 198.51.100.1 255.255.255.0
    next
end
"""
ROOT = """config system settings
    set gui-theme "blue"
end
"""
KOBE = """config firewall address
    edit "office"
        set subnet 198.51.100.0 255.255.255.0
    next
end
config router static
    edit 1
        set gateway 192.0.2.1
        set device "mgmt"
    next
end
"""
OSAKA = """config firewall address
    edit "office"
        set subnet 203.0.113.0 255.255.255.0
    next
end
config router static
    edit 1
        set gateway 198.51.100.254
        set device "port1"
    next
end
"""
CONFIG = divided(UNIT, root=ROOT, kobe=KOBE, osaka=OSAKA)
VLAN = """edit "vlan7"
        set vdom "osaka"
        set interface "port1"
        set vlanid 7
    next
"""
CHANGES = (
    ("203.0.113.0", "203.0.114.0"),
    ('edit "port1"\n', f'{VLAN}    edit "port1"\n'),
    (
        'set device "port1"\n    next\n',
        'set device "port1"\n    next\n    edit 2\n        set device "vlan7"\n    next\n',
    ),
)
"""An object of osaka, an interface of the unit, and a route of osaka that refers to it."""
FORTI = driver("fortios")


@pytest.fixture
async def unit() -> AsyncIterator[FortiDevice]:
    async with firewall("fw", CONFIG) as made:
        yield made


@pytest.fixture
async def reach(unit: FortiDevice) -> AsyncIterator[Reach]:
    async with reaching(unit) as device:
        yield device


async def planned(device: CommandLineDevice, *changes: tuple[str, str], guard_s: int = 6000) -> PushJob:
    """The change as a plan computes it from a reading."""
    base = await device.read()
    text = base.text()
    for old, new in changes or CHANGES:
        assert old in text, text
        text = text.replace(old, new)
    made = plan.compute(FORTI, base, ConfigText.single(text))
    assert made.proven, made.proof
    return PushJob("P-9", FORTI_SERIAL, base, ConfigText.single(text), made.remediation, made.rollback, guard_s)


def names_of(unit: FortiDevice) -> set[str]:
    return set(domains_in(unit.running_text()))


def saves_by_itself(unit: FortiDevice) -> bool:
    return "cfg-save" not in unit.running_text() and unit.saved_text() == unit.running_text()


async def test_a_push_changes_what_it_names_in_its_domain_and_in_the_unit_and_nothing_else(
    reach: Reach, unit: FortiDevice
) -> None:
    before, device = unit.running_text(), reach()
    job = await planned(device)
    await enter(device, job, *SENDING)
    wanted = before
    for old, new in CHANGES:
        wanted = wanted.replace(old, new)
    assert plan.digest(FORTI, ConfigText.single(unit.running_text())) == plan.digest(FORTI, ConfigText.single(wanted))
    assert names_of(unit) == {"root", "kobe", "osaka"}
    assert saves_by_itself(unit)
    assert unit.pending_undo() is None
    assert [revision.comment for revision in unit.revisions] == ["push P-9 before"]
    assert unit.log.count("rejected") == 0, "no word of ours was typed in the wrong scope"


async def test_taking_it_back_leaves_every_domain_as_it_was(reach: Reach, unit: FortiDevice) -> None:
    before, device = unit.running_text(), reach()
    job = await planned(device)
    await enter(device, job, *up_to(PushState.VERIFIED))
    assert "vlan7" in unit.running_text()
    assert "inverse lines" in (await device.enter(PushState.REVERTING, job)).said
    assert unit.running_text() == before
    assert saves_by_itself(unit)


async def test_a_line_refused_in_the_middle_leaves_all_scopes_and_is_taken_back(
    reach: Reach, unit: FortiDevice
) -> None:
    before, device = unit.running_text(), reach()
    job = await planned(device)
    unit.throw(reject_lines=["set subnet 203.0.114.0 255.255.255.0"])
    await enter(device, job, *up_to(PushState.ARMED))
    with pytest.raises(CommandRejected, match=r"Line \d+ of \d+ was refused"):
        await device.enter(PushState.APPLYING, job)
    await device.enter(PushState.REVERTING, job)
    assert unit.running_text() == before
    assert saves_by_itself(unit)


async def test_a_domain_that_somebody_made_meanwhile_is_not_removed_by_our_lines(
    reach: Reach, unit: FortiDevice
) -> None:
    before, device = unit.running_text(), reach()
    job = await planned(device)
    await enter(device, job, *up_to(PushState.APPLIED))
    made = await over_ssh("fortios", device._endpoint, FORTI_SERIAL, wait=wait, limits=LIMITS)._open()
    await made.lines(("config vdom", "edit nagoya", "end"), timeout_s=5.0)
    await made.close()
    with pytest.raises(Conflict, match="differs from the intent"):
        await enter(device, job, PushState.REACHABLE, PushState.VERIFIED)
    assert "reloaded" in (await device.enter(PushState.REVERTING, job)).said
    assert unit.running_text() == before
    assert not [one for one in unit.log.records if str(one.detail.get("line", "")).startswith("delete nagoya")]


async def test_a_unit_that_is_left_alone_takes_the_change_back_in_all_scopes(reach: Reach, unit: FortiDevice) -> None:
    before, device = unit.running_text(), reach()
    job = await planned(device, *CHANGES, ("set allowaccess ping ssh", "set allowaccess ping"), guard_s=60)
    with pytest.raises(OutcomeUnknown):
        await enter(device, job, *up_to(PushState.APPLYING))
    await device.close()
    async with asyncio.timeout(10):
        while unit.log.count("reverted") == 0:  # noqa: ASYNC110  # it is the unit's own timer
            await asyncio.sleep(0.01)
    await reach().enter(PushState.REVERTING, job)
    assert unit.running_text() == before
    assert saves_by_itself(unit)


@pytest.mark.parametrize("words", ["multiple", "split-task", "enable"])
async def test_however_a_unit_calls_them_domains_are_domains(reach: Reach, unit: FortiDevice, words: str) -> None:
    unit.throw(vdoms=words)
    device = reach()
    await enter(device, await planned(device), *SENDING)
    assert unit.log.count("rejected") == 0


async def test_an_account_of_one_domain_reads_it_and_writes_nothing(reach: Reach, unit: FortiDevice) -> None:
    before = unit.running_text()
    unit.throw(vdom_admin="osaka")
    device = reach()
    seen = (await device.read()).text()
    assert "203.0.113.0" in seen
    assert "config vdom" not in seen
    job = await planned(device, CHANGES[0])
    with pytest.raises(Conflict, match="of one virtual domain"):
        await enter(device, job, *up_to(PushState.PREFLIGHT))
    assert unit.running_text() == before


@pytest.mark.parametrize("lost", ["edit osaka\n", "edit kobe\nconfig"])
async def test_a_reading_without_one_of_its_domains_is_no_reading(reach: Reach, unit: FortiDevice, lost: str) -> None:
    whole = (await reach().read()).text()
    cut = whole[: whole.rindex("config vdom\n", 0, whole.rindex(lost))]
    assert cut.endswith("end\n")
    with pytest.raises(Truncated, match="virtual domain of its list"):
        reach()._complete(cut)


async def test_the_backup_over_rest_is_the_same_reading(reach: Reach, unit: FortiDevice) -> None:
    async with FortiRest(unit, "token-of-the-api") as api:
        rest = Rest(Secret("token-of-the-api"), api.port, api.fingerprint)
        endpoint = replace(Endpoint("127.0.0.1", unit.port, "op", Secret(PASSWORD)), rest=rest)
        device = over_ssh("fortios", endpoint, FORTI_SERIAL, wait=wait, limits=LIMITS)
        read = await device.read()
        await device.close()
    assert any("backup" in one for one in api.requests)
    assert plan.digest(FORTI, read) == plan.digest(FORTI, await reach().read())


async def asked(device: CommandLineDevice, kind: OperationKind, **given: object) -> str:
    device.driver = prepared(device.driver, kind)
    (commands,) = commands_for(device.driver, kind, parameters_of(kind, Given(**given)))  # type: ignore[arg-type]  # as named
    return await device.ask(*commands, timeout_s=5.0)


async def test_operations_are_typed_in_the_scope_that_they_belong_to(reach: Reach, unit: FortiDevice) -> None:
    before, device = unit.running_text(), reach()
    said = await asked(device, OperationKind.PING, address="192.0.2.9", count=4)
    assert FORTI.operations is not None
    assert probes_of(FORTI.operations, said) == (4, 0)
    assert "Uptime" in await asked(device, OperationKind.MD_COMMAND, command="get system performance status")
    assert "203.0.113.0" in await asked(device, OperationKind.MD_COMMAND, command="sudo osaka show firewall address")
    with pytest.raises(CommandRejected):
        await asked(device, OperationKind.MD_COMMAND, command="get nothing of the kind")
    assert "fw" in await asked(device, OperationKind.READ_STATUS, items=(Item(0, ""),))
    assert unit.running_text() == before
    assert names_of(unit) == {"root", "kobe", "osaka"}


def judged(old: str, new: str, way: Way = plan.UNKNOWN) -> list[str]:
    assert old in CONFIG
    one, other = ConfigText.single(CONFIG), ConfigText.single(CONFIG.replace(old, new))
    return [found.line for found in plan.management_path(FORTI, one, other, way)]


OURS = Way("ssh", "192.0.2.2", 22, "203.0.113.200", user="op")


def test_a_route_of_the_domain_that_we_come_through_is_not_hidden_by_another_of_its_number() -> None:
    for way in (OURS, plan.UNKNOWN):
        found = judged("set gateway 192.0.2.1", "set gateway 192.0.2.77", way)
        assert found
        assert all(line.startswith("config vdom / edit kobe / config router static") for line in found)


def test_the_route_of_a_domain_that_we_do_not_come_through_is_an_ordinary_change() -> None:
    for way in (OURS, plan.UNKNOWN):
        assert not judged("set gateway 198.51.100.254", "set gateway 198.51.100.253", way)


def test_the_interface_that_we_come_to_stands_in_the_unit() -> None:
    assert judged("set allowaccess ping ssh", "set allowaccess ping", OURS) == [
        "config global / config system interface / edit mgmt / set allowaccess ping"
    ]
    assert judged('"mgmt"\n        set vdom "kobe"', '"mgmt"\n        set vdom "osaka"', OURS)
    assert judged('set management-vdom "kobe"', 'set management-vdom "root"', OURS)


def link_end(name: str, domain: str, ip: str) -> str:
    return f"""    edit "{name}"
        set vdom "{domain}"
        set type vdom-link
        set ip {ip} 255.255.255.252
    next
"""


LINK = 'config system vdom-link\n    edit "north"\n    next\nend\nconfig system interface\n'
LINKED = CONFIG.replace(
    "config system interface\n", LINK + link_end("north0", "kobe", "10.0.0.1") + link_end("north1", "osaka", "10.0.0.2")
).replace('192.0.2.1\n        set device "mgmt"', '10.0.0.2\n        set device "north0"')


def test_a_domain_behind_a_link_is_on_our_way_too() -> None:
    intent = LINKED.replace("set gateway 198.51.100.254", "set gateway 198.51.100.253")
    found = plan.management_path(FORTI, ConfigText.single(LINKED), ConfigText.single(intent), OURS)
    assert {one.line for one in found} == {"config vdom / edit osaka / config router static / edit 1"}
