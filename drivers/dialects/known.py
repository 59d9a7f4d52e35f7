"""Secrets that are known from a configuration, and their masking wherever else they turn up.

A dialect masks what looks like a secret where a configuration holds one. Other output of a device (a status, a log, a
dump) may show the same secret in any shape, so there the secrets themselves are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from drivers.dialects import Dialect
from inventory.secrets import MASK

SHORTEST: Final = 4
"""Shorter secrets are not looked for: masking every `1` would leave nothing to read, and tell the secret."""


def secrets_in(dialect: Dialect, text: str) -> frozenset[str]:
    """The secrets of a configuration: what `redact` takes out of it, in each spelling that a device may show it in."""
    shown = dialect.redact(text)
    if MASK not in shown or MASK in text:
        return frozenset()
    head, *rest = shown.split(MASK)
    found: set[str] = set()
    begin = len(head)
    for number, kept in enumerate(rest, 1):
        if not kept and number < len(rest):
            continue  # two masks side by side: they are taken as one
        # What lies between two pieces that were kept was masked; after the last mask the text may end.
        at = text.find(kept, begin) if kept else len(text)
        if at < 0:
            break
        found.update(_spellings(text[begin:at]))
        begin = at + len(kept)
    return frozenset(one for one in found if len(one) >= SHORTEST)


def mask_known(text: str, secrets: Iterable[str]) -> str:
    """`text` with each of these secrets masked, the longest first."""
    wanted = sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True)
    if not wanted:
        return text
    return re.sub("|".join(map(re.escape, wanted)), MASK, text)


def _spellings(secret: str) -> set[str]:
    """With and without its quotes and escapes; of a secret over several lines each line; each also as ARMS text tells
    it, with `?` for every octet beyond ASCII (arms-protocol §6.0)."""
    bare = secret.strip()
    if bare[:1] == '"':
        bare = bare[1:].removesuffix('"')
    plain = re.sub(r"\\(.)", r"\1", bare)
    lines = {line.strip() for line in secret.splitlines() if len(line.strip()) >= 16}
    found = {secret.strip(), bare, plain} | lines
    return found | {told for told in map(_as_told, found) if told.strip("?")}


def _as_told(text: str) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    return bytes(octet if octet < 0x80 else 0x3F for octet in octets).decode("ascii")
