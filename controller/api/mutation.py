"""POSTs that cost something happen once: the answer of an `Idempotency-Key` is stored with the change it answers.

The key is reserved in the transaction of the change itself, so a crash leaves both or neither. For work that spans
several transactions (a plan reads a device) the key is reserved first; until its answer is there, a second request with
the same key is told to wait, never carried out again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from controller.api.auth import Caller, caller_of
from controller.api.state import daemon_of
from controller.store import idempotency
from controller.store.database import Tx
from inventory.errors import FleetError


class Mutation:
    """One POST by one caller, with or without an `Idempotency-Key`."""

    def __init__(self, request: Request, caller: Caller, key: str | None, digest: bytes) -> None:
        self._daemon = daemon_of(request)
        self._caller = f"key-{caller.key_id}"
        self._key = key
        self._digest = digest

    async def commit(self, work: Callable[[Tx], Awaitable[BaseModel]], *, status: int = 201) -> Response:
        """Run `work` in one write transaction and answer its value, or repeat the answer given before."""
        daemon = self._daemon
        async with daemon.db.write() as tx:
            if self._key is not None:
                now_ms = daemon.clock.now_ms()
                past = await idempotency.reserve(
                    tx, daemon.keyring, caller=self._caller, key=self._key, request_digest=self._digest, now_ms=now_ms
                )
                if past is not None:
                    return _again(past.status, past.body)
            text = (await work(tx)).model_dump_json()
            if self._key is not None:
                await self._keep(tx, status, text)
        return _fresh(status, text)

    async def carry_out(self, work: Callable[[], Awaitable[BaseModel]], *, status: int = 201) -> Response:
        """Run `work`, which opens transactions of its own, and answer its value, or repeat the answer given before."""
        daemon = self._daemon
        if self._key is None:
            return _fresh(status, (await work()).model_dump_json())
        async with daemon.db.write() as tx:
            past = await idempotency.reserve(
                tx,
                daemon.keyring,
                caller=self._caller,
                key=self._key,
                request_digest=self._digest,
                now_ms=daemon.clock.now_ms(),
            )
        if past is not None:
            return _again(past.status, past.body)
        try:
            text = (await work()).model_dump_json()
        except FleetError:  # anything else leaves the outcome unknown, so the key stays taken
            async with daemon.db.write() as tx:
                await idempotency.release(tx, caller=self._caller, key=self._key)
            raise
        async with daemon.db.write() as tx:
            await self._keep(tx, status, text)
        return _fresh(status, text)

    async def _keep(self, tx: Tx, status: int, text: str) -> None:
        assert self._key is not None
        await idempotency.complete(
            tx, self._daemon.keyring, caller=self._caller, key=self._key, answer=idempotency.Answer(status, text)
        )


def _fresh(status: int, text: str) -> Response:
    return JSONResponse(json.loads(text), status_code=status)


def _again(status: int, text: str) -> Response:
    return JSONResponse(json.loads(text), status_code=status, headers={"Idempotency-Replayed": "true"})


async def mutation(
    request: Request,
    caller: Annotated[Caller, Depends(caller_of)],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A value of your own, such as a UUID; the same key never carries the request out twice.",
            min_length=1,
            max_length=200,
        ),
    ] = None,
) -> Mutation:
    """Dependency of every POST that changes something."""
    body = await request.body()
    digest = hashlib.sha256(f"{request.method} {request.url.path}\0".encode() + body).digest()
    return Mutation(request, caller, idempotency_key, digest)


Once = Annotated[Mutation, Depends(mutation)]
