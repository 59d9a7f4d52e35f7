"""`kajitori conformance dialect`: what an operator sees for good, broken and unreadable files."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from controller.cli import conformance, conformance_dialect
from controller.cli.conformance_dialect import run_dialect, significant
from drivers.dialects import dialect
from drivers.dialects.indented import Indented
from drivers.dialects.tree import Node, Tree
from inventory.errors import BadInput

CORPUS = Path(__file__).parents[1] / "corpus"

pytestmark = pytest.mark.fast


BROKEN = "fortios-config/hier_config__circular_fixtures_fortios_running.conf"


def run(*arguments: str, cwd: Path = CORPUS) -> Result:
    """The command as `kajitori conformance` has it."""
    app = typer.Typer()
    app.callback()(lambda: None)
    conformance.register(app)
    with contextlib.chdir(cwd):
        return CliRunner().invoke(app, ["dialect", *arguments])


def test_each_file_has_its_line_and_the_last_line_counts() -> None:
    done = run("block", "fortios-config/batfish__fortios_testconfigs_fortios_hostname", BROKEN)
    assert done.stdout.splitlines() == [
        "ok fortios-config/batfish__fortios_testconfigs_fortios_hostname 2 statements",
        f"ok {BROKEN} refused at line 29, column 1: config is never closed",
        "2 passed, 0 failed",
    ]
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("junos", BROKEN), "no dialect is called 'junos'"),
        (("block", BROKEN, "no-such-file"), "no-such-file: No such file or directory"),
        (("block", BROKEN, "fortios-config"), "fortios-config: Is a directory"),
    ],
)
def test_an_unknown_dialect_or_unreadable_file_is_refused_before_the_first_line(
    arguments: tuple[str, ...], said: str
) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, BadInput), "which ends the command with status 2"
    assert said in str(done.exception)
    assert done.stdout == ""


class _Forgetful(Indented):
    """A dialect that loses every second statement but is at peace with itself."""

    def parse(self, text: str) -> Tree:
        return Tree(tuple(node for node in super().parse(text).nodes if "lost" not in node.text))


def test_a_parser_that_loses_a_line_is_found_without_its_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "router.cfg"
    file.write_text("hostname kept\nusername lost password 0 planted-secret\n")
    monkeypatch.setattr(conformance_dialect, "dialect", lambda _: _Forgetful())
    (result,) = run_dialect("indented", [file])
    assert not result.ok
    assert result.detail.startswith("expected every word again got 1 lost, 0 added, first 'username lost password 0 ")
    assert "planted-secret" not in result.line


class _Restless(Indented):
    def render(self, tree: Tree) -> str:
        return super().render(Tree((*tree.nodes, Node("one more"))))


def test_a_rendering_that_is_another_config_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "router.cfg"
    file.write_text("hostname a\n")
    monkeypatch.setattr(conformance_dialect, "dialect", lambda _: _Restless())
    (result,) = run_dialect("indented", [file])
    assert result.line == f"FAIL {file} expected 1 statements again got 2 others"


def test_what_closes_a_block_may_be_left_out_but_nothing_else() -> None:
    short, long = "config a\nedit 1\nend", "config a\n    edit 1\n    next\nend\n"
    assert significant("block", short) == significant("block", long)
    assert significant("block", long) != significant("block", long.replace("edit 1", "edit 2"))
    assert dialect("block").parse(short) == dialect("block").parse(long)
