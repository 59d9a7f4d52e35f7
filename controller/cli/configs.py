"""`kajitori config`: the versions of a place's configs, and what changed between any two."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import at
from controller.cli.fleet import show
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table

Entry = Annotated[str, typer.Argument(help="Key of the entry, such as E-12.")]
Version = Annotated[int, typer.Argument(min=1, help="Number of a version.")]


def register(app: typer.Typer) -> None:
    """Add `config` to the commands."""
    group = typer.Typer(help="Versions of working, startup and running configs and of readings.", no_args_is_help=True)
    app.add_typer(group, name="config")

    @group.command("list")
    def listed(
        key: Entry,
        kind: Annotated[str | None, typer.Option(help="working, startup, running or truth (readings).")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Versions of an entry, newest first."""
        found = list(api(url, key_file).every(at("entries", key, "configs"), kind=kind))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "kind", "at", "author", "reason"))

    @group.command("show")
    def shown(version: Version, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """The text of a version, secrets masked."""
        found = api(url, key_file).get(f"/configs/{version}")
        if as_json:
            show_json(found)
            return
        for module in found["modules"]:
            if len(found["modules"]) > 1:
                out.print(f"── module {module['id']}", markup=False)
            out.print(module["text"], markup=False, end="", soft_wrap=True)

    @group.command("diff")
    def diff(
        version: Version, other: Version, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """What changed from one version to another, secrets masked. Exit 0, whether anything did or not."""
        found = api(url, key_file).get(f"/configs/{version}/diff/{other}")
        if as_json:
            show_json(found)
            return
        for line in found["lines"]:
            out.print(line, markup=False, soft_wrap=True)
        if not found["lines"]:
            out.print("(nothing differs)", markup=False)

    @group.command("release")
    def release(key: Entry, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Make the working config of an ARMS entry the one that its next boot gets. Nothing is pushed."""
        show(api(url, key_file).post(at("entries", key, "configs", "startup")), as_json)
