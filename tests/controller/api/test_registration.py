"""200 registrations at once into 10 free slots fill exactly 10 (architecture §3a.2)."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing

import httpx

from tests.controller.house import Fleet, House, ok, refused

FREE, ASKED = 10, 200


async def test_two_hundred_registrations_at_once_fill_exactly_the_free_slots(house: House, fleet: Fleet) -> None:
    management = fleet.management(entries=FREE)
    bodies = [fleet.arms(place={"management": management}) for _ in range(ASKED)]
    limits = httpx.Limits(max_connections=ASKED)
    headers = {"Authorization": f"Bearer {house.key}"}
    async with httpx.AsyncClient(
        base_url=f"{house.url}/api/v1", headers=headers, limits=limits, timeout=100, trust_env=False
    ) as crowd:
        answers = await asyncio.gather(*(crowd.post("/adapters", json=body) for body in bodies))
    seated = [one.json() for one in answers if one.status_code == 201]
    assert len(seated) == FREE
    assert len({one["place"] for one in seated}) == FREE
    assert all(one["ls_key"] for one in seated)
    for answer in answers:
        if answer.status_code != 201:
            problem = refused(answer, 409, "no-free-slot")
            assert problem["rule"]
    left = ok(fleet.api.get("/adapters", params={"contractor": fleet.contractor(), "limit": 1000}))["items"]
    assert {one["serial_number"] for one in left} == {one["serial_number"] for one in seated}
    places = ok(fleet.api.get("/entries", params={"management": management}))["items"]
    assert {one["occupant"] for one in places} == {one["serial_number"] for one in seated}
    first = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code != 201)
    ok(fleet.api.post("/adapters", json={**first, "place": None}))


def test_a_certificate_is_made_as_soon_as_its_adapter_is_on_record(house: House, fleet: Fleet) -> None:
    body = fleet.arms(place={"management": fleet.management(entries=1)})
    ok(fleet.api.post("/adapters", json=body))

    deadline = time.monotonic() + 30
    with closing(sqlite3.connect(house.directory / "kajitori.db", timeout=30)) as database:
        query = "SELECT certificate FROM arms_identities WHERE distribution_id = ?"
        while database.execute(query, (body["distribution_id"],)).fetchone() == (None,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
