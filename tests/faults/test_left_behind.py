"""Whoever leaves in the middle of a request leaves nothing behind: no connection, lock, lease or place in a line."""

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from tests.faults.wire import Wire, parked, wires
from tests.in_process import ROOT_KEY, Service, in_process

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

_CONNECTIONS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name like 'restante%' and pid <> pg_backend_pid()
"""
# Locks of transactions that began over a second ago, whoever holds them.
_OLD_LOCKS = """
    select count(*)
    from pg_locks join pg_stat_activity using (pid)
    where datname = current_database() and xact_start < clock_timestamp() - interval '1 second'
"""
# Held ones that are in use here, and the pool of six.
_MOST_CONNECTIONS = 14
_ROUNDS = 12
_CLIENTS = 20


def requests(chance: random.Random) -> tuple[str, str, Any]:
    """Return a request of any kind, those that lock something among them."""
    queue = f"/v1/queues/{chance.choice(('plain', 'bounded'))}"
    return chance.choice(
        (
            ("POST", f"{queue}/messages", {"body": 1}),
            ("POST", f"{queue}/messages/receive", {"max_messages": 5, "visibility_timeout": 600}),
            ("POST", f"{queue}/messages/receive", {"max_messages": 5, "wait": 20, "visibility_timeout": 600}),
            ("PUT", queue, {"max_length": 100_000, "labels": {"a": str(chance.random())}}),
            ("POST", f"{queue}/purge", None),
            ("GET", "/v1/queues", None),
            ("GET", queue, None),
            ("POST", "/v1/keys", {"name": "k", "scopes": ["send"]}),
        )
    )


async def leave(client: Wire, chance: random.Random) -> None:
    """Ask something and be gone within 20 ms."""
    await client.say(*requests(chance))
    await asyncio.sleep(chance.uniform(0, 0.02))
    chance.choice((client.reset, client.close))()


async def test_a_storm_of_requests_whose_clients_leave_leaves_nothing_behind(database: str) -> None:
    chance = random.Random(7)
    async with in_process(database) as service:
        await service.queue("plain")
        await service.queue("bounded", max_length=100_000)
        with wires(service.url, ROOT_KEY, _CLIENTS) as clients:
            for _ in range(_ROUNDS):
                await asyncio.gather(*(leave(client, chance) for client in clients))
                assert await service.sql.fetchval(_CONNECTIONS) <= _MOST_CONNECTIONS
                # A slow machine has old ones at times; they go.
                await becomes(service, _OLD_LOCKS, 0)
            await parked(clients[0], 0)
        await becomes(service, _OLD_LOCKS, 0)
        assert await service.sql.fetchval(_CONNECTIONS) <= _MOST_CONNECTIONS
        pool: Any = service.app._store.engine.pool
        async with asyncio.timeout(15):
            while pool.checkedout():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def becomes(service: Service, question: str, answer: int) -> None:
    """Return when the database says so."""
    async with asyncio.timeout(20):
        while await service.sql.fetchval(question) != answer:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_request_whose_client_leaves_while_it_waits_for_a_lock_ends_with_the_lock(database: str) -> None:
    async with in_process(database) as service:
        await service.queue("plain")
        blocker = await asyncpg.connect(database)
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("select from queue where name = 'plain' for update")
        with wires(service.url, ROOT_KEY, 10) as clients:
            for client in clients:
                await client.say("PUT", "/v1/queues/plain", {"labels": {"a": "b"}})
            # As many as the pool has connections, or nearly: how many have come so far when this looks is chance.
            waiting = "select least(count(*), 4) from pg_locks where not granted and locktype <> 'relation'"
            await becomes(service, waiting, 4)
            for client in clients:
                client.reset()
            assert await service.sql.fetchval(_CONNECTIONS) <= _MOST_CONNECTIONS
        await transaction.rollback()
        await becomes(service, "select count(*) from pg_locks where not granted", 0)
        await becomes(service, _OLD_LOCKS, 0)
        await blocker.close()
        assert (await service.root.get("/v1/queues/plain")).status_code == 200


async def test_a_thousand_parked_receives_hold_no_more_connections_than_none(database: str) -> None:
    async with in_process(database) as service:
        await service.queue("plain")
        before = await service.sql.fetchval(_CONNECTIONS)
        with wires(service.url, ROOT_KEY, 1000) as clients, wires(service.url, ROOT_KEY, 1) as [watcher]:
            for place, client in enumerate(clients):
                await client.say("POST", "/v1/queues/plain/messages/receive", {"wait": 60})
                if place == 0:
                    await parked(watcher, 1)
            await parked(watcher, 1000)
            assert await service.sql.fetchval(_CONNECTIONS) <= max(before, _MOST_CONNECTIONS)
            # One message is one claim, and goes to whoever came first.
            await watcher.ask("POST", "/v1/queues/plain/messages", {"body": 1})
            [message] = (await clients[0].hear()).json()["messages"]
            assert message["receive_count"] == 1
            for client in clients:
                client.reset()
            await parked(watcher, 0)
            # Those who have gone are given nothing.
            await watcher.ask("POST", "/v1/queues/plain/messages", {"body": 2})
            assert await service.sql.fetchval("select count(*) from message where receive_count > 0") == 1
