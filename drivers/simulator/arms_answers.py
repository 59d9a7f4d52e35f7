"""What the client takes out of the server's answers on its way to push mode (arms-protocol §6.1–6.3)."""

from __future__ import annotations

import re
import ssl
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace

from drivers.simulator import arms_messages as messages
from drivers.simulator.arms_http import Endpoint, endpoint
from drivers.simulator.arms_messages import ServerMessage
from drivers.simulator.arms_operations import module_list
from drivers.simulator.arms_tls import SaCertificate
from drivers.simulator.arms_unit import Module
from inventory.secrets import Secret

LIST_LIMIT = 5
LOCATION_CONFIG_OCTETS = 2047
PEM_OCTETS = 5119
KEY_CHARACTERS = 64
DEFAULT_ECHO_INTERVAL_S = 60


class Unusable(Exception):
    """The answer said 100, and the client can do nothing with it; it tries again."""


class Fatal(Exception):
    """The answer makes the client process end; the device boots anew."""


class NoLine(Exception):
    """The location-config names no line: the client sleeps 60 s and asks the LS again."""


@dataclass(frozen=True, slots=True)
class Location:
    """What the LS said: where the resource servers are, and how to talk to them."""

    rs_key: Secret
    retry_max: int
    retry_interval_s: int
    urls: tuple[Endpoint, ...]
    rs_ca_pem: str | None
    """None: the resource servers are checked against the built-in root CA."""
    families: frozenset[int] = frozenset({4, 6})
    """Address families that the line reaches; URLs of the other keep their position and are skipped."""


@dataclass(frozen=True, slots=True)
class HeartbeatServer:
    """One receiver of heartbeats."""

    host: str
    port: int
    passphrase: Secret
    interval_s: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the RS said in the pull."""

    sa_certificate: SaCertificate | None
    heartbeats: tuple[HeartbeatServer, ...]
    pull_urls: tuple[Endpoint, ...]
    modules: dict[int, Module]
    texts: dict[int, str]

    def of_family(self, family: int) -> Pulled:
        """Without what the other address family would be needed for (§10.7)."""
        return replace(
            self,
            heartbeats=tuple(each for each in self.heartbeats if (":" in each.host) == (family == 6)),
            pull_urls=tuple(url for url in self.pull_urls if url.family == family),
        )


@dataclass(frozen=True, slots=True)
class PushOffer:
    """How the RS wants to push: methods in order of priority."""

    methods: tuple[str, ...]
    tunnel_urls: tuple[Endpoint, ...]
    echo_interval_s: int

    def of_family(self, family: int) -> PushOffer:
        """Without tunnels of the other address family (§10.7)."""
        return replace(self, tunnel_urls=tuple(url for url in self.tunnel_urls if url.family == family))


def read_location(message: ServerMessage) -> Location:
    """Raises Unusable, NoLine, or Fatal for what makes the reference client corrupt its memory."""
    parameters = message.parameters
    infos = parameters.findall("rs-info")
    if len(infos) > LIST_LIMIT:
        raise Fatal(f"{len(infos)} rs-info")
    key = message.text("rs-preshared-key")
    if not key or not infos:
        raise Unusable("no rs-preshared-key or no rs-info")
    config = infos[0].findtext("md-config") or ""
    if any(len((info.findtext("md-config") or "").encode()) > LOCATION_CONFIG_OCTETS for info in infos):
        raise Fatal("location-config too long")
    lines = re.findall(r"^line-([a-z0-9-]+) *\{", config, re.MULTILINE)
    if not lines:
        raise NoLine("no line in the location-config")
    read = (endpoint((info.findtext("url") or "").replace("\n", "").replace("\r", "")) for info in infos)
    urls = tuple(url for url in read if url is not None)
    families = next((reached for line in lines if (reached := _reached(line)) & {url.family for url in urls}), None)
    if families is None:
        raise Unusable("no RS URL that a line can reach")
    certificate = re.search(r"rs-certificate *\{\s*(.*?)\s*\};", config, re.DOTALL)
    return Location(
        rs_key=Secret(key[:KEY_CHARACTERS]),
        retry_max=message.number("rs-retry-max") or 0,
        retry_interval_s=message.number("rs-retry-interval") or 0,
        urls=urls,
        rs_ca_pem=_checked_pem(certificate[1]) if certificate else None,
        families=families,
    )


def _reached(line: str) -> frozenset[int]:
    """Address families of a line type (§6.1). Lines are tried in order."""
    return frozenset({"ra": {6}, "pppoe-ipv6": {6}, "static": {4, 6}}.get(line, {4}))


def _checked_pem(pem: str) -> str:
    try:
        ssl.PEM_cert_to_DER_cert(pem)
    except ValueError as error:
        raise Unusable(f"rs-certificate: {error}") from error
    return pem + "\n"


def read_pull(message: ServerMessage) -> Pulled:
    """Raises Unusable for a pull that is retried as a whole."""
    known: set[int] = set()
    texts: dict[int, str] = {}
    for element in message.parameters:
        if element.tag == "module":
            known.add(messages.id_attribute(element))
        elif element.tag == "md-config":
            module_id = messages.id_attribute(element)
            if module_id not in known:
                raise Unusable(f"md-config {module_id} before its module")
            texts[module_id] = messages.content(element).decode("utf-8", "replace")
    certificate, key = message.text("sa-certificate"), message.text("sa-private-key")
    if any(len(pem or "") > PEM_OCTETS for pem in (certificate, key)):
        raise Unusable("sa-certificate or sa-private-key too long")
    heartbeats = tuple(_heartbeat_server(each) for each in message.parameters.findall("heartbeat-info"))
    if len(heartbeats) > LIST_LIMIT:
        raise Unusable(f"{len(heartbeats)} heartbeat-info")
    urls = [endpoint(url) for url in message.texts("rs-pull-server-url")[:LIST_LIMIT]]
    return Pulled(
        sa_certificate=SaCertificate(certificate, Secret(key)) if certificate and key else None,
        heartbeats=heartbeats,
        pull_urls=tuple(url for url in urls if url is not None),
        modules=module_list(message),
        texts=texts,
    )


def _heartbeat_server(element: ET.Element) -> HeartbeatServer:
    host, passphrase = element.findtext("host"), element.findtext("passphrase")
    port, interval = (messages.integer(element.findtext(name)) for name in ("port", "interval"))
    if not host or not passphrase or port is None or interval is None:
        raise Unusable("heartbeat-info is incomplete")
    return HeartbeatServer(host, port, Secret(passphrase), interval)


def read_push_offer(message: ServerMessage) -> PushOffer:
    """Raises Fatal for more methods than the client can hold, Unusable for more tunnels."""
    methods, urls = message.texts("push-method"), message.texts("https-tunnel-url")
    if len(methods) > LIST_LIMIT:
        raise Fatal(f"{len(methods)} push methods")
    if len(urls) > LIST_LIMIT:
        raise Unusable(f"{len(urls)} tunnel URLs")
    interval = message.number("https-tunnel-echo-interval")
    ends = [endpoint(url) for url in urls]
    return PushOffer(
        methods=tuple(methods),
        tunnel_urls=tuple(each for each in ends if each is not None),
        echo_interval_s=DEFAULT_ECHO_INTERVAL_S if interval is None else interval,
    )
