"""The database's clock, which tests set ahead instead of sleeping."""

import asyncpg

_SHIFTED = """
create schema shifted;
create table shifted.clock (ahead interval not null);
insert into shifted.clock values ('0');
create function shifted.clock_timestamp() returns timestamptz volatile language sql
    as 'select pg_catalog.clock_timestamp() + ahead from shifted.clock';
create function shifted.now() returns timestamptz volatile language sql
    as 'select pg_catalog.now() + ahead from shifted.clock';
do $$ begin execute format(
    'alter database %I set search_path = shifted, pg_catalog, public', current_database()
); end $$;
"""


async def shiftable(url: str) -> None:
    """Give a database a clock of its own, ahead by what `shifted.clock` says; for connections made from now on."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_SHIFTED)
    finally:
        await connection.close()
