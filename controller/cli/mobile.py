"""`kajitori mobile`: what SIMs and packet share groups used, and when their plans will run out."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import Json, at
from controller.cli.fleet import explained
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import show_json, show_table

COLUMNS = ("key", "plan", "GB", "used", "coverage", "state", "runs out", "early", "late", "group")
GB = 10**9
Month = Annotated[str | None, typer.Option(help="YYYY-MM in Tokyo; the present month if left out.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Mobile plans: use of a month, and when it runs out.", no_args_is_help=True)
    app.add_typer(group, name="mobile")
    _commands(group)


def _commands(group: typer.Typer) -> None:
    @group.command("usage")
    def usage(
        contractor: Annotated[str | None, typer.Option(help="Only of this contractor.")] = None,
        management: Annotated[str | None, typer.Option(help="Only of adapters that sit there now.")] = None,
        adapter: Annotated[str | None, typer.Option(help="Only of this serial number.")] = None,
        month: Month = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Mobile accesses and packet share groups with their use."""
        wanted = {"contractor": contractor, "management": management, "adapter": adapter, "month": month}
        found = list(api(url, key_file).every("/mobile-usage", **wanted))
        if as_json:
            show_json(found)
        else:
            show_table([_row(one) for one in found], COLUMNS)

    @group.command("explain")
    def explain(
        key: Annotated[str, typer.Argument(help="L-7: a mobile access or a packet share group.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Why its plan stands as it does, and what the terms still allow to change."""
        explained(api(url, key_file), at("mobile-usage", key, "explain"), as_json)


def _row(one: Json) -> Json:
    used, out = one["used"], one["run_out"]
    high = "?" if used["high_octets"] is None else f"{used['high_octets'] / GB:.2f}"
    return {
        "key": one["key"],
        "plan": one["plan"],
        "GB": one["allowance_gb"],
        "used": f"{used['low_octets'] / GB:.2f}-{high}",
        "coverage": f"{100 * used['coverage']:.1f} %",
        "state": out["state"],
        "runs out": out["day"],
        "early": out["early"],
        "late": out["late"],
        "group": one["group"],
    }
