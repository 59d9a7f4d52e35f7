"""The CLI's way to the daemon: the public REST API and nothing else."""

from __future__ import annotations

import os
import ssl
import uuid
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import typer

from controller.cli.output import complain
from inventory.errors import BadInput

Json = dict[str, Any]


class Exit(IntEnum):
    """Exit statuses of every command (architecture §10)."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NOT_SETTLED = 3


def _trusted() -> ssl.SSLContext | bool:
    """Whom HTTPS trusts: the CA file that KAJITORI_CA names, else the public ones."""
    file = os.environ.get("KAJITORI_CA", "")
    if not file:
        return True
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError):
        raise BadInput(f"KAJITORI_CA: {file} holds no certificate", field="KAJITORI_CA") from None


class Api:
    """A connection to one daemon. A refusal is printed as the API words it and ends the command."""

    def __init__(self, url: str, key: str, *, timeout_s: float = 60.0) -> None:
        # A command asks a few times and ends: no connection is kept, so none is left open.
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_s,
            trust_env=False,
            verify=_trusted(),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, path: str, **query: object) -> Json:
        """`GET`; query parameters that are None are left out."""
        return self._send("GET", path, params={k: v for k, v in query.items() if v is not None})

    def get_list(self, path: str, **query: object) -> list[Json]:
        """`GET` of a list that has no pages."""
        params = {k: v for k, v in query.items() if v is not None}
        return cast("list[Json]", self._answer("GET", path, params=params).json())

    def every(self, path: str, **query: object) -> Iterator[Json]:
        """All items of a list, page by page."""
        after: str | None = None
        while True:
            page = self.get(path, after=after, **query)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def post(self, path: str, body: object = None, *, key: str | None = None) -> Json:
        """`POST`, with an idempotency key of its own unless one is given."""
        return self._send("POST", path, json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    def put(self, path: str, body: object, *, version: int | None = None) -> Json:
        """`PUT` on the version that was read; None for any."""
        return self._send("PUT", path, json=body, headers={"If-Match": "*" if version is None else f'"{version}"'})

    def patch(self, path: str, body: object, *, version: int | None = None) -> Json:
        """`PATCH` on the version that was read; None for any."""
        return self._send("PATCH", path, json=body, headers={"If-Match": "*" if version is None else f'"{version}"'})

    def delete(self, path: str, *, version: int | None = None) -> Json:
        """`DELETE` of the version that was read; None for any."""
        return self._send("DELETE", path, headers={"If-Match": "*" if version is None else f'"{version}"'})

    def text(self, path: str, **query: object) -> str:
        """`GET` of a text, such as a certificate."""
        return self._answer("GET", path, params={k: v for k, v in query.items() if v is not None}).text

    def octets(self, path: str, **query: object) -> bytes:
        """`GET` of a file."""
        return self._answer("GET", path, params={k: v for k, v in query.items() if v is not None}).content

    def post_lines(self, path: str, lines: Iterator[bytes]) -> Json:
        """`POST` a stream of NDJSON lines."""
        headers = {"Content-Type": "application/x-ndjson"}
        return cast("Json", self._answer("POST", path, content=lines, headers=headers).json())

    def _send(self, method: str, path: str, **how: Any) -> Json:
        answer = self._answer(method, path, **how)
        return cast("Json", answer.json()) if answer.content else {}

    def _answer(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, f"/api/v1{path}", **how)
        except httpx.TransportError as error:
            if method != "GET" and not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
                complain(
                    f"the connection to {self._http.base_url} ended before the answer came: {error}",
                    "It may have been done or not: look at the thing before you ask again.",
                )
                raise typer.Exit(Exit.NOT_SETTLED) from None
            complain(
                f"no answer from {self._http.base_url}: {error}",
                "Is the daemon running? See --url and `kajitori serve`.",
            )
            raise typer.Exit(Exit.FAILED) from None
        except httpx.InvalidURL as error:
            raise BadInput(f"{self._http.base_url} is no address of a daemon: {error}", field="--url") from None
        if answer.is_success:
            return answer
        raise typer.Exit(_refused(answer))


def _refused(answer: httpx.Response) -> Exit:
    """Print a refusal as the API words it; the exit status that it means."""
    try:
        problem = answer.json()
        code = problem["code"]
    except (ValueError, KeyError, TypeError):
        complain(f"{answer.request.url.host} answered {answer.status_code}, and not as this API", "Look at --url.")
        return Exit.FAILED
    rule = f" [{problem['rule']}]" if problem.get("rule") else ""
    complain(f"{problem.get('detail', answer.status_code)}{rule}", problem.get("next_step", ""))
    if code == "outcome-unknown":
        return Exit.NOT_SETTLED
    return Exit.BAD_INPUT if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY else Exit.FAILED


def at(*segments: str) -> str:
    """A path of the API; a serial number may hold any sign, also a slash."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def connect(url: str, key_file: Path) -> Api:
    """The API at `url`; the key comes from KAJITORI_API_KEY, else from `key_file`."""
    key = os.environ.get("KAJITORI_API_KEY", "")
    if not key:
        try:
            key = key_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            complain(f"no API key: {key_file}: {error}", "Set KAJITORI_API_KEY, or give --key-file.")
            raise typer.Exit(Exit.BAD_INPUT) from None
    return Api(url, key)
