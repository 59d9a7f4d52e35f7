"""What secrets look like in any dialect: private keys in PEM, and user names with passwords in addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from inventory.errors import BadInput
from inventory.secrets import MASK

_PEM: Final = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL | re.IGNORECASE
)
_USERINFO: Final = re.compile(r"(://)(?:[^\s/@\"']+(?=@)|[^\s/@\"':\[\]]+:(?!\d*(?:[^\w.~!$&*+=%-]|\Z))[^\s/@\"']+)")
"""What stands before the `@` of an address; also of one that was cut before it, where what follows `:` is no port."""


def mask_common(text: str) -> str:
    """Mask bodies of private keys (to the end of the text when cut) and who logs in at an address."""
    if "-----" in text:
        text = _PEM.sub(rf"\g<1>{MASK}\g<2>", text)
    return _USERINFO.sub(rf"\g<1>{MASK}", text) if "://" in text else text


def fingerprint(secret: str) -> str:
    """Stands for a secret where two are compared: equal for equal secrets, and not the secret."""
    return f"‹{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}›"


_MASKED: Final = re.compile(rf"{re.escape(MASK)}|‹[0-9a-f]{{16}}›")


_KEYS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""Control characters. A terminal takes them for keys (0x1A ends the configuration mode of IOS, 0x03 gives a line up,
0x7F takes a letter back), and XML, in which ARMS carries a text, has no spelling for most of them."""


def sendable(lines: Sequence[str]) -> tuple[str, ...]:
    """`lines`, if none of them holds a mask in place of a secret, and none a control character.

    Raises BadInput otherwise. With a mask, somebody pasted a redacted text, or handed a canonical tree on, and the
    device would take the mask for the secret.
    """
    for number, line in enumerate(lines, start=1):
        key = _KEYS.search(line)
        if key:
            raise BadInput(
                f"line {number} of the change holds the control character 0x{ord(key[0]):02X}, which is no text",
                field="intent",
                next_step="Take the character out; where the device has it already, take it out there by hand.",
            )
        if _MASKED.search(line):
            raise BadInput(
                f"line {number} of the change would send a mask in place of a secret",
                field="intent",
                next_step="Put the secret itself where the text has a mask.",
            )
    return tuple(lines)
