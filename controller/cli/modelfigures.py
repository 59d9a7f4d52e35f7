"""`kajitori model-figure`: what devices can carry, over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import Json, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import show_json, show_table

COLUMNS = (
    "model",
    "hardware",
    "forwarding_bps",
    "ipsec_bps",
    "inspected_bps",
    "packets_per_s",
    "ports",
    "offered",
    "origin",
    "source",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What devices can carry: shipped figures and your own.", no_args_is_help=True)
    app.add_typer(group, name="model-figure")

    @group.command("list")
    def listing(
        of: Annotated[str | None, typer.Option("--model", help="Only this model of the catalogue.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Figures that links and proposals are judged by."""
        _listed(api(url, key_file).get_list("/model-figures", of=of), as_json)

    @group.command("set")
    def enter(
        model: Annotated[str, typer.Argument(help="Model of the catalogue, such as seil-x4.")],
        hardware: Annotated[str | None, typer.Option(help="Exact name; needed for Cisco IOS and FortiGate.")] = None,
        forwarding_bps: Annotated[int | None, typer.Option(min=1, help="Plain forwarding, in + out.")] = None,
        ipsec_bps: Annotated[int | None, typer.Option(min=1)] = None,
        inspected_bps: Annotated[int | None, typer.Option(min=1, help="With security profiles on.")] = None,
        packets_per_s: Annotated[int | None, typer.Option(min=1)] = None,
        ports: Annotated[int | None, typer.Option(min=1)] = None,
        port_speed_bps: Annotated[int | None, typer.Option(min=1)] = None,
        line_type: Annotated[list[str] | None, typer.Option(help="Once for each that it can do.")] = None,
        offered: Annotated[bool, typer.Option(help="Whether it may be recommended.")] = True,
        offered_until: Annotated[str | None, typer.Option(help="Announced last day of its sale.")] = None,
        origin: Annotated[str, typer.Option(help="vendor, third-party or operator.")] = "operator",
        source: Annotated[str, typer.Option(help="Where the figures stand, or how they were measured.")] = "",
        read_on: Annotated[str | None, typer.Option(help="YYYY-MM-DD; left out: today.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Enter what is known of a device; what is left out is not known."""
        wanted: Json = {
            "model": model,
            "hardware": hardware,
            "forwarding_bps": forwarding_bps,
            "ipsec_bps": ipsec_bps,
            "inspected_bps": inspected_bps,
            "packets_per_s": packets_per_s,
            "ports": ports,
            "port_speed_bps": port_speed_bps,
            "line_types": line_type or None,
            "offered": offered,
            "offered_until": offered_until,
            "origin": origin,
            "source": source,
            "read_on": read_on,
        }
        _listed([api(url, key_file).post("/model-figures", wanted)], as_json)

    @group.command("withdraw")
    def withdraw(
        hardware: Annotated[str, typer.Argument(help="Exact name.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Take back what was entered; shipped figures count again."""
        daemon = api(url, key_file)
        daemon.delete(f"/model-figures{at(hardware)}")
        _listed(daemon.get_list("/model-figures"), as_json)


def _listed(rows: list[Json], as_json: bool) -> None:
    if as_json:
        show_json(rows)
    else:
        show_table(rows, COLUMNS)
