"""Price lists and outages over REST and on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.controller.commands import client, told
from tests.controller.house import Fleet, House, ok, refused

HEADER = "contractor,service,item,fee,yen,first_day\n"


def test_prices_are_put_shown_and_corrected_by_new_rows(fleet: Fleet) -> None:
    key = fleet.contractor()
    row = {"contractor": key, "service": "mpc", "item": "entry", "fee": "monthly", "first_day": "2025-04-01"}
    assert ok(fleet.api.post("/price-lists", json={"prices": [row | {"yen": 3_000}]})) == {
        "new": 1,
        "unchanged": 0,
    }
    ok(fleet.api.post("/price-lists", json={"prices": [row | {"yen": 2_800}]}))
    listed = ok(fleet.api.get("/price-lists", params={"contractor": key}))["items"]
    assert [one["yen"] for one in listed] == [3_000, 2_800]
    before = {"on": "2025-05-01", "known_at": listed[0]["recorded_at"]}

    def entry(**query: str) -> object:
        found = ok(fleet.api.get(f"/contractors/{key}/prices", params=query))
        return next(one["yen"] for one in found if (one["item"], one["fee"]) == ("entry", "monthly"))

    assert (entry(on="2025-05-01"), entry(**before)) == (2_800, 3_000)
    ok(fleet.api.post("/price-lists", json={"prices": [row | {"yen": None}]}))
    assert entry(on="2025-05-01") is None
    assert {"service": "mpc", "item": "entry", "fee": "monthly"} in ok(fleet.api.get("/price-lists/rows"))


def test_a_row_that_no_list_has_is_refused_with_its_rule(fleet: Fleet) -> None:
    row = {"service": "smfsx", "item": "gold", "fee": "monthly", "first_day": "2025-04-01", "yen": 1}
    problem = refused(fleet.api.post("/price-lists", json={"prices": [row]}), 422, "bad-input")
    assert (problem["rule"], problem["field"], "price-lists/rows" in problem["next_step"]) == ("SMF-A1", "item", True)


def test_a_price_file_by_command_dry_and_then_for_good(house: House, fleet: Fleet, tmp_path: Path) -> None:
    key = fleet.contractor()
    file = tmp_path / "prices.csv"
    file.write_text(HEADER + f"{key},mpc,entry,monthly,3000,2025-04-01\n{key},mpc,gold,monthly,1,2025-04-01\n")
    status, out, _ = client(house, "price-list", "import", str(file))
    assert (status, "MPC-A1" in out, "nothing was imported" in out) == (2, True, True)
    assert ok(fleet.api.get("/price-lists", params={"contractor": key}))["items"] == []
    file.write_text(HEADER + f"{key},mpc,entry,monthly,3000,2025-04-01\n")
    assert told(house, "price-list", "import", str(file), "--dry-run")["new"] == 1
    assert ok(fleet.api.get("/price-lists", params={"contractor": key}))["items"] == []
    assert told(house, "price-list", "import", str(file)) | {"faults": []} == {
        "dry_run": False,
        "rows": 1,
        "new": 1,
        "unchanged": 0,
        "faults": [],
    }
    shown = told(house, "price-list", "show", key, "--on", "2025-04-01")
    assert 3_000 in [one["yen"] for one in shown]
    problem = refused(
        fleet.api.post("/price-lists/import", json={"text": HEADER + "x,y,z,1,2,3\n", "dry_run": False}),
        422,
        "bad-input",
    )
    assert problem["field"].startswith("row 2")


def test_an_outage_is_recorded_claimed_and_decided_by_commands(house: House, fleet: Fleet) -> None:
    contractor = fleet.contractor()
    body = {"contractor": contractor, "service": "smfsx", "entry_count": 3}
    management = ok(fleet.api.post("/managements", json=body))["key"]
    row = {"contractor": contractor, "service": "smfsx", "item": "entry", "fee": "monthly", "yen": 9_000}
    ok(fleet.api.post("/price-lists", json={"prices": [row | {"first_day": "2020-01-01"}]}))
    now = datetime.now(UTC)
    began, ended = ((now - timedelta(hours=hours)).isoformat() for hours in (30, 1))
    made = told(house, "outage", "record", management, began, "--reason", "power of the site")
    number = str(made["id"])
    assert made["state"] == "claimable"
    problem = refused(
        fleet.api.post(f"/outages/{number}/decide", json={"attributable": True, "reason": "x"}), 409, "rule-violation"
    )
    assert (problem["rule"], bool(problem["next_step"])) == ("SMF-26.1", True)
    told(house, "outage", "learn", number, "ended", ended, "--reason", "seen again")
    assert told(house, "outage", "claim", number)["state"] == "claimed"
    done = told(house, "outage", "decide", number, "the site's own power", "--reject")
    assert (done["state"], done["credit_yen"], "own power" in done["reason"]) == ("rejected", 0, True)
    assert [one["id"] for one in told(house, "outage", "list", "--management", management)] == [made["id"]]
    status, out, _ = client(house, "outage", "show", number)
    assert (status, "SMF-26.1" in out, "seen again" in out) == (0, True, True)


def test_a_month_explains_itself_and_a_contractor_sees_its_own_only(house: House, fleet: Fleet) -> None:
    mine, other = fleet.contractor(), ok(fleet.api.post("/contractors", json={"name": "South Foods"}))["key"]
    unit = fleet.register(fleet.arms() | {"contractor": mine})["serial_number"]
    made = ok(
        fleet.api.post(
            f"/adapters/{unit}/charges",
            json={"what": "damage", "day": "2026-01-05", "cost_yen": 7_000, "reason": "dropped from a ladder"},
        )
    )
    assert (made["what"], made["cost_yen"]) == ("damage", 7_000)
    keys = [
        ok(fleet.api.post("/api-keys", json={"name": "them", "role": "contractor", "contractor": key}))["key"]
        for key in (mine, other)
    ]
    path, month = f"/contractors/{mine}/amounts", {"month": "2026-01"}
    seen = ok(house.client(keys[0]).get(path, params=month))
    (charge,) = seen["units"]
    assert (charge["yen"], charge["taxable"], charge["arithmetic"]) == (7_000, False, "1 × 7,000 = 7,000 yen")
    assert charge["rules"][0] in {"MPC-10.2", "SMF-9.2"}
    (bill,) = seen["bills"]
    assert (bill["untaxed_yen"], bill["tax_yen"], bill["total_yen"], bill["billed_to"]) == (7_000, 0, 7_000, mine)
    refused(house.client(keys[1]).get(path, params=month), 404, "not-found")
    refused(house.client(keys[1]).post("/price-lists/import", json={"text": HEADER}), 403, "not-allowed")
    assert ok(house.client(keys[1]).get("/deadlines")) == []
    refused(fleet.api.get(path, params={"month": "2026-13"}), 422, "bad-input")
    refused(fleet.api.get("/contracts/L-999999/amounts", params=month), 404, "not-found")
    ok(fleet.api.post(f"/unit-charges/{made['id']}/take-back", json={"reason": "it was a fault of ours"}))
    assert ok(fleet.api.get(path, params=month))["units"] == []
    before = {"known_at": "2020-01-01T00:00:00Z"}
    assert ok(fleet.api.get(path, params=month | before))["units"] == []


def test_amounts_and_deadlines_by_commands(house: House, fleet: Fleet) -> None:
    key = fleet.contractor()
    assert told(house, "amounts", key, "2026-01")["bills"] == []
    assert client(house, "amounts", key, "2026-01")[0] == 0
    assert isinstance(told(house, "deadline", "list", "--days", "60"), list)
    assert client(house, "deadline", "list")[0] == 0


def test_contracts_by_command_dry_and_then_for_good(house: House, fleet: Fleet, tmp_path: Path) -> None:
    key = ok(fleet.api.post("/contractors", json={"name": "Imported Foods"}))["key"]
    file = tmp_path / "contracts.csv"
    header = "application,contractor,service,concluded,billing_start,kind,name,entries,standbys\n"
    row = f"7,{key},smfsx,2024-01-10,2024-02-01,management,Kobe,3,1\n"
    file.write_text(header + row + f"8,{key},smfsx,2024-01-10,2024-02-01,lease,,,\n")
    status, out, _ = client(house, "contract", "import", str(file))
    assert (status, "nothing was imported" in out, "lease" in out) == (2, True, True)
    file.write_text(header + row)
    assert told(house, "contract", "import", str(file), "--dry-run")["rows"][0]["line"] is None
    (taken,) = told(house, "contract", "import", str(file))["rows"]
    amounts = ok(fleet.api.get(f"/contracts/{taken['line']}/amounts", params={"month": "2024-03"}))
    assert (amounts["kind"], amounts["billed_to"], "no monthly price" in amounts["missing"]) == (
        "management",
        key,
        True,
    )
    prices = [
        {"contractor": key, "service": "smfsx", "item": item, "fee": fee, "yen": 2_900, "first_day": "2020-01-01"}
        for item in ("entry", "standby")
        for fee in ("initial", "monthly")
    ]
    ok(fleet.api.post("/price-lists", json={"prices": prices}))
    amounts = ok(fleet.api.get(f"/contracts/{taken['line']}/amounts", params={"month": "2024-03"}))
    assert [(one["yen"], one["rules"]) for one in amounts["amounts"]] == [
        (8_700, ["SMF-15.3", "SMF-15.5"]),
        (2_900, ["SMF-15.3", "SMF-15.5"]),
    ]
    month = ok(fleet.api.get(f"/contractors/{key}/amounts", params={"month": "2024-02"}))
    (bill,) = month["bills"]
    assert (bill["taxable_yen"], bill["tax_yen"], bill["total_yen"]) == (23_200, 2_320, 25_520)
