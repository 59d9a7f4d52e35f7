"""`kajitori report`, `report-schedule`, `report-delivery`: reports over REST. `report traffic` is for cron."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Api, Exit, Json, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table
from controller.reports.words import sentence
from inventory.errors import BadInput
from inventory.reporting import Format, Kind, Language

Contractor = Annotated[str | None, typer.Option(help="Key of the contractor, such as K-1.")]
Link = Annotated[int | None, typer.Option(min=1, help="Number of one link.")]
KindOption = Annotated[Kind | None, typer.Option("--kind", help="Without it: that of the contractor or link.")]
Lang = Annotated[Language, typer.Option("--lang", help="Language of the words.")]
Formats = Annotated[list[Format] | None, typer.Option("--format", help="Once for each file; pdf needs kajitori[pdf].")]
SCHEDULE_COLUMNS = ("id", "kind", "contractor", "link", "period", "at", "delay_days", "zone", "language")
DELIVERY_COLUMNS = ("id", "report", "way", "target", "state", "attempts", "said")
ENDED = {"final": Exit.DONE, "provisional": Exit.NOT_SETTLED, "claimed": Exit.NOT_SETTLED}


def register(app: typer.Typer) -> None:
    """Add the commands of reports."""
    reports = typer.Typer(help="Reports: links, contractors, invoice annexes, the fleet, data quality.")
    app.add_typer(reports, name="report", no_args_is_help=True)
    _reports(reports)
    schedules = typer.Typer(help="Which reports are made after each period, and whom they are sent to.")
    app.add_typer(schedules, name="report-schedule", no_args_is_help=True)
    _schedules(schedules)
    _recipients(schedules)
    deliveries = typer.Typer(help="How the sending of reports went.")
    app.add_typer(deliveries, name="report-delivery", no_args_is_help=True)
    _deliveries(deliveries)


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
        _listed(found, ("key", "kind", "state", "grade", "first_day", "done_at"), as_json)

    @group.command("traffic")
    def traffic(
        contractor: Contractor = None,
        link: Link = None,
        kind: KindOption = None,
        schedule: Annotated[str | None, typer.Option(help="Make what this schedule makes of the period.")] = None,
        day: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
        week: Annotated[str | None, typer.Option(help="An ISO week, 2026-W40, or any day of it.")] = None,
        month: Annotated[str | None, typer.Option(help="YYYY-MM.")] = None,
        first: Annotated[str | None, typer.Option("--from", help="First day of a free period.")] = None,
        last: Annotated[str | None, typer.Option("--to", help="Last day of a free period.")] = None,
        language: Lang = Language.ENGLISH,
        formats: Formats = None,
        folder: Annotated[Path | None, typer.Option("--output", help="Also write the files here.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Make a report; the same period again is the same report. Exit 3 if it is provisional or of grade C."""
        period, begin, end = _period(day, week, month, (first, last))
        daemon = api(url, key_file)
        wanted = {
            "contractor": contractor,
            "link": link,
            "kind": None if kind is None else kind.value,
            "schedule": schedule,
            "period": period,
            "day": begin.isoformat(),
            "last_day": None if end is None else end.isoformat(),
            "language": language.value,
            "formats": [one.value for one in formats] if formats else None,
        }
        made = daemon.post("/reports", {k: v for k, v in wanted.items() if v is not None})
        if folder is not None:
            _save(daemon, made, folder, formats, None if schedule else language)
        if as_json:
            show_json(made)
        else:
            _listed([made], ("key", "state", "grade", "sha256"), as_json=False)
            if made["sha256"]:
                report = daemon.get("/reports/file", key=made["key"], format="json")
                for change in report["changes"]:
                    out.print(sentence(change, language), markup=False)
        status = ENDED.get(made["state"], Exit.FAILED)
        raise typer.Exit(Exit.NOT_SETTLED if status is Exit.DONE and made["grade"] == "C" else status)


def _schedules(group: typer.Typer) -> None:
    @group.command("list")
    def listing(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Schedules that are active."""
        _listed(api(url, key_file).get_list("/report-schedules"), SCHEDULE_COLUMNS, as_json)

    @group.command("add")
    def add(
        name: Annotated[str, typer.Argument(help="Id of the schedule; reports are named after it.")],
        period: Annotated[str, typer.Option(help="day, week or month.")],
        contractor: Contractor = None,
        link: Link = None,
        kind: KindOption = None,
        at_time: Annotated[str, typer.Option("--at", help="Local time, HH:MM.")] = "06:00",
        delay_days: Annotated[int, typer.Option(min=0, max=27, help="Days after the period's end.")] = 0,
        zone: Annotated[str, typer.Option(help="Time zone of the days.")] = "Asia/Tokyo",
        language: Lang = Language.ENGLISH,
        formats: Formats = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Have a report made after each period from now on."""
        wanted = {
            "id": name,
            "period": period,
            "contractor": contractor,
            "link": link,
            "kind": None if kind is None else kind.value,
            "at": at_time,
            "delay_days": delay_days,
            "zone": zone,
            "language": language.value,
            "formats": [one.value for one in formats] if formats else None,
        }
        made = api(url, key_file).post("/report-schedules", {k: v for k, v in wanted.items() if v is not None})
        _listed([made], SCHEDULE_COLUMNS, as_json)

    @group.command("end")
    def end(
        name: Annotated[str, typer.Argument(help="Id of the schedule.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Make no more reports by a schedule; what was made stays."""
        daemon = api(url, key_file)
        daemon.delete(f"/report-schedules{at(name)}")
        _listed([daemon.get(f"/report-schedules{at(name)}")], ("id", "active_from", "active_to"), as_json)


def _recipients(group: typer.Typer) -> None:
    columns = ("id", "schedule", "way", "target", "formats", "signed")

    @group.command("recipients")
    def listing(
        name: Annotated[str, typer.Argument(help="Id of the schedule.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Whom the reports of a schedule are sent to."""
        _listed(api(url, key_file).get_list(f"/report-schedules{at(name)}/recipients"), columns, as_json)

    @group.command("send-to")
    def send_to(
        name: Annotated[str, typer.Argument(help="Id of the schedule.")],
        way: Annotated[str, typer.Argument(help="mail, webhook or folder.")],
        target: Annotated[str, typer.Argument(help="Mail address, URL, or name of a folder.")],
        formats: Formats = None,
        secret_file: Annotated[
            Path | None, typer.Option(help="File with the secret that signs what a webhook gets.", exists=True)
        ] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Have the reports of a schedule sent, from the next one on."""
        wanted: Json = {"way": way, "target": target}
        if formats:
            wanted["formats"] = [one.value for one in formats]
        if secret_file is not None:
            wanted["secret"] = secret_file.read_text(encoding="utf-8").strip()
        made = api(url, key_file).post(f"/report-schedules{at(name)}/recipients", wanted)
        _listed([made], columns, as_json)

    @group.command("stop-sending")
    def stop_sending(
        name: Annotated[str, typer.Argument(help="Id of the schedule.")],
        recipient: Annotated[int, typer.Argument(min=1, help="Number of the recipient.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Send no more to a recipient; what waits for it is cancelled."""
        daemon = api(url, key_file)
        daemon.delete(f"/report-schedules{at(name)}/recipients/{recipient}")
        _listed(daemon.get_list(f"/report-schedules{at(name)}/recipients"), columns, as_json)


def _deliveries(group: typer.Typer) -> None:
    @group.command("list")
    def listing(
        report: Annotated[str | None, typer.Option(help="Only of this report.")] = None,
        state: Annotated[str | None, typer.Option(help="waiting, sent, failed or cancelled.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """What was sent, what waits, what failed."""
        found = list(api(url, key_file).every("/report-deliveries", report=report, state=state))
        _listed(found, DELIVERY_COLUMNS, as_json)

    @group.command("retry")
    def retry(
        number: Annotated[int, typer.Argument(min=1)],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Try again what was given up."""
        _listed([api(url, key_file).post(f"/report-deliveries/{number}/retry")], DELIVERY_COLUMNS, as_json)


def _period(
    day: str | None, week: str | None, month: str | None, free: tuple[str | None, str | None]
) -> tuple[str, date, date | None]:
    """The period, a day in it, and the last one of a free period. Raises BadInput unless exactly one is named."""
    named = [
        (kind, text)
        for kind, text in (("day", day), ("week", week), ("month", month), ("free", free[0]))
        if text is not None
    ]
    if len(named) != 1 or (free[0] is None) != (free[1] is None):
        raise BadInput(
            "name one of --day, --week, --month, or --from and --to",
            field="period",
            next_step="Such as --month 2026-10.",
        )
    kind, text = named[0]
    try:
        last = None if free[1] is None else date.fromisoformat(free[1])
        return kind, date.fromisoformat(f"{text}-01" if kind == "month" else text), last
    except ValueError:
        raise BadInput(f"--{kind}: {text} is no {kind} of the calendar", field=kind) from None


def _save(daemon: Api, made: Json, folder: Path, formats: Sequence[Format] | None, language: Language | None) -> None:
    """Write the files that were asked for now, also of a report that was made before with others."""
    names = {name.rpartition(".")[2]: name for name in made["files"]}
    stem = next((name.rpartition(".")[0] for name in made["files"]), None)
    wanted = [one.value for one in formats] if formats and stem else list(names)
    told = None if language is None else language.value
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in wanted:
            octets = daemon.octets("/reports/file", key=made["key"], format=one, language=told)
            (folder / names.get(one, f"{stem}.{one}")).write_bytes(octets)
    except OSError as error:
        raise BadInput(f"{folder} cannot be written to: {error.strerror}", field="output") from None


def _listed(rows: list[Json], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        show_json(rows)
    else:
        show_table(rows, columns)
