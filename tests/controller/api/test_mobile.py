"""Mobile usage over REST and the command line: each contractor sees its own SIMs, another's are not found."""

from __future__ import annotations

import httpx

from tests.controller.api.test_contracts import accept, apply, client_of, today
from tests.controller.commands import BAD_INPUT, DONE, kajitori
from tests.controller.house import Fleet, House, Json, ok, refused, serial


def ordered(fleet: Fleet) -> dict[str, Json]:
    """Lines in service since today: a 10 GB plan, and its adapter line."""
    name = serial()
    items: tuple[Json, ...] = (
        {"kind": "management", "name": "Osaka", "classes": ["I"], "entries": 1},
        {"kind": "adapter", "name": name, "device_class": "I", "model": "SA-W2L"},
        {"kind": "mobile-access", "on": name, "plan": "10GB"},
    )
    return accept(fleet.api, apply(fleet.api, fleet.contractor(), *items))


def keys(answer: httpx.Response) -> list[str]:
    return [str(one["key"]) for one in ok(answer)["items"]]


def test_a_contractor_sees_the_use_of_its_own_sims_and_anothers_is_not_found(house: House, fleet: Fleet) -> None:
    lines, others = ordered(fleet), Fleet(fleet.api)
    theirs = ordered(others)
    mine = client_of(house, fleet.api, "contractor", fleet.contractor())
    own = lines["mobile-access"]["key"]
    assert keys(mine.get("/mobile-usage")) == keys(mine.get("/mobile-usage", params={"contractor": fleet.contractor()}))
    assert keys(mine.get("/mobile-usage")) == [own]
    assert ok(mine.get(f"/mobile-usage/{own}/explain"))["subject"] == own
    refused(mine.get(f"/mobile-usage/{theirs['mobile-access']['key']}/explain"), 404, "not-found")
    unit = str(fleet.register(fleet.arms(contractor=others.contractor()))["serial_number"])
    for name, value in (
        ("contractor", others.contractor()),
        ("management", others.management()),
        ("adapter", unit),
    ):
        refused(mine.get("/mobile-usage", params={name: value}), 404, "not-found")
        assert keys(fleet.api.get("/mobile-usage", params={name: value})) == (
            [theirs["mobile-access"]["key"]] if name == "contractor" else []
        )


def test_a_sim_without_a_link_is_told_with_what_to_do(fleet: Fleet) -> None:
    lines = ordered(fleet)
    (found,) = ok(fleet.api.get("/mobile-usage", params={"contractor": fleet.contractor()}))["items"]
    assert (found["plan"], found["allowance_gb"], found["month"]) == ("10GB", 10, today()[:7])
    assert (found["linked"], found["used"]["low_octets"], found["group"]) == (False, 0, None)
    told = ok(fleet.api.get(f"/mobile-usage/{lines['mobile-access']['key']}/explain"))
    assert told["summary"] == found["words"]
    refused(fleet.api.get(f"/mobile-usage/{lines['adapter']['key']}/explain"), 422, "bad-input")
    for month in ("2999-01", "1999-12", "2025-13"):
        assert refused(fleet.api.get("/mobile-usage", params={"month": month}), 422, "bad-input")["field"] == "month"


def test_a_person_reads_it_by_commands(house: House, fleet: Fleet) -> None:
    key = ordered(fleet)["mobile-access"]["key"]
    where = ("--url", house.url, "--key-file", str(house.directory / "admin.key"))
    status, shown, _ = kajitori(house.directory, "mobile", "usage", "--contractor", fleet.contractor(), *where)
    assert status == DONE
    assert key in shown
    assert "10GB" in shown
    status, shown, _ = kajitori(house.directory, "mobile", "explain", key, *where)
    assert status == DONE
    assert "→" in shown
    assert kajitori(house.directory, "mobile", "usage", "--month", "June", *where)[0] == BAD_INPUT
