"""`kajitori plan` and `kajitori push`: what would be sent, and having it sent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import Api, Exit, Json
from controller.cli.fleet import explained, show, text_of
from controller.cli.options import ADMIN_KEY, HERE, AsJson, KeyFile, Url, api
from controller.cli.output import complain, out, show_json, show_table
from controller.cli.transcribing import of_noun
from inventory.plans import ConfigText

Number = Annotated[int, typer.Argument(min=1)]
EXITS = {"done": Exit.DONE, "not-done": Exit.FAILED, "unknown": Exit.NOT_SETTLED}


def register(app: typer.Typer) -> None:
    """Add `plan` and `push` to the commands."""
    _planning(app)
    group = typer.Typer(help="Plans of entries, and pushes.", no_args_is_help=True)
    app.add_typer(group, name="push")
    _pushing(group)
    _following(group)
    of_noun(group, "pushes")


def _planning(app: typer.Typer) -> None:
    @app.command("plan")
    def plan(
        base: Annotated[Path, typer.Argument(help="What the device runs.")],
        intent: Annotated[Path, typer.Argument(help="What it shall run.")],
        spoken: Annotated[str, typer.Option("--dialect", help="indented, block, statements or key-value.")],
        address: Annotated[str, typer.Option(help="Address that we reach the device at.")] = "",
        source: Annotated[str, typer.Option(help="Our own address as the device sees it.")] = "",
        user: Annotated[str, typer.Option(help="User that we log in as.")] = "",
        as_json: AsJson = False,
    ) -> None:
        """Offline: difference, lines to send, way back, proof, and what would cut us off. Nothing is sent.

        Exit 3 if it cannot be proven. What is told of our way to the device narrows the verdict on it.
        """
        from drivers.cutoff import FAMILIES, Way  # noqa: PLC0415
        from drivers.dialects import dialect  # noqa: PLC0415 (slow to import; most commands are only clients)
        from drivers.dialects.diff import difference  # noqa: PLC0415
        from drivers.dialects.remediation import prove  # noqa: PLC0415
        from drivers.plan import management_path  # noqa: PLC0415
        from drivers.registry import all_drivers  # noqa: PLC0415

        known = dialect(spoken)
        old, new = text_of(base), text_of(intent)
        proof = prove(known, old, new)
        family = next(one for one in all_drivers().values() if one.dialect == spoken and one.family in FAMILIES)
        touched = management_path(
            family, ConfigText.single(old), ConfigText.single(new), Way(address=address, source=source, user=user)
        )
        lines = difference(known, known.parse(old), known.parse(new)).splitlines()
        sent = known.redact("\n".join(proof.remediation)).splitlines()
        back = known.redact("\n".join(proof.rollback)).splitlines()
        if as_json:
            told = {"diff": lines, "remediation": sent, "rollback": back}
            cut = [{"line": one.line, "reason": one.reason} for one in touched]
            show_json(told | {"proven": proof.proven, "reason": proof.reason, "management_path": cut})
        else:
            for title, text in (("difference", lines), ("to send", sent), ("way back", back)):
                out.print(f"── {title}", markup=False)
                for line in text:
                    out.print(line, markup=False)
            out.print("── our way to the device", markup=False)
            for one in touched:
                out.print(f"{one.line}: {one.reason}", markup=False)
            if not touched:
                out.print("nothing of this touches it", markup=False)
            said = "proven: the lines lead from what runs to what is wanted, and the way back leads back"
            out.print(f"── {said if proof.proven else f'NOT proven: {proof.reason}'}", markup=False)
        raise typer.Exit(Exit.DONE if proof.proven else Exit.NOT_SETTLED)


def _pushing(group: typer.Typer) -> None:
    @group.command("plan")
    def make(
        entry: str,
        before_push: Annotated[int | None, typer.Option(help="Back to what it ran before this push.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Read the device of an entry and show what would be sent."""
        _show_plan(api(url, key_file).post("/plans", {"entry": entry, "before_push": before_push}), as_json)

    @group.command("recompute")
    def recompute(plan: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """A new plan to the same config from what the device runs now."""
        _show_plan(api(url, key_file).post(f"/plans/{plan}/recompute"), as_json)

    @group.command("show-plan")
    def shown(plan: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """A plan as it was made, and where it stands."""
        _show_plan(api(url, key_file).get(f"/plans/{plan}"), as_json)

    @group.command("explain-plan")
    def explain(plan: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Whom a plan waits for, and why."""
        explained(api(url, key_file), f"/plans/{plan}/explain", as_json)

    @group.command("approve")
    def approve(plan: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Approve a plan."""
        show(api(url, key_file).post(f"/plans/{plan}/approve"), as_json)

    @group.command("start")
    def start(
        plan: Number,
        at: Annotated[str | None, typer.Option(help="Instant with offset, at most 31 days ahead.")] = None,
        wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Have an approved plan carried out. Exit 0 done, 1 not done, 3 not settled."""
        connection = api(url, key_file)
        push = connection.post("/pushes", {"plan": plan, "not_before": at})
        if wait:
            push = _follow(connection, push["id"])
        show(push, as_json)
        raise typer.Exit(EXITS.get(push["outcome"] or "", Exit.NOT_SETTLED))


def _show_plan(made: Json, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    counted = max((len(f"{one['on']}/{one['of']}") for one in made["diff_lines"] if one["of"]), default=0)
    for one in made["diff_lines"]:
        rare = f"{one['on']}/{one['of']}" if one["of"] else ""
        out.print(f"{rare:>{counted}} {one['text']}" if counted else one["text"], markup=False, soft_wrap=True)
    if counted:
        out.print("(left: on how many adapters of this model a line of the same shape stands)", markup=False)
    proof = "proven" if made["proven"] else "NOT proven"
    out.print(f"plan {made['id']} for {made['serial_number']}: {proof}: {made['proof']}", markup=False)
    for title, found in (("touches our way", made["management_path"]), ("not taken back", made["lasting"])):
        for one in found:
            out.print(f"{title}: {one['line']}: {one['reason']}", markup=False)
    blast = made["blast_radius"]
    mbps = "unknown" if blast["bandwidth_bps"] is None else f"{blast['bandwidth_bps'] / 1e6:g} Mbit/s"
    spare = "no ready standby" if blast["entries_without_ready_standby"] else "a ready standby"
    out.print(f"behind it: {mbps} contracted, {spare}; takes about {made['expected_s']} s", markup=False)
    out.print(f"guard: {made['guard']}, {made['guard_s']} s; valid until {made['valid_until']}", markup=False)
    given = ", ".join(one["actor"] for one in made["approvals"]) or "nobody"
    stands = f"{made['standing']} as push {made['push']}" if made["push"] else made["standing"]
    out.print(f"{stands}: {made['approvals_needed']} needed, approved by {given}", markup=False)
    if made["moved"]:
        out.print(made["moved"], markup=False)


def _following(group: typer.Typer) -> None:
    @group.command("list")
    def listed(
        entry: Annotated[str | None, typer.Option(help="Only of this entry.")] = None,
        url: Url = HERE,
        key_file: KeyFile = ADMIN_KEY,
        as_json: AsJson = False,
    ) -> None:
        """Pushes, newest first."""
        found = list(api(url, key_file).every("/pushes", entry=entry))
        if as_json:
            show_json(found)
        else:
            show_table(found, ("id", "plan", "entry", "state", "outcome", "said"))

    @group.command("show")
    def shown(push: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """A push and its journal."""
        connection = api(url, key_file)
        journal = connection.get(f"/pushes/{push}/journal")
        told = connection.get(f"/pushes/{push}")
        if as_json:
            show_json(told | {"journal": journal})
            return
        show(told, False)
        show_table(journal, ("seq", "at", "state", "phase", "verdict", "said"))  # type: ignore[arg-type]
        for detail in dict.fromkeys(one["detail"] for one in journal if one["detail"]):  # type: ignore[index]
            out.print(detail, markup=False)

    @group.command("explain")
    def explain(push: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Why the push is where it is."""
        explained(api(url, key_file), f"/pushes/{push}/explain", as_json)

    @group.command("cancel")
    def cancel(push: Number, url: Url = HERE, key_file: KeyFile = ADMIN_KEY, as_json: AsJson = False) -> None:
        """Ask a push to stop."""
        show(api(url, key_file).post(f"/pushes/{push}/cancel"), as_json)


def _follow(connection: Api, push: int) -> Json:
    state = ""
    while True:
        told = connection.get(f"/pushes/{push}")
        if told["state"] != state:
            state = told["state"]
            complain(f"push {push}: {state}")
        if told["outcome"] is not None:
            return told
        time.sleep(0.5)
