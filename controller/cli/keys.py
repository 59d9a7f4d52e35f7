"""`kajitori pki|key`: certificates of phone-home and keys of adapters, over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import at
from controller.cli.fleet import Serial, text_of
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import out, show_json, show_table
from inventory.errors import BadInput

Json = dict[str, object]
CERTIFICATES = ("role", "subject", "not_after", "standing", "fingerprint")
KEYS = ("key", "state", "rotated_at", "deadline_at", "summary")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    pki = typer.Typer(help="The certificates of phone-home.", no_args_is_help=True)
    keys = typer.Typer(help="The keys of an adapter that phones home.", no_args_is_help=True)
    app.add_typer(pki, name="pki")
    app.add_typer(keys, name="key")
    _certificates(pki)
    _keys(keys)


def _certificates(group: typer.Typer) -> None:
    @group.command("show")
    def show(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Subjects, ends and fingerprints; what adapters must trust; what needs a person."""
        _show_pki(api(url, key_file).get("/pki"), as_json)

    @group.command("root")
    def root(
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Print the root certificate that adapters must be built with, as PEM."""
        pem = api(url, key_file).text("/pki/root.pem")
        if as_json:
            show_json({"certificate": pem})
        else:
            out.print(pem, markup=False, end="", soft_wrap=True)

    @group.command("import")
    def import_authority(
        role: Annotated[str, typer.Argument(help="root, rs-ca or sa-ca.")],
        certificate: Annotated[Path, typer.Option(help="PEM file of the CA; for root, with those above it.")],
        key: Annotated[Path, typer.Option(help="PEM file of its RSA key, not encrypted.")],
        yes: Annotated[bool, typer.Option("--yes", help="Also if adapters trust another CA.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Use a CA of your own; it is checked whole before anything is taken."""
        body = {"role": role, "certificate": text_of(certificate), "key": text_of(key), "confirmed": yes}
        _show_pki(api(url, key_file).post("/pki/import", body), as_json)


def _show_pki(told: Json, as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    certificates = told["certificates"]
    assert isinstance(certificates, list)
    show_table(certificates, CERTIFICATES)
    out.print(f"adapters must trust: {told['adapters_trust']}", markup=False)
    warnings = told["warnings"]
    assert isinstance(warnings, list)
    for words in warnings:
        out.print(f"! {words}", markup=False)
    for one in certificates:
        if one["next_step"]:
            out.print(f"! {one['summary']}\n→ {one['next_step']}", markup=False)


def _keys(group: typer.Typer) -> None:
    @group.command("show")
    def show(serial: Serial, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Which keys are in force, and what a rotation in flight waits for."""
        _show_keys(api(url, key_file).get(at("adapters", serial, "keys")), as_json)

    @group.command("rotate")
    def rotate(
        serial: Serial,
        key: Annotated[str, typer.Argument(help="ls, rs, heartbeat or certificate.")],
        at_once: Annotated[bool, typer.Option("--at-once", help="The old key is in wrong hands: it ends now.")] = False,
        deadline_s: Annotated[
            int | None, typer.Option("--deadline-s", help="Seconds after which an old LS or RS key is refused.")
        ] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Replace a key; a new LS key is shown this once."""
        body = {"key": key, "at_once": at_once, "deadline_s": deadline_s}
        _show_keys(api(url, key_file).post(at("adapters", serial, "keys", "rotate"), body), as_json)

    @group.command("legacy-tls")
    def legacy_tls(
        serial: Serial,
        allowed: Annotated[str, typer.Argument(help="yes, no, or settings: as arms.tls_floor says.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Whether the adapter may speak TLS below 1.2 where the listeners do."""
        words = {"yes": True, "no": False, "settings": None}
        if allowed not in words:
            raise BadInput(f"{allowed} is none of yes, no, settings", field="allowed")
        told = api(url, key_file).post(at("adapters", serial, "legacy-tls"), {"allowed": words[allowed]})
        _show_keys(told, as_json)


def _show_keys(told: Json, as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    keys = told["keys"]
    assert isinstance(keys, list)
    show_table(keys, KEYS)
    for one in keys:
        if one["next_step"]:
            out.print(f"→ {one['key']}: {one['next_step']}", markup=False)
    if told["ls_key"]:
        out.print(f"new LS key, shown this once: {told['ls_key']}", markup=False)
