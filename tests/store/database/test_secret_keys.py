"""A database belongs to one secret key, which is changed without losing what was signed and encrypted with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from service.store.database.secret_keys import WrongSecretKey, adopt, claim, fingerprint, unreadable
from tests.api.resources.test_queues import problem
from tests.in_process import Service, deployment, in_process, served

pytestmark = pytest.mark.anyio

_FIRST, _SECOND, _OTHER = b"1" * 32, b"2" * 32, b"o" * 32
_WEBHOOK = "/v1/queues/q/webhooks/w"


@contextlib.asynccontextmanager
async def serving_with(database: str, *keys: bytes) -> AsyncIterator[Service]:
    """Start as `restante serve` does: claim the database, then serve."""
    await claim(database, keys)
    async with served(replace(deployment(database), secret_keys=keys)) as service:
        yield service


async def test_another_secret_key_is_refused_until_the_former_one_is_named(
    database: str, sql: asyncpg.Connection
) -> None:
    await claim(database, [_FIRST])
    await claim(database, [_FIRST])
    with pytest.raises(WrongSecretKey, match="RESTANTE_SECRET_KEYS_OLD"):
        await claim(database, [_SECOND])
    with pytest.raises(WrongSecretKey):
        await claim(database, [_SECOND, _OTHER])
    assert await sql.fetchval("select fingerprint from secret_key") == fingerprint(_FIRST)
    await claim(database, [_SECOND, _OTHER, _FIRST])
    await claim(database, [_SECOND])
    with pytest.raises(WrongSecretKey):
        await claim(database, [_FIRST])


async def test_of_processes_that_start_at_once_with_different_keys_those_of_one_key_start(database: str) -> None:
    keys = [_FIRST, _SECOND] * 4
    outcomes = await asyncio.gather(*(claim(database, [key]) for key in keys), return_exceptions=True)
    started = {key for key, outcome in zip(keys, outcomes, strict=True) if outcome is None}
    refused = {key for key, outcome in zip(keys, outcomes, strict=True) if isinstance(outcome, WrongSecretKey)}
    assert len(started) == len(refused) == 1
    assert started != refused


async def test_a_key_is_changed_without_losing_receipts_cursors_or_webhooks(database: str) -> None:
    async with serving_with(database, _FIRST) as service:
        await service.queue()
        await service.root.put("/v1/queues/q2")
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        made = (await service.root.put(_WEBHOOK, json={"url": "http://127.0.0.1:1/", "enabled": False})).json()
        await service.root.patch(_WEBHOOK, json={"headers": {"X-Token": "t"}})
        cursor = (await service.root.get("/v1/queues?limit=1")).json()["next_cursor"]
        [message] = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
    async with serving_with(database, _SECOND, _FIRST) as service:
        assert (await service.root.get(f"/v1/queues?limit=1&cursor={cursor}")).json()["items"][0]["name"] == "q2"
        assert (await service.root.get(_WEBHOOK)).json()["headers"] == {"X-Token": None}
        assert (await service.root.delete(f"/v1/receipts/{message['receipt']}")).status_code == 204
        await service.root.post("/v1/queues/q/messages", json={"body": 2})
        [message] = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
    # From here on without the former one.
    async with serving_with(database, _SECOND) as service:
        assert (await service.root.get(_WEBHOOK)).json()["headers"] == {"X-Token": None}
        assert (await service.root.delete(f"/v1/receipts/{message['receipt']}")).status_code == 204
        rotated = await service.root.post(f"{_WEBHOOK}/rotate-secret", json={"overlap": 60})
        assert rotated.json()["secret"] != made["secret"]


async def test_a_process_whose_key_was_changed_elsewhere_is_not_ready(database: str) -> None:
    async with serving_with(database, _FIRST) as service:
        await claim(database, [_SECOND, _FIRST])
        answer = await service.root.get("/readyz")
        assert problem(answer)[:2] == (503, "unavailable")
        assert "RESTANTE_SECRET_KEY" in answer.json()["detail"]


async def test_a_database_whose_key_is_lost_is_adopted_and_webhooks_that_nobody_can_read_are_disabled(
    database: str, sql: asyncpg.Connection
) -> None:
    async with serving_with(database, _FIRST) as service:
        await service.queue()
        await service.root.put(_WEBHOOK, json={"url": "http://127.0.0.1:1/"})
    assert await unreadable(sql, [_SECOND]) == 1
    assert await unreadable(sql, [_SECOND, _FIRST]) == 0
    assert await adopt(database, [_SECOND]) == 1
    assert await sql.fetchval("select enabled from webhook") is False
    async with serving_with(database, _SECOND) as service:
        assert (await service.root.get("/readyz")).status_code == 200
        assert (await service.root.delete(_WEBHOOK)).status_code == 204


async def test_a_database_that_takes_no_writes_is_checked_all_the_same(database: str, sql: asyncpg.Connection) -> None:
    await claim(database, [_FIRST])
    name = await sql.fetchval("select current_database()")
    await sql.execute(f'alter database "{name}" set default_transaction_read_only = on')
    await claim(database, [_FIRST])
    await claim(database, [_SECOND, _FIRST])
    with pytest.raises(WrongSecretKey):
        await claim(database, [_SECOND])


async def test_one_that_never_claimed_is_anybodys(database: str) -> None:
    async with in_process(database) as service:
        assert (await service.root.get("/readyz")).status_code == 200
