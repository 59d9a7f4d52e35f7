"""Digests of configurations that this process has read before: the same text need not be parsed again.

A push reads a device four times and compares each reading with two texts of its plan; most of these are the same text.
Only digests are remembered, of the text and of its canonical form: no configuration, and so no secret.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from typing import Final

from drivers import plan
from drivers.driver import Driver
from inventory.plans import ConfigText

MOST: Final = 8192
"""Texts remembered, about 200 octets each; the one that was asked for longest ago is forgotten first."""
_KNOWN: Final[OrderedDict[bytes, str]] = OrderedDict()


_HEAD: Final = re.compile(r"(?:!.*\n)+")


def digest(driver: Driver, config: ConfigText) -> str:
    """As `plan.digest`. Raises ConfigSyntax."""
    found = known(driver, config)
    return found if found is not None else learn(driver, config, plan.digest(driver, config))


def known(driver: Driver, config: ConfigText) -> str | None:
    """The digest of a text that was read before; None if it was not, or is forgotten."""
    key = _key(driver, config)
    found = _KNOWN.get(key)
    if found is not None:
        _KNOWN.move_to_end(key)
    return found


def learn(driver: Driver, config: ConfigText, digest: str) -> str:
    """Remember the `plan.digest` of a text, and return it."""
    _KNOWN[_key(driver, config)] = digest
    if len(_KNOWN) > MOST:
        _KNOWN.popitem(last=False)
    return digest


def _key(driver: Driver, config: ConfigText) -> bytes:
    whole = hashlib.sha256(driver.family.encode())
    for module, text in sorted(config.modules):
        octets = _body(driver, text).encode("utf-8", "surrogateescape")
        whole.update(f"\n{module} {len(octets)}\n".encode() + octets)
    return whole.digest()


def _body(driver: Driver, text: str) -> str:
    """A text without the comments that it begins with: IOS writes there when it was changed and saved last."""
    head = _HEAD.match(text) if driver.dialect == "indented" else None
    return text if head is None else text[head.end() :]
