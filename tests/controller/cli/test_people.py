"""Keys of people, and suspensions, by commands alone."""

from __future__ import annotations

import pytest

from tests.controller.commands import BAD_INPUT, DONE, FAILED, client, told
from tests.controller.house import Fleet, House, refused, serial


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


@pytest.mark.rule("MPC-6.2", "SMF-13")
def test_another_contractors_adapter_is_let_into_a_management_by_recorded_consent_alone(
    house: House, fleet: Fleet
) -> None:
    management = fleet.management(entries=2)
    guest = told(house, "contractor", "add", f"Guest {serial()}")["key"]
    body = fleet.arms(contractor=guest, place={"management": management})
    problem = refused(fleet.api.post("/adapters", json=body), 409, "not-eligible")
    assert problem["rule"] == "MPC-6.2"

    given = told(house, "management", "consent", management, guest, "--proof", "letter of 4 June")
    assert (given["contractor"], given["proof"], given["withdrawn_at"]) == (guest, "letter of 4 June", None)
    assert client(house, "management", "consent", management, guest, "--proof", "again")[0] == FAILED
    place = fleet.register(body)["place"]

    assert told(house, "management", "withdraw-consent", management, guest)["withdrawn"] is True
    assert told(house, "entry", "show", place)["occupant"] == body["serial_number"], "what is in place stays"
    refused(
        fleet.api.post("/adapters", json=fleet.arms(contractor=guest, place={"management": management})),
        409,
        "not-eligible",
    )
    (shown,) = told(house, "management", "consents", management)
    assert shown["withdrawn_at"] is not None
    assert client(house, "management", "withdraw-consent", management, guest)[0] == FAILED
