"""`kajitori api-key …` and `kajitori management suspend|resume|consent|consents|withdraw-consent`: who may do what, and
what is served to whom, over REST."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.client import at
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import show_fields, show_json, show_table

Management = Annotated[str, typer.Argument(help="Key of the management, such as M-3.")]

Contractor = Annotated[str, typer.Argument(help="Key of the contractor whose adapters, such as K-2.")]


def register(app: typer.Typer) -> None:
    """Add the noun api-key to the commands."""
    group = typer.Typer(help="Keys of people and programs.", no_args_is_help=True)
    app.add_typer(group, name="api-key")

    @group.command("add")
    def add(
        name: Annotated[str, typer.Argument(help="Whose it is.")],
        role: Annotated[str, typer.Option(help="admin, operator, billing, viewer or contractor.")],
        contractor: Annotated[str | None, typer.Option(help="Key of the contractor, for that role.")] = None,
        company: Annotated[int | None, typer.Option(help="Number of the company it works for (SMF-18).")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Make a key. It is shown this once."""
        body = {"name": name, "role": role, "contractor": contractor, "company": company}
        _show(api(url, key_file).post("/api-keys", body), as_json)

    @group.command("list")
    def listed(url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """All of them, the revoked ones included; never the keys themselves."""
        found = list(api(url, key_file).every("/api-keys", limit=1000))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "name", "role", "contractor", "company", "created_at", "revoked_at"))

    @group.command("revoke")
    def revoke(
        number: Annotated[int, typer.Argument(min=1)],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Refuse it from the next request on, for ever."""
        api(url, key_file).delete(at("api-keys", str(number)))
        _show({"id": number, "revoked": True}, as_json)


def register_consents(management: typer.Typer) -> None:
    """Add whose adapters are let in to the noun management."""

    @management.command("consent")
    def consent(
        key: Management,
        contractor: Contractor,
        proof: Annotated[str, typer.Option(help="Where the consent is kept.")],
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Let the adapters of another contractor into its slots (MPC-6.2, SMF-13)."""
        body = {"contractor": contractor, "proof": proof}
        _show(api(url, key_file).post(at("managements", key, "consents"), body), as_json)

    @management.command("consents")
    def consents(key: Management, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Whose adapters are let in, and were."""
        found = api(url, key_file).get_list(at("managements", key, "consents"))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("contractor", "proof", "actor", "given_at", "withdrawn_at"))

    @management.command("withdraw-consent")
    def withdraw_consent(
        key: Management, contractor: Contractor, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False
    ) -> None:
        """Let no more of them in; what is in place stays until it is moved."""
        api(url, key_file).delete(at("managements", key, "consents", contractor))
        _show({"contractor": contractor, "withdrawn": True}, as_json)


def register_suspension(management: typer.Typer) -> None:
    """Add suspension to the noun management."""

    @management.command("suspend")
    def suspend(
        key: Management,
        ground: Annotated[int, typer.Option(min=1, max=4, help="Ground of SMF-21.1.")],
        until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD.")] = None,
        notified: Annotated[str | None, typer.Option(help="Day on which it was notified, YYYY-MM-DD.")] = None,
        emergency: Annotated[bool, typer.Option("--emergency", help="There was no time for a notice.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Suspend it: its adapters are not controlled while that lasts."""
        body = {"ground": ground, "until": until, "notified": notified, "emergency": emergency}
        _show(api(url, key_file).post(at("managements", key, "suspend"), body), as_json)

    @management.command("resume")
    def resume(key: Management, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """The ground is gone."""
        _show(api(url, key_file).post(at("managements", key, "resume")), as_json)


def _show(value: dict[str, object], as_json: bool) -> None:
    (show_json if as_json else show_fields)(value)
