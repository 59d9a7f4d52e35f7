"""What an operator sees when a settings file or variable is right, or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.settings import load
from drivers.sessions.admission import Most
from inventory.errors import BadInput

pytestmark = pytest.mark.fast


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kajitori.toml"
    file.write_text('pace = 2\n[api]\nport = 9000\nhost = "127.0.0.2"\n')
    settings = load(file, {"KAJITORI_API__PORT": "9001", "HOME": "/root"})
    assert (settings.pace, settings.api.port, settings.api.host) == (2.0, 9001, "127.0.0.2")


def test_a_typo_in_the_file_is_refused_with_the_nearest_known_name(tmp_path: Path) -> None:
    file = tmp_path / "kajitori.toml"
    file.write_text("[arms]\nls_prot = 1\n")
    with pytest.raises(BadInput) as caught:
        load(file, {})
    assert caught.value.field == "arms.ls_prot"
    assert "arms.ls_port" in caught.value.message
    assert "kajitori.toml" in caught.value.message


def test_a_typo_in_the_environment_is_refused_with_the_nearest_known_name() -> None:
    with pytest.raises(BadInput, match=r"nearest known name is database\.url"):
        load(None, {"KAJITORI_DATABASE__URLL": "sqlite:///x"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KAJITORI_ARMS__RS_RETRY_INTERVAL_S", "0"),
        ("KAJITORI_ARMS__ECHO_INTERVAL_S", "5"),
        ("KAJITORI_ARMS__ADDRESS", "router.example"),
        ("KAJITORI_API__PORT", "70000"),
        ("KAJITORI_PACE", "0"),
        ("KAJITORI_SESSIONS__DEVICES", "0"),
    ],
)
def test_a_value_that_would_hurt_clients_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(None, {name: text})
    assert caught.value.field == name.removeprefix("KAJITORI_").lower().replace("__", ".")


@pytest.mark.parametrize("text", ["fortios", "fortios=0", "=3", "fortios=many", "fortios=3, fortios=3"])
def test_a_limit_of_a_family_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(None, {"KAJITORI_SESSIONS__FAMILIES": text})
    assert (caught.value.field or "").startswith("sessions.families")


def test_limits_of_families_are_told_to_the_gate() -> None:
    most = load(None, {"KAJITORI_SESSIONS__FAMILIES": "fortios=20, ios=200", "KAJITORI_SESSIONS__LOGINS": "7"})
    assert most.sessions.most() == Most(logins=7, of_family={"fortios": 20, "ios": 200})


def test_a_section_given_as_a_value_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kajitori.toml"
    file.write_text("api = 3\n")
    with pytest.raises(BadInput, match="api is a section"):
        load(file, {})


def test_a_file_that_is_not_toml_or_not_there_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[api\n")
    with pytest.raises(BadInput, match=r"broken\.toml is not TOML"):
        load(broken, {})
    with pytest.raises(BadInput, match=r"none\.toml cannot be read"):
        load(tmp_path / "none.toml", {})


def test_sqlite_keeps_three_files_and_postgresql_one_database() -> None:
    alone = load(None, {})
    assert len({alone.database_url(), alone.traffic_url(), alone.engine_url()}) == 3
    shared = load(None, {"KAJITORI_DATABASE__URL": "postgresql:///fleet"})
    assert {shared.database_url(), shared.traffic_url(), shared.engine_url()} == {"postgresql:///fleet"}


def test_the_example_settings_are_valid() -> None:
    example = Path(__file__).parents[2] / "deploy/kajitori.example.toml"
    assert load(example, {}).arms.address == "192.0.2.1"
