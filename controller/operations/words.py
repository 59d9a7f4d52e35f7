"""The transcript of an operation: what its session noted, or what was asked and answered message by message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from drivers.arms.results import named
from inventory.operations import Operation, OperationResult, OperationState, OperationStep, Parameters


def words_of(operation: Operation, journal: Sequence[OperationStep], result: OperationResult | None) -> str:
    """What was typed or sent (`>`) and said (`<`), secrets masked; octets that are no UTF-8 as `surrogateescape`.

    Over a command line it is what the session noted. Without a session, over ARMS, and where a session left nothing it
    is made of the journal and of the result: parameters, states, codes, reports.
    """
    if result is not None and result.transcript:
        return result.transcript
    return "\n".join((*_asked(operation, journal), *(() if result is None else _answered(result))))


def _asked(operation: Operation, journal: Sequence[OperationStep]) -> Iterator[str]:
    for step in journal:
        at = datetime.fromtimestamp(step.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        if step.state is OperationState.SENDING:
            yield f"> {operation.kind}{_parameters(operation.shown)}"
        yield f"· {at} {step.state}: {step.said}"


def _parameters(shown: Parameters) -> str:
    items = [f" {item.module}={item.text}" for item in shown.items]
    told = {
        "address": shown.address,
        "count": shown.count,
        "size": shown.size_octets,
        "max-hop": shown.max_hop,
        "storage": shown.storage,
        "from": shown.start,
    }
    return "".join((*items, *(f" {name}={value}" for name, value in told.items() if value is not None)))


def _answered(result: OperationResult) -> Iterator[str]:
    for report in result.reports:
        yield f"< module {report.module}" + ("" if report.code is None else f": {named(report.code)}")
        yield report.text
    if result.answered is not None:
        yield f"< {result.answered} answered, {result.lost or 0} lost"
    for hop in result.hops:
        yield f"< {hop.hop} {hop.address}"
    for module in result.modules:
        yield f"< module {module.module} {module.version} {module.about}".rstrip()
    if result.transactions:
        yield f"< open transactions: {', '.join(map(str, result.transactions))}"
