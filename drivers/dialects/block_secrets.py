"""Where secrets stand in FortiOS text (devices-ios-fortios §B.4)."""

from __future__ import annotations

import re
from typing import Final

from drivers.dialects.secrets import mask_common
from inventory.secrets import MASK

SECRET_NAME: Final = re.compile(
    r"(?!.*public).*(?:password|passwd|pwd|passphrase|secret)\d*|(?!.*public)(?:.*-)?(?:token|pin|key\d*)|psk.*"
    r"|(?:auth|enc|shared)key|keytab|key-string|seed|.*password-l[12]|community",
    re.IGNORECASE,
)
"""Names of settings whose value is a secret."""

_VALUE: Final = r"""(?:"(?:[^"\\]|\\.)*(?:"|\Z)|'[^']*(?:'|\Z)|\\.|[^\n"'\\])*"""
_SETTING: Final = re.compile(
    rf"(\b(?:set|append|select)[ \t]+(?P<name>[^ \t\r\n\"']+|\"[^\"\r\n]*\")[ \t])(?P<value>{_VALUE})", re.DOTALL
)
_ENCODED: Final = re.compile(r"(\bENC[ \t]+)(?:\"[^\"]*(?:\"|\Z)|[^ \t\r\n]+)")
_BACKUP_KEY: Final = re.compile(r"(#private-encryption-key=)[^\r\n]*")
_COMMUNITIES: Final = re.compile(r"[ \t]*config[ \t]+system[ \t]+snmp[ \t]+community\b")
_NAME: Final = re.compile(r"(\b(?:set[ \t]+)?name[ \t]+)\S.*?(?=\r?$)")


def redact(text: str) -> str:
    """Mask every secret in FortiOS text, quoted values over several lines and cut ones included."""
    text = _SETTING.sub(_mask_secret, text)
    text = _BACKUP_KEY.sub(rf"\g<1>{MASK}", _ENCODED.sub(rf"\g<1>{MASK}", text))
    return mask_common(_mask_communities(text))


def _mask_secret(setting: re.Match[str]) -> str:
    if not SECRET_NAME.fullmatch(setting["name"].strip('"')):
        return setting[0]
    kind = "ENC " if setting["value"].lstrip(" \t").startswith("ENC ") else ""
    line_end = "\r" if setting["value"].endswith("\r") else ""
    return f"{setting[1]}{kind}{MASK}{line_end}"


def _mask_communities(text: str) -> str:
    """The name of an SNMP community is its secret; it is a name like any other but for the table it stands in."""
    lines = text.split("\n")
    depth = 0
    for i, line in enumerate(lines):
        if _COMMUNITIES.match(line):
            depth = 1
        elif depth:
            first = line.split(None, 1)[:1]
            depth += (first == ["config"]) - (first == ["end"])
            lines[i] = _NAME.sub(rf"\g<1>{MASK}", line)
    return "\n".join(lines)
