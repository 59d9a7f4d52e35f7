"""`kajitori outage`: managements that are wholly unusable, and the claims for them, over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import Json
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import show_fields, show_json, show_table

COLUMNS = ("id", "management", "state", "began", "known", "ended", "claim_last_day", "claimed_on", "credit_yen")
Number = Annotated[int, typer.Argument(min=1, help="Number of the outage.")]
When = Annotated[str, typer.Argument(help="With offset: 2025-05-01T09:00:00+09:00.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Managements that are wholly unusable, claims, credits.", no_args_is_help=True)
    app.add_typer(group, name="outage")
    _reading(group)
    _recording(group)
    _claiming(group)


def _reading(group: typer.Typer) -> None:
    @group.command("list")
    def listing(
        management: Annotated[str | None, typer.Option(help="Only of this management.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Outages by number."""
        found = list(api(url, key_file).every("/outages", management=management))
        if as_json:
            show_json(found)
        else:
            show_table(found, COLUMNS)

    @group.command("show")
    def show(number: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """One outage: what was learnt and when, the steps of its claim, its credit."""
        found = api(url, key_file).get(f"/outages/{number}")
        if as_json:
            show_json(found)
            return
        facts, steps = found.pop("facts"), found.pop("steps")
        show_fields(found)
        show_table(facts, ("name", "value", "recorded_at", "recorded_by", "reason"))
        show_table(steps, ("state", "at", "rule", "terms_version", "actor", "reason"))


def _recording(group: typer.Typer) -> None:
    @group.command("record")
    def record(
        management: Annotated[str, typer.Argument(help="M-1.")],
        began: When,
        known: Annotated[str | None, typer.Option(help="When the provider knew.")] = None,
        reason: Why = "",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """A management is wholly unusable, or as good as."""
        body = {"management": management, "began": began, "known": known, "reason": reason}
        _done(api(url, key_file).post("/outages", body), as_json=as_json)

    @group.command("learn")
    def learn(
        number: Number,
        what: Annotated[str, typer.Argument(help="began, known or ended.")],
        when: When,
        reason: Annotated[str, typer.Option("--reason", help="How it is known; it is kept.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Record or correct when it began, was known or ended."""
        body = {"what": what, "at": when, "reason": reason}
        _done(api(url, key_file).post(f"/outages/{number}/facts", body), as_json=as_json)


def _claiming(group: typer.Typer) -> None:
    @group.command("claim")
    def claim(
        number: Number,
        day: Annotated[str | None, typer.Option(help="Day it arrived; today if left out.")] = None,
        reason: Why = "",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """A claim arrived."""
        body = {"day": day, "reason": reason}
        _done(api(url, key_file).post(f"/outages/{number}/claim", body), as_json=as_json)

    @group.command("decide")
    def decide(
        number: Number,
        reason: Annotated[str, typer.Argument(help="Why; the contractor is told.")],
        attributable: Annotated[bool, typer.Option("--credit/--reject", help="The provider answers for it, or not.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Decide a claim once the outage is over."""
        body = {"attributable": attributable, "reason": reason}
        _done(api(url, key_file).post(f"/outages/{number}/decide", body), as_json=as_json)


def _done(found: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_table([found], COLUMNS)
