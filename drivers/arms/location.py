"""The location-config text that the LS hands out in `rs-info/md-config` (arms-protocol §6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from inventory.errors import BadInput

MAX_BYTES = 2047
"""The client copies the text without a length check: more corrupts its memory."""
MAX_LINE_BYTES = 255
MAX_LINES = 5
_MAX_ACCOUNT = 35

LineKind = Literal["line-dhcp", "line-pppoe", "line-pppoe-ipv6", "line-mobile", "line-static", "line-ra"]
_FIELDS: Final[dict[LineKind, tuple[str, ...]]] = {
    "line-dhcp": ("ifindex",),
    "line-pppoe": ("ifindex", "account", "password"),
    "line-pppoe-ipv6": ("ifindex", "account", "password"),
    "line-mobile": ("ifindex", "cid", "apn", "pdp-type", "telno", "ipaddress", "account", "password"),
    "line-static": ("ifindex", "ipaddress"),
    "line-ra": ("ifindex",),
}
_BLOCK = re.compile(r"\s*([a-z0-9-]+)\s*\{([^{};]*(?:;[^{};]*)*)\}\s*;", re.ASCII)
_STATEMENT = re.compile(r"\s*([a-z-]+)[ \t]+([^;]*?)\s*;", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One way to reach the RS, tried in order. dhcp, pppoe and mobile are IPv4, ra and pppoe-ipv6 IPv6."""

    kind: LineKind
    values: tuple[tuple[str, str], ...] = field(repr=False)  # has the line's password

    def __post_init__(self) -> None:
        known = _FIELDS.get(self.kind)
        if known is None:
            raise BadInput(f"line type {self.kind!r} is not known", field="location-config")
        names = [name for name, _ in self.values]
        if names[:1] != ["ifindex"] or len(set(names)) != len(names) or not set(names) <= set(known):
            raise BadInput(f"{self.kind} has {', '.join(known)}, each once and ifindex first", field="location-config")
        for name, value in self.values:
            _check_value(name, value)


@dataclass(frozen=True, slots=True)
class LocationConfig:
    """Lines, and the CA that signs every RS. Only those of the first `rs-info` count."""

    lines: tuple[Line, ...]
    rs_certificate: str | None = None
    """PEM, without the line break at its end; None: the adapter checks against its built-in root."""


def _check_value(name: str, value: str) -> None:
    if not value or re.search(r"[;{}\s\x00-\x1f\x7f]", value) or not value.isascii():
        raise BadInput(f"{name} must be ASCII without ';', braces or blanks", field="location-config")
    if name in {"account", "password"} and len(value) > _MAX_ACCOUNT:
        raise BadInput(f"{name} is longer than {_MAX_ACCOUNT} characters", field="location-config")
    if name == "ifindex" and not re.fullmatch(r"[0-9]{1,5}", value):
        raise BadInput("ifindex is a number", field="location-config")
    if name == "pdp-type" and value not in {"ip", "ppp"}:
        raise BadInput("pdp-type is ip or ppp", field="location-config")


def write(location: LocationConfig) -> str:
    """The text. Raises BadInput beyond 2047 bytes, lines of 255 bytes or 1…5 line definitions."""
    if not 1 <= len(location.lines) <= MAX_LINES:
        raise BadInput(f"a location-config has 1 to {MAX_LINES} lines", field="location-config")
    out = []
    for line in location.lines:
        out += [f"{line.kind} {{", *(f"\t{name} {value};" for name, value in line.values), "};"]
    if location.rs_certificate is not None:
        out += ["rs-certificate {", location.rs_certificate.strip(), "};"]
    text = "\n".join(out) + "\n"
    check_size(text)
    return text


def check_size(text: str) -> None:
    """Raises BadInput when the text would overflow the client's buffers."""
    size = len(text.encode())
    if size > MAX_BYTES:
        raise BadInput(f"the location-config has {size} bytes, more than {MAX_BYTES}", field="location-config")
    if any(len(line.encode()) > MAX_LINE_BYTES for line in text.split("\n")):
        raise BadInput(f"a line of the location-config has more than {MAX_LINE_BYTES} bytes", field="location-config")


def read(text: str) -> LocationConfig:
    """The value of a text. Raises BadInput with the offset when it does not parse."""
    lines: list[Line] = []
    certificate: str | None = None
    at = 0
    while text[at:].strip():
        block = _BLOCK.match(text, at)
        if block is None:
            raise BadInput(f"no block `name {{ … }};` at character {at + 1}", field="location-config")
        at = block.end()
        if block[1] == "rs-certificate":
            certificate = block[2].strip()
        else:
            lines.append(Line(_kind(block[1]), _statements(block[2])))
    return LocationConfig(tuple(lines), certificate)


def _kind(name: str) -> LineKind:
    if name not in _FIELDS:
        raise BadInput(f"line type {name!r} is not known", field="location-config")
    return name


def _statements(body: str) -> tuple[tuple[str, str], ...]:
    found = []
    at = 0
    while body[at:].strip():
        statement = _STATEMENT.match(body, at)
        if statement is None:
            raise BadInput("a line definition has `name value;` statements", field="location-config")
        found.append((statement[1], statement[2]))
        at = statement.end()
    return tuple(found)
