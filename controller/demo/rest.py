"""The tour's way to the daemon: the public REST API and nothing else, with an admin key as any program would use it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import httpx

Json = dict[str, Any]
Found = TypeVar("Found")
POLL_S = 0.25


class Refused(Exception):
    """The daemon answered with a problem (RFC 9457), or not at all."""

    def __init__(self, method: str, path: str, status: int, problem: Json) -> None:
        self.status = status
        self.problem = problem
        said = f"{problem.get('code', status)}: {problem.get('detail', '')}".strip()
        super().__init__(f"{method} {path} → {said}")


class NotInTime(Exception):
    """What was waited for did not come; the words say what was seen last."""


class Rest:
    """A connection to one daemon."""

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = url
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=90, trust_env=False, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: object) -> Json:
        """`GET` one thing."""
        return cast("Json", (await self._send("GET", path, params=_given(query))).json())

    async def array(self, path: str, **query: object) -> list[Json]:
        """`GET` a list that comes whole."""
        return cast("list[Json]", (await self._send("GET", path, params=_given(query))).json())

    async def every(self, path: str, **query: object) -> list[Json]:
        """All items of a list that pages."""
        found: list[Json] = []
        after: str | None = None
        while True:
            page = await self.get(path, after=after, limit=1000, **query)
            found += page["items"]
            after = page["next"]
            if after is None:
                return found

    async def text(self, path: str, **query: object) -> str:
        """`GET` something that is not JSON."""
        return (await self._send("GET", path, params=_given(query))).text

    async def post(self, path: str, body: object = None) -> Json:
        """`POST`, carried out at most once."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return _json(await self._send("POST", path, json=body, headers=headers))

    async def put(self, path: str, body: object) -> Json:
        """`PUT`, whatever the version."""
        return _json(await self._send("PUT", path, json=body, headers={"If-Match": "*"}))

    async def patch(self, path: str, body: object) -> Json:
        """`PATCH`, whatever the version."""
        return _json(await self._send("PATCH", path, json=body, headers={"If-Match": "*"}))

    async def post_lines(self, path: str, lines: Iterator[bytes]) -> Json:
        """`POST` a stream of NDJSON lines."""

        async def chunks() -> AsyncIterator[bytes]:
            chunk: list[bytes] = []
            for line in lines:
                chunk.append(line)
                if len(chunk) == 1000:
                    yield b"".join(chunk)
                    chunk = []
            yield b"".join(chunk)

        headers = {"Content-Type": "application/x-ndjson"}
        return _json(await self._send("POST", path, content=chunks(), headers=headers))

    async def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, f"/api/v1{path}", **how)
        except httpx.TransportError as error:
            raise Refused(method, path, 0, {"detail": f"no answer: {error!r}"}) from error
        if not answer.is_success:
            raise Refused(method, path, answer.status_code, _problem(answer))
        return answer


async def until(
    look: Callable[[], Awaitable[Found]], good: Callable[[Found], bool], *, timeout_s: float, what: str
) -> Found:
    """Look again and again until it is good. Raises NotInTime with what was seen last."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = await look()
        if good(found):
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"{what} did not come within {timeout_s:g} s; last seen: {str(found)[:600]}")
        await asyncio.sleep(POLL_S)


def _given(query: Json) -> Json:
    return {name: value for name, value in query.items() if value is not None}


def _json(answer: httpx.Response) -> Json:
    return cast("Json", answer.json()) if answer.content else {}


def _problem(answer: httpx.Response) -> Json:
    try:
        problem = answer.json()
    except ValueError:
        return {"detail": answer.text[:300]}
    return problem if isinstance(problem, dict) else {"detail": str(problem)[:300]}
