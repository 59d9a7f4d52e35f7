"""`kajitori contract|application`: contract lines, their events, and the forms they came by, over REST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Exit, at
from controller.cli.fleet import explained, show, text_of
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table
from controller.cli.pricing import FAULT_COLUMNS, read_text
from inventory.errors import BadInput

LINE_COLUMNS = ("key", "contractor", "service", "kind", "name", "state", "entitled", "billing_start", "effective")
EVENT_COLUMNS = ("id", "event", "day", "recorded_at", "actor", "rule", "alert", "corrected_by")
APPLICATION_COLUMNS = ("id", "contractor", "service", "received")
Line = Annotated[str, typer.Argument(help="Key of the contract line, such as L-7.")]
Number = Annotated[int, typer.Argument(min=1, help="Number of the application.")]
Day = Annotated[str | None, typer.Option("--day", help="Day on which it happened, YYYY-MM-DD; today if left out.")]


def register(app: typer.Typer) -> None:
    """Add both nouns to the commands."""
    contract = typer.Typer(help="Contract lines and options.", no_args_is_help=True)
    application = typer.Typer(help="Applications: several lines, decided as a whole.", no_args_is_help=True)
    app.add_typer(contract, name="contract")
    app.add_typer(application, name="application")
    _reading(contract)
    _events(contract)
    _importing(contract)
    _applying(application)
    _deciding(application)


def _reading(group: typer.Typer) -> None:
    @group.command("list")
    def listed(
        contractor: Annotated[str | None, typer.Option(help="Only of this contractor, such as K-1.")] = None,
        kind: Annotated[str | None, typer.Option(help="Only this kind, such as adapter.")] = None,
        as_of: Annotated[str | None, typer.Option(help="As they stood on this day.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Contract lines by number."""
        found = list(api(url, key_file).every("/contracts", contractor=contractor, kind=kind, as_of=as_of))
        if as_json:
            show_json(found)
        else:
            show_table(found, LINE_COLUMNS)

    @group.command("show")
    def shown(key: Line, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """One line."""
        show(api(url, key_file).get(at("contracts", key)), as_json)

    @group.command("explain")
    def explain(key: Line, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Why it stands as it does, with the rules."""
        explained(api(url, key_file), at("contracts", key, "explain"), as_json)

    @group.command("events")
    def events(key: Line, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """What happened to it, corrected events too."""
        found = list(api(url, key_file).every(at("contracts", key, "events"), limit=1000))
        if as_json:
            show_json(found)
        else:
            show_table(found, EVENT_COLUMNS)


def _events(group: typer.Typer) -> None:
    @group.command("record")
    def record(
        key: Line,
        event: Annotated[str, typer.Argument(help="notice, suspend, resume, change-option, …")],
        facts: Annotated[
            list[str] | None, typer.Argument(help="Such as named=2025-06-30 or new_group.name=share.")
        ] = None,
        day: Day = None,
        corrects: Annotated[int | None, typer.Option(help="Number of the event that it stands for.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Record an event of a line."""
        body: dict[str, object] = {"event": event, "day": day, "corrects": corrects}
        parts: dict[str, dict[str, object]] = {}
        for name, value in (_fact(one) for one in facts or ()):
            outer, dot, inner = name.partition(".")
            if dot:
                parts.setdefault(outer, {})[inner] = value
            else:
                body[name] = value
        body |= parts
        show(api(url, key_file).post(at("contracts", key, "events"), body), as_json)

    @group.command("unit")
    def unit(
        key: Line,
        serial: Annotated[str, typer.Argument(help="Serial number of a registered unit.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Say which unit an adapter line is about."""
        show(api(url, key_file).post(at("contracts", key, "units"), {"serial_number": serial}), as_json)


def _applying(group: typer.Typer) -> None:
    @group.command("list")
    def listed(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Applications by number."""
        found = list(api(url, key_file).every("/applications", limit=1000))
        if as_json:
            show_json(found)
        else:
            show_table(found, APPLICATION_COLUMNS)

    @group.command("show")
    def shown(number: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """One application with its form, its lines, and what stands against it."""
        show(api(url, key_file).get(f"/applications/{number}"), as_json)

    @group.command("add")
    def add(
        contractor: Annotated[str, typer.Option(help="Key of the contractor, such as K-1.")],
        service: Annotated[str, typer.Option(help="mpc or smfsx.")],
        form: Annotated[Path, typer.Option(help="The form as received, a text file.")],
        items: Annotated[Path, typer.Argument(help="JSON file: a list of lines and options; - for standard input.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Record an application."""
        try:
            wanted = json.loads(text_of(items))
        except ValueError as error:
            raise BadInput(f"{items} is no JSON: {error}", field=str(items), next_step="Correct the file.") from None
        body = {"contractor": contractor, "service": service, "form": text_of(form), "items": wanted}
        show(api(url, key_file).post("/applications", body), as_json)


def _deciding(group: typer.Typer) -> None:
    @group.command("accept")
    def accept(
        number: Number,
        billing_start: Annotated[str, typer.Argument(help="As in the acknowledgement, YYYY-MM-DD.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Accept all of it."""
        body = {"billing_start": billing_start}
        show(api(url, key_file).post(f"/applications/{number}/accept", body), as_json)

    @group.command("refuse")
    def refuse(
        number: Number,
        reason: Annotated[int, typer.Argument(min=1, max=7, help="One of the seven reasons (SMF-3.2).")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Refuse all of it."""
        show(api(url, key_file).post(f"/applications/{number}/refuse", {"reason": reason}), as_json)

    @group.command("withdraw")
    def withdraw(number: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """The applicant takes it back."""
        show(api(url, key_file).post(f"/applications/{number}/withdraw"), as_json)


def _fact(text: str) -> tuple[str, object]:
    """`ground=2` → a number, `emergency=true` → a yes; everything else stays text."""
    name, _, value = text.partition("=")
    if not name or not value:
        raise BadInput(f"{text} names no fact", field=text, next_step="Write named=2025-06-30.")
    if value in {"true", "false"}:
        return name, value == "true"
    return name, int(value) if value.isascii() and value.isdigit() else value


def _importing(group: typer.Typer) -> None:
    @group.command("import")
    def importing(
        file: Annotated[Path, typer.Argument(help="CSV: one row a line or option.", dir_okay=False)],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be kept.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Import contracts with their original days, whole or not at all."""
        client, text = api(url, key_file), read_text(file)
        told = client.post("/contracts/import", {"text": text, "dry_run": True})
        if not dry_run and not told["faults"]:
            told = client.post("/contracts/import", {"text": text, "dry_run": False})
        if as_json:
            show_json(told)
        else:
            show_table(told["rows"], ("row", "application", "line", "rules"))
            show_table(told["faults"], FAULT_COLUMNS)
            kept = "nothing was imported" if told["dry_run"] else f"{len(told['rows'])} rows were imported"
            out.print(kept)
        if told["faults"]:
            raise typer.Exit(Exit.BAD_INPUT)
