"""Runs the tests of the rules in a process of their own: once as they are, then once for each mutant."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import pickle
import re
import signal
import sys
import time
import types
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest

from tests.mutation.points import Mutant, mutated

LIMIT_S: Final = 60.0
"""A mutant that runs longer has made a test hang: found."""
ROOT: Final = Path(__file__).parent.parent.parent
TESTS: Final = ("tests/inventory", "tests/controller/cli/test_conformance_terms.py")
OPTIONS: Final = (
    *("-c", str(ROOT / "tests/mutation/pytest.ini"), f"--rootdir={ROOT}"),
    *("-q", "-x", "--assert=plain", "--noconftest", "-p", "no:cacheprovider"),
)


@dataclass(slots=True)
class Seen:
    """What each test runs of the rules, and for how long, when nothing is changed."""

    lines: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    """Test → module → lines."""
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Tests that run the changed line, quickest first; for tables and constants, all that use the module."""
        naming = _files_that_name(Path(mutant.module).stem) if mutant.at_import else frozenset[str]()
        found = [
            test
            for test, modules in self.lines.items()
            if (mutant.at_import and mutant.module in modules)
            or mutant.line in modules.get(mutant.module, ())
            or test.partition("::")[0] in naming
        ]
        return sorted(found, key=lambda test: (self.seconds[test], test))


@cache
def _files_that_name(module: str) -> frozenset[str]:
    """Test files that import a rule module: they may look at its tables without running a line of it."""
    words = re.compile(rf"from inventory\.{module} import|from inventory import [^\n]*\b{module}\b")
    return frozenset(
        str(path.relative_to(ROOT))
        for folder in TESTS
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        if words.search(path.read_text(encoding="utf-8"))
    )


class _Watch:
    """A plugin that notes the lines of the rules that each test runs."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.seen = Seen()
        self._modules = {str(ROOT / one): one for one in modules}
        self._now: dict[str, set[int]] = {}

    def _called(self, frame: types.FrameType, event: str, arg: object) -> Any:
        module = self._modules.get(frame.f_code.co_filename)
        if module is None:
            return None
        lines = self._now.setdefault(module, set())
        lines.add(frame.f_lineno)

        def line(frame: types.FrameType, event: str, arg: object) -> Any:
            lines.add(frame.f_lineno)
            return line

        return line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        self._now = {}
        started = time.monotonic()
        sys.settrace(self._called)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.seen.seconds[item.nodeid] = time.monotonic() - started
            self.seen.lines[item.nodeid] = self._now


def _steady() -> None:
    """The same examples on every run, no shrinking: only whether a test fails matters here."""
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=60,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


def warm_up() -> None:
    """Load what no mutant changes, once for all."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("hypothesis.strategies", "typer", "rich.console", "rich.table", "rich.text", "numpy"):
        importlib.import_module(name)


def _quiet() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def observe(modules: Sequence[str], to: Path) -> Seen:
    """Run all tests as they are. Raises RuntimeError if one fails: mutants prove nothing then."""
    child = os.fork()
    if child == 0:
        _steady()
        watch = _Watch(modules)
        code = int(pytest.main([*OPTIONS, *TESTS], plugins=[watch]))
        to.write_bytes(pickle.dumps(watch.seen))
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError("the tests of the rules fail as they are; run them first")
    seen = pickle.loads(to.read_bytes())
    assert isinstance(seen, Seen)
    return seen


def begin(mutant: Mutant, tests: Sequence[str]) -> int:
    """Start a process that runs these tests against the mutant; its exit code is 0 only if it survives them."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _quiet()
            _replace(mutant)
            _steady()
            code = int(pytest.main([*OPTIONS, *tests]))
        finally:
            os._exit(code)
    return child


def judged(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether one of these tests finds the mutant; one that hangs is found."""
    sys.stdout.flush()
    child, ends = begin(mutant, tests), time.monotonic() + LIMIT_S
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _replace(mutant: Mutant) -> None:
    """Whoever imports the module from now on gets the mutant."""
    path = str(ROOT / mutant.module)
    tree = mutated(mutant, Path(path).read_text(encoding="utf-8"))
    loader: Any = importlib.machinery.SourceFileLoader
    usual = loader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> types.CodeType | None:
        if self.path == path:
            return compile(tree, path, "exec", dont_inherit=True)
        found = usual(self, fullname)
        assert found is None or isinstance(found, types.CodeType)
        return found

    loader.get_code = get_code
