"""`kajitori counters`, `maintenance` and more of `link`: where counters come from, and what they come to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Json, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import show_fields, show_json, show_table
from inventory.errors import BadInput

Serial = Annotated[str, typer.Argument(help="Serial number.")]
Number = Annotated[int, typer.Argument(min=1, help="Number of the link.")]


def register(app: typer.Typer) -> None:
    """Add the groups `counters` and `maintenance`."""
    counters = typer.Typer(help="Where adapters' counters are read.", no_args_is_help=True)
    app.add_typer(counters, name="counters")
    _setting(counters)
    _looking(counters)
    windows = typer.Typer(help="Time in which levels are not judged.", no_args_is_help=True)
    app.add_typer(windows, name="maintenance")
    _windows(windows)


def _setting(group: typer.Typer) -> None:
    @group.command("set")
    def set_counters(
        serial: Serial,
        protocol: Annotated[str, typer.Option(help="snmp-v2c, snmp-v3 or fortios-rest.")],
        host: Annotated[str, typer.Option(help="Address of the device.")],
        port: Annotated[int | None, typer.Option(min=1, max=65535, help="Left out: 161, for REST 443.")] = None,
        username: Annotated[str, typer.Option(help="User of SNMPv3.")] = "",
        auth: Annotated[str | None, typer.Option(help="md5, sha1, sha256 or sha512.")] = None,
        privacy: Annotated[str | None, typer.Option(help="des, aes128, aes192 or aes256.")] = None,
        fingerprint: Annotated[str | None, typer.Option(help="SHA-256 of the certificate (fortios-rest).")] = None,
        privacy_file: Annotated[
            Path | None, typer.Option(help="File with the privacy password, where it is another one.", exists=True)
        ] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Set where its counters are read. The community, password or token is asked for, or KAJITORI_PASSWORD."""
        body: dict[str, object] = {"protocol": protocol, "host": host, "username": username}
        if port is not None:
            body["port"] = port
        body |= {"auth": auth, "privacy": privacy, "fingerprint": fingerprint}
        secret = None
        if protocol != "snmp-v3" or auth is not None:
            secret = typer.prompt("Secret", hide_input=True) if sys.stdin.isatty() else _secret()
        if protocol == "snmp-v3":
            body["auth_password"] = secret
            if privacy is not None:
                body["privacy_password"] = privacy_file.read_text().strip() if privacy_file else secret
        else:
            body["token" if protocol == "fortios-rest" else "community"] = secret
        _agent(api(url, key_file).put(at("adapters", serial, "counters"), body), as_json)

    @group.command("remove")
    def remove(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Read its counters no more; what was measured stays."""
        daemon = api(url, key_file)
        seen = daemon.get(at("adapters", serial, "counters"))
        daemon.delete(at("adapters", serial, "counters"), version=seen["version"])
        _agent(seen, as_json)


def _secret() -> str:
    found = os.environ.get("KAJITORI_PASSWORD")
    if not found:
        raise BadInput("there is no secret", field="KAJITORI_PASSWORD", next_step="Export it, or run it in a terminal.")
    return found


def _looking(group: typer.Typer) -> None:
    @group.command("show")
    def show(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Where its counters are read, and how that goes."""
        _agent(api(url, key_file).get(at("adapters", serial, "counters")), as_json)

    @group.command("interfaces")
    def interfaces(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Interfaces that were discovered."""
        found = api(url, key_file).get_list(at("adapters", serial, "interfaces"))
        _listed(found, ("name", "ifindex", "alias", "speed_bps", "up", "half_duplex", "seen_at", "gone_at"), as_json)


def _agent(found: Json, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    source = found.pop("source")
    show_fields(found | {name: source[name] for name in ("state", "words", "reason", "next_step", "answered_at")})


def _listed(found: list[Json], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_table(found, columns)


def _windows(group: typer.Typer) -> None:
    columns = ("id", "entry", "kind", "start", "end", "daily", "reason", "notified", "cancelled_at")

    @group.command("add")
    def add(
        start: Annotated[str, typer.Argument(help="With offset, such as 2026-01-10T01:00:00+09:00.")],
        end: Annotated[str, typer.Argument(help="First instant that counts again.")],
        entry: Annotated[str | None, typer.Option(help="Key of the entry; left out: the whole fleet.")] = None,
        kind: Annotated[str, typer.Option(help="maintenance, or bulk: full on purpose.")] = "maintenance",
        daily: Annotated[str | None, typer.Option(help="Only these hours of each day, such as 02:00-02:45.")] = None,
        reason: Annotated[str, typer.Option(help="Why.")] = "",
        work: Annotated[
            str | None, typer.Option(help="planned or fault: the service itself is interrupted (SMF-20).")
        ] = None,
        notified: Annotated[str | None, typer.Option(help="Day on which those affected were notified of it.")] = None,
        emergency: Annotated[bool, typer.Option("--emergency", help="It needs no notice.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Enter a window: levels are not judged in it, nor in the half hour after."""
        body: Json = {"entry": entry, "kind": kind, "start": start, "end": end, "daily": daily, "reason": reason}
        body |= {"work": work, "notified": notified, "emergency": emergency}
        made = api(url, key_file).post("/maintenance-windows", body)
        if as_json:
            show_json(made)
        else:
            show_table([made], columns)

    @group.command("list")
    def listing(
        entry: Annotated[str | None, typer.Option(help="Those that hold for this entry.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Windows by number."""
        _listed(list(api(url, key_file).every("/maintenance-windows", entry=entry)), columns, as_json)

    @group.command("cancel")
    def cancel(
        number: Annotated[int, typer.Argument(min=1, help="Number of the window.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Take a window back: its time counts again."""
        daemon = api(url, key_file)
        seen = daemon.get(f"/maintenance-windows/{number}")
        daemon.delete(f"/maintenance-windows/{number}", version=seen["version"])
        done = daemon.get(f"/maintenance-windows/{number}")
        if as_json:
            show_json(done)
        else:
            show_table([done], columns)


def links(group: typer.Typer) -> None:
    """Add to `kajitori link`: making one, its capacities, and what its slots come to."""
    _making(group)
    _figures(group)


def _making(group: typer.Typer) -> None:
    @group.command("add")
    def add(
        entry: Annotated[str, typer.Argument(help="Key of the entry.")],
        interface: Annotated[str, typer.Argument(help="Interface; of a group a name of your own.")],
        member: Annotated[list[str] | None, typer.Option(help="An interface of the group; several times.")] = None,
        role: Annotated[str, typer.Option(help="wan or lan.")] = "wan",
        line_type: Annotated[str, typer.Option(help="pppoe, dhcp, ipoe, static or mobile.")] = "dhcp",
        port_speed_bps: Annotated[int | None, typer.Option(help="bit/s; left out: the device's word.")] = None,
        ifindex: Annotated[int | None, typer.Option(help="How heartbeats number it.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Meter an interface, or a group of them summed, as a link."""
        body = {
            "entry": entry,
            "interface": interface,
            "members": [{"interface": one} for one in member or ()],
            "role": role,
            "line_type": line_type,
            "port_speed_bps": port_speed_bps,
            "ifindex": ifindex,
        }
        made = api(url, key_file).post("/links", body)
        if as_json:
            show_json(made)
        else:
            show_fields(made)

    @group.command("capacity")
    def capacity(
        number: Number,
        kind: Annotated[str | None, typer.Option(help="line, shaped, port or model; left out: list them.")] = None,
        down_bps: Annotated[int | None, typer.Option(help="bit/s.")] = None,
        up_bps: Annotated[int | None, typer.Option(help="bit/s.")] = None,
        valid_from: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
        reason: Annotated[str, typer.Option(help="Why.")] = "",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Enter a capacity from a day on, or list those of a link with where they come from."""
        daemon = api(url, key_file)
        if kind is not None:
            body = {"kind": kind, "down_bps": down_bps, "up_bps": up_bps, "valid_from": valid_from, "reason": reason}
            daemon.post(f"/links/{number}/capacities", body)
        columns = ("kind", "down_bps", "up_bps", "packets_per_s", "valid_from", "valid_to", "actor", "reason")
        _listed(daemon.get_list(f"/links/{number}/capacities"), columns, as_json)


def _figures(group: typer.Typer) -> None:
    @group.command("p95")
    def p95(
        number: Number,
        first: Annotated[str, typer.Argument(help="First day, YYYY-MM-DD.")],
        after: Annotated[str, typer.Argument(help="First day that is not wanted any more.")],
        convention: Annotated[str, typer.Option(help="How two directions become one figure.")] = "max_of_p95",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """The exact 95th percentile, as an interval over what nobody measured."""
        found = api(url, key_file).get(f"/links/{number}/p95", first=first, after=after, convention=convention)
        if as_json:
            show_json(found)
        else:
            show_fields((found.pop("p95") or {}) | found)

    @group.command("forecast")
    def forecast(number: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """When each direction will be full."""
        found = api(url, key_file).get_list(f"/links/{number}/forecast")
        _listed(found, ("direction", "capacity_kind", "capacity_bps", "saturation", "early", "late"), as_json)

    @group.command("alarms")
    def alarms(number: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """The last saturation alarm of each direction."""
        found = api(url, key_file).get_list(f"/links/{number}/alarms")
        _listed(found, ("direction", "raised", "since", "cleared_at"), as_json)
