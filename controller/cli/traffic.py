"""`kajitori readings`, `link`, `proposal`, `report`: metering over REST. `report traffic` is for cron."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import counting
from controller.cli.client import Api, Exit, Json
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table
from inventory.errors import BadInput

LEVELS = ("calm", "watch", "congested", "critical")


def register(app: typer.Typer) -> None:
    """Add the metering commands."""
    _importing(app)
    links = typer.Typer(help="Links and how full they are.", no_args_is_help=True)
    app.add_typer(links, name="link")
    _links(links)
    counting.links(links)
    counting.register(app)
    proposals = typer.Typer(help="Proposals to switch a model or a line.", no_args_is_help=True)
    app.add_typer(proposals, name="proposal")
    _proposals(proposals)
    reports = typer.Typer(help="Traffic reports.", no_args_is_help=True)
    app.add_typer(reports, name="report")
    _reports(reports)


def _importing(app: typer.Typer) -> None:
    @app.command("readings")
    def readings(
        file: Annotated[Path, typer.Argument(help="NDJSON, one reading a line.", exists=True, dir_okay=False)],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Import past readings. The same file again changes nothing."""
        done = api(url, key_file).post_lines("/readings", _lines(file))
        if as_json:
            show_json(done)
        else:
            out.print(f"{done['new']} new, {done['duplicates']} known, {done['slot_days']} slot-days changed")


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(65_536):
            yield chunk


def _links(group: typer.Typer) -> None:
    @group.command("list")
    def listing(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """All links."""
        found = list(api(url, key_file).every("/links"))
        columns = ("id", "entry", "interface", "role", "port_speed_bps", "line_type")
        _listed(found, columns, as_json)

    @group.command("congestion")
    def congestion(
        level: Annotated[int, typer.Option(min=0, max=3, help="Lowest level to show.")] = 1,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Links at or above a level."""
        found = list(api(url, key_file).every("/congestion", level=level))
        rows = [
            {
                "link": one["link"]["id"],
                "entry": one["link"]["entry"],
                "interface": one["link"]["interface"],
                "direction": one["level"]["direction"],
                "level": LEVELS[one["level"]["level"]],
                "since": one["level"]["since"],
            }
            for one in found
        ]
        _listed(rows, ("link", "entry", "interface", "direction", "level", "since"), as_json)


def _proposals(group: typer.Typer) -> None:
    @group.command("list")
    def listing(
        state: Annotated[str | None, typer.Option(help="Only this state, such as draft.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Proposals by number."""
        found = list(api(url, key_file).every("/proposals", state=state))
        _listed(found, ("id", "entry", "state", "kind", "model", "text"), as_json)

    @group.command("decide")
    def decide(
        number: Annotated[int, typer.Argument(min=1)],
        state: Annotated[str, typer.Argument(help="sent, accepted, declined, expired or superseded.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Move a proposal on."""
        daemon = api(url, key_file)
        seen = daemon.get(f"/proposals/{number}")
        done = daemon.put(f"/proposals/{number}/state", {"state": state}, version=seen["version"])
        _listed([done], ("id", "entry", "state", "kind", "model"), as_json)


def _reports(group: typer.Typer) -> None:
    @group.command("list")
    def listing(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Reports by key."""
        daemon, after, found = api(url, key_file), "", []
        while True:
            page = daemon.get("/reports", after=after, limit=500)
            found += page["items"]
            if page["next"] is None:
                break
            after = page["next"]
        _listed(found, ("key", "state", "first_day", "done_at"), as_json)

    @group.command("traffic")
    def traffic(
        contractor: Annotated[str | None, typer.Option(help="Key of the contractor, such as K-1.")] = None,
        link: Annotated[int | None, typer.Option(min=1, help="Number of one link.")] = None,
        day: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
        week: Annotated[str | None, typer.Option(help="Any day of the week, YYYY-MM-DD.")] = None,
        month: Annotated[str | None, typer.Option(help="YYYY-MM.")] = None,
        folder: Annotated[Path | None, typer.Option("--output", help="Also write the files here.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Make a report; the same period again is the same report. Exit 3 if it is provisional or of grade C."""
        period, first = _period(day, week, month)
        daemon = api(url, key_file)
        wanted = {"contractor": contractor, "link": link, "period": period, "day": first.isoformat()}
        made = daemon.post("/reports", {k: v for k, v in wanted.items() if v is not None})
        report = daemon.get("/reports/file", key=made["key"], kind="json")
        if folder is not None:
            _save(daemon, made, folder)
        if as_json:
            show_json(made)
        else:
            _listed([made], ("key", "state", "sha256"), as_json=False)
            for sentence in report["changes"]:
                out.print(sentence, markup=False)
        unsettled = made["state"] != "final" or any((one["p95"] or {}).get("grade") == "C" for one in report["links"])
        raise typer.Exit(Exit.NOT_SETTLED if unsettled else Exit.DONE)


def _period(day: str | None, week: str | None, month: str | None) -> tuple[str, date]:
    """The period and a day in it. Raises BadInput unless exactly one is named."""
    named = [(kind, text) for kind, text in (("day", day), ("week", week), ("month", month)) if text is not None]
    if len(named) != 1:
        raise BadInput("name one of --day, --week and --month", field="period", next_step="Such as --month 2026-10.")
    kind, text = named[0]
    try:
        return kind, date.fromisoformat(f"{text}-01" if kind == "month" else text)
    except ValueError:
        raise BadInput(f"--{kind}: {text} is no {kind} of the calendar", field=kind) from None


def _save(daemon: Api, made: Json, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in made["files"]:
        kind = name.rpartition(".")[2]
        content = daemon.text("/reports/file", key=made["key"], kind=kind)
        (folder / name).write_bytes(content.encode())


def _listed(rows: list[Json], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        show_json(rows)
    else:
        show_table(rows, columns)
