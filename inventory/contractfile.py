"""Contracts as a CSV file: one row a line or option; rows with one `application` were concluded together.

The date of conclusion and the billing start date are the original ones: no import starts a new minimum period, and each
row is told which rule on earlier terms reaches it (service-terms §2.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal, get_args

from inventory.applications import Wanted, require_complete
from inventory.calendar import parse_day
from inventory.catalogue import CLASSES, DeviceClass, Service
from inventory.csvrows import CsvRow, RowFault, fault, read
from inventory.errors import BadInput, FleetError, RuleViolation
from inventory.fees import KINDS
from inventory.optionrules import TRANSITIONS, transitional
from inventory.pricefile import contractor_number
from inventory.slots import parse_key

REQUIRED: Final = ("application", "contractor", "service", "concluded", "billing_start", "kind")
OPTIONAL: Final = (
    "form",
    "name",
    "classes",
    "entries",
    "standbys",
    "management",
    "class",
    "model",
    "serial_number",
    "on",
    "site",
    "plan",
    "network_type",
    "group",
    "packs_gb",
)
OldService = Literal["mpc", "smfsx", "smf"]
"""`smf`: the SMF service of before 2011-04-01 (SMF-S2011-04.2)."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One line or option of a file."""

    row: CsvRow
    wanted: Wanted
    serial_number: str | None
    rules: tuple[str, ...]
    """Rules on earlier terms that reach it."""


@dataclass(frozen=True, slots=True)
class ImportApplication:
    """Rows that were concluded together."""

    label: str
    contractor_id: int
    service: Service
    concluded: date
    billing_start: date
    form: str
    rows: tuple[ImportRow, ...] = ()


def parse(text: str, today: date) -> tuple[tuple[ImportApplication, ...], tuple[RowFault, ...]]:
    """The applications of a file and what is wrong with its other rows. Raises BadInput for a file that cannot be read
    as rows at all."""
    found: dict[str, ImportApplication] = {}
    faults: list[RowFault] = []
    for row in read(text, REQUIRED, OPTIONAL):
        try:
            head, one = _row(row, today)
            known = found.setdefault(head.label, head)
            if _same(known) != _same(head):
                raise BadInput(
                    f"application {head.label} has another contractor, service, day or form in an earlier row",
                    field="application",
                    next_step="Give rows that were concluded together the same; others another application.",
                )
            found[head.label] = replace(known, rows=(*known.rows, one))
        except FleetError as error:
            faults.append(fault(row, error))
    return tuple(one for one in found.values() if one.rows), tuple(faults)


def _same(one: ImportApplication) -> tuple[object, ...]:
    return one.contractor_id, one.service, one.concluded, one.billing_start, one.form


def _row(row: CsvRow, today: date) -> tuple[ImportApplication, ImportRow]:
    row.require_whole()
    concluded, start = parse_day(row["concluded"], "concluded"), parse_day(row["billing_start"], "billing_start")
    if concluded > today:
        raise BadInput(f"{concluded} is still to come", field="concluded", next_step="Import it when it is concluded.")
    if not row["application"]:
        raise BadInput("the application has no name", field="application", next_step="Give a name or number.")
    service, rules = _service(row, concluded, today)
    wanted = _wanted(row)
    require_complete_row(service, wanted)
    if wanted.kind == "mobile-access":
        wanted, more = _network_type(wanted, concluded, today)
        rules = (*rules, *more)
    head = ImportApplication(
        row["application"],
        contractor_number(row["contractor"]),
        service,
        concluded,
        start,
        row["form"] or f"imported, application {row['application']}",
    )
    of_line = None if wanted.serial_number else row["serial_number"] or None
    return head, ImportRow(row, wanted, of_line, rules)


def _service(row: CsvRow, concluded: date, today: date) -> tuple[Service, tuple[str, ...]]:
    """The service as it is today, and the rule that says so."""
    if row["service"] not in get_args(OldService):
        raise BadInput(
            f"{row['service'][:40]!r} is no service",
            field="service",
            next_step="Write mpc, smfsx or smf (before 2011).",
        )
    if row["service"] == "smfsx":
        return "smfsx", ()
    becomes = transitional(row["service"], concluded, today)
    rule = TRANSITIONS[row["service"]].rule
    if row["service"] == "smf":
        if becomes is None:
            raise RuleViolation(
                f"the SMF service was not concluded any more on {concluded}",
                rule=rule,
                field="service",
                next_step="Write smfsx, or correct the day of conclusion.",
            )
        return "smfsx", (rule,)
    return "mpc", (rule,) if becomes else ()


def _network_type(wanted: Wanted, concluded: date, today: date) -> tuple[Wanted, tuple[str, ...]]:
    becomes = transitional("mobile-access", concluded, today)
    if becomes is None:
        return wanted, ()
    rule = TRANSITIONS["mobile-access"].rule
    if wanted.network_type not in (None, becomes):
        raise RuleViolation(
            f"it is {becomes} from {TRANSITIONS['mobile-access'].first_day} on, not {wanted.network_type}",
            rule=rule,
            field="network_type",
            next_step="Leave it out, and record a later change as a change.",
        )
    return replace(wanted, network_type=becomes), (rule,)


def _wanted(row: CsvRow) -> Wanted:
    if row["kind"] not in KINDS:
        raise BadInput(f"{row['kind'][:40]!r} is no kind", field="kind", next_step=f"One of {', '.join(KINDS)}.")
    classes = tuple(_class(one, "classes") for one in row["classes"].replace("+", " ").split())
    return Wanted(
        row["kind"],
        name=row["name"],
        classes=classes,
        entries=_count(row, "entries"),
        standbys=_count(row, "standbys"),
        device_class=_class(row["class"], "class") if row["class"] else None,
        model=row["model"] or None,
        management_id=_management(row["management"]) if row["management"] else None,
        on=row["on"] or None,
        serial_number=(row["serial_number"] or None) if row["kind"] == "ultra-firewall" and not row["on"] else None,
        site=row["site"] or None,
        plan=row["plan"] or None,
        network_type=row["network_type"] or None,
        group=row["group"] or None,
        packs_gb=_count(row, "packs_gb"),
    )


def require_complete_row(service: Service, wanted: Wanted) -> None:
    """As `require_complete`, with the column of the file. Raises BadInput."""
    try:
        require_complete(service, wanted, "row")
    except BadInput as error:
        error.field = column_of(error.field)
        raise


def column_of(place: str | None) -> str | None:
    """The column that a field of an application stands in."""
    name = (place or "").rpartition(".")[2]
    return {"device_class": "class", "management_id": "management"}.get(name, name) or None


def _class(text: str, column: str) -> DeviceClass:
    if text not in CLASSES:
        raise BadInput(f"{text[:20]!r} is no device class", field=column, next_step="Write I, II or III.")
    return text


def _count(row: CsvRow, column: str) -> int | None:
    text = row[column]
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise BadInput(f"{text[:40]!r} is no whole number", field=column, next_step="Write digits only.")
    return int(text)


def _management(key: str) -> int:
    kind, number = parse_key(key)
    if kind != "M":
        raise BadInput(f"{key[:24]!r} is no management", field="management", next_step="Write a key such as M-12.")
    return number
