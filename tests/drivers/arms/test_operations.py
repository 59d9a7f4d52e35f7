"""Each operation as a request that may be sent, and what its result says."""

from __future__ import annotations

import pytest

from drivers.arms import messages, rules
from drivers.arms.messages import Request, Response
from drivers.arms.operations import request_of, result_of
from drivers.arms.parameters import CommandResult, CommandResults, Hop, Hops, OpenTransactions, PingCounts
from inventory.operations import ASYNCHRONOUS, OperationKind, OperationResult, Report, parameters_of
from tests.inventory.test_operations import least

pytestmark = pytest.mark.fast
ID = "0001-0000-0101-000B-0200-5EFF-FE00-5301"


@pytest.mark.parametrize("kind", OperationKind)
def test_whatever_may_be_asked_for_may_be_sent(kind: OperationKind) -> None:
    made = request_of(kind, parameters_of(kind, least(kind)))
    octets = rules.encode(Request(made.type, ID, made.parameters))
    read = messages.read(octets)
    assert isinstance(read, Request)
    assert read.type == (f"{kind}-start" if kind in ASYNCHRONOUS else kind)
    assert read.parameters == made.parameters


def test_octets_that_are_no_text_are_not_lost() -> None:
    dump = bytes(range(256))
    result = result_of(Response("dump-debug", 100, CommandResults((CommandResult(0, dump),))))
    assert result.reports[0].text.encode("utf-8", "surrogateescape") == dump
    assert result.octets == 256


def test_results_without_content_are_empty() -> None:
    assert result_of(Response("reboot", 100)) == OperationResult()
    assert result_of(Response("ping-done", 100, PingCounts())) == OperationResult()
    hops = result_of(Request("traceroute-done", ID, Hops((Hop(1, "192.0.2.1"),)))).hops
    assert [(one.hop, one.address) for one in hops] == [(1, "192.0.2.1")]
    assert result_of(Response("check-transaction", 100, OpenTransactions((7, 0)))).transactions == (7,)
    assert result_of(Response("md-command", 100, CommandResults((CommandResult(2, "x"),)))).reports == (Report(2, "x"),)
