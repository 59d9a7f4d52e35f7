"""Operations as messages: the request of each kind, and the result in its answer or its `-done` (§6.5, §6.6)."""

from __future__ import annotations

from drivers.arms.messages import Request, Response
from drivers.arms.parameters import (
    Command,
    CommandResults,
    Hops,
    MdCommand,
    ModuleList,
    Nothing,
    OpenTransactions,
    Parameters,
    Ping,
    PingCounts,
    PullConfig,
    ReadStatus,
    ReadStorage,
    StatusItem,
    StatusReports,
    StoredConfigs,
    Traceroute,
)
from inventory import operations
from inventory.operations import Hop, ListedModule, OperationKind, OperationResult, Report


def request_of(kind: OperationKind, wanted: operations.Parameters) -> Request:
    """The request that starts an operation. Ids and addresses are the link's to fill."""
    type_ = f"{kind}-start" if kind in operations.ASYNCHRONOUS else kind.value
    return Request(type_, "", _parameters(kind, wanted))


def _parameters(kind: OperationKind, wanted: operations.Parameters) -> Parameters:
    match kind:
        case OperationKind.READ_STATUS | OperationKind.CLEAR_STATUS:
            return ReadStatus(tuple(StatusItem(item.module, item.text) for item in wanted.items))
        case OperationKind.MD_COMMAND:
            return MdCommand(tuple(Command(item.module, item.text) for item in wanted.items))
        case OperationKind.PING:
            return Ping(wanted.address, wanted.count, wanted.size_octets)
        case OperationKind.TRACEROUTE:
            return Traceroute(wanted.address, wanted.count, wanted.max_hop)
        case OperationKind.READ_STORAGE:
            return ReadStorage(wanted.storage)
        case OperationKind.PULL_CONFIG:
            return PullConfig(wanted.start)
        case _:
            return Nothing()


def result_of(message: Request | Response) -> OperationResult:
    """What an answer or a `-done` brought; empty when it has no content."""
    match message.parameters:
        case StatusReports(reports=reports):
            return OperationResult(reports=tuple(Report(one.id, _text(one.content), one.result) for one in reports))
        case CommandResults(results=results):
            return OperationResult(reports=tuple(Report(one.id, _text(one.content)) for one in results))
        case StoredConfigs(configs=configs):
            return OperationResult(reports=tuple(Report(one.id, _text(one.content)) for one in configs))
        case PingCounts(success=success, failure=failure):
            return OperationResult(answered=success, lost=failure)
        case Hops(hops=hops):
            return OperationResult(hops=tuple(Hop(one.hop, one.address) for one in hops))
        case ModuleList(modules=modules):
            return OperationResult(
                modules=tuple(ListedModule(one.id, one.version or "", one.text.strip()) for one in modules)
            )
        case OpenTransactions(ids=ids):
            return OperationResult(transactions=tuple(one for one in ids if one))
        case _:
            return OperationResult()


def _text(content: str | bytes) -> str:
    """Text, or octets as text from which they can be had again."""
    return content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
