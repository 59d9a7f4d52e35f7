"""Where secrets stand in FortiOS text (devices-ios-fortios §B.4)."""

from __future__ import annotations

import re
from typing import Final

from drivers.dialects.secrets import mask_common
from inventory.secrets import MASK

SECRET_NAME: Final = re.compile(
    r"(?!.*public).*(?:password|passwd|pwd|passphrase|secret)\d*|(?!.*public)(?:.*-)?(?:token|pin|key\d*)|psk.*"
    r"|(?:auth|enc|shared)key|keytab|key-string|auth-string|activation-code|seed|.*password-l[12]|community",
    re.IGNORECASE,
)
"""Names of settings whose value is a secret."""
_MAY_HOLD: Final = re.compile(r"(?:http-)?headers", re.IGNORECASE)
"""Names of settings that may hold one among other things: masked for people, compared as they are."""

_VALUE: Final = r"""(?:"(?:[^"\\]|\\.)*(?:"|\Z)|'[^']*(?:'|\Z)|\\.|[^\n"'\\])*"""
_SETTING: Final = re.compile(
    rf"(\b(?:set|append|select)[ \t]+(?P<name>[^ \t\r\n\"']+|\"[^\"\r\n]*\")[ \t])(?P<value>{_VALUE})", re.DOTALL
)
_ENCODED: Final = re.compile(r"(\bENC[ \t]+)(?:\"[^\"]*(?:\"|\Z)|[^ \t\r\n]+)")
_BACKUP_KEY: Final = re.compile(r"(#private-encryption-key=)[^\r\n]*")
_COMMUNITIES: Final = re.compile(r"[ \t]*config[ \t]+system[ \t]+snmp[ \t]+community\b")
_NAME: Final = re.compile(r"(\b(?:set[ \t]+)?name[ \t]+)\S.*?(?=\r?$)")
_HEADERS: Final = re.compile(r"[ \t]*config[ \t]+http-headers\b")
_HEADER: Final = re.compile(r"(\b(?:set[ \t]+)?value[ \t]+)\S.*?(?=\r?$)")


def redact(text: str) -> str:
    """Mask every secret in FortiOS text, quoted values over several lines and cut ones included."""
    text = _SETTING.sub(_mask_secret, text)
    text = _BACKUP_KEY.sub(rf"\g<1>{MASK}", _ENCODED.sub(rf"\g<1>{MASK}", text))
    text = _mask_in_table(_mask_in_table(text, _COMMUNITIES, _NAME), _HEADERS, _HEADER)
    return mask_common(text)


def _mask_secret(setting: re.Match[str]) -> str:
    name = setting["name"].strip('"')
    if not (SECRET_NAME.fullmatch(name) or _MAY_HOLD.fullmatch(name)):
        return setting[0]
    kind = "ENC " if setting["value"].lstrip(" \t").startswith("ENC ") else ""
    line_end = "\r" if setting["value"].endswith("\r") else ""
    return f"{setting[1]}{kind}{MASK}{line_end}"


def _mask_in_table(text: str, table: re.Pattern[str], setting: re.Pattern[str]) -> str:
    """The name of an SNMP community and the value of an HTTP header are secrets by the table that they stand in."""
    if not table.search(text):
        return text
    lines = text.split("\n")
    depth = 0
    for i, line in enumerate(lines):
        if table.match(line):
            depth = 1
        elif depth:
            first = line.split(None, 1)[:1]
            depth += (first == ["config"]) - (first == ["end"])
            lines[i] = setting.sub(rf"\g<1>{MASK}", line)
    return "\n".join(lines)
