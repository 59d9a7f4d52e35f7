"""Imports point one way: inventory ← drivers ← controller (architecture §2)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("inventory", "drivers", "controller")

pytestmark = pytest.mark.fast


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and absolute dotted name of each import in a file, those inside functions included. Read once."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module,) if node.module else ())))
            yield node.lineno, module
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def offending(folder: str, forbidden: tuple[str, ...], *, exempt: tuple[str, ...] = ()) -> list[str]:
    """`file:line imports name` for every import below `folder` of one of `forbidden`."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(exempt or ("\0",)):
            continue
        for line, module in imports(path):
            if any(module == bad or module.startswith(f"{bad}.") for bad in forbidden):
                found.append(f"{name}:{line} imports {module}")
    return found


def test_inventory_imports_nothing_of_ours_and_drivers_nothing_of_the_controller() -> None:
    assert offending("inventory", ("drivers", "controller")) == []
    assert offending("drivers", ("controller",)) == []


def test_inventory_is_pure() -> None:
    """Standard library only (numpy in metering and forecast); nothing does I/O or reads a clock."""
    allowed = {*sys.stdlib_module_names, "inventory"}
    impure = {
        "asyncio",
        "socket",
        "ssl",
        "subprocess",
        "time",
        "threading",
        "sqlite3",
        "os",
        "random",
        "io",
        "pathlib",
    }
    found = []
    for path in sorted((ROOT / "inventory").rglob("*.py")):
        extra = {"numpy"} if path.name in {"metering.py", "forecast.py"} else set()
        for line, module in imports(path):
            top = module.partition(".")[0]
            if top not in allowed | extra or top in impure:
                found.append(f"{path.name}:{line} imports {module}")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                found.append(f"{path.name}:{node.lineno} is async")
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
                found.append(f"{path.name}:{node.lineno} reads a clock ({node.attr})")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print"}:
                found.append(f"{path.name}:{node.lineno} calls {node.func.id}")
    assert found == []


def test_only_sessions_and_the_simulator_open_sockets_in_drivers() -> None:
    network = ("socket", "ssl", "asyncio", "asyncssh", "scrapli", "netmiko", "httpx")
    assert offending("drivers", network, exempt=("drivers/sessions/", "drivers/simulator/")) == []


def test_the_simulator_makes_no_mistake_twice() -> None:
    """It may parse and print with a dialect, but not diff, remediate or encode with our code (§2)."""
    ours = (
        "drivers.arms",
        "drivers.ios",
        "drivers.fortios",
        "drivers.seil",
        "drivers.recipe",
        "drivers.sessions",
        "drivers.dialects.diff",
        "drivers.dialects.remediation",
        "drivers.plan",
    )
    assert offending("drivers/simulator", ours) == []


def test_the_simulator_is_imported_by_demo_and_sim_only() -> None:
    allowed = ("controller/demo/", "controller/cli/sim.py", "controller/cli/demo.py")
    found = offending("controller", ("drivers.simulator",), exempt=allowed)
    found += offending("drivers", ("drivers.simulator",), exempt=("drivers/simulator/",))
    assert found == []


def test_nothing_above_sessions_imports_a_transport_library() -> None:
    assert offending("controller", ("asyncssh", "scrapli", "netmiko"), exempt=("controller/demo/",)) == []


def test_only_the_store_knows_tables() -> None:
    assert offending("controller", ("controller.store.tables",), exempt=("controller/store/",)) == []


def test_pydantic_lives_at_the_border() -> None:
    allowed = ("controller/api/", "controller/settings.py")
    found = [hit for layer in LAYERS for hit in offending(layer, ("pydantic",), exempt=allowed)]
    assert found == []
