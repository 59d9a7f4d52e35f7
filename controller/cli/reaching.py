"""`kajitori adapter endpoint|identify|clear-quarantine|forget-host-key|life|shut-out|admit`: how an adapter is reached
and whether it is let in, over REST."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from controller.cli.client import Api, Exit, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import show_fields, show_json, show_told
from inventory.adapters import LifeEvent
from inventory.errors import BadInput

Serial = Annotated[str, typer.Argument(help="Serial number.")]


def register(adapter: typer.Typer) -> None:
    """Add the verbs to the noun adapter."""
    _endpoint(adapter)
    _looking(adapter)
    _letting_in(adapter)


def password() -> str:
    """The password for SSH: asked for at a terminal, else from KAJITORI_PASSWORD."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True)
        return asked
    return os.environ.get("KAJITORI_PASSWORD", "")


def _show(value: dict[str, object], as_json: bool) -> None:
    (show_json if as_json else show_fields)(value)


def _endpoint(group: typer.Typer) -> None:
    @group.command("endpoint")
    def endpoint(
        serial: Serial,
        host: Annotated[str | None, typer.Option(help="New address; left out: the endpoint is only shown.")] = None,
        port: Annotated[int | None, typer.Option(help="New port.")] = None,
        username: Annotated[str | None, typer.Option(help="New user.")] = None,
        credential: Annotated[bool, typer.Option("--credential", help="The password is new.")] = False,
        aaa_domain: Annotated[
            str | None, typer.Option(help="Name of the server that knows its accounts; empty: none.")
        ] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Where it is reached over SSH; with options, change that and look at the adapter at once. The
        password is asked for, or read from KAJITORI_PASSWORD; one for `enable` from KAJITORI_ENABLE_PASSWORD."""
        connection = api(url, key_file)
        path = at("adapters", serial, "endpoint")
        known = connection.get(path)
        if host is None and port is None and username is None and aaa_domain is None and not credential:
            _show(known, as_json)
            return
        if known["jump"] or known["rest"]:
            raise BadInput(
                f"{serial} is reached over jump hosts or a REST API, whose credentials would be needed again",
                field="endpoint",
                next_step="Send the whole endpoint: PUT /api/v1/adapters/{serial}/endpoint.",
            )
        body: dict[str, object] = {
            "host": host or known["host"],
            "port": port or known["port"],
            "username": username or known["username"],
            "password": password(),
            "profile": known["profile"],
            "transport": known["transport"],
            "aaa_domain": (known["aaa_domain"] if aaa_domain is None else aaa_domain) or None,
            "enable_password": os.environ.get("KAJITORI_ENABLE_PASSWORD") or None,
        }
        version = connection.get(at("adapters", serial))["version"]
        _show(connection.put(path, body, version=version), as_json)

    @group.command("forget-host-key")
    def forget_host_key(
        serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """It may show a new host key, and a new certificate of its API: the next contact pins them."""
        _show(api(url, key_file).post(at("adapters", serial, "forget-host-key")), as_json)


def _is_reached(connection: Api, serial: str) -> bool:
    """Whether it let us in; why not is printed."""
    try:
        connection.post(at("adapters", serial, "identify"))
    except typer.Exit:
        return False
    return True


def _looking(group: typer.Typer) -> None:
    @group.command("identify")
    def identify(
        serial: Annotated[str | None, typer.Argument(help="Serial number.")] = None,
        refused: Annotated[
            bool, typer.Option("--refused", help="All that have refused their credential, one after the other.")
        ] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Connect and prove serial number and host key now, also with a credential that was refused before: once."""
        if (serial is None) != refused:
            raise BadInput("name one adapter, or give --refused", next_step="kajitori adapter identify --help")
        connection = api(url, key_file)
        if serial is not None:
            show_told(connection.post(at("adapters", serial, "identify")), as_json)
            return
        wanted = [one["serial_number"] for one in connection.every("/adapters", limit=1000, refused=True)]
        reached = [one for one in wanted if _is_reached(connection, one)]
        told: dict[str, object] = {"tried": len(wanted), "reached": len(reached)}
        _show({**told, "serial_numbers": reached}, as_json)
        if len(reached) < len(wanted):
            raise typer.Exit(Exit.FAILED)

    @group.command("detect")
    def detect(
        host: Annotated[str, typer.Argument(help="Address of a device that is not registered.")],
        username: Annotated[str, typer.Option(help="User to log in as.")],
        port: Annotated[int, typer.Option(help="Its port.")] = 22,
        profile: Annotated[str, typer.Option(help="Algorithms: modern, compat or legacy.")] = "modern",
        transport: Annotated[str, typer.Option(help="lane (SSH) or telnet.")] = "lane",
        host_key: Annotated[str | None, typer.Option(help="Its public key; left out: whatever it shows.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Log in once and propose the model to register it under. The password is asked for, or read from
        KAJITORI_PASSWORD."""
        body = {"host": host, "port": port, "username": username, "password": password()}
        body |= {"profile": profile, "transport": transport, "host_key": host_key}
        _show(api(url, key_file).post("/detections", body), as_json)

    @group.command("clear-quarantine")
    def clear_quarantine(
        serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """You have looked: it may prove itself again."""
        show_told(api(url, key_file).post(at("adapters", serial, "clear-quarantine")), as_json)


def _letting_in(group: typer.Typer) -> None:
    @group.command("life")
    def life(
        serial: Serial,
        event: Annotated[LifeEvent, typer.Argument(help="What happened to it.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Let an event happen to it (service-terms §8); an event that cannot happen now is refused."""
        _show(api(url, key_file).post(at("adapters", serial, "life", event)), as_json)

    @group.command("shut-out")
    def shut_out(
        serial: Serial,
        reason: Annotated[str, typer.Option(help="Why.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Answer it 501 when it phones home, which stops it until it is powered again."""
        _show(api(url, key_file).post(at("adapters", serial, "shut-out"), {"reason": reason}), as_json)

    @group.command("admit")
    def admit(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Let in again what was shut out."""
        _show(api(url, key_file).post(at("adapters", serial, "admit")), as_json)
