"""`kajitori operation`: ask an adapter for something over ARMS, and wait for what comes of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controller.cli.client import Api, Exit, Json
from controller.cli.fleet import explained
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import complain, out, show_fields, show_json, show_table
from controller.cli.transcribing import of_noun
from inventory.errors import BadInput

Number = Annotated[int, typer.Argument(min=1)]
EXITS = {"done": Exit.DONE, "not-done": Exit.FAILED, "unknown": Exit.NOT_SETTLED}
_LOOK_S = 0.5


def register(app: typer.Typer) -> None:
    """Add `operation` to the commands."""
    group = typer.Typer(help="Operations on adapters: ping, status, commands, reboot.", no_args_is_help=True)
    app.add_typer(group, name="operation")
    _starting(group)
    _looking(group)
    of_noun(group, "operations")


def _starting(group: typer.Typer) -> None:
    @group.command("start")
    def start(
        serial: str,
        kind: Annotated[str, typer.Argument(help="read-status, md-command, ping, traceroute, reboot, …")],
        item: Annotated[
            list[str] | None, typer.Option(help="MODULE=TEXT, once for each module: read-status, clear-status.")
        ] = None,
        module: Annotated[int | None, typer.Option(help="Module of an md-command.")] = None,
        command: Annotated[str | None, typer.Option(help="The md-command.")] = None,
        address: Annotated[str | None, typer.Option(help="IPv4 or IPv6 literal: ping, traceroute.")] = None,
        count: Annotated[int | None, typer.Option(help="Probes: ping, traceroute.")] = None,
        size: Annotated[int | None, typer.Option(help="Octets of a ping.")] = None,
        max_hop: Annotated[int | None, typer.Option(help="Hops of a traceroute.")] = None,
        storage: Annotated[str | None, typer.Option(help="running, candidate or backup: read-storage.")] = None,
        origin: Annotated[str | None, typer.Option("--from", help="RS or LS: pull-config.")] = None,
        wait_s: Annotated[int | None, typer.Option(help="Seconds that it may wait for turn and contact.")] = None,
        wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
        at: Annotated[str | None, typer.Option(help="Instant with offset, at most 31 days ahead.")] = None,
        also: Annotated[list[str] | None, typer.Option(help="A further adapter, once for each.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Ask for an operation. Exit 0 done, 1 not done, 3 not settled yet, or not known."""
        given = {
            "items": [_item(one) for one in item] if item else None,
            "module": module,
            "command": command,
            "address": address,
            "count": count,
            "size": size,
            "max_hop": max_hop,
            "storage": storage,
            "start": origin,
        }
        parameters = {name: value for name, value in given.items() if value is not None}
        body: Json = {"kind": kind, "parameters": parameters, "not_before": at}
        if wait_s is not None:
            body["wait_s"] = wait_s
        connection = api(url, key_file)
        if also:
            asked = connection.post("/operations/many", {**body, "adapters": [serial, *also]})["items"]
            _show_many(connection, asked, as_json, wait=wait)
        made = connection.post("/operations", {**body, "adapter": serial})
        _show(_follow(connection, made["id"]) if wait else connection.get(f"/operations/{made['id']}"), as_json)

    @group.command("wait")
    def wait_for(
        operation: Number,
        timeout_s: Annotated[float, typer.Option(min=0, help="Give up after so many seconds.")] = 3600.0,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Wait until an operation is over. Exit 0 done, 1 not done, 3 not known, or not over in time."""
        _show(_follow(api(url, key_file), operation, timeout_s), as_json)

    @group.command("cancel")
    def cancel(operation: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Stop an operation of which nothing was sent yet."""
        told = api(url, key_file).post(f"/operations/{operation}/cancel")
        if as_json:
            show_json(told)
        else:
            show_fields(told)


def _looking(group: typer.Typer) -> None:
    @group.command("list")
    def listed(
        adapter: Annotated[str | None, typer.Option(help="Only of this adapter.")] = None,
        kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
        state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Operations, newest first."""
        found = list(api(url, key_file).every("/operations", adapter=adapter, kind=kind, state=state))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "adapter", "kind", "state", "outcome", "said"))

    @group.command("show")
    def shown(operation: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """An operation, its journal and its result. The exit status is that of its outcome."""
        _show(api(url, key_file).get(f"/operations/{operation}"), as_json)

    @group.command("explain")
    def explain(operation: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Why the operation is where it is."""
        explained(api(url, key_file), f"/operations/{operation}/explain", as_json)

    @group.command("save")
    def save(
        operation: Number, file: Path, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """Write the octets of a result, such as a dump, to a file."""
        octets = api(url, key_file).octets(f"/operations/{operation}/file")
        try:
            file.write_bytes(octets)
        except OSError as error:
            raise BadInput(f"{file} cannot be written: {error.strerror}", field="file") from None
        told = {"file": str(file), "octets": len(octets)}
        if as_json:
            show_json(told)
        else:
            show_fields(told)


def _item(text: str) -> Json:
    module, sign, asked = text.partition("=")
    if not sign or not module.isascii() or not module.isdigit():
        raise BadInput(f"--item {text!r} is not MODULE=TEXT", field="--item", next_step="Such as --item '0=show log'.")
    return {"module": int(module), "text": asked}


def _follow(connection: Api, operation: int, timeout_s: float = float("inf")) -> Json:
    end_s = time.monotonic() + timeout_s
    state = ""
    while True:
        told = connection.get(f"/operations/{operation}")
        if told["state"] != state:
            state = told["state"]
            complain(f"operation {operation}: {state}")
        if told["outcome"] is not None or time.monotonic() >= end_s:
            return told
        time.sleep(_LOOK_S)


def _show_many(connection: Api, asked: list[Json], as_json: bool, *, wait: bool) -> NoReturn:
    """Print one row for each adapter; the exit status is that of the worst."""
    rows: list[Json] = []
    for one in asked:
        if one["operation"] is None:
            rows.append(
                {"adapter": one["adapter"], "outcome": "not-done", "said": f"{one['refused']}: {one['detail']}"}
            )
        else:
            number = one["operation"]["id"]
            rows.append(_follow(connection, number) if wait else connection.get(f"/operations/{number}"))
    if as_json:
        show_json(rows)
    else:
        show_table(rows, ("id", "adapter", "kind", "state", "outcome", "said"))
    outcomes = {row["outcome"] for row in rows}
    worst = Exit.FAILED if "not-done" in outcomes else Exit.NOT_SETTLED if outcomes != {"done"} else Exit.DONE
    raise typer.Exit(worst)


def _show(told: Json, as_json: bool) -> None:
    """Print an operation, and end with the exit status of its outcome."""
    if as_json:
        show_json(told)
    else:
        parts = ("id", "adapter", "kind", "state", "outcome", "said", "tries", "started_by", "created_at")
        show_fields({name: told[name] for name in parts})
        if told["result"] is not None:
            _show_result(told["result"])
    raise typer.Exit(EXITS.get(told["outcome"] or "", Exit.NOT_SETTLED))


def _show_result(result: Json) -> None:
    for report in result["reports"]:
        code = "" if report["result_code"] is None else f": {report['result_code']} {report['result_name']}"
        out.print(f"── module {report['module']}{code}", markup=False)
        out.print(report["text"], markup=False)
    if result["answered"] is not None:
        out.print(f"{result['answered']} answered, {result['lost'] or 0} lost")
    if result["hops"]:
        show_table(result["hops"], ("hop", "address"))
    if result["modules"]:
        show_table(result["modules"], ("module", "version", "about"))
    if result["transactions"]:
        out.print(f"open transactions: {', '.join(map(str, result['transactions']))}")
