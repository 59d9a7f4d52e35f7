"""Configuration texts as a simulated SEIL takes them in: two small interpreters, independent of our dialects.

`legacy`: one statement a line. Bad lines, and lines that depend on them, are skipped and reported; the rest
takes effect (devices-seil §3). `recipe`: one `key: value` a line, checked as a whole before anything takes
effect (§4). Both print what they hold, in the device's own form, so reading back shows what was understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LINE_CHARACTERS = 2046
LINE_WORDS = 128

_PRINTED_ORDER = """
    hostname timezone environment encrypted-password encrypted-password-long option authentication
    account-list certificate dialup-device dialup-network ppp interface pppac l2tp bridge floatlink
    arp proxyarp macfilter route route6 rtadvd filter filter6 nat nat6 application-gateway upnp cbq
    ike ipsec dhcp dhcp6 dns ntp snmp syslog resolver vrrp vrrp3 monitor httpd sshd telnetd
"""
_GROUPS = tuple(_PRINTED_ORDER.split())
"""First words, in the order in which the device prints them."""

_SINGLE = re.compile(
    r"^(hostname|timezone|environment \S+|encrypted-password(-long)? \S+|nat timeout( protocol \S+)?|nat logging"
    r"|interface \S+ (media|mtu|description|queue|tcp-mss6?|over|ppp-configuration|unnumbered|tunnel|tag)"
    r"|snmp (community|contact|location|sysname|security-model \S+|trap(?= (enable|disable)))"
    r"|syslog (facility|debug-level|remote)(?= )|resolver domain|ntp mode|dhcp mode|cbq link-bandwidth"
    r"|dhcp interface \S+ (expire|pool|gateway|domain)|sshd (hostkey \S+|password-authentication)"
    r"|\S+( \S+)?(?= (enable|disable)$))"
)
"""A statement with the same match replaces the one before it; `add` statements go by their name instead."""


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A line that did not take effect, numbered from 1, with the device's reason."""

    line: int
    text: str
    reason: str


class Refused(Exception):
    """The whole text is refused; `line` counts from 1, 0 where no line is to blame."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class Loaded:
    """Outcome of taking a text in: what the device now holds, printed, and what it left out."""

    text: str
    skipped: tuple[SkippedLine, ...] = ()


Interpreter = Callable[[str, str | None], Loaded]
"""Text and `skip_line` fault to outcome. Raises Refused."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    quoted: bool = False

    def __str__(self) -> str:
        if self.quoted or not self.text or re.search(r'[\s"\\]', self.text):
            return '"' + self.text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return self.text


# -- legacy ----------------------------------------------------------------------------------------------


def load_legacy(text: str, skip_line: str | None = None) -> Loaded:
    """Take a whole legacy text in, replacing what was there.

    Printed in the device's fixed order of groups; within a group in the order given, because filters, routes
    and classes mean it.
    """
    held: dict[str, tuple[_Word, ...]] = {}
    skipped: list[SkippedLine] = []
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not (skip_line and skip_line in line)
    ]
    for number, line in lines:
        try:
            words = _words(line)
            _check_legacy(words)
        except ValueError as error:
            skipped.append(SkippedLine(number, line, str(error)))
        else:
            _hold(held, words)
    skipped += _drop_dependants(held, lines)
    order = {group: at for at, group in enumerate(_GROUPS)}
    printed = sorted(held.values(), key=lambda words: order[words[0].text])
    return Loaded(
        "".join(" ".join(map(str, words)) + "\n" for words in printed),
        tuple(sorted(skipped, key=lambda each: each.line)),
    )


def _words(line: str) -> tuple[_Word, ...]:
    if len(line) > LINE_CHARACTERS:
        raise ValueError(f"more than {LINE_CHARACTERS} characters")
    words = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        found = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"]+)(?=\s|$)').match(line, at)
        if found is None:
            raise ValueError("quotes are not closed")
        quoted = found[1] is not None
        words.append(_Word(re.sub(r"\\(.)", r"\1", found[1]) if quoted else found[2], quoted))
        at = found.end()
    if len(words) > LINE_WORDS:
        raise ValueError(f"more than {LINE_WORDS} words")
    return tuple(words)


def _check_legacy(words: tuple[_Word, ...]) -> None:
    if words[0].text not in _GROUPS or words[0].quoted:
        raise ValueError(f"unknown command {words[0].text}")
    if len(words) < 2 or (words[-1].text == "add" and not words[-1].quoted):
        raise ValueError("incomplete command")


def _hold(held: dict[str, tuple[_Word, ...]], words: tuple[_Word, ...]) -> None:
    plain = [word.text for word in words]
    if "delete" in plain[1:-1]:
        at = plain.index("delete")
        held.pop(" ".join([*plain[:at], "add", plain[at + 1]]), None)
        return
    held[_key(plain)] = words


def _key(plain: list[str]) -> str:
    """What a statement is about. `route add`, `nat … add` and addresses may repeat; named objects may not."""
    if "add" in plain[1:-1]:
        at = plain.index("add")
        if plain[0] in {"route", "route6", "nat", "nat6"} or plain[:1] == ["interface"]:
            return " ".join(plain)
        return " ".join(plain[: at + (3 if plain[0] == "vrrp" else 2)])  # `add vrid <n>`
    found = _SINGLE.match(" ".join(plain))
    return found[0] if found else " ".join(plain)


_DEPENDS = (
    (re.compile(r"^interface \S+ ppp-configuration (\S+)"), "ppp add {}"),
    (re.compile(r"^ike peer add .* proposals (\S+)"), "ike proposal add {}"),
    (
        re.compile(r"^ipsec security-association add .* ike (\S+)"),
        "ipsec security-association proposal add {}",
    ),
    (
        re.compile(r"^ipsec security-policy add \S+ security-association (\S+)"),
        "ipsec security-association add {}",
    ),
    (re.compile(r"^cbq class add \S+ parent (?!root\b|default\b)(\S+)"), "cbq class add {}"),
    (re.compile(r"^cbq filter add \S+ class (?!root\b|default\b)(\S+)"), "cbq class add {}"),
    (re.compile(r"^vrrp .* watch (\S+)"), "vrrp watch-group add {}"),
)


def _drop_dependants(held: dict[str, tuple[_Word, ...]], lines: list[tuple[int, str]]) -> list[SkippedLine]:
    """Remove statements that name something which is not there, until none does."""
    skipped: list[SkippedLine] = []
    while True:
        needed = {key: _missing(" ".join(word.text for word in words), held) for key, words in held.items()}
        lost = [key for key, missing in needed.items() if missing]
        if not lost:
            return skipped
        for key in lost:
            words = [word.text for word in held.pop(key)]
            number, line = next((n, t) for n, t in lines if [w.text for w in _quiet_words(t)] == words)
            skipped.append(SkippedLine(number, line, f"depends on {needed[key]}, which does not exist"))


def _quiet_words(line: str) -> tuple[_Word, ...]:
    try:
        return _words(line)
    except ValueError:
        return ()


def _missing(statement: str, held: dict[str, tuple[_Word, ...]]) -> str | None:
    for pattern, needed in _DEPENDS:
        found = pattern.match(statement)
        if found and needed.format(found[1]) not in held:
            return needed.format(found[1])
    return None


# -- recipe ----------------------------------------------------------------------------------------------

_KEY = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*")


def load_recipe(text: str, skip_line: str | None = None) -> Loaded:
    """Take a whole recipe text in, or none of it.

    Keys print in the order given; a key that comes twice keeps its place and its last value.
    Raises Refused with the line for anything that is no `key: value`.
    """
    held: dict[str, _Word] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or (skip_line and skip_line in line):
            continue
        key, colon, value = line.strip().partition(":")
        if not colon or not value[:1].isspace() or _KEY.fullmatch(key) is None:
            raise Refused(number, "not `key: value`")
        try:
            words = _words(value)
        except ValueError as error:
            raise Refused(number, str(error)) from error
        if len(words) != 1:
            raise Refused(number, "a value with blanks needs quotes" if words else "no value")
        held[key] = words[0]
    return Loaded("".join(f"{key}: {value}\n" for key, value in held.items()))


def load_update_firmware(text: str, skip_line: str | None = None) -> Loaded:
    """Module 1 of the legacy families: an indented key form under `config:` (devices-seil §9.1)."""
    kept = [line.rstrip() for line in text.splitlines() if not (skip_line and skip_line in line)]
    for number, line in enumerate(kept, 1):
        if "\t" in line:
            raise Refused(number, "tabulator in the indentation")
        if line and not re.fullmatch(r" *(?:- )?[a-z][a-z0-9-]*:(?: .*)?", line):
            raise Refused(number, "not `key: value`")
    first = next((line for line in kept if line), "config:")
    if first != "config:":
        raise Refused(1, "does not begin with `config:`")
    return Loaded("".join(line + "\n" for line in kept))


def host_name(text: str) -> str:
    """Host name in a text of either family; empty when it sets none."""
    found = re.search(r'^hostname:? +"?([^"\s]*)"?\s*$', text, re.MULTILINE)
    return found[1] if found else ""
