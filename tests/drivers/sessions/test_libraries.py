"""A wrong major of a transport library is said at start-up, in one line with its remedy (rows 6, 86)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from drivers.sessions.libraries import NETMIKO, PARAMIKO, SCRAPLI, problem, problems, require
from inventory.errors import Conflict

pytestmark = pytest.mark.fast


def test_what_this_environment_has_serves() -> None:
    assert problems() == []


def test_the_second_scrapli_is_named_with_the_command_that_brings_the_first_back() -> None:
    assert problem(SCRAPLI, lambda _: "2026.10.14") == (
        'scrapli 2026.10.14 cannot serve configuration of IOS: pip install "scrapli[asyncssh]==2026.2.20"'
    )


def test_the_lane_does_not_start_with_paramiko_5() -> None:
    with pytest.raises(Conflict, match=r"paramiko 5\.1\.0 cannot serve the compatibility lane"):
        require(NETMIKO, PARAMIKO, version=lambda name: {"netmiko": "4.8.0", "paramiko": "5.1.0"}[name])


def test_a_library_that_is_missing_is_named() -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    assert len(problems(missing)) == 4
