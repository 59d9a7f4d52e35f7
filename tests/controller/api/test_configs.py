"""Configs leave masked, are edited masked, and keep their secrets."""

from __future__ import annotations

import pytest

from inventory.secrets import MASK
from tests.controller.house import Fleet, ok, refused

pytestmark = pytest.mark.slow

TEXT = "hostname osaka\nsnmp-server community planted-1 RO\ninterface Gi0/1\n description uplink\nend\n"


def place(fleet: Fleet) -> str:
    """An entry with an IOS router in it."""
    management = fleet.management()
    fleet.register(fleet.ssh(place={"management": management}))
    (key,) = fleet.slots("entries", management)
    return key


def test_an_operator_edits_what_is_shown_and_the_secrets_stay(fleet: Fleet) -> None:
    path = f"/entries/{place(fleet)}/configs/working"
    first = ok(fleet.api.put(path, json={"modules": [{"text": TEXT}]}))
    shown = ok(fleet.api.get(f"/configs/{first['id']}"))["modules"][0]["text"]
    assert "planted-1" not in shown
    assert MASK in shown
    edited = shown.replace("description uplink", "description to Tokyo")
    second = ok(fleet.api.put(path, json={"modules": [{"text": edited}]}))
    difference = ok(fleet.api.get(f"/configs/{first['id']}/diff/{second['id']}"))["lines"]
    assert [line.strip("+- ") for line in difference if line[0] in "+-"] == [
        "description uplink",
        "description to Tokyo",
    ]
    same = ok(fleet.api.put(path, json={"modules": [{"text": TEXT.replace("uplink", "to Tokyo")}]}))
    assert same["digest"] == second["digest"]


def test_a_mask_that_cannot_be_told_is_refused_by_its_line(fleet: Fleet) -> None:
    path = f"/entries/{place(fleet)}/configs/working"
    text = f"hostname osaka\nsnmp-server community {MASK} RO\nend\n"
    problem = refused(fleet.api.put(path, json={"modules": [{"text": text}]}), 422, "config-syntax")
    assert problem["facts"]["line"] == 2
