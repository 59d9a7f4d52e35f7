"""Keys of people, and suspensions, by commands alone."""

from __future__ import annotations

import pytest

from tests.controller.commands import BAD_INPUT, DONE, FAILED, client, told
from tests.controller.house import Fleet, House, serial

pytestmark = pytest.mark.xdist_group("daemon")


def test_a_key_is_made_for_a_person_shown_once_and_revoked(house: House) -> None:
    name = f"ann {serial()}"
    made = told(house, "api-key", "add", name, "--role", "viewer")
    assert client(house, "contractor", "list", API_KEY=made["key"])[0] == DONE
    status, _, err = client(house, "contractor", "add", "Nobody", API_KEY=made["key"])
    assert (status, "needs the role" in err) == (FAILED, True)
    (shown,) = (one for one in told(house, "api-key", "list") if one["name"] == name)
    assert (shown["key"], shown["revoked_at"]) == (None, None)
    assert told(house, "api-key", "revoke", str(made["id"])) == {"id": made["id"], "revoked": True}
    assert client(house, "contractor", "list", API_KEY=made["key"])[0] == FAILED
    assert client(house, "api-key", "add", "x", "--role", "king")[0] == BAD_INPUT


def test_a_management_is_suspended_and_resumed(house: House, fleet: Fleet) -> None:
    management = fleet.management()
    assert told(house, "management", "suspend", management, "--ground", "2", "--emergency")["suspended"]
    assert client(house, "management", "suspend", management, "--ground", "9")[0] == BAD_INPUT
    assert told(house, "management", "resume", management)["suspended"] is None
