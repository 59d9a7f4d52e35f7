"""A driver from outside the repository: the worked example of docs/drivers.md, as a distribution of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.devices import over_ssh
from drivers.registry import all_drivers, driver
from drivers.sessions.contract import Endpoint
from inventory.secrets import Secret
from tests.drivers.example import EXAMPLE, install

pytestmark = pytest.mark.fast


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with install(tmp_path, monkeypatch):
        yield


async def nothing(_seconds: float) -> None:
    return None


def test_the_example_of_the_page_is_a_driver_in_less_than_sixty_lines() -> None:
    assert len(EXAMPLE.splitlines()) < 60


@pytest.mark.usefixtures("installed")
def test_an_installed_driver_is_found_by_its_entry_point_beside_ours() -> None:
    assert sorted(all_drivers()) == ["fortios", "frr", "ios", "recipe", "recipe-ssh", "seil", "seil-ssh"]
    assert driver("frr").title == "FRRouting"


@pytest.mark.usefixtures("installed")
def test_its_plan_says_that_nothing_is_taken_back_by_itself() -> None:
    device = over_ssh("frr", Endpoint("192.0.2.1", 22, "op", Secret("pw")), "osaka-frr", wait=nothing)

    assert device.family == "frr"
    assert device.guard == "none"


@pytest.mark.usefixtures("installed")
def test_it_finds_its_identity_in_what_the_router_says() -> None:
    device = over_ssh("frr", Endpoint("192.0.2.1", 22, "op", Secret("pw")), "osaka-frr", wait=nothing)

    identity = device.identity("FRRouting 8.4.4 (osaka-frr) on Linux(6.1.0).\nCopyright")  # type: ignore[attr-defined]  # of the example's class

    assert (identity.serial, identity.version) == ("osaka-frr", "8.4.4")


def test_without_it_the_family_is_unknown() -> None:
    assert "frr" not in all_drivers()


def test_the_page_names_the_entry_point_group_that_is_searched() -> None:
    assert re.search(r'entry-points\."kajitori\.drivers"', Path("docs/drivers.md").read_text(encoding="utf-8"))
