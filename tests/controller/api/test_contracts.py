"""Contracts over REST: decided as a whole, read as of any day, edited by billing, seen by their own contractor."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import httpx
import pytest

from tests.controller.house import Fleet, House, Json, ok, refused, serial

TOKYO = timezone(timedelta(hours=9))


def today(days: int = 0) -> str:
    return (datetime.now(TOKYO).date() + timedelta(days=days)).isoformat()


def apply(api: httpx.Client, contractor: str, *items: Json, service: str = "mpc") -> Json:
    body = {"contractor": contractor, "service": service, "form": "申込書", "items": items}
    made: Json = ok(api.post("/applications", json=body))
    return made


def both(name: str) -> tuple[Json, Json]:
    return (
        {"kind": "management", "name": "Osaka", "classes": ["I"], "entries": 2, "standbys": 1},
        {"kind": "adapter", "name": name, "device_class": "I", "model": "SEIL/X4"},
    )


def accept(api: httpx.Client, application: Json) -> dict[str, Json]:
    done = ok(api.post(f"/applications/{application['id']}/accept", json={"billing_start": today()}))
    return {line["kind"]: line for line in done["lines"]}


def client_of(house: House, api: httpx.Client, role: str, contractor: str | None = None) -> httpx.Client:
    body = {"name": f"a {role}", "role": role, "contractor": contractor}
    return house.client(ok(api.post("/api-keys", json=body))["key"])


@pytest.mark.rule("MPC-6.1")
def test_billing_carries_an_application_from_the_form_to_its_last_day(house: House, fleet: Fleet) -> None:
    billing = client_of(house, fleet.api, "billing")
    made = apply(billing, fleet.contractor(), *both(serial()))
    assert (made["form"], made["obstacles"], {line["state"] for line in made["lines"]}) == ("申込書", [], {"applied"})
    lines = accept(billing, made)
    assert {line["state"] for line in lines.values()} == {"active"}
    assert lines["management"]["management"] is not None
    key = lines["adapter"]["key"]
    ended = ok(billing.post(f"/contracts/{key}/events", json={"event": "notice", "named": today(60)}))
    assert (ended["state"], ended["effective"], ended["cause"]) == ("terminating", today(60), "notice")
    then = ok(billing.get(f"/contracts/{key}", params={"as_of": today(61)}))
    assert (then["state"], then["entitled"], then["stop"]["rule"]) == ("ended", False, "MPC-14")
    management = lines["management"]["key"]
    alone = [ok(billing.get(f"/contracts/{management}", params={"as_of": today(days)}))["lacks"] for days in (60, 61)]
    assert [one and one["rule"] for one in alone] == [None, "MPC-6.1"]
    told = ok(billing.get(f"/contracts/{key}/explain"))
    assert told["word"] == "terminating"
    assert {"MPC-14", "MPC-15"} <= {fact["rule"] for fact in told["facts"]}
    rows = ok(billing.get(f"/contracts/{key}/events"))["items"]
    assert [(row["event"], row["calendar"]) for row in rows] == [
        ("accept", False),
        ("billing-starts", True),
        ("notice", False),
    ]


def test_what_a_rule_refuses_changes_nothing_and_names_the_rule(fleet: Fleet) -> None:
    alone = apply(fleet.api, fleet.contractor(), {"kind": "mobile-access", "on": "nowhere", "plan": "normal"})
    assert {one["rule"] for one in alone["obstacles"]} >= {"MPC-6.1", "MPC-6.6"}
    answer = fleet.api.post(f"/applications/{alone['id']}/accept", json={"billing_start": today()})
    assert refused(answer, 409, "rule-violation")["rule"].startswith("MPC-6")
    assert ok(fleet.api.get(f"/applications/{alone['id']}"))["lines"][0]["state"] == "applied"


def test_roles_billing_edits_contracts_and_no_fleet_and_the_others_no_contracts(house: House, fleet: Fleet) -> None:
    billing, operator, viewer = (client_of(house, fleet.api, role) for role in ("billing", "operator", "viewer"))
    made = apply(billing, fleet.contractor(), *both(serial()))
    management = {"contractor": fleet.contractor(), "service": "smfsx", "entry_count": 1}
    refused(billing.post("/managements", json=management), 403, "not-allowed")
    for caller in (operator, viewer):
        ok(caller.get("/contracts"))
        answer = caller.post(f"/applications/{made['id']}/refuse", json={"reason": 1})
        assert "billing" in refused(answer, 403, "not-allowed")["detail"]


@pytest.mark.rule("SMF-17.2")
def test_a_contractor_sees_its_own_and_anothers_is_not_found(house: House, fleet: Fleet) -> None:
    lines = accept(fleet.api, apply(fleet.api, fleet.contractor(), *both(serial())))
    other = Fleet(fleet.api)
    theirs = accept(fleet.api, apply(fleet.api, other.contractor(), *both(serial())))
    mine = client_of(house, fleet.api, "contractor", fleet.contractor())
    assert {one["contractor"] for one in ok(mine.get("/contracts"))["items"]} == {fleet.contractor()}
    assert ok(mine.get(f"/contracts/{lines['adapter']['key']}"))["key"] == lines["adapter"]["key"]
    for path in ("", "/explain", "/events"):
        refused(mine.get(f"/contracts/{theirs['adapter']['key']}{path}"), 404, "not-found")
    refused(mine.get(f"/managements/{theirs['management']['management']}"), 404, "not-found")
    refused(mine.get("/contractors/" + other.contractor()), 404, "not-found")
    refused(mine.post(f"/contracts/{lines['adapter']['key']}/events", json={"event": "notice"}), 403, "not-allowed")
    answer = fleet.api.post("/api-keys", json={"name": "x", "role": "contractor"})
    assert refused(answer, 422, "bad-input")["field"] == "contractor"


@pytest.mark.rule("SMF-7")
def test_the_document_has_no_operation_that_changes_who_holds_a_contract(house: House, api: httpx.Client) -> None:
    document = ok(api.get(f"{house.url}/api/openapi.json"))
    bodies = {
        one["operationId"]: str(one.get("requestBody", {}))
        for path, methods in document["paths"].items()
        if "/contracts" in path or "/managements" in path or "/adapters" in path
        for one in methods.values()
    }
    named = {
        name
        for name, body in bodies.items()
        for schema in document["components"]["schemas"]
        if f"schemas/{schema}'" in body and "contractor" in document["components"]["schemas"][schema]["properties"]
    }
    # A consent names a contractor too: whose adapters may be put in. Who holds them stays (test_people.py).
    assert named == {"create_management", "register", "give_consent"}


@pytest.mark.rule("SMF-18")
def test_an_operator_of_a_delegate_is_shown_with_its_company(house: House, fleet: Fleet) -> None:
    works = ok(fleet.api.post("/companies", json={"name": "Works KK", "relation": "delegate"}))["id"]
    made = ok(fleet.api.post("/api-keys", json={"name": "night", "role": "operator", "company": works}))
    assert made["company"] == "Works KK"
    body = {"contractor": fleet.contractor(), "service": "smfsx", "entry_count": 1}
    key = ok(house.client(made["key"]).post("/managements", json=body))["key"]
    rows = ok(fleet.api.get("/audit", params={"subject": key}))["items"]
    assert [row["actor"] for row in rows] == [f"key {made['id']} (night, Works KK)"]


def test_a_suspension_of_a_contracted_management_is_notified_or_an_emergency(fleet: Fleet) -> None:
    lines = accept(fleet.api, apply(fleet.api, fleet.contractor(), *both(serial())))
    path = f"/managements/{lines['management']['management']}"
    assert refused(fleet.api.post(f"{path}/suspend", json={"ground": 1}), 409, "rule-violation")["field"] == "notified"
    ok(fleet.api.post(f"{path}/suspend", json={"ground": 1, "emergency": True}))
    assert ok(fleet.api.get(f"/contracts/{lines['management']['key']}"))["stop"]["rule"] == "SMF-21"
    ok(fleet.api.post(f"{path}/resume"))
    assert ok(fleet.api.get(f"/contracts/{lines['management']['key']}"))["state"] == "active"


def test_a_planned_interruption_with_too_little_notice_is_rejected(fleet: Fleet) -> None:
    body = {"kind": "interruption", "service": "smfsx", "day": today(13), "until": today(13), "notified": today()}
    facts = {"reason": "a new power supply", "work": "planned"}
    assert refused(fleet.api.post("/records", json=body | {"facts": facts}), 409, "rule-violation")["rule"] == "SMF-20"
    later = body | {"day": today(14), "until": today(15), "facts": facts}
    assert ok(fleet.api.post("/records", json=later))["rule"] == "SMF-20"


@pytest.mark.rule("MPC-6.7", "MPC-6.8")
def test_a_plan_changes_to_packet_share_with_its_new_group_in_one_request(fleet: Fleet) -> None:
    name = serial()
    items: tuple[Json, ...] = (
        {"kind": "management", "name": "Osaka", "classes": ["I"], "entries": 1},
        {"kind": "adapter", "name": name, "device_class": "I", "model": "SA-W2L"},
        {"kind": "mobile-access", "on": name, "plan": "normal"},
    )
    lines = accept(fleet.api, apply(fleet.api, fleet.contractor(), *items))
    path = f"/contracts/{lines['mobile-access']['key']}/events"
    change: Json = {"event": "change-option", "what": "plan", "value": "packet-share"}
    group = {"name": "share", "packs_gb": 60, "form": "申込書"}
    both_ways = change | {"new_group": group, "group": "L-1"}
    assert refused(fleet.api.post(path, json=both_ways), 422, "bad-input")["field"] == "new_group"
    few = change | {"new_group": group | {"packs_gb": 49}}
    day = datetime.now(TOKYO).date()
    if (day + timedelta(days=1)).day == 1:
        # Nobody may ask for another plan on the last day of a month.
        assert refused(fleet.api.post(path, json=few), 409, "rule-violation")["rule"] == "MPC-9.2(2)(i)"
        return
    assert refused(fleet.api.post(path, json=few), 409, "rule-violation")["rule"] == "MPC-9.2(3)"
    asked = ok(fleet.api.post(path, json=change | {"new_group": group}))
    (pending,) = asked["pending"]
    mine = ok(fleet.api.get("/contracts", params={"contractor": fleet.contractor(), "kind": "packet-share-group"}))
    opened = next(one for one in mine["items"] if one["name"] == "share")
    assert (opened["state"], opened["billing_start"]) == ("accepted", pending["first_day"])
    then = ok(fleet.api.get(f"/contracts/{asked['key']}", params={"as_of": pending["first_day"]}))
    assert (then["values"]["plan"], then["group"]) == ("packet-share", opened["key"])


@pytest.mark.rule("MPC-1")
def test_a_unit_that_comes_with_its_standby_is_shown_there_and_needs_no_line(fleet: Fleet) -> None:
    management = fleet.management(entries=1, standbys=1)
    (standby,) = fleet.slots("standbys", management)
    unit = str(fleet.register(fleet.arms())["serial_number"])
    body = {"serial_number": unit, "with_slot": True}
    assert ok(fleet.api.post(f"/standbys/{standby}/assign", json=body))["unit"] == unit
    listed = ok(fleet.api.get("/standbys", params={"management": management}))["items"]
    assert [(one["occupant"], one["unit"]) for one in listed] == [(unit, unit)]
    ok(fleet.api.post(f"/adapters/{unit}/release"))
    ok(fleet.api.put(f"/managements/{management}/counts", json={"standby_count": 0}, headers={"If-Match": "*"}))
    assert ok(fleet.api.get(f"/adapters/{unit}"))["life"] == "return-due"
    due = ok(fleet.api.get("/deadlines", params={"days": 40}))
    assert [(one["kind"], one["rule"]) for one in due if one["subject"] == unit] == [("return", "MPC-10.3")]


def test_a_notice_that_is_planned_stands_among_the_deadlines_until_it_is_given(fleet: Fleet) -> None:
    facts = {"of": "planned-interruption", "what": "power"}
    body: Json = {"kind": "planned-notice", "service": "smfsx", "day": today(20), "facts": facts}
    made = ok(fleet.api.post("/records", json=body))

    def notices() -> list[tuple[str, str | None]]:
        found = ok(fleet.api.get("/deadlines", params={"days": 10}))
        return [(one["day"], one["contractor"]) for one in found if one["subject"] == f"record {made['id']}"]

    assert notices() == [(today(6), None)]
    ok(fleet.api.post("/records", json=body | {"notified": today(), "corrects": made["id"]}))
    assert notices() == []
