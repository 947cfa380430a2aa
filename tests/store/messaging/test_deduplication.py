"""Deduplicated sends of many callers share statements, whatever some of them send."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.domain.deduplication import unique
from service.errors import Conflict
from service.message import Draft
from service.model import Queue
from service.store.database.connections import Link
from service.store.database.transaction import transaction
from service.store.messaging.deduplication import Unique, store_once
from service.store.resources import queues
from service.store.store import Store
from tests.in_process import bare_queue

pytestmark = pytest.mark.anyio


class Counting(Link):
    """A link that counts its transactions."""

    transactions = 0

    async def atomically(self, work: object) -> object:  # type: ignore[override]
        self.transactions += 1
        return await super().atomically(work)  # type: ignore[arg-type]


@pytest.fixture
async def link(database: str) -> AsyncIterator[Counting]:
    link = Counting(database, "restante-test")
    yield link
    await link.close()


@pytest.fixture
async def queue(store: Store, sql: asyncpg.Connection) -> Queue:
    await bare_queue(sql, 7)
    await sql.execute("update queue set deduplication_window = '5 minutes'")
    project: int = await sql.fetchval("select id from project")
    found = await transaction(store.engine, lambda connection: queues.find(connection, project, "q"))
    assert found is not None
    return found


def batch(store: Store, queue: Queue, key: str, messages: int) -> Unique:
    drafts = [Draft(b"1", 1, id=store.identifiers.message()) for _ in range(messages)]
    return unique(queue, drafts, key)


async def test_many_batches_that_conflict_are_refused_together(store: Store, link: Counting, queue: Queue) -> None:
    known = batch(store, queue, "known", 2)
    assert [len(sents) for sents in await store_once(link, [known]) if isinstance(sents, list)] == [2]
    link.transactions = 0
    others = [batch(store, queue, "known", 3) for _ in range(100)]
    first, *seconds = [batch(store, queue, "new", 1 + number % 7) for number in range(100)]
    own = [batch(store, queue, f"own-{number}", 1) for number in range(100)]
    outcomes = await store_once(link, [*others, first, *seconds, *own])
    assert [isinstance(outcome, Conflict) for outcome in outcomes[:100]] == [True] * 100
    accepted = [isinstance(outcome, list) for outcome in outcomes[100:200]]
    assert accepted == [number % 7 == 0 for number in range(100)]
    assert all(isinstance(outcome, list) for outcome in outcomes[200:])
    assert link.transactions == 2


async def test_a_batch_that_is_repeated_beside_conflicting_ones_is_a_duplicate(
    store: Store, link: Counting, queue: Queue
) -> None:
    [stored] = await store_once(link, [batch(store, queue, "known", 2)])
    repeats = [batch(store, queue, "known", 2) for _ in range(3)]
    outcomes = await store_once(link, [*repeats, batch(store, queue, "known", 5)])
    assert isinstance(stored, list)
    for outcome in outcomes[:3]:
        assert isinstance(outcome, list)
        assert [(sent.id, sent.duplicate) for sent in outcome] == [(sent.id, True) for sent in stored]
    assert isinstance(outcomes[3], Conflict)
