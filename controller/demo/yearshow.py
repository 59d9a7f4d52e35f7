"""What a person sees of the year: the rules and how often they spoke, the months, what did not hold. Programs: JSON."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from controller.demo.year import YearResult
from inventory.terms import RULES


def show(console: Console, result: YearResult, seconds: float) -> None:
    """Rules, months, totals."""
    rules = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("rule", "says"):
        rules.add_column(column)
    rules.add_column("touched", justify="right")
    for rule, count in result.rules:
        rules.add_row(rule, RULES[rule], f"{count:,}", style="dim" if not count else None)
    console.print(rules)
    console.print()
    names = ("lines", "charges", "invoices", "taxable yen", "untaxed yen", "credit", "tax", "total yen")
    console.print("month  " + "".join(f"{name:>13}" for name in names), style="bold")
    for one in result.months:
        yen = (one.taxable_yen, one.untaxed_yen, one.credit_yen, one.tax_yen, one.total_yen)
        numbers = (one.lines, one.charges, one.invoices, *yen)
        console.print(f"{one.month}" + "".join(f"{number:>13,}" for number in numbers), markup=False)
    console.print(
        f"\n{result.contractors} contractors, {result.opening_lines:,} lines on 1 January, {result.lines:,} by the "
        f"end of {result.year}; {result.units:,} units, {result.steps:,} steps, {result.outages} outages, "
        f"{result.alerts:,} alerts, {sum(count for _, count in result.refused):,} refusals"
    )
    console.print(f"{result.total_yen:,} yen invoiced; seed {result.seed}, digest {result.digest}; {seconds:.1f} s")
    for words in result.broken:
        console.print(f"✗ {words}", style="red", markup=False)
    if not result.broken:
        console.print("every charge explains itself, no day is charged twice, the sums agree")


def as_json(result: YearResult, seconds: float) -> dict[str, object]:
    """The year for programs."""
    return {
        "true": not result.broken,
        "year": result.year,
        "seed": result.seed,
        "contractors": result.contractors,
        "opening_lines": result.opening_lines,
        "lines": result.lines,
        "units": result.units,
        "steps": result.steps,
        "outages": result.outages,
        "alerts": result.alerts,
        "rules": dict(result.rules),
        "refused": dict(result.refused),
        "months": [
            {
                "month": str(one.month),
                "lines": one.lines,
                "charges": one.charges,
                "invoices": one.invoices,
                "taxable_yen": one.taxable_yen,
                "untaxed_yen": one.untaxed_yen,
                "credit_yen": one.credit_yen,
                "tax_yen": one.tax_yen,
                "total_yen": one.total_yen,
            }
            for one in result.months
        ],
        "carried_credit_yen": result.carried_credit_yen,
        "total_yen": result.total_yen,
        "digest": result.digest,
        "broken": list(result.broken),
        "seconds": round(seconds, 1),
    }
