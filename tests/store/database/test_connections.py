"""Behind a pooler such as PgBouncer, which gives each transaction whatever connection is free."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import QueueConfig
from service.store.database import known_types
from service.store.database.connections import connect, create_engine, settle_down
from service.store.database.migrate import migrate
from service.store.database.schema import check
from service.store.database.transaction import driver, transaction
from service.store.resources import projects, queues
from service.store.resources.queues import QueueFilter
from tests.conftest import in_postgres
from tests.in_process import in_process
from tests.serving import serving

pytestmark = pytest.mark.anyio


async def test_nothing_is_prepared_under_a_name_behind_a_pooler(database: str) -> None:
    engine = create_engine(database, pooled=True)
    try:
        async with engine.begin() as connection:
            project = await projects.create(connection, "p")
            assert project is not None
            await queues.create(connection, project.id, "q", QueueConfig())
            assert await queues.listed(connection, project.id, QueueFilter(), "", 10)
            prepared = text("select count(*) from pg_prepared_statements where name <> ''")
            assert (await connection.execute(prepared)).scalar_one() == 0
            # By this a claim knows that a transaction of ours may still make messages visible.
            assert (await connection.execute(text("show application_name"))).scalar_one() == "restante"
    finally:
        await engine.dispose()


async def test_a_service_with_a_way_past_its_pooler_serves(database: str, data_folder: Path) -> None:
    pooler = f"{database}&sslmode=prefer&application_name=pooler"
    settings = {"database_url": pooler, "database_direct_url": database, "secret_key": "s" * 32}
    with serving(data_folder, **settings) as service, service.client() as client:
        client.put("/v1/queues/q").raise_for_status()
        client.post("/v1/queues/q/messages", json={"body": 1}).raise_for_status()
        assert client.get("/v1/queues/q").json()["stats"]["ready"] == 1


async def test_a_task_that_takes_its_cancellation_for_a_failure_is_ended_all_the_same() -> None:
    async def deaf() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(15):
        await settle_down(task)
    assert task.cancelled()


_DEFAULTS = {
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "lock_timeout": "1ms",
}


@pytest.fixture
def odd_database(postgres: str, database: str) -> str:
    """Return a database whose defaults for sessions are not PostgreSQL's."""
    name = urlsplit(database).path[1:]
    # From another database: a session of this one is ended by its own defaults before it has set them all.
    for setting, value in _DEFAULTS.items():
        in_postgres(postgres, f"alter database {name} set {setting} = '{value}'")
    return database


async def test_every_session_works_in_read_committed_whatever_the_database_presets(odd_database: str) -> None:
    async with in_process(odd_database) as service:
        store = service.app._store
        for link in store._links.values():
            [row] = await link.fetch("select current_setting('transaction_isolation') as found")
            assert row["found"] == "read committed"
        listener = store.wakeups._listener
        assert listener is not None
        assert await listener.fetchval("show transaction_isolation") == "read committed"


@pytest.mark.parametrize("pooled", [False, True])
async def test_every_transaction_of_the_pool_is_read_committed_also_behind_a_pooler(
    database: str, *, pooled: bool
) -> None:
    name = urlsplit(database).path[1:]
    in_postgres(database, f"alter database {name} set default_transaction_isolation = 'repeatable read'")
    engine = create_engine(database, pooled=pooled)

    async def first_statement(connection: AsyncConnection) -> str:
        [row] = await (await driver(connection)).fetch("select current_setting('transaction_isolation') as found")
        return str(row["found"])

    try:
        assert await transaction(engine, first_statement) == "read committed"
    finally:
        await engine.dispose()


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
async def test_fifo_messages_are_all_delivered_whatever_isolation_the_database_presets(
    database: str, isolation: str
) -> None:
    name = urlsplit(database).path[1:]
    in_postgres(database, f"alter database {name} set default_transaction_isolation = '{isolation}'")
    async with in_process(database) as service:
        await service.queue(type="fifo")

        async def send(group: int) -> set[int]:
            bodies = [{"body": n, "group": f"g{group}"} for n in range(20)]
            return {(await service.root.post("/v1/queues/q/messages", json=body)).status_code for body in bodies}

        async def consume() -> int:
            done = 0
            while True:
                answer = await service.root.post("/v1/queues/q/messages/receive", json={"wait": 1, "max_messages": 5})
                assert answer.status_code == 200, answer.text
                if not answer.json()["messages"]:
                    return done
                for message in answer.json()["messages"]:
                    gone = await service.root.delete(f"/v1/receipts/{message['receipt']}")
                    assert gone.status_code == 204, gone.text
                    done += 1

        sending = asyncio.gather(*(send(n) for n in range(6)))
        consumed = await asyncio.gather(*(consume() for _ in range(3)))
        assert await sending == [{201}] * 6
        assert sum(consumed) == 120


async def test_migrations_of_many_processes_at_once_are_done_once_whatever_isolation_is_preset(
    empty_database: str,
) -> None:
    name = urlsplit(empty_database).path[1:]
    in_postgres(empty_database, f"alter database {name} set default_transaction_isolation = 'serializable'")
    await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    await check(empty_database)


async def test_what_the_types_of_arrays_are_is_asked_once_in_a_process(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_types, "_known", {})
    asked: list[int] = []
    for _ in range(3):
        statements: list[str] = []
        connection = await connect(database, "restante-test")
        connection.add_query_logger(lambda record, told=statements: told.append(record.query))
        numbers = await connection.fetchval("select array_agg(n) from unnest($1::bigint[]) as n", [1, 2])
        ids = await connection.fetchval("select $1::uuid[]", [UUID(int=1)])
        assert (numbers, ids) == ([1, 2], [UUID(int=1)])
        await connection.close()
        asked.append(sum("typeinfo" in statement for statement in statements))
    assert asked == [2, 0, 0]


async def test_a_type_that_somebody_made_is_asked_about_on_each_connection(
    database: str, sql: asyncpg.Connection
) -> None:
    for values in ("'a', 'b'", "'c', 'd'"):
        await sql.execute(f"drop type if exists letter; create type letter as enum ({values})")
        connection = await connect(database, "restante-test")
        letters = await connection.fetchval("select enum_range(null::letter)")
        assert letters == [value.strip("' ") for value in values.split(",")]
        await connection.close()
