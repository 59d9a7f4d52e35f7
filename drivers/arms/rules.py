"""What a server never sends: each of these makes real clients loop, reboot or lose data (arms-protocol §8, §12).

`encode` is the way out for everything that leaves this program. It raises BadInput when a rule is broken.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from drivers.arms import location, messages
from drivers.arms.ids import MAX_KEY, DistributionId
from drivers.arms.messages import Message, Request, Response
from drivers.arms.parameters import (
    ANSWERS,
    REQUESTS,
    ConfigSolicitationAnswer,
    Configure,
    MdCommand,
    Module,
    ModuleConfig,
    Nothing,
    Parameters,
    Ping,
    PullConfig,
    PushMethodAnswer,
    ReadStatus,
    ReadStorage,
    RsSolicitationAnswer,
    Traceroute,
)
from drivers.arms.results import sendable
from inventory.errors import BadInput

MAX_LIST = 5
MAX_PEM = 5119
MAX_COMMAND = 8192
MAX_PING_COUNT = 10
MIN_RETRY_INTERVAL_S = 30
MIN_ECHO_INTERVAL_S = 10
MAX_ID = 2**31 - 1
_ID = re.compile(r"[0-9A-F]{4}(?:-[0-9A-F]{4}){7}")


def encode(message: Message) -> bytes:
    """The bytes of a message that a server may send. Raises BadInput with the field that breaks a rule."""
    check(message)
    return messages.write(message)


def check(message: Message) -> None:
    """Raises BadInput when a server must not send this message."""
    if message.transaction_id is not None and not 1 <= message.transaction_id <= MAX_ID:
        _refuse(f"transaction id {message.transaction_id} is outside 1…{MAX_ID}", "transaction-id")
    if isinstance(message, Request):
        _check_request(message)
    else:
        _check_response(message)


def _refuse(message: str, field: str) -> NoReturn:
    raise BadInput(
        message, field=field, next_step="This is a mistake of the sender of this message, not of the adapter."
    )


def _check_request(message: Request) -> None:
    if message.type not in REQUESTS or not _ID.fullmatch(message.distribution_id):
        _refuse("a request has a known type and an upper-case distribution id", "distribution-id")
    DistributionId.parse(message.distribution_id)
    if message.result_url is not None:
        check_url(message.result_url, "result-url", limit=127)
    _of_type(message.parameters, REQUESTS[message.type], message.type)
    _check_operation(message.parameters)


def _check_response(message: Response) -> None:
    if not sendable(message.result_code):
        _refuse(f"result code {message.result_code} makes clients loop or reboot", "result-code")
    if message.type not in ANSWERS:
        _refuse(f"there is no response type {message.type!r}", "type")
    if message.result_code >= 200:
        _of_type(message.parameters, Nothing, message.type)
        return
    _of_type(message.parameters, ANSWERS[message.type], message.type)
    match message.parameters:
        case RsSolicitationAnswer():
            _check_rs_solicitation(message.parameters)
        case ConfigSolicitationAnswer():
            _check_config_solicitation(message.parameters)
        case PushMethodAnswer():
            _check_methods(message.parameters)
        case _ if message.type == "push-confirmation-start" and message.transaction_id is None:
            _refuse("a confirmation is answered with its transaction id", "transaction-id")
        case _:
            pass


def _of_type(parameters: Parameters, expected: type[Parameters], type_: str) -> None:
    if not isinstance(parameters, expected):
        _refuse(f"{type_} has {expected.__name__} parameters here", "parameters")


def _check_rs_solicitation(answer: RsSolicitationAnswer) -> None:
    if not 1 <= len(answer.rs_key.reveal()) <= MAX_KEY:
        _refuse(f"an RS key has 1 to {MAX_KEY} characters", "rs-preshared-key")
    if answer.line_timeout_s < 1 or answer.retry_max < 1:
        _refuse("0 makes the client loop without pause", "rs-retry-max")
    if answer.retry_interval_s < MIN_RETRY_INTERVAL_S:
        _refuse(f"the retry interval is at least {MIN_RETRY_INTERVAL_S} s", "rs-retry-interval")
    _count(answer.servers, "rs-info", at_least=1)
    for server in answer.servers:
        check_url(server.url, "rs-info/url", limit=255)
        location.check_size(server.location)


def _check_config_solicitation(answer: ConfigSolicitationAnswer) -> None:
    key = answer.sa_private_key
    for pem in (answer.sa_certificate, key.reveal() if key else None):
        if pem is not None and len(pem.encode()) > MAX_PEM:
            _refuse(f"a PEM has at most {MAX_PEM} bytes", "sa-certificate")
    if (answer.sa_certificate is None) != (key is None):
        _refuse("certificate and key go together", "sa-private-key")
    _count(answer.heartbeats, "heartbeat-info", at_least=0)
    for server in answer.heartbeats:
        check_address(server.host, "heartbeat-info/host")
        if not 1 <= len(server.passphrase.reveal().encode()) <= 1024:
            _refuse("a heartbeat passphrase has 1 to 1024 bytes", "heartbeat-info/passphrase")
        if server.interval_s < 1 or not 1 <= server.port <= 65535:
            _refuse("a heartbeat has an interval of a second or more and a port", "heartbeat-info/interval")
    if len({server.interval_s for server in answer.heartbeats}) > 1:
        _refuse("with different intervals the client never sends one", "heartbeat-info/interval")
    _count(answer.pull_urls, "rs-pull-server-url", at_least=1)
    for url in answer.pull_urls:
        check_url(url, "rs-pull-server-url", limit=127)
    _count(answer.push_addresses, "rs-push-server-address", at_least=0)
    for address in answer.push_addresses:
        check_address(address, "rs-push-server-address")
    _check_modules(answer.modules, answer.configs)
    if len(answer.modules) != len(answer.configs):
        _refuse("each module has its md-config: one without is never started, and crashes a read", "md-config")


def _check_modules(modules: Sequence[Module], configs: Sequence[ModuleConfig]) -> None:
    ids = [module.id for module in modules]
    held = [config.id for config in configs]
    if len(set(ids)) != len(ids) or len(set(held)) != len(held):
        _refuse("a module id stands there twice: the client loses both configurations", "module")
    if not set(held) <= set(ids):
        _refuse("an md-config needs its module in the list", "md-config")
    if any(not 0 <= id_ <= MAX_ID for id_ in ids):
        _refuse(f"module ids are 0…{MAX_ID}", "module")


def _check_methods(answer: PushMethodAnswer) -> None:
    _count(answer.methods, "push-method", at_least=1)
    if not set(answer.methods) <= {"https-simple", "https-tunnel"}:
        _refuse("the push methods are https-simple and https-tunnel", "push-method")
    _count(answer.tunnel_urls, "https-tunnel-url", at_least=1 if "https-tunnel" in answer.methods else 0)
    for url in answer.tunnel_urls:
        check_url(url, "https-tunnel-url", limit=255)
    if answer.echo_interval_s is not None and answer.echo_interval_s < MIN_ECHO_INTERVAL_S:
        _refuse(f"the echo interval is at least {MIN_ECHO_INTERVAL_S} s", "https-tunnel-echo-interval")


def _check_operation(parameters: Parameters) -> None:
    match parameters:
        case Configure(modules=modules, configs=configs):
            _check_configure(modules, configs)
        case ReadStatus(items=items) if not items:
            _refuse("name at least one module", "status-request")
        case Ping(address=address, count=count):
            check_address(address or "", "address")
            if count is None or not 1 <= count <= MAX_PING_COUNT:
                _refuse(f"a ping blocks the adapter a second each: 1 to {MAX_PING_COUNT}", "count")
        case Traceroute(address=address, count=count, max_hop=max_hop):
            check_address(address or "", "address")
            if count is None or count < 1 or max_hop is None or not 1 <= max_hop <= 256:
                _refuse("a traceroute has a count, and 1 to 256 hops", "max-hop")
        case ReadStorage(storage=storage) if storage not in {"running", "candidate", "backup"}:
            _refuse("storage is running, candidate or backup", "storage")
        case MdCommand(commands=commands):
            if len(commands) != 1 or len(_bytes(commands[0].content)) > MAX_COMMAND:
                _refuse(f"exactly one command of at most {MAX_COMMAND} bytes", "md-command")
        case PullConfig(start=start) if start not in {"RS", "LS"}:
            _refuse("a pull starts at the RS or the LS", "type")
        case _:
            pass


def _check_configure(modules: Sequence[Module], configs: Sequence[ModuleConfig]) -> None:
    if not modules:
        _refuse("an empty module list removes everything from the adapter", "module")
    _check_modules(modules, configs)
    if any(config.content_type is not None for config in configs):
        _refuse("with a content-type the adapter reports success and ignores the configuration", "md-config")


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _count(values: Sequence[object], field: str, *, at_least: int) -> None:
    if not at_least <= len(values) <= MAX_LIST:
        _refuse(f"{field}: {at_least} to {MAX_LIST} of them, not {len(values)}", field)


@functools.lru_cache(maxsize=64)  # our own few addresses, in every answer
def check_address(text: str, field: str) -> None:
    """Clients resolve no names. Raises BadInput unless it is an IPv4 or IPv6 literal."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        _refuse("an address is an IPv4 or IPv6 literal: clients resolve no names", field)


@functools.lru_cache(maxsize=64)
def check_url(url: str, field: str, *, limit: int) -> None:
    """Raises BadInput unless a client can use it: https, literal address, explicit port, short parts (§4)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse("this is no URL: a bracket, or a port, is broken", field)
    if parts.scheme != "https" or port is None or len(url) > limit or len(parts.path) > 79 or not url.isascii():
        _refuse(f"a URL is https://address:port/path of at most {limit} characters", field)
    check_address(parts.hostname or "", field)
