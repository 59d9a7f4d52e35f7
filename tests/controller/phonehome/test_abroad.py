"""An adapter that phones home from outside Japan is flagged, where there is a list of locations; over real UDP."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.phonehome.abroad import read
from controller.settings import ArmsSettings
from inventory.errors import BadInput
from inventory.incidents import IncidentKind
from tests.controller.phonehome.site import Site, eventually
from tests.controller.phonehome.test_watches import beat, found, send


@pytest.fixture
def arms_settings(tmp_path: Path) -> ArmsSettings:
    """127.0.0.1 is at home, 127.0.0.2 is not; of 127.0.0.3 nothing is known."""
    places = tmp_path / "places.csv"
    places.write_text("network,country\n127.0.0.1/32,JP\n127.0.0.2/32,US\n", encoding="utf-8")
    return ArmsSettings(
        ls_port=0, rs_port=0, heartbeat_port=0, pulls_per_s=10_000, heartbeat_interval_s=10, locations=places
    )


@pytest.fixture
def pace() -> float:
    """A look a minute is one a second."""
    return 60.0


@pytest.mark.rule("MPC-10.1", "SMF-9.1")
async def test_an_adapter_abroad_is_an_incident_and_one_at_home_or_nowhere_is_none(site: Site) -> None:
    home, away, unknown = [await site.unit() for _ in range(3)]
    octets = 1_000

    async def flagged() -> bool:
        nonlocal octets
        octets += 1
        for unit, source in ((home, "127.0.0.1"), (unknown, "127.0.0.3"), (away, "127.0.0.2")):
            send(site, source, beat(unit, octets))
        return bool(await found(site, IncidentKind.ABROAD))

    await eventually(flagged, seconds=30)
    (incident,) = await found(site, IncidentKind.ABROAD)
    assert (incident.adapter_id, incident.state) == (away.adapter_id, "open")
    assert {name: incident.facts[name] for name in ("rule", "country", "source")} == {
        "rule": "MPC-10.1",
        "country": "US",
        "source": "127.0.0.2",
    }


def test_a_list_that_cannot_be_read_stops_the_start_with_its_setting(tmp_path: Path) -> None:
    assert read(None) is None
    broken = tmp_path / "places.csv"
    broken.write_bytes(b"192.0.2.0/24,\xff\n")
    for path in (tmp_path / "missing.csv", broken):
        with pytest.raises(BadInput) as refused:
            read(path)
        assert refused.value.field == "arms.locations"
