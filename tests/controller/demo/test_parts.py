"""Parts of the demo: the roster, its texts, the judgement of a step, the faults of the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.demo import parse_fault
from controller.demo import texts
from controller.demo.checks import Findings, Result
from controller.demo.roster import FAMILIES, LEAST, MANAGEMENTS, MOST, Family, counts, roster
from controller.demo.show import as_json, failure
from drivers import dialects
from drivers.simulator.arms_tree import load_legacy, load_recipe
from drivers.simulator.starting import starting_config
from inventory import catalogue
from inventory.errors import BadInput

pytestmark = pytest.mark.fast


@given(st.integers(LEAST, MOST))
def test_a_fleet_has_the_size_asked_for_and_every_part_of_the_tour(size: int) -> None:
    units = roster(size)
    assert len(units) == size
    assert len({unit.serial for unit in units}) == size
    for family in FAMILIES:
        first = next(unit for unit in units if unit.family == family)
        assert first.slot == "entry"
    assert any(unit.family == "sa-w2" and unit.slot == "standby" for unit in units)
    assert sum(sum(counts(units, management)) for management in MANAGEMENTS) == size


def test_every_unit_can_be_registered_as_the_catalogue_allows() -> None:
    for unit in roster(50):
        model = catalogue.model(unit.model)
        assert catalogue.registrable(unit.service, unit.device_class, model), unit
        assert unit.slot == "entry" or unit.device_class in {None, "I"}, "MPC-3.1"


@pytest.mark.parametrize("size", [0, LEAST - 1, MOST + 1])
def test_another_size_is_refused(size: int) -> None:
    with pytest.raises(BadInput):
        roster(size)


def test_devices_take_their_startup_config_whole() -> None:
    seen = set()
    for unit in (unit for unit in roster(50) if unit.is_arms):
        text = texts.startup(unit)[0]
        assert text not in seen, "places differ"
        seen.add(text)
        loaded = (load_legacy if unit.family == "seil" else load_recipe)(text)
        assert loaded.skipped == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_change_adds_the_marker_once_and_parses(family: Family) -> None:
    unit = next(unit for unit in roster(50) if unit.family == family)
    match family:
        case "ios" | "fortios":
            before = starting_config(family, unit.number)
        case _:
            before = texts.startup(unit)[0]
    after = texts.changed(family, before)
    marker = f"{texts.marker(family)}\n"
    assert (before.count(marker), after.count(marker)) == (0, 1)
    spoken = dialects.dialect(catalogue.model(unit.model).dialect)
    assert spoken.canonical(spoken.parse(after)) != spoken.canonical(spoken.parse(before))


def test_a_step_is_true_only_if_both_sides_were_asked_and_agree() -> None:
    found = Findings()
    found.api("done", "done", True)
    assert not Result("s", "a step", 1.0, tuple(found.checks)).true, "the device was not asked"
    found.device("one line", "one line", True)
    assert Result("s", "a step", 1.0, tuple(found.checks)).true
    assert not Result("s", "a step", 1.0, tuple(found.checks), error="it broke off").true
    found.device("one login", "none", False)
    lied = Result("s", "a step", 1.0, tuple(found.checks), last_lines=("the last words",))
    assert not lied.true
    assert lied.holds("api")
    assert not lied.holds("device")
    told = "\n".join(failure(lied))
    assert all(words in told for words in ("device", "one login", "none", "the last words"))
    assert as_json([lied], adapters=10, seconds=1.0)["true"] is False


def test_a_fault_names_serial_switch_and_value() -> None:
    assert parse_fault('1W00000001:skip_line="ntp"') == ("1W00000001", "skip_line", "ntp")
    assert parse_fault("FDO1:save=no-ok") == ("FDO1", "save", "no-ok")
    assert parse_fault("FDO1:other_host_key=true") == ("FDO1", "other_host_key", True)
    with pytest.raises(BadInput):
        parse_fault("skip_line=true")
