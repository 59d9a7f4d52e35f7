"""Past readings as NDJSON become typed readings, or one error that names every wrong line and field.

A line: `{"entry":"E-1","interface":"ge0","at":"2026-10-18T00:00:00Z","in_octets":0,"out_octets":0}`, with `at_ms`
in place of `at`, and `counter_bits` (32 or 64), `uptime_cs`, `in_packets`, `out_packets`, `out_drops`, `in_errors`,
`out_errors`, `up` (true or false), `source` ("import") if wanted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.store.traffic import Kept
from inventory.errors import BadInput
from inventory.links import Link
from inventory.periods import instant_ms
from inventory.slots import parse_key

MAX_LINES = 200_000
MAX_LINE_BYTES = 4_096
MAX_BYTES = 64 * 1024 * 1024
SHOWN_ERRORS = 100
AHEAD_MS = 60_000
"""How far a reading may lie in the future of the controller's clock."""
FIELDS = frozenset(
    {"entry", "interface", "at", "at_ms", "in_octets", "out_octets", "counter_bits", "uptime_cs", "source"}
    | {"in_packets", "out_packets", "out_drops", "in_errors", "out_errors", "up"}
)


@dataclass(frozen=True, slots=True)
class WrongLine:
    """What is wrong with one line, counted from 1; `field` None: with the line as a whole."""

    line: int
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One reading to import. The link is not looked up yet."""

    number: int
    entry_id: int
    interface: str
    reading: Kept


class _Wrong(Exception):
    """A field of the line at hand does not hold what it must."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


async def split_lines(chunks: AsyncIterator[bytes] | bytes) -> list[bytes]:
    """Lines of a body, however it is cut into chunks. Raises BadInput for too many, or for one that is too long."""
    lines: list[bytes] = []
    rest, size = b"", 0
    async for chunk in _chunks(chunks):
        size += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        lines += whole
        if len(rest) > MAX_LINE_BYTES or len(lines) > MAX_LINES or size > MAX_BYTES:
            break
    lines.append(rest)
    long = next((i for i, line in enumerate(lines, 1) if len(line) > MAX_LINE_BYTES), None)
    if long is not None:
        raise BadInput(
            f"line {long} is longer than {MAX_LINE_BYTES} bytes",
            next_step="Send one reading a line.",
            field=f"line {long}",
        )
    if len(lines) > MAX_LINES + 1 or size > MAX_BYTES:
        raise BadInput(
            f"more than {MAX_LINES} lines or {MAX_BYTES} bytes",
            next_step="Send them in several requests.",
            field=f"line {MAX_LINES + 1}",
        )
    return lines


async def _chunks(chunks: AsyncIterator[bytes] | bytes) -> AsyncIterator[bytes]:
    if isinstance(chunks, bytes):
        yield chunks
    else:
        async for chunk in chunks:
            yield chunk


def parse(lines: list[bytes], now_ms: int) -> tuple[list[ImportLine], list[WrongLine]]:
    """Readings of the lines and what is wrong with the others. Empty lines are skipped."""
    found: list[ImportLine] = []
    wrong: list[WrongLine] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(_line(number, line, now_ms))
        except _Wrong as error:
            wrong.append(WrongLine(number, error.field, error.message))
    return found, wrong


def _line(number: int, line: bytes, now_ms: int) -> ImportLine:
    try:
        given = json.loads(line, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise _Wrong(None, f"is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise _Wrong(None, "is not a JSON object")
    for name in given:
        if name not in FIELDS:
            raise _Wrong(name, "is not a field of a reading")
    t_ms = _instant(given)
    if t_ms > now_ms + AHEAD_MS:
        raise _Wrong("at_ms" if "at_ms" in given else "at", "lies in the future")
    bits = given.get("counter_bits", 64)
    if bits not in (32, 64) or isinstance(bits, bool | float):
        raise _Wrong("counter_bits", "is neither 32 nor 64")
    if given.get("source", "import") != "import":
        raise _Wrong("source", "is not “import”; what is imported is named so")
    reading = Kept(
        t_ms=t_ms,
        in_octets=_count(given, "in_octets", bits),
        out_octets=_count(given, "out_octets", bits),
        source="import",
        counter_bits=32 if bits == 32 else 64,
        uptime_cs=None if given.get("uptime_cs") is None else _count(given, "uptime_cs", 63),
        in_packets=_maybe(given, "in_packets"),
        out_packets=_maybe(given, "out_packets"),
        out_drops=_maybe(given, "out_drops"),
        in_errors=_maybe(given, "in_errors"),
        out_errors=_maybe(given, "out_errors"),
        up=_state(given),
    )
    return ImportLine(number, _entry(given), _interface(given), reading)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object. Of two values under one name nobody knows which was meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Wrong(next(name for name in names if names.count(name) > 1), "stands there twice")
    return found


def _instant(given: Mapping[str, object]) -> int:
    if ("at" in given) == ("at_ms" in given):
        raise _Wrong("at", "is missing; give either at or at_ms" if "at" not in given else "stands beside at_ms")
    if "at_ms" in given:
        return _count(given, "at_ms", 48)
    text = given["at"]
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Wrong("at", "is no instant with an offset, such as 2026-10-18T00:00:00Z")
    t_ms = instant_ms(moment)
    if t_ms < 0:
        raise _Wrong("at", "lies before 1970")
    return t_ms


def _count(given: Mapping[str, object], field: str, bits: int) -> int:
    value = given.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < (1 << bits):
        raise _Wrong(field, f"is missing or no whole number from 0 to {(1 << bits) - 1}")
    return value


def _maybe(given: Mapping[str, object], field: str) -> int | None:
    return None if given.get(field) is None else _count(given, field, 64)


def _state(given: Mapping[str, object]) -> bool | None:
    value = given.get("up")
    if value is None or isinstance(value, bool):
        return value
    raise _Wrong("up", "is neither true nor false")


def _entry(given: Mapping[str, object]) -> int:
    shown = given.get("entry")
    try:
        kind, number = parse_key(shown) if isinstance(shown, str) else (None, 0)
    except BadInput:
        kind, number = None, 0
    if kind != "E":
        raise _Wrong("entry", "is missing or no entry such as E-12")
    return number


def _interface(given: Mapping[str, object]) -> str:
    name = given.get("interface")
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable():
        raise _Wrong("interface", "is missing or no name of 1 to 64 characters")
    return name


def unlinked(lines: list[ImportLine], links: Mapping[tuple[int, str], Link]) -> list[WrongLine]:
    """Lines whose interface has no link in the caller's scope."""
    return [
        WrongLine(line.number, "interface", f"E-{line.entry_id} has no link {line.interface}")
        for line in lines
        if (line.entry_id, line.interface) not in links
    ]


def refused(wrong: list[WrongLine]) -> BadInput:
    """One error for all wrong lines; the first is in the message, up to a hundred in the facts."""
    wrong = sorted(wrong, key=lambda w: w.line)
    first = wrong[0]
    where = f"line {first.line}" + (f", field {first.field}" if first.field else "")
    more = f", and {len(wrong) - 1} more lines are wrong" if len(wrong) > 1 else ""
    return BadInput(
        f"{where} {first.message}{more}; nothing was imported",
        next_step="Correct the lines that are named and send all of them again.",
        field=where,
        facts={
            "wrong_lines": len(wrong),
            "errors": [{"line": w.line, "field": w.field, "message": w.message} for w in wrong[:SHOWN_ERRORS]],
        },
    )
