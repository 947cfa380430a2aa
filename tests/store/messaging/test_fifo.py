"""The order of a group is the order of the senders' answers, whatever happens to a sender's commit."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from service.model import NOTHING
from service.store.database.connections import connect
from service.store.database.statements import STATEMENTS
from tests.in_process import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection like one of another service process."""
    connection = await connect(database, "restante-other")
    yield connection
    await connection.close()


async def _store_elsewhere(service: Service, other: asyncpg.Connection, number: int, group: str, body: bytes) -> None:
    """Send as another process would, in the transaction that is open."""
    version = await other.fetchval("select version from queue where number = $1", number)
    message_id = service.app._store.identifiers.message()
    columns = number, version, message_id, body, NOTHING, *(None,) * 2, 1, group, True, *(None,) * 5
    await other.fetch(STATEMENTS["fifo.send"], *([value] for value in columns))


async def _send(service: Service, body: Any, group: str) -> int:
    return (await service.root.post("/v1/queues/q/messages", json={"body": body, "group": group})).status_code


async def _received(service: Service) -> list[Any]:
    answer = await service.root.post("/v1/queues/q/messages/receive", json={"max_messages": 10})
    return [message["body"] for message in answer.json()["messages"]]


async def test_a_sender_is_not_answered_before_another_whose_commit_is_stalled(
    service: Service, other: asyncpg.Connection
) -> None:
    number = await service.queue(type="fifo")
    stalled = other.transaction()
    await stalled.start()
    await _store_elsewhere(service, other, number, "g", b'"first"')
    behind = asyncio.create_task(_send(service, "second", "g"))
    assert await _received(service) == []
    done, _ = await asyncio.wait({behind}, timeout=0.3)
    assert not done
    await stalled.commit()
    assert await behind == 201
    assert await _received(service) == ["first", "second"]


async def test_a_stalled_sender_that_is_rolled_back_leaves_no_gap(service: Service, other: asyncpg.Connection) -> None:
    number = await service.queue(type="fifo")
    await _send(service, "zero", "g")
    stalled = other.transaction()
    await stalled.start()
    await _store_elsewhere(service, other, number, "g", b'"never"')
    behind = asyncio.create_task(_send(service, "one", "g"))
    await asyncio.wait({behind}, timeout=0.2)
    await stalled.rollback()
    assert await behind == 201
    assert await _received(service) == ["zero", "one"]
    assert await service.sql.fetchval("select depth from fifo_group") == 2
