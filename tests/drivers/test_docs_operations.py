"""The table of operations in the operators' guide is what the drivers say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from drivers.driver import Driver
from drivers.operating import operations_of
from drivers.registry import all_drivers
from inventory.operations import OperationKind
from tests.drivers.example import install

pytestmark = pytest.mark.fast
GUIDE: Final = Path(__file__).parents[2] / "docs" / "operators.md"
KINDS: Final = (
    OperationKind.PING,
    OperationKind.TRACEROUTE,
    OperationKind.READ_STATUS,
    OperationKind.CLEAR_STATUS,
    OperationKind.MD_COMMAND,
    OperationKind.READ_STORAGE,
    OperationKind.REBOOT,
)
HEAD: Final = f"| family | over | {' | '.join(f'`{kind}`' for kind in KINDS)} | the others |"


def offered(known: Driver, kind: OperationKind) -> str:
    """What stands in the table for one kind."""
    if known.carrier == "arms":
        return "yes"
    line = operations_of(known)
    if not line.offers(kind):
        return "no"
    only_four = {OperationKind.PING: line.ping6, OperationKind.TRACEROUTE: line.traceroute6}.get(kind) == ()
    if kind is OperationKind.MD_COMMAND and line.only is not None:
        return "reads"
    return "IPv4" if only_four else "yes"


def row(known: Driver) -> str:
    """The row of a family."""
    over, others = ("ARMS", "yes") if known.carrier == "arms" else ("SSH", "no")
    return f"| {known.title} | {over} | {' | '.join(offered(known, kind) for kind in KINDS)} | {others} |"


def test_the_guide_says_of_each_family_what_it_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with install(tmp_path, monkeypatch):
        rows = [row(known) for _, known in sorted(all_drivers().items())]
    text = GUIDE.read_text(encoding="utf-8")
    table = "\n".join((HEAD, f"|{'---|' * (len(KINDS) + 3)}", *rows))
    assert table in text, table


def test_what_a_family_does_not_offer_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with install(tmp_path, monkeypatch):
        found = [known for known in all_drivers().values() if known.carrier != "arms"]
    for known in found:
        line = operations_of(known)
        missing = [kind for kind in KINDS if not line.offers(kind)]
        assert [kind for kind in missing if not (line.why_not or {}).get(kind)] == [], known.family
