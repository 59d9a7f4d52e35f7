"""The same API on PostgreSQL, which takes less than SQLite: no NUL in a text, no number beyond its column."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.house import Fleet, ok, refused, serving

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


def test_odd_input_is_refused_and_the_fleet_goes_on(tmp_path: Path, empty_postgres_url: str) -> None:
    with serving(tmp_path / "data", DATABASE__URL=empty_postgres_url) as house:
        api = house.client()
        fleet = Fleet(api)
        made = fleet.register(fleet.arms(place={"management": fleet.management()}))
        for query in ({"text": "\x00"}, {"after": "YTk5OTk5OTk5OTk5OTk5OTk5"}, {"management": "M-\x00"}):
            refused(api.get("/adapters", params=query), 422, "bad-input")
        refused(api.get("/contractors", params={"text": "\x00"}), 422, "bad-input")
        refused(api.get("/events", params={"kind": "\x00"}), 422, "bad-input")
        refused(api.get("/audit", params={"subject": "\x00"}), 422, "bad-input")
        refused(api.get("/entries/E-999999999999999999"), 404, "not-found")
        refused(api.get("/adapters/%00"), 422, "bad-input")
        refused(api.get("/pushes/2147483648"), 422, "bad-input")
        assert ok(api.get(f"/adapters/{made['serial_number']}/explain"))["facts"]
        assert house.stop() == 0
    assert "unforeseen error" not in house.log.read_text(encoding="utf-8")
