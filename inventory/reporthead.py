"""What every report carries, whatever it shows: id, period, versions, state, and how it is encoded (§8.2).

Same inputs, same bytes: the instant of making is an input, and nothing else is read from a clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.metering import RULE_VERSION
from inventory.periods import Period, Span
from inventory.reporting import Kind

SCHEMA = 2
"""Version of the JSON; `docs/reports.md` describes it."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Correction:
    """A report that replaces one that was final, because late data changed what it shows (§8.4)."""

    number: int
    replaces: str
    """Id of the report before it."""
    changed: tuple[Mapping[str, object], ...]
    """Cells that changed: where, column, old, new."""


@dataclass(frozen=True, slots=True)
class ReportHead:
    """What names a report."""

    id: str
    kind: Kind
    subject: Mapping[str, object]
    """What it is about: keys and names."""
    audience: str
    """Whose report it is: `K-3`, or `operator`."""
    period: Period
    span: Span
    made_ms: int
    data_as_of_ms: int | None
    """Time of the newest slot revision in it; None: it has no data."""
    final: bool
    """Whether every slot of the period was final when it was made."""
    correction: Correction | None = None


def envelope(head: ReportHead, changes: Sequence[Mapping[str, object]], **content: object) -> Json:
    """The report as JSON-ready values; `changes` is its first page."""
    span, correction = head.span, head.correction
    return {
        "schema": SCHEMA,
        "report": head.id,
        "kind": head.kind.value,
        "subject": dict(head.subject),
        "audience": head.audience,
        "period": {
            "kind": head.period.value,
            "first_day": span.first.isoformat(),
            "last_day": span.days[-1].isoformat(),
            "zone": span.zone,
            "start_ms": span.start_ms,
            "end_ms": span.end_ms,
            "slots": span.slots,
        },
        "made_ms": head.made_ms,
        "data_as_of_ms": head.data_as_of_ms,
        "state": "final" if head.final else "provisional",
        "rule_version": RULE_VERSION,
        "correction": None
        if correction is None
        else {
            "number": correction.number,
            "replaces": correction.replaces,
            "changed": [dict(one) for one in correction.changed],
        },
        "changes": [dict(one) for one in changes],
        **content,
    }


def encode(report: Json) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, one line feed at the end."""
    text = json.dumps(report, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def digest(encoded: bytes) -> str:
    """SHA-256 of the JSON; all other formats carry it."""
    return hashlib.sha256(encoded).hexdigest()
