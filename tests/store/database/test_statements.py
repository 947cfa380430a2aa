"""Every statement fits the migrated schema; the hot ones reach their rows by index whatever the planner believes."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from service.message import Leased, MessageState
from service.model import NO_ID, Queue, QueueConfig
from service.store.database.connections import Link, connect, create_engine
from service.store.database.statements import COLUMNS, STATEMENTS
from service.store.views import browse
from service.store.views.browse import MessageFilter, PageStart
from tests.conftest import created
from tests.in_process import bare_queue, messages

pytestmark = pytest.mark.anyio

_NUMBER = 7

# What each hot statement is asked with, for one message of queue 7.
HOT = {
    "sends.send_plain": "'{7}', '{1}', '{00000000-0000-0000-0000-000000000001}', '{x}'",
    "sends.send": (
        "'{7}', '{1}', '{00000000-0000-0000-0000-000000000001}', '{x}', '{1 s}', '{null}', '{null}', '{1}', '{null}', "
        "'{9}', '{true}', '{null}', '{null}', '{null}', '{null}', '{null}'"
    ),
    "receives.claim": "'{7}', '{1}', '{1970-01-01}', '{10}', '{1000}', '{1 s}', 5, '{null}', "
    "'{0}', '{1}', '{1}', '{null}', '{1}'",
    "receives.hand_over": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{null}', '{1}', 5",
    "receives.due": "'{7}', '2026-01-01', '1 s'",
    "receipts.delete": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}', '{1}'",
    "receipts.extend": (
        "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}', '{1 s}', '{2026-01-01 00:00+00}', 101"
    ),
    "receipts.release": (
        "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}', '{1 s}', '{null}', '{true}', '{true}'"
    ),
    "receipts.recall": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}'",
    "deduplication.remember": (
        "'{7}', '{1}', '{x}', '{00000000-0000-0000-0000-000000000001}', '{1 s}', '{null}', '{1}'"
    ),
    "deduplication.recall": "'{7}', '{x}'",
    "deduplication.amend": "'{7}', '{x}', '{00000000-0000-0000-0000-000000000001}', '{2026-01-01}'",
    "transactions.lock_groups": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{8}', '{true}', '{7}', '{x}'",
    "transactions.hold": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}'",
    "transactions.recall": "7, 5, '00000000-0000-0000-0000-000000000001'",
    "transactions.lost": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}'",
    "rates.reserve": "'{7}', '{10}', '{1}'",
    "usage.count": "'{7}', '{00000000-0000-0000-0000-000000000001}', 10",
    "browse.groups": "7, 'x', 10000, true, 101",
    "browse.holder": "7, 'x', 5, 10000",
    "receipts.held": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}'",
    "receipts.hold": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{5}', '{true}'",
    "fifo.send": (
        "'{7}', '{1}', '{00000000-0000-0000-0000-000000000001}', '{x}', '{1 s}', '{null}', '{null}', '{1}', '{true}', "
        "'{null}', '{null}', '{null}', '{null}', '{g1}', '{null}'"
    ),
    "fifo.ready": "'{7}', '{1}', '{1970-01-01}', '{10}'",
    "fifo.take": "'{0}', '{7}', '{g1}', '{10}', '{1000}', '{1 s}', '{null}', '{null}', '{1}', 5",
    "pushes.in_flight": "'{7}', '{5}'",
    "retries.blocked": "7, '{00000000-0000-0000-0000-000000000001}'",
    "retries.unblock": "7, '{00000000-0000-0000-0000-000000000001}'",
    "retries.dead": "7, '{00000000-0000-0000-0000-000000000001}', 'q', '2026-01-01'",
    "publishes.current": "'{7}', '{1}'",
    "fifo.due": "'{7}', '2026-01-01', '1 s'",
    "fifo.lock": "'{7}', '{00000000-0000-0000-0000-000000000001}'",
    "fifo.lock_leaving": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{8}', '{true}'",
    "fifo.try_lock": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{8}'",
    "fifo.refresh": "'{7}', '{g1}', '{1}', 101",
    "moves.open": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{rejected}', '{null}'",
    "moves.hold": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{1}'",
    "moves.move": "'{7}', '{00000000-0000-0000-0000-000000000001}', '{rejected}', '{null}', '{null}', '{false}'",
    "dead_letters.exhausted": "1000",
    "dead_letters.spare": "'{7}', '{00000000-0000-0000-0000-000000000001}'",
    "dead_letters.mark": "10000",
    "queues.find": "'{7}', '{q}'",
    "queues.by_age": "7, 'q', 'r', '', '{}', 'q', '2026-01-01', 'q', 10000, 101, true",
    "activity.write": "'{7}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}'",
    "activity.of_queues": "'{7}', '1 minute', 60, '2026-01-01'",
    "activity.of_project": "7, '1 minute', 60, '2026-01-01'",
    "activity.remove_old_of_queues": "10000",
    "activity.remove_old_of_projects": "10000",
    "dead_letters.groups": "7, 10000, 100, 'q'",
    "unused.look": "500, null, '30 s'",
    "overview.counts": "7, ''",
    "overview.dead_letters": "7, '', 200000, 20, 10",
    "overview.webhooks": "7, ''",
    "overview.attempts_of_project": "7",
    "overview.attempts_of_queues": "7, ''",
}

# Every index of messages and groups begins with the queue; these are the tables that hold many queues' rows.
_SHARED_TABLES = {"message", "fifo_group"}
_PARTIAL = {"message_exhausted"}


@pytest.fixture(scope="module")
def filled_database(postgres: str, template: str) -> Iterator[str]:
    yield from created(postgres, template)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_every_statement_can_be_prepared_on_the_migrated_schema(filled_database: str, name: str) -> None:
    connection = await connect(filled_database, "restante-test")
    try:
        for statement in STATEMENTS[name].split(";\n"):
            await connection.prepare(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module", params=["empty", "few among many dead", "freshly analysed", "a million rows"])
async def hot_connection(request: pytest.FixtureRequest, filled_database: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection like the lanes' own, to a table of some size."""
    sql = await asyncpg.connect(filled_database)
    try:
        if request.param == "few among many dead":
            # As it is after seconds under a transaction that keeps vacuum from its work.
            await bare_queue(sql, _NUMBER)
            await _groups(sql, 24, messages_each=1)
            await sql.execute("analyze")
            await sql.execute("delete from queue")
            bloated = {"message": 827, "fifo_group": 146, "fifo_group_pkey": 56, "fifo_group_ready": 139}
            statement = "update pg_class set relpages = $2, reltuples = 24 where relname = $1"
            await sql.executemany(statement, list(bloated.items()))
        elif request.param == "freshly analysed":
            await bare_queue(sql, _NUMBER)
            await messages(sql, _NUMBER, 1000)
            await _groups(sql, 100, messages_each=5)
            await sql.execute("analyze")
        elif request.param == "a million rows":
            await messages(sql, _NUMBER, 1_000_000, visible_at="clock_timestamp() + n % 7 * interval '1 minute'")
            await _groups(sql, 10_000, messages_each=10)
            await sql.execute("analyze message, fifo_group")
    finally:
        await sql.close()
    link = Link(filled_database, "restante-test")
    await link.open()
    assert link._connection is not None
    yield link._connection
    await link.close()


async def _groups(sql: asyncpg.Connection, count: int, *, messages_each: int) -> None:
    """Store fifo groups with their messages, in the same queue: plans do not look at its type."""
    await messages(
        sql,
        _NUMBER,
        count * messages_each,
        message_group=f"'g' || n % {count}",
        seq=f"1 + n / {count}",
        exhausted_at=f"case when n % {messages_each * 10} = 0 then clock_timestamp() end",
    )
    await sql.execute(
        """
        insert into fifo_group (queue_number, name, ready_at, last_seq, depth)
        select queue_number, message_group, clock_timestamp(), max(seq), count(*)
        from message
        where queue_number = $1 and seq is not null
        group by queue_number, message_group
        on conflict (queue_number, name) do update set last_seq = excluded.last_seq, depth = excluded.depth
        """,
        _NUMBER,
    )


_BY_GROUP = {"message_sequence": "message_group", "fifo_group_pkey": "name", "fifo_group_ready": "ready_at"}


@pytest.mark.timeout(300)
def test_a_leased_message_has_the_columns_of_its_statements_in_their_order() -> None:
    called = {"visible_at": "lease_expires_at", "message_group": "group"}
    columns = [called.get(name, name) for name in COLUMNS["leased"]]
    assert Leased.__struct_fields__ == ("lapsed", *columns)


@pytest.mark.parametrize("name", sorted(HOT))
async def test_a_hot_statement_never_reads_a_whole_table(hot_connection: asyncpg.Connection, name: str) -> None:
    nodes = [node async for node in _plan(hot_connection, name)]
    whole = [node for node in nodes if node["Node Type"] == "Seq Scan"]
    assert not whole, json.dumps(whole, indent=1)
    for node in nodes:
        if node.get("Relation Name") == "request_allowance" and "Index" in node["Node Type"]:
            # The rows of earlier minutes may be many that nobody could remove yet.
            assert "minute" in node["Index Cond"], json.dumps(node, indent=1)
        if node.get("Relation Name") in _SHARED_TABLES and "Index" in node["Node Type"]:
            # An index that has but few rows of each queue is hopped along from one queue to the next.
            first = node["Index Name"] in _PARTIAL and node["Parent Relationship"] == "Outer"
            assert first or "queue_number" in node.get("Index Cond", ""), json.dumps(node, indent=1)
        if node.get("Index Name") in _BY_GROUP:
            # Names of different collations are compared one by one, over a whole queue.
            assert _BY_GROUP[node["Index Name"]] in node.get("Index Cond", ""), json.dumps(node, indent=1)


_DIALECT = create_engine("", pooled=False).dialect
_PAGES = {
    "oldest": (MessageFilter(), PageStart(NO_ID, 100)),
    "newest": (MessageFilter(), PageStart(None, 100, newest=True)),
    "filtered": (
        MessageFilter(MessageState.LEASED, "g", (("a", "b"),), datetime.now(UTC), datetime.now(UTC)),
        PageStart(None, 1000),
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(_PAGES))
async def test_a_page_of_messages_is_read_along_the_index_and_no_further_than_it_needs(
    hot_connection: asyncpg.Connection, name: str
) -> None:
    queue = Queue(_NUMBER, _NUMBER, "q", _NUMBER, 1, QueueConfig(), datetime.now(UTC), datetime.now(UTC))
    page = browse._page(queue, *_PAGES[name]).compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})
    plan = await hot_connection.fetchval(f"explain (format json) {page}")
    nodes = list(_nodes(json.loads(plan)[0]["Plan"]))
    # Either would have all of it read before the first message is given.
    assert not [node for node in nodes if node["Node Type"] in {"Sort", "Seq Scan"}], plan
    [scan] = [node for node in nodes if node.get("Relation Name") == "message"]
    assert scan["Index Name"] == "message_pkey"
    assert "queue_number" in scan["Index Cond"]


async def _plan(connection: asyncpg.Connection, name: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the nodes of the generic plan that the statement is run with, without running it."""
    await connection.execute("deallocate all")
    statement = f"hot_{name.replace('.', '_')}"
    await connection.execute(f"prepare {statement} as {STATEMENTS[name].rstrip(';')}")
    plan = await connection.fetchval(f"explain (format json) execute {statement} ({HOT[name]})")
    for node in _nodes(json.loads(plan)[0]["Plan"]):
        yield node


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
