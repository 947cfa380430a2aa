"""Requests a second of a project, in the database."""

import asyncpg
import pytest

from service.store.database.connections import Link
from service.store.limits.rates import Rates, _Wish

pytestmark = pytest.mark.anyio

# Until then nothing comes in, however long the test takes.
_IN_AN_HOUR = "update request_allowance set counted_at = counted_at + interval '1 hour'"
_AN_HOUR_AGO = "update request_allowance set minute = minute - 60, counted_at = counted_at - interval '1 hour'"


async def granted(rates: Rates, project_id: int, wanted: int, rate: int = 100) -> int:
    [grant] = await rates._reserve([_Wish(project_id, rate, wanted)])
    return grant.granted  # type: ignore[union-attr]


async def test_a_bucket_is_full_at_first_and_gives_what_it_has(database: str, sql: asyncpg.Connection) -> None:
    project_id = await sql.fetchval("select id from project")
    link = Link(database, "restante-test")
    rates = Rates(link)
    assert await granted(rates, project_id, 70) == 70
    await sql.execute(_IN_AN_HOUR)
    assert await granted(rates, project_id, 70) == 30
    await link.close()


async def test_a_new_minute_goes_on_with_what_is_left(database: str, sql: asyncpg.Connection) -> None:
    project_id = await sql.fetchval("select id from project")
    link = Link(database, "restante-test")
    rates = Rates(link)
    assert await granted(rates, project_id, 100) == 100
    await sql.execute(_IN_AN_HOUR)
    await sql.execute("update request_allowance set minute = minute - 1")
    assert await granted(rates, project_id, 100) == 0
    await sql.execute(_AN_HOUR_AGO)
    assert await granted(rates, project_id, 200) == 100
    assert await sql.fetchval("select count(*) from request_allowance") == 1
    await link.close()


async def test_a_project_that_is_gone_has_nothing_to_give(database: str, sql: asyncpg.Connection) -> None:
    link = Link(database, "restante-test")
    [outcome] = await Rates(link)._reserve([_Wish(7, 10, 1)])
    assert isinstance(outcome, Exception)
    assert await sql.fetchval("select count(*) from request_allowance") == 0
    await link.close()
