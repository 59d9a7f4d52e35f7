"""The status page: plain server-rendered HTML that explains each state in the API's own words.

A browser asks for the key by HTTP Basic: any user name, the API key as password. Nothing is loaded from elsewhere and
no script runs, so the content policy is closed.
"""

from __future__ import annotations

import base64
import binascii
import pathlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from controller import explaining
from controller.api.auth import Caller, caller_with
from controller.api.state import LARGEST, daemon_of
from controller.store import adapters, events, links, plans, pushes
from inventory.adapters import SerialNumber
from inventory.errors import FleetError, Unauthenticated
from inventory.plans import Plan
from inventory.secrets import Secret

ROWS = 200
PUSHES = 20
PLANS = 20
Number = Annotated[int, Path(ge=1, le=LARGEST)]
router = APIRouter(include_in_schema=False)
templates = Environment(
    loader=FileSystemLoader(pathlib.Path(__file__).parent / "templates"), autoescape=select_autoescape(default=True)
)


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


templates.filters["instant"] = _instant
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"


async def reader(request: Request) -> Caller:
    """The caller behind a browser's Basic credential."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        _, _, key = base64.b64decode(encoded, validate=True).decode().partition(":")
        if scheme.lower() == "basic" and key:
            return await caller_with(daemon_of(request), Secret(key))
    except (binascii.Error, UnicodeDecodeError, Unauthenticated):
        pass
    raise Unauthenticated("this page needs an API key", next_step="Give it as the password; any user name will do.")


Reader = Annotated[Caller, Depends(reader)]


def rendered(name: str, **values: object) -> HTMLResponse:
    """A template as an answer, under the closed content policy."""
    html = templates.get_template(name).render(**values)
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


@router.get("/")
async def front() -> Response:
    """To the status page."""
    return RedirectResponse("/status", status_code=307)


@router.get("/static/kajitori.css")
async def style() -> Response:
    """The one style sheet."""
    css = (pathlib.Path(__file__).parent / "static/kajitori.css").read_text(encoding="utf-8")
    return Response(css, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.get("/status")
async def status(request: Request, caller: Reader, after: Annotated[int, Query(ge=0, le=LARGEST)] = 0) -> HTMLResponse:
    """The fleet: a count per word, then each adapter with what it is and what to do."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await adapters.page(tx, caller.scope, after=after, limit=ROWS + 1)
        told = await explaining.adapters(tx, daemon, found[:ROWS])
        last = await pushes.find(tx, caller.scope, limit=PUSHES)
        made = await plans.of_entry(tx, caller.scope, None, limit=PLANS)
        lines = await links.page(tx, caller.scope, limit=ROWS)
        judged = [(one.id, await explaining.link(tx, daemon, caller.scope, one)) for one in lines]
        news = await events.latest(tx, caller.scope, limit=30)
    standings = await daemon.pushes.standings(caller.scope, made)
    words: dict[str, int] = {}
    for one in told:
        words[one.word] = words.get(one.word, 0) + 1
    return rendered(
        "status.html",
        words=sorted(words.items(), key=lambda pair: (-pair[1], pair[0])),
        adapters=list(zip(found, told, strict=False)),
        pushes=[(one.id, explaining.push(one, ())) for one in last],
        plans=[(one.id, explaining.plan(one, *where)) for one, where in zip(made, standings, strict=True)],
        links=judged,
        news=news,
        paged=after > 0 or len(found) > ROWS,
        more=found[ROWS - 1].id if len(found) > ROWS else None,
        pace=daemon.clock.pace,
    )


@router.get("/status/adapters/{serial}")
async def adapter(serial: str, request: Request, caller: Reader) -> HTMLResponse:
    """One adapter: the chain of facts and the next action."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await adapters.by_serial(tx, caller.scope, SerialNumber.parse(serial))
        (told,) = await explaining.adapters(tx, daemon, [found])
        news = await events.latest(tx, caller.scope, limit=50, adapter_id=found.id)
    about = f"{found.model.name(found.service)}. "
    return rendered("explained.html", told=told, about=about, news=news)


@router.get("/status/pushes/{push_id}")
async def push(push_id: Number, request: Request, caller: Reader) -> HTMLResponse:
    """One push: its journal and the next action."""
    daemon = daemon_of(request)
    found = await daemon.pushes.status(caller.scope, push_id)
    journal = await daemon.pushes.journal(caller.scope, push_id)
    async with daemon.db.read() as tx:
        guard = (await plans.get(tx, caller.scope, found.plan_id)).guard
    told = explaining.push(found, journal, await daemon.pushes.moved(found), guard)
    return rendered("explained.html", told=told, about="", plan=found.plan_id)


@router.get("/status/plans/{plan_id}")
async def plan(plan_id: Number, request: Request, caller: Reader) -> HTMLResponse:
    """One plan: what would be sent, what speaks against it, who approved it, and how far its push is."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        found = await plans.get(tx, caller.scope, plan_id)
        started = (await plans.started(tx, [plan_id])).get(plan_id)
    ((standing, moved),) = await daemon.pushes.standings(caller.scope, [found])
    carried, journal = None, []
    if started is not None:
        journal = await daemon.pushes.journal(caller.scope, started)
        status = await daemon.pushes.status(caller.scope, started)
        carried = explaining.push(status, journal, await daemon.pushes.moved(status), found.guard)
    return rendered(
        "plan.html",
        plan=found,
        told=explaining.plan(found, standing, moved),
        diff=_rare(found),
        push=started,
        carried=carried,
        journal=journal,
    )


def _rare(found: Plan) -> list[tuple[str, str]]:
    """Lines of a difference, each with on how many adapters of the model its shape stands."""
    lines = found.diff.split("\n") if found.diff else []
    rarity = [*found.rarity, *[None] * len(lines)]
    return [(line, f"{one.on} of {one.of}" if one else "") for line, one in zip(lines, rarity, strict=False)]


@router.get("/status/links/{link_id}")
async def link(link_id: Number, request: Request, caller: Reader) -> HTMLResponse:
    """One link: what it was judged by and the next action."""
    daemon = daemon_of(request)
    async with daemon.db.read() as tx:
        told = await explaining.link(tx, daemon, caller.scope, await links.get(tx, caller.scope, link_id))
    return rendered("explained.html", told=told, about="")


def refusal(error: FleetError) -> HTMLResponse:
    """A refusal as a page; 401 makes the browser ask for the key."""
    answer = rendered("refusal.html", error=error)
    answer.status_code = error.http_status
    if isinstance(error, Unauthenticated):
        answer.headers["WWW-Authenticate"] = 'Basic realm="Kajitori: any user name, an API key as password"'
    return answer
