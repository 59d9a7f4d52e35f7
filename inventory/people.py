"""Who works with the controller: people of the provider, and of companies that work is delegated to (SMF-18)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from inventory.errors import RuleViolation

_HOLDER: Final = re.compile(r"key \d+ \((.*)\)", re.DOTALL)


def actor(number: int, name: str, company: str | None) -> str:
    """What the audit shows of the holder of API key `number`: its name, and the company it works for."""
    return f"key {number} ({name}{f', {company}' if company else ''})"


def same_person(one: str, other: str) -> bool:
    """Whether two actors are one person: several keys of one name, as while a key is renewed, are in one hand."""
    return _holder(one) == _holder(other)


def _holder(of: str) -> str:
    found = _HOLDER.fullmatch(of)
    return unicodedata.normalize("NFKC", found[1] if found else of).casefold()


def require_delegation(company: str, *, ended: bool) -> None:
    """Raises RuleViolation unless work is delegated to the company still: nobody begins to work for one that ended."""
    if ended:
        raise RuleViolation(
            f"no work is delegated to {company} any more",
            rule="SMF-18",
            field="company",
            next_step="Name a company that work is delegated to, or name this one anew.",
        )
