"""`kajitori contractor|management|entry|standby|adapter|explain|event`: the nouns of the fleet, over REST."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import booting, people, reaching
from controller.cli.client import Api, at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_fields, show_json, show_table, show_told
from inventory.errors import BadInput

Serial = Annotated[str, typer.Argument(help="Serial number.")]
Entry = Annotated[str, typer.Argument(help="Key of the entry, such as E-12.")]
COLUMNS = {
    "contractor": ("key", "name"),
    "management": ("key", "contractor", "service", "classes", "name", "entry_count", "standby_count", "suspended"),
    "entry": ("key", "management", "name", "site", "occupant", "generation"),
    "standby": ("key", "management", "occupant", "unit"),
    "adapter": ("serial_number", "model", "service", "device_class", "life", "place", "path"),
}
PLURALS = {"entry": "entries"}


def register(app: typer.Typer) -> None:
    """Add the nouns of the fleet to the commands."""
    groups = {noun: typer.Typer(help=f"The noun {noun}.", no_args_is_help=True) for noun in COLUMNS}
    for noun, group in groups.items():
        app.add_typer(group, name=noun)
        _reading(group, noun)
    _contracts(groups["contractor"], groups["management"])
    people.register_suspension(groups["management"])
    people.register_consents(groups["management"])
    _places(groups["entry"])
    _spares(groups["standby"])
    _adapters(groups["adapter"])
    booting.register(groups["adapter"], groups["entry"])
    reaching.register(groups["adapter"])
    _explaining(app)


def text_of(path: Path) -> str:
    """A text file; `-` is standard input. Raises BadInput with the place if it cannot be read as UTF-8."""
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", field=str(path)) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadInput(
            f"{path} is not UTF-8: line {line}", field=str(path), next_step="Convert it: iconv -t UTF-8."
        ) from None


def show(value: dict[str, object], as_json: bool) -> None:
    """One thing."""
    (show_json if as_json else show_fields)(value)


def explained(connection: Api, path: str, as_json: bool) -> None:
    """An explanation: the sentence, the chain of facts, the next action."""
    show_told(connection.get(path), as_json)


def _reading(group: typer.Typer, noun: str) -> None:
    path = f"/{PLURALS.get(noun, noun + 's')}"

    @group.command("list")
    def listed(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """All of them, in the order of their numbers."""
        found = list(api(url, key_file).every(path, limit=1000))
        if as_json:
            show_json(found)
        else:
            show_table(found, COLUMNS[noun])

    @group.command("show")
    def shown(key: str, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """One of them."""
        show(api(url, key_file).get(path + at(key)), as_json)


def _contracts(contractor: typer.Typer, management: typer.Typer) -> None:
    @contractor.command("add")
    def add_contractor(name: str, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Record a contractor."""
        show(api(url, key_file).post("/contractors", {"name": name}), as_json)

    @management.command("add")
    def add_management(
        contractor: Annotated[str, typer.Option(help="Key of the contractor, such as K-1.")],
        service: Annotated[str, typer.Option(help="mpc or smfsx.")],
        entries: Annotated[int, typer.Option(help="Number of entries.")],
        standbys: Annotated[int, typer.Option(help="Number of standbys.")] = 0,
        classes: Annotated[str, typer.Option(help="Device classes it serves, such as I,III (mpc).")] = "",
        name: str = "management",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Open a management."""
        body = {
            "contractor": contractor,
            "service": service,
            "classes": [one for one in classes.split(",") if one],
            "name": name,
            "entry_count": entries,
            "standby_count": standbys,
        }
        show(api(url, key_file).post("/managements", body), as_json)

    @management.command("counts")
    def counts(
        key: str,
        entries: Annotated[int | None, typer.Option(help="New number of entries.")] = None,
        standbys: Annotated[int | None, typer.Option(help="New number of standbys.")] = None,
        valid_from: Annotated[str | None, typer.Option("--from", help="Day it takes effect, YYYY-MM-DD.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Change the counts (MPC-8, SMF-5.1)."""
        connection = api(url, key_file)
        seen = connection.get(at("managements", key))
        body = {"entry_count": entries, "standby_count": standbys, "valid_from": valid_from}
        show(connection.put(at("managements", key, "counts"), body, version=seen["version"]), as_json)


def _places(group: typer.Typer) -> None:
    @group.command("assign")
    def assign(
        key: Entry, serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """Put an unseated adapter into an entry."""
        show(api(url, key_file).post(at("entries", key, "assign"), {"serial_number": serial}), as_json)

    @group.command("promote")
    def promote(
        key: Entry,
        standby: Annotated[str, typer.Argument(help="Key of the standby, such as S-7.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Let a standby take the place of an entry's adapter."""
        show(api(url, key_file).post(at("entries", key, "promote"), {"standby": standby}), as_json)

    @group.command("config")
    def config(
        key: Entry,
        file: Annotated[Path, typer.Argument(help="Working config of module 0; - for standard input.")],
        modules: Annotated[
            list[str] | None, typer.Option("--module", help="Another module and its file, such as 1=accounts.txt.")
        ] = None,
        reason: Annotated[str, typer.Option(help="Why.")] = "",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Store the working config of an entry."""
        texts = [{"id": 0, "text": text_of(file)}]
        for one in modules or ():
            number, _, name = one.partition("=")
            if not (number.isascii() and number.isdigit() and name):
                raise BadInput(f"--module {one} names no module and file", next_step="Write --module 1=FILE.")
            texts.append({"id": int(number), "text": text_of(Path(name))})
        body = {"modules": texts, "reason": reason}
        show(api(url, key_file).put(at("entries", key, "configs", "working"), body), as_json)


def _spares(group: typer.Typer) -> None:
    @group.command("assign")
    def assign(
        key: Annotated[str, typer.Argument(help="Key of the standby, such as S-7.")],
        serial: Serial,
        with_slot: Annotated[bool, typer.Option("--with-slot", help="It was delivered with the standby.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Put an unseated adapter into a standby."""
        body = {"serial_number": serial, "with_slot": with_slot}
        show(api(url, key_file).post(at("standbys", key, "assign"), body), as_json)


def _adapters(group: typer.Typer) -> None:
    @group.command("register")
    def register_adapter(
        serial: Serial,
        contractor: Annotated[str, typer.Option(help="Key of the contractor.")],
        service: Annotated[str, typer.Option(help="mpc or smfsx.")],
        model: Annotated[str, typer.Option(help="Model, in either service's spelling.")],
        device_class: Annotated[str | None, typer.Option("--class", help="I, II or III (mpc).")] = None,
        distribution_id: Annotated[str | None, typer.Option(help="Distribution ID (ARMS).")] = None,
        management: Annotated[str | None, typer.Option(help="Seat it in any free slot of this management.")] = None,
        standby: Annotated[bool, typer.Option("--standby", help="… in a standby instead of an entry.")] = False,
        host: Annotated[str | None, typer.Option(help="Address (SSH).")] = None,
        port: Annotated[int, typer.Option(help="Port (SSH).")] = 22,
        username: Annotated[str, typer.Option(help="User (SSH).")] = "",
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Register an adapter by its serial number. A password for SSH is asked for, or read from KAJITORI_PASSWORD."""
        body: dict[str, object] = {
            "serial_number": serial,
            "contractor": contractor,
            "service": service,
            "model": model,
            "device_class": device_class,
            "distribution_id": distribution_id,
        }
        if host is not None:
            body["endpoint"] = {"host": host, "port": port, "username": username, "password": reaching.password()}
        if management is not None:
            body["place"] = {"management": management, "slot": "standby" if standby else "entry"}
        show(api(url, key_file).post("/adapters", body), as_json)

    @group.command("statistics")
    def statistics(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """What its last heartbeat told of processor, memory, disk, interfaces and radio."""
        told = api(url, key_file).get(at("adapters", serial, "statistics"))
        if as_json:
            show_json(told)
            return
        latest = told["latest"] or {"at": "never in the last two hours", "statistics": []}
        out.print(f"{told['serial_number']}: {latest['at']}", markup=False)
        for one in latest["statistics"]:
            values = "  ".join(f"{name} {value:,}" for name, value in one["values"].items())
            out.print(f"  {one['kind']} {one['index']}: {values}{'' if one['valid'] else '  (invalid)'}", markup=False)
        for said in told["troubles"]:
            out.print(f"! {said}", markup=False)

    @group.command("heartbeats")
    def heartbeats(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """When it was heard last, and what was refused in its name."""
        told = api(url, key_file).get(at("adapters", serial, "heartbeats"))
        if as_json:
            show_json(told)
            return
        out.print(f"{told['serial_number']}: {told['last_heartbeat_at']} from {told['source']}", markup=False)
        show_table(told["refused"], ("reason", "count", "first_at", "last_at", "last_source"))

    @group.command("release")
    def release(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Take it out of its slot."""
        show(api(url, key_file).post(at("adapters", serial, "release")), as_json)

    @group.command("tick")
    def tick(
        serial: Serial,
        items: Annotated[list[str], typer.Argument(help="line, site, installation, other, device …")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Tick items off the onboarding checklist (MPC-7.1)."""
        connection = api(url, key_file)
        told = {}
        for item in items:
            told = connection.put(at("adapters", serial, "checklist", item), {})
        show(told, as_json)


def _explaining(app: typer.Typer) -> None:
    @app.command("explain")
    def explain(
        what: Annotated[str, typer.Argument(help="Serial number, or `push 7`, or `link 3`.")],
        number: Annotated[int | None, typer.Argument(help="Number of the push or link.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Why it is as it is, and what to do next."""
        nouns = {"push": "pushes", "link": "links"}
        path = at(nouns[what], str(number), "explain") if what in nouns and number else at("adapters", what, "explain")
        explained(api(url, key_file), path, as_json)

    @app.command("events")
    def events(
        adapter: Annotated[str | None, typer.Option(help="Only of this serial number.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """What happened, oldest first."""
        found = list(api(url, key_file).every("/events", limit=1000, adapter=adapter))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "at", "kind", "facts"))

    @app.command("claims")
    def claims(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Who phoned home and was not known, or had a wrong key."""
        found = list(api(url, key_file).every("/claims", limit=1000))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "claimed", "source", "reason", "count", "first_at", "last_at"))
