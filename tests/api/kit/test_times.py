"""The times at which things are made and changed."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from tests.clock import shiftable
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

_MOVING = """
create sequence shifted.looks;
create or replace function shifted.clock_timestamp() returns timestamptz volatile language sql
    as $$ select pg_catalog.clock_timestamp() + nextval('shifted.looks') * interval '1 ms' $$;
"""


@pytest.fixture
async def hasty(database: str, sql: asyncpg.Connection) -> AsyncIterator[Service]:
    """Serve from a database whose clock goes on by a millisecond whenever somebody looks at it."""
    await shiftable(database)
    await sql.execute(_MOVING)
    async with in_process(database) as service:
        yield service


async def test_what_is_made_was_changed_when_it_was_created(hasty: Service) -> None:
    for path, body in {
        "/v1/projects/p": {},
        "/v1/queues/q": {},
        "/v1/topics/t": {},
        "/v1/topics/t/subscriptions/s": {"queue": "q"},
        "/v1/queues/q/webhooks/w": {"url": "http://127.0.0.1:9/"},
    }.items():
        _fresh(await hasty.root.put(path, json=body))
    _fresh(await hasty.root.post("/v1/queues/q/redrive", json={}))


def _fresh(answer: httpx.Response) -> None:
    assert answer.is_success, answer.text
    made = answer.json()
    assert made["created_at"] == made["updated_at"], answer.url
