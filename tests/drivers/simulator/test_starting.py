"""The configurations that travel with the simulator: unchanged, licensed, and all understood by it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from drivers import simulator
from drivers.simulator.ios_edit import carry_out
from drivers.simulator.ios_tree import IosNode, parse, render
from drivers.simulator.ios_tree import Path as IosPath
from drivers.simulator.starting import FORTIOS_FILES, IOS_FILES, starting_config

CONFIGS = Path(next(iter(simulator.__path__))) / "configs"

pytestmark = pytest.mark.fast


def test_every_shipped_file_is_in_the_manifest_unchanged_with_its_licence() -> None:
    rows = [line.split("\t") for line in (CONFIGS / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()]
    listed = {row[0]: row for row in rows[1:]}
    shipped = {f"ios-config/{name}" for name in IOS_FILES} | {f"fortios-config/{name}" for name in FORTIOS_FILES}
    present = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob("*-config/*")}
    assert listed.keys() == shipped == present
    for name, row in listed.items():
        assert hashlib.sha256((CONFIGS / name).read_bytes()).hexdigest() == row[5]
        assert (CONFIGS / "LICENSES" / f"{row[1].replace('/', '__')}__LICENSE").is_file()


@pytest.mark.parametrize("n", range(len(IOS_FILES)))
def test_what_ios_shows_can_be_read_again(n: int) -> None:
    tree = parse(starting_config("ios", n))
    assert parse(render(tree)) == tree


@pytest.mark.parametrize("n", range(len(IOS_FILES)))
def test_every_line_of_a_starting_configuration_can_be_typed_too(n: int) -> None:
    wanted = parse(starting_config("ios", n))
    typed = IosNode("", [IosNode(node.text) for node in wanted.children if node.text.startswith("interface ")])

    def type_all(node: IosNode, path: IosPath) -> None:
        for child in node.children:
            below = carry_out(typed, path, child.text).path
            type_all(child, below)

    type_all(wanted, ())
    assert lines_of(typed) == lines_of(wanted)


def lines_of(tree: IosNode) -> list[str]:
    """All printed lines but the separators, in no order: typing finds the places, not the file's order."""
    return sorted(line for line in render(tree).splitlines() if line != "!")
