"""`kajitori transcript`: what was typed to adapters and what they said."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from controller.cli.client import Json
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table

_KEYS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Whatever a device says, it does not command the terminal of whoever reads it."""
Number = Annotated[int, typer.Argument(min=1)]


def register(app: typer.Typer) -> None:
    """Add `transcript` to the commands."""
    group = typer.Typer(help="What was typed to adapters and what they said, secrets masked.", no_args_is_help=True)
    app.add_typer(group, name="transcript")

    @group.command("list")
    def listed(
        adapter: Annotated[str | None, typer.Option(help="Only of this adapter.")] = None,
        entry: Annotated[str | None, typer.Option(help="Only of this entry.")] = None,
        push: Annotated[int | None, typer.Option(min=1, help="Only of this push.")] = None,
        operation: Annotated[int | None, typer.Option(min=1, help="Only of this operation.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """The index, newest first."""
        about = {"adapter": adapter, "entry": entry, "push": push, "operation": operation}
        asked = {name: None if value is None else str(value) for name, value in about.items()}
        found = list(api(url, key_file).every("/transcripts", **asked))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "at", "adapter", "entry", "push", "operation", "state"))

    @group.command("show")
    def shown(transcript: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """The words of one piece."""
        found = api(url, key_file).get(f"/transcripts/{transcript}")
        show_words([found], found, as_json)


def of_noun(group: typer.Typer, noun: str) -> None:
    """Add `transcript NUMBER` to the commands of a noun, `pushes` or `operations`."""

    @group.command("transcript")
    def transcript(wanted: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """What was typed and said in it, oldest first."""
        found = api(url, key_file).get_list(f"/{noun}/{wanted}/transcripts")
        show_words(found, found, as_json)


def show_words(pieces: list[Json], told: object, as_json: bool) -> None:
    """Print pieces one after the other."""
    if as_json:
        show_json(told)
        return
    for one in pieces:
        out.print(f"── {one['at']} {one['state']}", markup=False)
        out.print(_KEYS.sub("�", one["words"]), markup=False, soft_wrap=True)
