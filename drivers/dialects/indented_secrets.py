"""Where secrets stand in IOS text: masking for people, and type 7 made comparable (devices-ios-fortios §A.7)."""

from __future__ import annotations

import re
from typing import Final

from drivers.dialects.secrets import fingerprint, mask_common
from inventory.secrets import MASK

_B: Final = r"[ \t]+"
_TYPE: Final = rf"(?:(?:\d|encrypted|clear|hex|ascii){_B})*"
_TO_END: Final = r"[^ \t\r\n][^\r\n]*"
_ONE_WORD: Final = r"(?:\"[^\"\r\n]*\"?|[^ \t\r\n]+)"


def _after(words: str, value: str, *, start: str = r"(?<![\w-])") -> re.Pattern[str]:
    return re.compile(rf"({start}(?:{words}){_B}{_TYPE}){value}", re.IGNORECASE | re.MULTILINE)


_MASKED: Final = rf"\g<1>{MASK}"
_RULES: Final = (
    # A password may hold blanks, so all to the end of the line is taken.
    _after(
        rf"(?:pre-)?shared-(?:key|secret)(?:{_B}(?:local|remote))?|(?:\w+-)*(?:password|secret|passphrase)"
        rf"(?!{_B}encryption{_B}aes\b)|passcode|key-string|auth(?:entication)?-key|server-key|private-key|api-key"
        rf"|(?:id)?token|wpa-psk|psk|pac|tcp-md5-auth|pre-share{_B}key|sap{_B}pmk|static-wep-key{_B}encryption{_B}\d+"
        rf"|hash-algo{_B}\S+{_B}key|mab{_B}request{_B}format{_B}attribute{_B}2|authentication{_B}mode{_B}hmac-\S+",
        _TO_END,
    ),
    _after(rf"message-digest-key{_B}\d+{_B}\S+|password-encrypt|authentication{_B}(?:text|string)", _TO_END),
    # `key 1` of a key chain is a number; anything longer may be the key of a server.
    _after(
        rf"(?:[+-][ \t]*)?(?:no{_B})?key(?!{_B}(?:chain|config-key)\b|{_B}\d{{1,2}}[ \t]*$)", _TO_END, start=r"^[ \t]*"
    ),
    _after(rf"encryption{_B}(?:vlan{_B}\S+{_B})?(?:key|mode){_B}\d+{_B}size{_B}\S+", _TO_END),
    _after(rf"(?:authentication|encryption){_B}ipsec{_B}spi{_B}\d+", _TO_END),
    _after(rf"session-key{_B}(?:in|out)bound{_B}(?:ah|esp){_B}\d+", _TO_END),
    # Whatever the command: what is encoded as type 7 at the end of a line, or hashed.
    re.compile(r"([ \t]7[ \t]+)\d\d(?:[0-9A-F]{2}){3,}(?=[ \t]*\r?$)", re.IGNORECASE | re.MULTILINE),
    re.compile(r"([ \t])\$(?:1|5|6|8|9|14|2[aby])\$[^ \t\r\n]+"),
    _after(r"(?<!set )(?<!match )(?<!bgp )(?:snmp-)?community", _ONE_WORD),
    _after(rf"auth{_B}(?:md5|sha-2{_B}\d+|sha(?!-2{_B})(?:-?\d+)?)", _ONE_WORD),
    # The phrase that opens or closes a private key in PEM, and a variable whose name says that it is one.
    _after(rf"crypto{_B}(?:key|pki){_B}(?:im|ex)port{_B}.*?\bpem{_B}(?:terminal|url{_B}\S+)(?:{_B}3?des)?", _TO_END),
    _after(rf"event{_B}manager{_B}environment{_B}\S*(?:pass|pw|secret|token|key)\S*", _TO_END),
    _after(rf"priv{_B}(?:des|3des|aes{_B}(?:128|192|256)|aes(?!{_B}(?:128|192|256)\b))", _ONE_WORD),
    _after(rf"(?:nhrp|(?:standby|vrrp|glbp)(?:{_B}\d+)?){_B}authentication(?!{_B}(?:md5|text)\b)", _ONE_WORD),
    _after(
        rf"snmp-server{_B}host{_B}\S+(?:{_B}vrf{_B}\S+)?(?:{_B}(?:traps?|informs?))?"
        rf"(?:{_B}version{_B}(?:v?1|v?2c|v?3{_B}(?:noauth|auth|priv)))?",
        _ONE_WORD,
    ),
)

_PEER: Final = re.compile(
    r"(?<![\w-])(?:(?:radius|tacacs)(?:-server)?|server|server-private|client|keyring|isakmp|address|ldap)\b",
    re.IGNORECASE,
)
_KEY_OF_PEER: Final = re.compile(
    rf"({_B}key(?!{_B}(?:chain|generate|pubkey-chain|config-key)\b){_B}{_TYPE}){_TO_END}", re.IGNORECASE
)
_WORDS: Final = re.compile(
    r"pass|secret|key|mab |pem |environment|token|psk|pac|pmk|hmac|auth|encryption|spi|community|priv|snmp|\$"
    r"| 7 |\t7|7\t"
)
"""Most lines hold none of these, and so nothing that the rules look for."""

_REVERSIBLE: Final = re.compile(
    r"(?P<head>(?:^|.*[ ])(?:password|key-string|server-key|(?:authentication-)?key|md5|auth-key))"
    r"[ ]+(?:(?P<type>[07])[ ]+)?(?P<value>[^\s‹]\S*)",
    re.IGNORECASE,
)
_HEADS: Final = frozenset({"password", "key-string", "server-key", "key", "authentication-key", "md5", "auth-key"})
_TYPE7_TABLE: Final = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"


def redact(text: str) -> str:
    """Mask every secret in IOS text; the kind (`7`, `9`) stays readable."""
    text = mask_common(text)
    folded = text.casefold()  # of as many lines
    lines: list[str] = []
    at = line = 0
    done = -1
    for found in _WORDS.finditer(folded):
        lines = lines or text.split("\n")
        line += folded.count("\n", at, found.start())
        at = found.start()
        if line > done:
            lines[line] = _masked(lines[line])
            done = line
    return "\n".join(lines) if lines else text


def _masked(line: str) -> str:
    peer = _PEER.search(line)
    if peer:
        line = line[: peer.end()] + _KEY_OF_PEER.sub(_MASKED, line[peer.end() :])
    for rule in _RULES:
        line = rule.sub(_MASKED, line)
    return line


def decode_type7(code: str) -> str | None:
    """Clear text of a type 7 password; None if `code` is not one."""
    if not re.fullmatch(r"\d\d(?:[0-9A-Fa-f]{2})*", code):
        return None
    salt, octets = int(code[:2]), bytes.fromhex(code[2:])
    clear = bytes(octet ^ _TYPE7_TABLE[(salt + i) % len(_TYPE7_TABLE)] for i, octet in enumerate(octets))
    return clear.decode("utf-8", "surrogateescape")


def comparable(text: str) -> str:
    """`text` with a clear or type 7 secret at its end replaced by a fingerprint of the clear text.

    Type 7 is re-encoded with another salt on each reading, and a device with password encryption shows type 7 for what
    was sent in clear. Hashed secrets (5, 8, 9) stay as they are.
    """
    if _HEADS.isdisjoint(text.lower().split()[-3:]):
        return text
    found = _REVERSIBLE.fullmatch(text)
    if not found or re.fullmatch(r"key[ ]+\d{1,2}", text):
        return text
    clear = decode_type7(found["value"]) if found["type"] == "7" else found["value"]
    return text if clear is None else f"{found['head']} 7 {fingerprint(clear)}"
