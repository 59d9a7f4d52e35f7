"""The typed parameter lists of every ARMS message (arms-protocol §6.1–§6.8).

A class is named after its message. Messages without parameters share `Nothing`. Content that is text or bytes is
`str | bytes`: bytes travel as base64. What may be a secret is not shown by `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

from drivers.arms.schema import (
    Attribute,
    Content,
    Group,
    Groups,
    Hidden,
    Number,
    NumberAttribute,
    Numbers,
    OwnText,
    Text,
    Texts,
)
from inventory.secrets import Secret

Module_Id = Annotated[int, NumberAttribute("id")]


@dataclass(frozen=True, slots=True)
class Nothing:
    """A message without parameters."""


# --- items --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the adapter; `text` is an info string, often a URL."""

    id: Module_Id
    version: Annotated[str | None, Attribute("version")] = None
    install_order: Annotated[str | None, Attribute("install-order")] = None
    text: Annotated[str, OwnText()] = ""


@dataclass(frozen=True, slots=True)
class ModuleConfig:
    """The configuration of module `id`. `content_type` is for pulls only: a configure with it is ignored (§6.0)."""

    id: Module_Id
    content: Annotated[str | bytes, Content()] = field(default="", repr=False)
    content_type: Annotated[str | None, Attribute("content-type")] = None
    commit_order: Annotated[str | None, Attribute("commit-order")] = None


@dataclass(frozen=True, slots=True)
class StatusItem:
    """What is asked of module `id` (`status-request`)."""

    id: Module_Id
    content: Annotated[str | bytes, Content()] = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What module `id` reported. `result` 100, or 402: the text then means nothing and was dropped (§6.5)."""

    id: Module_Id
    result: Annotated[int, NumberAttribute("result")]
    content: Annotated[str | bytes, Content()] = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Command:
    """A command for module `id`, at most 8192 bytes."""

    id: Module_Id
    content: Annotated[str | bytes, Content()] = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What module `id` answered."""

    id: Module_Id
    content: Annotated[str | bytes, Content()] = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Hop:
    """One node on the way."""

    hop: Annotated[int, NumberAttribute("hop")]
    address: Annotated[str, OwnText()] = ""


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """One `rs-info`: where to pull, and the location-config text."""

    url: Annotated[str, Text("url")]
    location: Annotated[str, Text("md-config")] = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeartbeatServer:
    """One `heartbeat-info`. `interval_s` must be the same in all of a message, or none is ever sent (§6.2)."""

    host: Annotated[str, Text("host")]
    port: Annotated[int, Number("port")]
    passphrase: Annotated[Secret, Hidden("passphrase")]
    interval_s: Annotated[int, Number("interval")]
    algorithm: Annotated[str | None, Text("algorithm")] = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Hints for the device software, https-simple only."""

    push_port: Annotated[int | None, Number("push-port")] = None
    push_timeout_s: Annotated[int | None, Number("push-timeout")] = None


# --- pull ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RsSolicitation:
    """SA → LS: where is my RS?"""

    trigger: Annotated[str, Text("trigger")] = ""


@dataclass(frozen=True, slots=True)
class RsSolicitationAnswer:
    """LS → SA (§6.1)."""

    rs_key: Annotated[Secret, Hidden("rs-preshared-key")]
    line_timeout_s: Annotated[int, Number("ll-timeout")]
    retry_max: Annotated[int, Number("rs-retry-max")]
    retry_interval_s: Annotated[int, Number("rs-retry-interval")]
    lifetime_s: Annotated[int | None, Number("lifetime")] = None
    servers: Annotated[tuple[ResourceServer, ...], Groups("rs-info", ResourceServer)] = ()


@dataclass(frozen=True, slots=True)
class ConfigSolicitation:
    """SA → RS: my configuration, please."""

    protocol_version: Annotated[str | None, Text("protocol-version")] = None
    trigger: Annotated[str, Text("trigger")] = ""
    firmware: Annotated[str | None, Text("firmware-info")] = None

    @property
    def major(self) -> int:
        """Major protocol version; absent or unreadable is 0, newer than 4 counts as 4 (§10.5)."""
        head = (self.protocol_version or "").strip().partition(".")[0]
        return min(int(head), 4) if head.isascii() and head.isdigit() and len(head) < 4 else 0


@dataclass(frozen=True, slots=True)
class ConfigSolicitationAnswer:
    """RS → SA (§6.2)."""

    sa_certificate: Annotated[str | None, Text("sa-certificate")] = None
    sa_private_key: Annotated[Secret | None, Hidden("sa-private-key")] = None
    proposal: Annotated[Proposal | None, Group("proposal-for-sa", Proposal)] = None
    heartbeats: Annotated[tuple[HeartbeatServer, ...], Groups("heartbeat-info", HeartbeatServer)] = ()
    push_addresses: Annotated[tuple[str, ...], Texts("rs-push-server-address")] = ()
    pull_urls: Annotated[tuple[str, ...], Texts("rs-pull-server-url")] = ()
    modules: Annotated[tuple[Module, ...], Groups("module", Module)] = ()
    configs: Annotated[tuple[ModuleConfig, ...], Groups("md-config", ModuleConfig)] = ()
    health_url: Annotated[str | None, Text("health-url")] = None
    health_interval: Annotated[str | None, Text("health-interval")] = None
    poll_url: Annotated[str | None, Text("poll-url")] = None
    poll_interval: Annotated[str | None, Text("poll-interval")] = None
    error_reason: Annotated[str | None, Text("error-reason")] = None


@dataclass(frozen=True, slots=True)
class PushMethodQuery:
    """SA → RS: the push methods it can do, in no order."""

    methods: Annotated[tuple[str, ...], Texts("push-method")] = ()


@dataclass(frozen=True, slots=True)
class PushMethodAnswer:
    """RS → SA: the methods to try, best first (§6.3)."""

    methods: Annotated[tuple[str, ...], Texts("push-method")] = ()
    tunnel_urls: Annotated[tuple[str, ...], Texts("https-tunnel-url")] = ()
    echo_interval_s: Annotated[int | None, Number("https-tunnel-echo-interval")] = None


@dataclass(frozen=True, slots=True)
class PushConfirmationStart:
    """SA → RS; the endpoint is there in https-simple only."""

    method: Annotated[str, Text("push-method")]
    endpoint: Annotated[str | None, Text("push-endpoint")] = None


@dataclass(frozen=True, slots=True)
class PushReady:
    """SA → RS from clients before the method query (§6.8)."""

    endpoint: Annotated[str | None, Text("push-endpoint")] = None


# --- push operations ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configure:
    """The module list replaces the adapter's; configurations only of those that change (§6.5)."""

    modules: Annotated[tuple[Module, ...], Groups("module", Module)] = ()
    configs: Annotated[tuple[ModuleConfig, ...], Groups("md-config", ModuleConfig)] = ()


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """What to read, by module."""

    items: Annotated[tuple[StatusItem, ...], Groups("status-request", StatusItem)] = ()


@dataclass(frozen=True, slots=True)
class StatusReports:
    """Reports in the order of the request."""

    reports: Annotated[tuple[StatusReport, ...], Groups("status-report", StatusReport)] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """`count` probes to a literal address, about a second each."""

    address: Annotated[str | None, Text("address")] = None
    count: Annotated[int | None, Number("count")] = None
    size_bytes: Annotated[int | None, Number("size")] = None


@dataclass(frozen=True, slots=True)
class PingCounts:
    """Answered and lost probes; both absent when the adapter could not ping at all."""

    success: Annotated[int | None, Number("success")] = None
    failure: Annotated[int | None, Number("failure")] = None


@dataclass(frozen=True, slots=True)
class Traceroute:
    """Way to a literal address."""

    address: Annotated[str | None, Text("address")] = None
    count: Annotated[int | None, Number("count")] = None
    max_hop: Annotated[int | None, Number("max-hop")] = None


@dataclass(frozen=True, slots=True)
class Hops:
    """The way, in order."""

    hops: Annotated[tuple[Hop, ...], Groups("nodeinfo", Hop)] = ()


@dataclass(frozen=True, slots=True)
class ReadStorage:
    """`running`, `candidate` or `backup`."""

    storage: Annotated[str | None, Text("storage")] = None


@dataclass(frozen=True, slots=True)
class StoredConfigs:
    """The configuration of every module; empty: none."""

    configs: Annotated[tuple[ModuleConfig, ...], Groups("md-config", ModuleConfig)] = ()


@dataclass(frozen=True, slots=True)
class MdCommand:
    """Exactly one command."""

    commands: Annotated[tuple[Command, ...], Groups("md-command", Command)] = ()


@dataclass(frozen=True, slots=True)
class CommandResults:
    """Answers to commands (`md-command`, `dump-debug`)."""

    results: Annotated[tuple[CommandResult, ...], Groups("md-result", CommandResult)] = ()


@dataclass(frozen=True, slots=True)
class ModuleList:
    """The modules of the adapter."""

    modules: Annotated[tuple[Module, ...], Groups("module", Module)] = ()


@dataclass(frozen=True, slots=True)
class OpenTransactions:
    """Ids of open transactions; one 0 stands for the question itself."""

    ids: Annotated[tuple[int, ...], Numbers("transaction-id")] = ()


@dataclass(frozen=True, slots=True)
class PullConfig:
    """`RS`, or `LS` to begin at the location server."""

    start: Annotated[str | None, Text("type")] = None


Parameters = (
    Nothing
    | RsSolicitation
    | RsSolicitationAnswer
    | ConfigSolicitation
    | ConfigSolicitationAnswer
    | PushMethodQuery
    | PushMethodAnswer
    | PushConfirmationStart
    | PushReady
    | Configure
    | ReadStatus
    | StatusReports
    | Ping
    | PingCounts
    | Traceroute
    | Hops
    | ReadStorage
    | StoredConfigs
    | MdCommand
    | CommandResults
    | ModuleList
    | OpenTransactions
    | PullConfig
)

REQUESTS: Final[dict[str, type[Parameters]]] = {
    "rs-solicitation": RsSolicitation,
    "config-solicitation": ConfigSolicitation,
    "push-method-query": PushMethodQuery,
    "push-ready": PushReady,
    "push-confirmation-start": PushConfirmationStart,
    "push-confirmation-done": Nothing,
    "configure-start": Configure,
    "configure-done": Nothing,
    "read-status-start": ReadStatus,
    "read-status-done": StatusReports,
    "clear-status-start": ReadStatus,
    "clear-status-done": StatusReports,
    "ping-start": Ping,
    "ping-done": PingCounts,
    "traceroute-start": Traceroute,
    "traceroute-done": Hops,
    "read-storage-start": ReadStorage,
    "read-storage-done": StoredConfigs,
    "md-command": MdCommand,
    "read-module-list": Nothing,
    "dump-debug": Nothing,
    "check-transaction": Nothing,
    "pull-config": PullConfig,
    "reboot": Nothing,
}
"""Parameters of each request type."""

ANSWERS: Final[dict[str, type[Parameters]]] = {
    **dict.fromkeys(REQUESTS, Nothing),
    "rs-solicitation": RsSolicitationAnswer,
    "config-solicitation": ConfigSolicitationAnswer,
    "push-method-query": PushMethodAnswer,
    "md-command": CommandResults,
    "read-module-list": ModuleList,
    "dump-debug": CommandResults,
    "check-transaction": OpenTransactions,
    "generic-error": Nothing,
}
"""Parameters of each response type. A response that refuses has `Nothing` whatever its type."""
