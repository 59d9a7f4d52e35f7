"""API keys and idempotency keys."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from controller.keyring import Keyring
from controller.store import api_keys, idempotency
from controller.store.database import Database
from controller.store.idempotency import Answer
from inventory.errors import BadInput, Conflict, NotFound
from inventory.secrets import Secret
from tests.controller.store.fleet import BY, later


async def test_no_key_is_valid_but_the_one_of_the_first_start(database: Database, keyring: Keyring) -> None:
    async with database.write() as tx:
        assert await api_keys.find(tx, keyring, Secret("x" * 43)) is None
        secret = await api_keys.first_key(tx, keyring, BY)
        assert secret is not None
        assert await api_keys.first_key(tx, keyring, BY) is None
        key = await api_keys.find(tx, keyring, secret)
        assert key is not None
        assert (key.role, key.contractor_id) == ("admin", None)
        assert (await tx.execute(sa.text("SELECT count(*) FROM api_keys"))).scalar_one() == 1


async def test_two_nodes_that_start_at_once_make_one_first_key(database: Database, keyring: Keyring) -> None:
    async def start() -> Secret | None:
        async with database.write() as tx:
            return await api_keys.first_key(tx, keyring, BY)

    made = await asyncio.gather(*(start() for _ in range(4)))
    assert sum(one is not None for one in made) == 1


async def test_a_key_is_kept_as_a_digest_only(database: Database, keyring: Keyring) -> None:
    async with database.write() as tx:
        _, secret = await api_keys.create(tx, keyring, BY, name="night shift", role="operator")
        row = (await tx.execute(sa.text("SELECT * FROM api_keys"))).one()
    assert secret.reveal().encode() not in repr(tuple(row)).encode()


async def test_a_revoked_key_stays_dead(database: Database, keyring: Keyring) -> None:
    async with database.write() as tx:
        await api_keys.first_key(tx, keyring, BY)
        key, secret = await api_keys.create(tx, keyring, BY, name="night shift", role="viewer")
        for at in (1, 2):
            assert (await api_keys.revoke(tx, later(at), key.id)).revoked_ms == BY.at_ms + 1
        assert await api_keys.find(tx, keyring, secret) is None
        assert [one.id for one in await api_keys.page(tx)] == [1, key.id]
        with pytest.raises(NotFound):
            await api_keys.get(tx, 99)


async def test_the_last_admin_key_cannot_be_revoked(database: Database, keyring: Keyring) -> None:
    async with database.write() as tx:
        await api_keys.first_key(tx, keyring, BY)
        with pytest.raises(Conflict):
            await api_keys.revoke(tx, BY, 1)
        await api_keys.create(tx, keyring, BY, name="second", role="admin")
        await api_keys.revoke(tx, BY, 1)


async def test_the_same_request_twice_gets_the_first_answer(database: Database, keyring: Keyring) -> None:
    async def send(digest: bytes = b"1") -> Answer | None:
        async with database.write() as tx:
            return await idempotency.reserve(
                tx, keyring, caller="key 1", key="abc", request_digest=digest, now_ms=BY.at_ms
            )

    answer = Answer(201, '{"key": "shown once"}')
    assert await send() is None
    with pytest.raises(Conflict, match="under way"):
        await send()
    async with database.write() as tx:
        await idempotency.complete(tx, keyring, caller="key 1", key="abc", answer=answer)
        kept = (await tx.execute(sa.text("SELECT answer_sealed FROM idempotency_keys"))).scalar_one()
        assert b"shown once" not in bytes(kept)
    assert await send() == answer
    with pytest.raises(BadInput):
        await send(b"2")


async def test_a_refused_request_gives_its_key_back(database: Database, keyring: Keyring) -> None:
    async with database.write() as tx:
        for _ in range(2):
            assert await idempotency.reserve(tx, keyring, caller="c", key="k", request_digest=b"1", now_ms=5) is None
            await idempotency.release(tx, caller="c", key="k")
        for caller in ("c", "d"):
            await idempotency.reserve(tx, keyring, caller=caller, key="k", request_digest=b"1", now_ms=5)
        assert await idempotency.prune(tx, before_ms=5) == 0
        assert await idempotency.prune(tx, before_ms=6) == 2
        with pytest.raises(BadInput):
            await idempotency.reserve(tx, keyring, caller="c", key="", request_digest=b"1", now_ms=5)


async def test_the_same_request_ten_times_at_once_is_carried_out_once(database: Database, keyring: Keyring) -> None:
    async def send() -> bool:
        async with database.write() as tx:
            first = await idempotency.reserve(tx, keyring, caller="c", key="k", request_digest=b"1", now_ms=5)
            if first is None:
                await idempotency.complete(tx, keyring, caller="c", key="k", answer=Answer(200, "done"))
            return first is None

    assert sum(await asyncio.gather(*(send() for _ in range(10)))) == 1
