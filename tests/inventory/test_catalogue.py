"""Which service offers which model, and which slots take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inventory import catalogue, slots
from inventory.errors import BadInput

pytestmark = pytest.mark.fast

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "terms-vectors.json").read_text(encoding="utf-8")
)


def cases(group: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in VECTORS[group]]


@pytest.mark.parametrize("case", cases("catalogue"))
def test_the_published_catalogue_cases_hold(case: dict[str, Any]) -> None:
    assert catalogue.offered(case["service"], case["line"], case.get("class"), case["model"]) is case["allowed"]


@pytest.mark.parametrize("case", cases("placement"))
def test_the_published_placement_cases_hold(case: dict[str, Any]) -> None:
    assert slots.placement_allowed(case["service"], case["class"], case["slot"]) is case["allowed"]


@pytest.mark.rule("SMF-2")
@pytest.mark.parametrize("case", cases("ultra_firewall_acts"))
def test_the_published_ultra_firewall_cases_hold(case: dict[str, Any]) -> None:
    assert catalogue.ultra_firewall_acts(catalogue.model(case["model"]), case["slot"]) is case["acts"]


def test_bpv4_is_one_device_with_two_spellings() -> None:
    by_mpc, by_smfsx = catalogue.model("SEIL BPV4"), catalogue.model("SEIL/BPV4")
    assert by_mpc is by_smfsx
    assert (by_mpc.name("mpc"), by_mpc.name("smfsx")) == ("SEIL BPV4", "SEIL/BPV4")


@pytest.mark.parametrize("spelling", ["SEIL/X4", "seil/x4", " SEIL／X4 ", "seil-x4"])
def test_a_model_is_found_whatever_the_case_and_width(spelling: str) -> None:
    assert catalogue.model(spelling).key == "seil-x4"


def test_an_unknown_model_is_refused_with_the_known_names() -> None:
    with pytest.raises(BadInput) as refused:
        catalogue.model("SEIL/X9")
    assert refused.value.field == "model"
    assert "SEIL/X4" in str(refused.value.facts["models"])


@pytest.mark.rule("MPC-2")
def test_the_classes_of_2_1_are_the_ones_offered() -> None:
    offered = {
        device_class: {
            model.name("mpc") for model in catalogue.MODELS if catalogue.registrable("mpc", device_class, model)
        }
        for device_class in catalogue.CLASSES
    }
    assert offered == {
        "I": {"SEIL BPV4", "SEIL/X4", "SA-W2", "SA-W2L", "SEIL CA10"},
        "II": {"SEIL/x86 Ayame"},
        "III": {"SEIL/X4", "SEIL CA10", "Cisco IOS", "FortiGate"},
    }


@pytest.mark.rule("SMF-A1")
def test_the_models_of_2_2_are_the_ones_offered() -> None:
    rented = {
        model.name("smfsx")
        for model in catalogue.MODELS
        if catalogue.offered("smfsx", "adapter-rental", None, model.key)
    }
    guarded = {
        model.name("smfsx")
        for model in catalogue.MODELS
        if catalogue.offered("smfsx", "ultra-firewall", None, model.key)
    }
    assert rented == {"SEIL/neu 2FE Plus", "SEIL/Turbo", "SEIL/X1", "SEIL/X2", "SEIL/B1", "SEIL/BPV4"}
    assert guarded == {"SEIL/Turbo", "SEIL/X1", "SEIL/X2", "SEIL/x86 Fuji", "SEIL/BPV4"}


def test_no_cisco_and_no_fortigate_is_an_adapter_of_smfsx() -> None:
    for name in ("Cisco IOS", "FortiGate series"):
        assert not catalogue.registrable("smfsx", None, catalogue.model(name))


def test_an_sa_is_reached_by_arms_only() -> None:
    assert catalogue.model("SA-W2").paths == ("arms",)


def test_a_device_of_an_outside_driver_is_no_model_of_a_service_and_offered_by_no_line() -> None:
    theirs = catalogue.outside("frr", "indented")

    assert catalogue.model(theirs.key) == theirs
    assert (theirs.name("mpc"), theirs.dialect, theirs.paths) == ("frr (no service model)", "indented", ("ssh",))
    assert theirs.outside
    assert not any(one.outside for one in catalogue.MODELS)
    assert not catalogue.offered("mpc", "adapter", "III", theirs.key)
    assert [one for one in catalogue.CLASSES if catalogue.registrable("mpc", one, theirs)] == ["III"]
    assert not catalogue.registrable("smfsx", None, theirs)


@pytest.mark.parametrize("name", ["outside:frr:junos", "outside::indented", "outside:FRR:indented", "outside:frr"])
def test_what_is_not_in_that_form_is_an_unknown_model(name: str) -> None:
    with pytest.raises(BadInput):
        catalogue.model(name)
