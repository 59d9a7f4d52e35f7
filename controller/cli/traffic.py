"""`kajitori readings`, `link`, `proposal`: metering over REST."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import counting
from controller.cli.client import Json
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table

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
                "causes": ", ".join(each["cause"] for each in one["level"]["causes"]),
            }
            for one in found
        ]
        _listed(rows, ("link", "entry", "interface", "direction", "level", "since", "causes"), as_json)


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
        reason: Annotated[str, typer.Option(help="Why; kept with the step.")] = "",
        valid_until: Annotated[str | None, typer.Option(help="With sent: last day of its acceptance.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Move a proposal on."""
        daemon = api(url, key_file)
        seen = daemon.get(f"/proposals/{number}")
        wanted: Json = {"state": state, "reason": reason}
        if valid_until is not None:
            wanted["valid_until"] = valid_until
        done = daemon.put(f"/proposals/{number}/state", wanted, version=seen["version"])
        _listed([done], ("id", "entry", "state", "valid_until", "kind", "model"), as_json)

    @group.command("check")
    def check(
        link: Annotated[int, typer.Argument(min=1, help="Number of the link.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Why a link has got a proposal or not, as the last daily look said."""
        found = api(url, key_file).get(f"/links/{link}/proposal-check")
        _listed([found], ("link", "day", "proposed", "reason", "words", "facts"), as_json)

    @group.command("show")
    def show(
        number: Annotated[int, typer.Argument(min=1)],
        japanese: Annotated[bool, typer.Option("--ja", help="The Japanese text.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """One proposal: its words, its money and the steps of its life."""
        daemon = api(url, key_file)
        found = daemon.get(f"/proposals/{number}")
        found["steps"] = daemon.get(f"/proposals/{number}/steps")["items"]
        if as_json:
            show_json(found)
            return
        out.print((found["text_ja"] if japanese else None) or found["text"], markup=False)
        show_table(found["steps"], ("at", "state", "actor", "reason"))

    @group.command("orders")
    def orders(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Change orders of accepted proposals."""
        found = list(api(url, key_file).every("/change-orders"))
        _listed(found, ("id", "proposal", "entry", "kind", "model", "line_rate_bps", "actor"), as_json)


def _listed(rows: list[Json], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        show_json(rows)
    else:
        show_table(rows, columns)
