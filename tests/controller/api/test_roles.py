"""API keys and what their roles allow."""

from __future__ import annotations

import re
import stat

import httpx

from tests.controller.house import Fleet, House, ok, refused


def key_of(api: httpx.Client, role: str) -> tuple[int, str]:
    """Number and secret of a new key."""
    made = ok(api.post("/api-keys", json={"name": f"a {role}", "role": role}))
    return made["id"], made["key"]


def test_the_first_key_is_in_a_file_that_only_its_owner_reads(house: House, api: httpx.Client) -> None:
    file = house.directory / "admin.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(house.directory.stat().st_mode) == 0o700
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", file.read_text(encoding="ascii"))
    first = ok(api.get("/api-keys", params={"limit": 1}))["items"][0]
    assert (first["role"], first["key"]) == ("admin", None)


def test_a_key_is_shown_once_and_never_listed(api: httpx.Client) -> None:
    number, secret = key_of(api, "viewer")
    listed = api.get("/api-keys", params={"limit": 1000})
    assert number in [one["id"] for one in ok(listed)["items"]]
    assert secret not in listed.text


def test_what_each_role_may_do(house: House, fleet: Fleet) -> None:
    viewer, operator = (house.client(key_of(fleet.api, role)[1]) for role in ("viewer", "operator"))
    management = {"contractor": fleet.contractor(), "service": "smfsx", "entry_count": 1}
    for caller in (viewer, operator):
        ok(caller.get("/adapters"))
        problem = refused(caller.post("/contractors", json={"name": "x"}), 403, "not-allowed")
        assert "admin" in problem["detail"]
        refused(caller.get("/api-keys"), 403, "not-allowed")
        refused(caller.get("/audit"), 403, "not-allowed")
    refused(viewer.post("/managements", json=management), 403, "not-allowed")
    ok(operator.post("/managements", json=management))


def test_a_viewer_changes_nothing_at_all(house: House, fleet: Fleet) -> None:
    """Every operation of the document that is no GET is refused to a viewer."""
    viewer = house.client(key_of(fleet.api, "viewer")[1])
    document = ok(viewer.get(f"{house.url}/api/openapi.json"))
    tried = 0
    for path, methods in document["paths"].items():
        for method in methods.keys() - {"get", "parameters"}:
            filled = re.sub(r"\{[^}]*(id|number)\}", "1", path)
            filled = filled.replace("{event}", "found").replace("{item}", "line")
            answer = viewer.request(method.upper(), house.url + re.sub(r"\{[^}]*\}", "E-1", filled), json={})
            refused(answer, 403, "not-allowed")
            tried += 1
    assert tried >= 20


def test_a_revoked_key_is_dead_at_once(house: House, api: httpx.Client) -> None:
    number, secret = key_of(api, "admin")
    caller = house.client(secret)
    ok(caller.get("/adapters"))
    assert api.delete(f"/api-keys/{number}").status_code == 204
    refused(caller.get("/adapters"), 401, "unauthenticated")
    assert httpx.get(f"{house.url}/status", auth=("", secret), trust_env=False).status_code == 401
    listed = ok(api.get("/api-keys", params={"limit": 1000}))["items"]
    assert [one["revoked_at"] is not None for one in listed if one["id"] == number] == [True]


def test_who_changed_what_is_in_the_audit(fleet: Fleet) -> None:
    body = fleet.arms()
    fleet.register(body)
    (row,) = ok(fleet.api.get("/audit", params={"subject": body["serial_number"]}))["items"]
    assert (row["action"], row["subject"]) == ("adapter.register", body["serial_number"])
    assert "first admin key" in row["actor"]
    assert ok(fleet.api.get("/audit/verify"))["rows"] >= row["id"]
