"""A secret is a type of its own, so that it cannot be printed by accident."""

from __future__ import annotations

import hmac
from typing import Final

MASK: Final = "‹masked›"


class Secret:
    """A password, key or passphrase. `repr`, `str` and formatting show a mask; `reveal()` is the one way in."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The clear text. Call it where the bytes leave the program, never before."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        """Constant-time comparison with another secret."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")
