"""A real agent (net-snmp's snmpd) says who it is."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

import pytest

from drivers.sessions.snmp_facts import facts, family_of
from inventory.errors import Unreachable
from inventory.secrets import Secret
from tests import snmpd

COMMUNITY = "kite-and-lantern"


@pytest.fixture
def agent() -> Iterator[snmpd.Agent]:
    if snmpd.program() is None:
        missing = "snmpd is not installed (Debian: apt-get install snmpd)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with snmpd.agent(COMMUNITY) as running:
        yield running


@pytest.mark.snmpd
async def test_the_agent_tells_system_name_and_uptime(agent: snmpd.Agent) -> None:
    found = await facts("127.0.0.1", agent.port, Secret(COMMUNITY))

    assert found.description.startswith(f"Linux {platform.node()}")
    assert found.name == platform.node()
    assert found.object_id.startswith("1.3.6.1.4.1.8072.3.2")
    assert 0 <= found.uptime_cs < 6_000
    assert found.family is None


@pytest.mark.snmpd
async def test_a_wrong_community_is_answered_by_silence(agent: snmpd.Agent) -> None:
    with pytest.raises(Unreachable, match="in 2 attempts"):
        await facts("127.0.0.1", agent.port, Secret("wrong"), timeout_s=0.2, attempts=2)


@pytest.mark.parametrize(
    ("description", "family"),
    [
        ("Cisco IOS Software, ISR Software (X86_64_LINUX_IOSD-UNIVERSALK9-M), Version 15.5(3)S", "ios"),
        ("FortiGate-60F", "fortios"),
        ("SEIL/X1 ver 5.40 (WallofJericho)", "seil"),
        ("SEIL/X4 ver 3.42 (Release)", "recipe"),
        ("SA-W2 ver 5.66 (Release)", "recipe"),
        ("Linux edge 6.1.0", None),
    ],
)
def test_a_description_tells_the_family(description: str, family: str | None) -> None:
    assert family_of(description) == family
