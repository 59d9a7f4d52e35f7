"""`kajitori adapter boots`, `entry startup`, `entry modules`: what a boot got, what the next one gets, over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table
from inventory.errors import BadInput

Entry = Annotated[str, typer.Argument(help="Key of the entry, such as E-12.")]


def register(adapter: typer.Typer, entry: typer.Typer) -> None:
    """Add the commands to the nouns adapter and entry."""
    _boots(adapter)
    _startup(entry)
    _modules(entry)


def _boots(group: typer.Typer) -> None:
    @group.command("boots")
    def boots(
        serial: Annotated[str, typer.Argument(help="Serial number.")],
        last: Annotated[int, typer.Option(min=1, max=50, help="How many.")] = 5,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Its latest boots, the newest first, stage by stage."""
        found = api(url, key_file).get(at("adapters", serial, "boots"), limit=last)["items"]
        if as_json:
            show_json(found)
            return
        for boot in found:
            out.print(f"boot {boot['id']}: {boot['trigger'] or 'no reason given'}", markup=False)
            for stage in boot["stages"]:
                note = f"  {stage['note']}" if stage["note"] else ""
                out.print(f"  {stage['stage']:<15}{stage['at'] or '–'}{note}", markup=False)
            if boot["ended"]:
                out.print(f"  ended: {boot['ended']}", markup=False)


def _startup(group: typer.Typer) -> None:
    @group.command("startup")
    def startup(key: Entry, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """What the next boot of the place gets, how the newest startup config stands its trial, and the difference."""
        found = api(url, key_file).get(at("entries", key, "startup"))
        if as_json:
            show_json(found)
            return
        newest, served = found["newest"]["id"], found["served"]["id"]
        out.print(f"{found['entry']}: startup version {newest} is {found['standing']}", markup=False)
        out.print(found["explanation"], markup=False)
        if newest != served:
            out.print(f"served: version {served}; what version {newest} changes:", markup=False)
            for line in found["difference"]:
                out.print(f"  {line}", markup=False)


def _modules(group: typer.Typer) -> None:
    @group.command("modules")
    def modules(
        key: Entry,
        want: Annotated[
            list[str] | None, typer.Option(help="ID=VERSION or ID=VERSION=URL; all that are wanted, each by itself.")
        ] = None,
        none: Annotated[bool, typer.Option("--want-none", help="Want no version at all.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Module versions that the place wants and those that its adapter runs; with --want, change what is wanted."""
        daemon, path = api(url, key_file), at("entries", key, "modules")
        found = daemon.get(path)
        if want or none:
            body = {"modules": [_module(one) for one in want or []]}
            found = daemon.put(path, body, version=found["version"])
        if as_json:
            show_json(found)
            return
        told = {one["id"]: one["version"] for one in found["reported"] or []}
        wanted = {one["id"]: one["version"] for one in found["wanted"]}
        rows = [
            {"module": str(id_), "wanted": wanted.get(id_), "reported": told.get(id_)}
            for id_ in sorted({*wanted, *told})
        ]
        show_table(rows, ("module", "wanted", "reported"))


def _module(text: str) -> dict[str, object]:
    """`0=5.66.0-0` or `0=5.66.0-0=https://…`. Raises BadInput."""
    id_, _, rest = text.partition("=")
    version, _, info = rest.partition("=")
    if not id_.isascii() or not id_.isdigit() or not version:
        raise BadInput(f"--want {text} is not ID=VERSION", field="want", next_step="Such as --want 0=5.66.0-0.")
    return {"id": int(id_), "version": version, "info": info}
