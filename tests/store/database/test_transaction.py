"""Transactions on the pool."""

import asyncio
import time

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Unavailable
from service.store.database.transaction import transaction
from service.store.store import Store

pytestmark = pytest.mark.anyio


def refusal(code: str) -> str:
    return f"do $$ begin raise exception using errcode = '{code}', message = 'refused'; end $$"


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_what_a_second_try_settles_is_tried_a_second_time(store: Store, code: str) -> None:
    tries = 0

    async def work(connection: AsyncConnection) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            await connection.execute(text("insert into retired_queue values (1, now())"))
            await connection.exec_driver_sql(refusal(code))
        await connection.execute(text("insert into retired_queue values (1, now())"))
        return "done"

    assert await transaction(store.engine, work) == "done"
    assert tries == 2


async def test_what_fails_twice_is_given_up(store: Store) -> None:
    with pytest.raises(Unavailable):
        await transaction(store.engine, lambda connection: connection.exec_driver_sql(refusal("40P01")))


@pytest.mark.parametrize("code", ["57P01", "57P03", "25006", "53100", "53300", "08006"])
async def test_a_server_that_is_going_or_unfit_is_unavailable(store: Store, code: str) -> None:
    with pytest.raises(Unavailable):
        await transaction(store.engine, lambda connection: connection.exec_driver_sql(refusal(code)))


async def test_a_statement_is_finished_when_nobody_waits_for_it_any_more(store: Store, sql: asyncpg.Connection) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("insert into retired_queue select 1, now() from pg_advisory_xact_lock(1)"))

    await sql.execute("select pg_advisory_lock(1)")
    task = asyncio.create_task(transaction(store.engine, work))
    busy = "datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()"
    while not await sql.fetchval(f"select count(*) from pg_stat_activity where {busy} and query like '%pg_advisory%'"):
        pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await sql.execute("select pg_advisory_unlock(1)")
    while not await sql.fetchval("select count(*) from retired_queue"):
        pass
    while await sql.fetchval(f"select count(*) from pg_stat_activity where {busy}"):
        pass


@pytest.mark.alone
async def test_nobody_waits_longer_than_the_deadline(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.store.database.transaction.DEADLINE_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await transaction(store.engine, lambda connection: connection.execute(text("select pg_sleep(1)")))
    assert time.monotonic() - started < 0.9


async def test_lost_connections_are_replaced(store: Store, sql: asyncpg.Connection) -> None:
    for _ in range(3):
        await transaction(store.engine, lambda connection: connection.execute(text("select 1")))
        await sql.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
