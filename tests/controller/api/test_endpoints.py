"""An endpoint is shown with every way to the device and without any credential."""

from __future__ import annotations

from tests.controller.house import Fleet, ok, refused

HOP = {
    "host": "192.0.2.1",
    "username": "jumper",
    "password": "hop hop hop",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA",
}
BODY = {
    "host": "192.0.2.9",
    "username": "op",
    "password": "correct horse",
    "transport": "lane",
    "jump": [HOP],
    "rest": {"token": "kg7tdX9d8Qn4", "port": 8443},
    "aaa_domain": "tacacs.example",
}


def test_jump_hosts_and_rest_are_kept_and_their_credentials_never_shown(fleet: Fleet) -> None:
    name = fleet.register(fleet.ssh())["serial_number"]
    put = fleet.api.put(f"/adapters/{name}/endpoint", json=BODY, headers={"If-Match": "*"})

    shown = ok(put)

    assert (shown["transport"], shown["aaa_domain"]) == ("lane", "tacacs.example")
    assert [(hop["host"], hop["port"], hop["username"]) for hop in shown["jump"]] == [("192.0.2.1", 22, "jumper")]
    assert shown["rest"] == {"port": 8443, "certificate": None}
    whole = put.text + fleet.api.get(f"/adapters/{name}/endpoint").text + fleet.api.get("/audit").text
    assert not any(secret in whole for secret in ("hop hop hop", "correct horse", "kg7tdX9d8Qn4"))


def test_a_jump_host_without_a_pinned_key_is_refused(fleet: Fleet) -> None:
    name = fleet.register(fleet.ssh())["serial_number"]
    bare = {key: value for key, value in HOP.items() if key != "host_key"}

    problem = refused(
        fleet.api.put(f"/adapters/{name}/endpoint", json={**BODY, "jump": [bare]}, headers={"If-Match": "*"}),
        422,
        "bad-input",
    )

    assert problem["field"] == "jump.0.host_key"
