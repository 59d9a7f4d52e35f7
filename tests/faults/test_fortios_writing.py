"""Stories of the failure catalogue, D.4: writing on FortiOS over SSH. The number is the row's."""

from __future__ import annotations

from drivers.fortios import domains_in
from inventory.plans import Outcome, PushState
from tests.configs import FORTIOS
from tests.controller.push.cutting import DIVIDED, DeviceClock
from tests.faults.bench import OFFICE, SHORT, WAREHOUSE, Bench, firewall
from tests.faults.conftest import Make

POLICIES = """config firewall policy
    edit 1
        set srcintf "mgmt"
        set dstintf "mgmt"
        set srcaddr "office"
        set dstaddr "all"
        set action accept
        set schedule "always"
        set service "ALL"
    next
end
"""
OFFICE_WHOLE = f'    edit "office"\n{OFFICE}'
YARD = '    edit "yard"\n        set subnet 203.0.114.0 255.255.255.0\n    next\n'
PASSWORD = "a password of the tunnel 9"
TUNNEL = f"""config vpn ipsec phase1-interface
    edit "osaka"
        set interface "mgmt"
        set remote-gw 203.0.113.9
        set psksecret "{PASSWORD}"
    next
end
"""


async def nothing_happened(bench: Bench, *words: str) -> None:
    """The push ended before anything was sent, and said why."""
    push = await bench.ended()
    assert (push.state, push.outcome) == (PushState.NOT_DONE, Outcome.NOT_DONE)
    assert all(word in push.said for word in words), push.said
    assert bench.sent() == []
    assert bench.untouched()


async def went_back(bench: Bench, *words: str) -> None:
    """The push ended with the unit as it was before, saving by itself again, and said why."""
    push = await bench.ended()
    assert (push.state, push.outcome) == (PushState.REVERTED, Outcome.NOT_DONE)
    assert all(word in push.said for word in words), push.said
    assert bench.untouched()
    assert "cfg-save" not in bench.device.running_text()


async def with_policies(bench_of: Make) -> Bench:
    clock = DeviceClock()
    return await bench_of(firewall(clock, FORTIOS + POLICIES), clock)


async def test_64_what_is_in_use_is_removed_after_its_user_or_not_at_all(bench_of: Make) -> None:
    made = await with_policies(bench_of)
    assert (await made.pushed((OFFICE_WHOLE, YARD), ('"office"', '"yard"'))).state is PushState.DONE
    assert "office" not in made.device.saved_text()

    kept = await with_policies(bench_of)
    await kept.started((OFFICE_WHOLE, YARD))
    await went_back(kept, "entry is used by")


async def test_65_after_a_discarded_object_nothing_hits_another_table(bench_of: Make) -> None:
    made = await with_policies(bench_of)
    second = '    edit 2\n        set srcintf "mgmt"\n        set dstintf "mgmt"\n        set name "half"\n    next\n'
    await made.started((OFFICE, WAREHOUSE), ('service "ALL"\n    next\n', f'service "ALL"\n    next\n{second}'))
    await went_back(made, "discard the setting")
    refused = [record for record in made.device.log.records if record.what == "rejected"]
    assert len(refused) == 1
    later = made.device.log.records[made.device.log.records.index(refused[0]) + 1 :]
    assert {record.detail["line"].split()[0] for record in later if record.what == "line"} <= {
        "abort",
        "config",
        "delete",
        "end",
        "unset",
        "set",
    }


async def test_67_an_object_that_another_holds_takes_the_change_back_and_names_him(forti: Bench) -> None:
    await forti.started()
    await forti.advance_while(lambda row: row.state is not PushState.ARMED)
    forti.device.throw(locked_by="bob", lock_looks=1)
    await went_back(forti, "locked by administrator bob")


async def test_69_a_change_that_cuts_us_off_is_followed_by_silence_and_taken_back(forti: Bench) -> None:
    forti.limits = SHORT
    await forti.started(("        set allowaccess ping ssh\n", "        set allowaccess ping\n"))
    await went_back(forti)
    assert forti.device.log.count("reverted") == 1
    assert (await forti.reach().identify()).serial is not None


async def test_70_a_unit_left_in_its_guard_is_found_and_left_alone(bench_of: Make) -> None:
    clock = DeviceClock()
    left = FORTIOS.replace(
        '    set hostname "kobe-fw-01"\n',
        '    set cfg-revert-timeout 600\n    set cfg-save revert\n    set hostname "kobe-fw-01"\n',
    )
    made = await bench_of(firewall(clock, left), clock)
    await made.started()
    await nothing_happened(made, "does not save by itself")


async def test_71_after_a_failover_the_other_member_gets_nothing(forti: Bench) -> None:
    await forti.started()
    await forti.advance_while(lambda row: row.state is not PushState.APPLIED)
    sent, confirmed = forti.sent(), forti.device.log.count("confirmed")
    forti.device.throw(serial="FGT60FTK20000002")
    push = await forti.ended()
    assert (push.state, push.outcome) == (PushState.QUARANTINED, Outcome.UNKNOWN)
    assert "FGT60FTK20000002" in push.said
    assert forti.sent() == sent
    assert forti.device.log.count("confirmed") == confirmed


async def test_72_a_cluster_out_of_step_is_not_pushed_to(bench_of: Make) -> None:
    clock = DeviceClock()
    unit = firewall(clock)
    unit.ha_mode = "a-p, primary"
    made = await bench_of(unit, clock)
    await made.started()
    made.device.throw(ha_out_of_sync=True)
    await nothing_happened(made, "different configurations")


async def test_80_secrets_that_are_encoded_anew_are_no_difference(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(firewall(clock, FORTIOS + TUNNEL), clock)
    one, other = [(await made.reach().read()).text() for _ in range(2)]
    assert one != other
    assert "ENC " in one
    assert (await made.pushed()).state is PushState.DONE


async def test_81_no_secret_of_a_reading_or_of_a_change_is_told(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(firewall(clock, FORTIOS + TUNNEL), clock)
    wanted = "another password of the tunnel 8"
    [line] = [line for line in made.before.splitlines() if "psksecret" in line]
    await made.started((line, f'        set psksecret "{wanted}"'))
    plan = await made.plan()
    push = await made.ended()
    assert push.state is PushState.DONE
    told = [plan.diff, *plan.remediation, *plan.rollback, push.said, *made.said]
    told += [f"{row.said} {row.detail}" for row in await made.journal()]
    assert "psksecret" in " ".join(plan.remediation)
    assert not [text for text in told if wanted in text or PASSWORD in text]


async def test_82_a_header_that_changes_by_itself_is_no_difference(forti: Bench) -> None:
    await forti.started()
    forti.device.throw(volatile_lines=True)
    assert len({(await forti.reach().read()).text() for _ in range(2)}) == 2
    assert (await forti.ended()).state is PushState.DONE


async def test_83_with_virtual_domains_a_change_lands_in_its_own_and_none_is_made(bench_of: Make) -> None:
    clock = DeviceClock()
    made = await bench_of(firewall(clock, DIVIDED), clock)
    made.device.throw(vdoms="split-task")
    assert (await made.pushed()).state is PushState.DONE
    assert "warehouse" in made.device.saved_text()
    assert set(domains_in(made.device.saved_text())) == {"root", "kobe"}

    lost = await bench_of(firewall(clock, DIVIDED), clock)
    await lost.started()
    lost.device.throw(reject_lines=['edit "warehouse"', "edit warehouse"])
    await went_back(lost, "value parse error")
    assert set(domains_in(lost.device.running_text())) == {"root", "kobe"}


async def test_a_refused_secret_is_told_by_nobody_even_if_the_unit_repeats_it(forti: Bench) -> None:
    community = "a-community-of-the-warehouse"
    table = f'config system snmp community\n    edit 1\n        set name "{community}"\n    next\nend\n'
    await forti.started(("config firewall address\n", f"{table}config firewall address\n"))
    forti.device.throw(reject_lines=[f'set name "{community}"', f"set name {community}"])
    await went_back(forti, "value parse error before")
    told = [*forti.said, *(f"{row.said} {row.detail}" for row in await forti.journal())]
    assert not [text for text in told if community in text]
