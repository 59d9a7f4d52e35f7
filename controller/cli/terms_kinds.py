"""How each group of terms vectors is judged (service-terms §9): its fields, and the rule that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import partial
from typing import Final, TypeVar, cast

from controller.cli.terms_items import item_of
from inventory.amounts import Amount
from inventory.calendar import Month, parse_day, parse_instant
from inventory.catalogue import CLASSES, SERVICES, DeviceClass, Line, Service, model, offered, ultra_firewall_acts
from inventory.deadlines import (
    NoticeKind,
    claim_last_day,
    claimable_from,
    lost_from,
    minimum_period_end,
    notice_in_time,
    return_due,
    send_off_by,
    termination_effective,
)
from inventory.eligibility import obstacles
from inventory.errors import BadInput, RuleViolation
from inventory.fees import KINDS, Kind, Life, early_termination, line_fee, rental_early_termination, slot_fee
from inventory.invoices import invoice_due, invoice_total
from inventory.optionrules import (
    MOBILE_PLANS,
    Bound,
    ends_together,
    network_type_change,
    packs_change,
    plan_change,
    transitional,
)
from inventory.outages import Outage, credit
from inventory.slots import SlotKind, placement_allowed

Json = object
Text = TypeVar("Text", bound=str)
Judge = Callable[["Fields"], Mapping[str, Json]]


class Fields:
    """The fields of one case, read as what they must be. Raises BadInput that names the field."""

    def __init__(self, case: Mapping[str, Json]) -> None:
        self._case = case

    def has(self, name: str) -> bool:
        """Whether it is given; null and absent mean the same."""
        return self._case.get(name) is not None

    def text(self, name: str) -> str:
        """A string."""
        found = self._case.get(name)
        if not isinstance(found, str):
            raise BadInput(f"{name} is no text", field=name)
        return found

    def chosen(self, name: str, of: tuple[Text, ...]) -> Text:
        """One of the values."""
        found = self.text(name)
        for known in of:
            if known == found:
                return known
        raise BadInput(f"{name} is none of {', '.join(of)}", field=name)

    def whole(self, name: str) -> int:
        """A whole number."""
        return whole(self._case.get(name), name)

    def number(self, name: str) -> Fraction:
        """A number, exact."""
        found = self._case.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise BadInput(f"{name} is no number", field=name)
        return Fraction(found)

    def flag(self, name: str, *, absent: bool = False) -> bool:
        """A truth value."""
        found = self._case.get(name)
        if found is None:
            return absent
        if not isinstance(found, bool):
            raise BadInput(f"{name} is no truth value", field=name)
        return found

    def day(self, name: str) -> date:
        """A day."""
        return parse_day(self.text(name), name)

    def some_day(self, name: str) -> date | None:
        """A day, or None."""
        return self.day(name) if self.has(name) else None

    def month(self, name: str) -> Month:
        """A month; a day counts on its month."""
        return Month.parse(self.text(name), name)

    def items(self, name: str) -> list[Json]:
        """A list."""
        found = self._case.get(name)
        if not isinstance(found, list):
            raise BadInput(f"{name} is no list", field=name)
        return found

    def mapping(self, name: str) -> Mapping[str, Json]:
        """An object."""
        found = self._case.get(name)
        if not isinstance(found, dict):
            raise BadInput(f"{name} is no object", field=name)
        return found

    def dated(self, name: str) -> list[tuple[date, Json]]:
        """A list of `[first day, value]`."""
        pairs = []
        for pair in self.items(name):
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                raise BadInput(f"{name} holds no pairs of day and value", field=name)
            pairs.append((parse_day(pair[0], name), pair[1]))
        return pairs


def whole(found: Json, name: str) -> int:
    """A whole number, no truth value."""
    if isinstance(found, bool) or not isinstance(found, int):
        raise BadInput(f"{name} is no whole number", field=name)
    return found


def not_below_0(found: int, name: str) -> int:
    """The number of a price. Raises BadInput below 0."""
    if found < 0:
        raise BadInput(f"{name} is below 0", field=name)
    return found


@dataclass(frozen=True, slots=True)
class Group:
    """One group: which fields a case must and may have, which are compared, and who answers."""

    judge: Judge
    required: frozenset[str]
    expected: frozenset[str]
    optional: frozenset[str] = frozenset()


def _group(judge: Judge, required: str, expected: str, optional: str = "") -> Group:
    return Group(judge, frozenset(required.split()), frozenset(expected.split()), frozenset(optional.split()))


# --- days -------------------------------------------------------------------------------------------------------------


def _termination(case: Fields) -> Mapping[str, Json]:
    return {"effective": str(termination_effective(case.day("notice_arrived"), case.some_day("named")))}


def _minimum_period(case: Fields) -> Mapping[str, Json]:
    return {"ends": str(minimum_period_end(case.day("billing_start"), case.whole("months")))}


def _return(case: Fields) -> Mapping[str, Json]:
    end = case.day("contract_end")
    return {"due": str(return_due(end)), "lost_from": str(lost_from(end))}


def _failed_unit(case: Fields) -> Mapping[str, Json]:
    return {"send_off_by": str(send_off_by(case.day("replacement_arrived")))}


def _claimable(case: Fields) -> Mapping[str, Json]:
    began, known = (parse_instant(case.text(name), name) for name in ("began", "known"))
    return {"claimable_from": str(claimable_from(case.chosen("service", SERVICES), began, known))}


def _claim_expires(case: Fields) -> Mapping[str, Json]:
    return {"last_day": str(claim_last_day(case.day("claimable_from")))}


def _notice(case: Fields) -> Mapping[str, Json]:
    kinds: tuple[NoticeKind, ...] = ("planned-interruption", "abolition")
    emergency = case.flag("emergency")
    kind = case.chosen("kind", kinds)
    return {"in_time": notice_in_time(kind, case.day("day"), case.day("notified"), emergency=emergency)}


# --- money ------------------------------------------------------------------------------------------------------------


def _life(case: Fields) -> Life:
    return Life(case.day("billing_start"), case.some_day("ended"))


def _kind(case: Fields) -> Kind | None:
    return case.chosen("kind", KINDS) if case.has("kind") else None


def _plan(case: Fields) -> str | None:
    if case.has("kind") and case.text("kind") == "mobile-access" and not case.has("plan"):
        raise BadInput("mobile-access has a plan", field="plan")
    return case.chosen("plan", MOBILE_PLANS) if case.has("plan") else None


def _monthly(case: Fields) -> int:
    if case.has("packs_gb") or case.has("monthly_yen_per_gb"):
        return _price(case, "packs_gb") * _price(case, "monthly_yen_per_gb")
    return _price(case, "monthly_yen")


def _price(case: Fields, name: str) -> int:
    return not_below_0(case.whole(name), name)


def _slot_amount(case: Fields) -> Amount:
    changes = [(day, whole(count, "changes")) for day, count in case.dated("changes")]
    return slot_fee(_price(case, "monthly_yen"), changes, case.month("month"), case.some_day("ended"))


def _line_amount(case: Fields) -> Amount:
    kind = case.chosen("kind", KINDS)
    return line_fee(kind, _life(case), _monthly(case), case.month("month"), plan=_plan(case))


def _early_amount(case: Fields) -> Amount:
    service: Service = case.chosen("service", SERVICES) if case.has("service") else "smfsx"
    if case.has("by"):
        case.text("by")
    return early_termination(
        _life(case),
        case.whole("months"),
        _monthly(case),
        service=service,
        kind=_kind(case),
        plan=_plan(case),
        exempt=case.flag("exempt"),
    )


def _rental_amount(case: Fields) -> Amount:
    registered = []
    for day, name in case.dated("models"):
        if not isinstance(name, str):
            raise BadInput("models holds no names", field="models")
        registered.append((day, _model_key(name)))
    prices = {
        _model_key(name): not_below_0(whole(yen, "monthly_yen"), "monthly_yen")
        for name, yen in case.mapping("monthly_yen").items()
    }
    return rental_early_termination(_life(case), case.day("concluded"), registered, prices)


def _model_key(name: str) -> str:
    """One key for both spellings of a model (service-terms §2.2); another name stays as it is."""
    try:
        return model(name).key
    except BadInput:
        return name


def _yen(of: Callable[[Fields], Amount]) -> Judge:
    return lambda case: {"yen": of(case).yen}


def _outage(case: Fields) -> Mapping[str, Json]:
    began, known, ended = (parse_instant(case.text(name), name) for name in ("began", "known", "ended"))
    outage = Outage(began, known, ended, case.flag("attributable", absent=True))
    claimed = case.some_day("claimed_on")
    monthly_yen = _price(case, "monthly_yen")
    return {"yen": credit(case.chosen("service", SERVICES), monthly_yen, outage, claimed_on=claimed).yen}


def _due(case: Fields) -> Mapping[str, Json]:
    case.month("service_month")
    return {"due": str(invoice_due(case.day("issued")))}


def _total(case: Fields) -> Mapping[str, Json]:
    taxable, untaxed, credits_yen = (
        [whole(yen, name) for yen in case.items(name)] for name in ("taxable", "untaxed", "credits")
    )
    total = invoice_total(case.month("service_month"), taxable, untaxed, credits_yen)
    return {
        "tax_yen": total.tax_yen,
        "total_yen": total.total_yen,
        "carried_credit_yen": total.carried_credit_yen,
    }


def _bill(case: Fields) -> Mapping[str, Json]:
    total = 0
    for part in case.items("parts"):
        if not isinstance(part, dict) or part.get("group") not in _AMOUNTS:
            raise BadInput("a part is of no group of amounts", field="parts")
        name = cast("str", part["group"])
        inputs = {key: value for key, value in part.items() if key not in {"group", "rule"}}
        check_fields(GROUPS[name], inputs)
        total += _AMOUNTS[name](Fields(inputs)).yen
    return {"yen": total}


# --- what is allowed --------------------------------------------------------------------------------------------------


def _option_change(case: Fields) -> Mapping[str, Json]:
    requested, refused = case.day("requested"), {"allowed": False, "effective": None}
    change = case.chosen("change", ("plan", "network-type", "packs-gb"))
    if change == "packs-gb":
        before, after = case.number("from"), case.number("to")
        if (before.denominator, after.denominator) != (1, 1):
            return refused
        asked = partial(packs_change, int(before), int(after), requested)
    else:
        of = plan_change if change == "plan" else network_type_change
        asked = partial(of, case.text("from"), case.text("to"), requested)
    try:
        return {"allowed": True, "effective": str(asked())}
    except (RuleViolation, BadInput):  # no such plan, type or number of packs can be had
        return refused


def _class(case: Fields) -> DeviceClass | None:
    return case.chosen("class", CLASSES) if case.has("class") else None


def _catalogue(case: Fields) -> Mapping[str, Json]:
    lines: tuple[Line, ...] = ("adapter", "adapter-rental", "ultra-firewall")
    service, line = case.chosen("service", SERVICES), case.chosen("line", lines)
    return {"allowed": offered(service, line, _class(case), case.text("model"))}


def _eligibility(case: Fields) -> Mapping[str, Json]:
    holds, wants = ([item_of(one, name) for one in case.items(name)] for name in ("holds", "wants"))
    return {"allowed": not obstacles(case.chosen("service", SERVICES), holds, wants)}


def _placement(case: Fields) -> Mapping[str, Json]:
    kinds: tuple[SlotKind, ...] = ("entry", "standby")
    allowed = placement_allowed(case.chosen("service", SERVICES), _class(case), case.chosen("slot", kinds))
    return {"allowed": allowed}


def _firewall(case: Fields) -> Mapping[str, Json]:
    kinds: tuple[SlotKind, ...] = ("entry", "standby")
    slot, name = case.chosen("slot", kinds), case.text("model")
    try:
        found = model(name)
    except BadInput:  # no model of either service, so no designated one
        return {"acts": False}
    return {"acts": ultra_firewall_acts(found, slot)}


def _together(case: Fields) -> Mapping[str, Json]:
    lines = {}
    for name, line in case.mapping("lines").items():
        if not isinstance(line, dict) or not line.keys() <= {"kind", "on", "group"}:
            raise BadInput(f"the line {name} has fields that are not named", field="lines")
        of = Fields(line)
        on = of.text("on") if of.has("on") else None
        lines[name] = Bound(of.chosen("kind", KINDS), on, of.text("group") if of.has("group") else None)
    ending = [str(name) for name in case.items("ending")]
    strange = [name for name in ending if name not in lines]
    if strange:
        raise BadInput(f"{strange[0]!r} ends and is none of the lines", field="ending")
    return {"also_end": list(ends_together(lines, ending))}


def _transitional(case: Fields) -> Mapping[str, Json]:
    chosen = case.text("chosen") if case.has("chosen") else None
    return {"is": transitional(case.text("line"), case.day("concluded"), case.day("as_of"), chosen)}


_AMOUNTS: Final[Mapping[str, Callable[[Fields], Amount]]] = {
    "slot_fee": _slot_amount,
    "line_fee": _line_amount,
    "early_termination": _early_amount,
    "rental_early_termination": _rental_amount,
}

_MONEY = "plan monthly_yen packs_gb monthly_yen_per_gb"

GROUPS: Final[Mapping[str, Group]] = {
    "termination_effective": _group(_termination, "notice_arrived", "effective", "named"),
    "minimum_period_end": _group(_minimum_period, "billing_start months", "ends"),
    "return_due": _group(_return, "contract_end", "due lost_from"),
    "failed_unit_due": _group(_failed_unit, "replacement_arrived", "send_off_by"),
    "claimable_from": _group(_claimable, "service began known", "claimable_from"),
    "claim_expires_after": _group(_claim_expires, "claimable_from", "last_day"),
    "notice": _group(_notice, "kind day notified", "in_time", "emergency"),
    "slot_fee": _group(_yen(_slot_amount), "monthly_yen changes month", "yen", "ended"),
    "line_fee": _group(_yen(_line_amount), "kind billing_start month", "yen", f"ended {_MONEY}"),
    "early_termination": _group(
        _yen(_early_amount), "billing_start ended months", "yen", f"service kind exempt by {_MONEY}"
    ),
    "rental_early_termination": _group(_yen(_rental_amount), "concluded billing_start models monthly_yen ended", "yen"),
    "outage_credit": _group(_outage, "service monthly_yen began known ended", "yen", "attributable claimed_on"),
    "invoice_due": _group(_due, "service_month issued", "due"),
    "invoice_total": _group(_total, "service_month taxable untaxed credits", "tax_yen total_yen carried_credit_yen"),
    "whole_bill": _group(_bill, "parts", "yen"),
    "option_change": _group(_option_change, "change from to requested", "allowed effective"),
    "catalogue": _group(_catalogue, "service line model", "allowed", "class"),
    "eligibility": _group(_eligibility, "service holds wants", "allowed"),
    "placement": _group(_placement, "service slot", "allowed", "class"),
    "ultra_firewall_acts": _group(_firewall, "model slot", "acts"),
    "ends_together": _group(_together, "lines ending", "also_end"),
    "transitional": _group(_transitional, "line concluded as_of", "is", "chosen"),
}


def check_fields(group: Group, inputs: Mapping[str, Json]) -> None:
    """Raises BadInput for a field that is not named in the specification, or one that is missing."""
    unknown = inputs.keys() - group.required - group.optional
    if unknown:
        raise BadInput(f"there is no field {', '.join(sorted(unknown))} in this group", field=min(unknown))
    lacking = group.required - inputs.keys()
    if lacking:
        raise BadInput(f"the field {', '.join(sorted(lacking))} is missing", field=min(lacking))
