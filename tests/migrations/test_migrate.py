"""Any number of processes may migrate at once, back and forth is the same, newer schemas are refused."""

import asyncio
from collections.abc import Sequence
from importlib import resources

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from service.store.database import migrate as migrations
from service.store.database import schema
from service.store.database.migrate import downgrade, migrate
from service.store.database.schema import SchemaMismatch, check, current, head, revisions
from service.store.database.tables import metadata

pytestmark = pytest.mark.anyio

# Everything that two databases of the same version have to have in common, as text.
_FINGERPRINT = """
select 'column ' || attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull
       || ' ' || attstorage::text || attcompression::text || coalesce(' ' || pg_get_expr(adbin, adrelid), '')
  from pg_attribute join pg_class on pg_class.oid = attrelid
  left join pg_attrdef on adrelid = attrelid and adnum = attnum
 where relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
union all
select 'relation ' || relname || ' ' || relkind::text || ' ' || coalesce(array_to_string(reloptions, ','), '')
  from pg_class where relnamespace = 'public'::regnamespace
union all
select 'index ' || pg_get_indexdef(indexrelid) || ' ' || indisvalid
  from pg_index join pg_class on pg_class.oid = indexrelid where relnamespace = 'public'::regnamespace
union all
select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
  from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
order by 1
"""


async def fetch(url: str, statement: str) -> Sequence[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def fingerprint(url: str) -> list[str]:
    return [row[0] for row in await fetch(url, _FINGERPRINT)]


def test_the_revisions_are_the_ones_that_alembic_finds_in_their_order() -> None:
    scripts = ScriptDirectory(str(resources.files("migrations")))
    assert list(revisions()) == [script.revision for script in reversed(list(scripts.walk_revisions()))]


async def test_up_down_up_gives_the_schema_of_a_fresh_install(empty_database: str) -> None:
    untouched = await fingerprint(empty_database)
    await migrate(empty_database)
    fresh = await fingerprint(empty_database)
    await downgrade(empty_database, "base")
    assert [line for line in await fingerprint(empty_database) if "alembic_version" not in line] == untouched
    await migrate(empty_database)
    assert await fingerprint(empty_database) == fresh


async def test_step_by_step_gives_the_schema_of_a_fresh_install(empty_database: str, database: str) -> None:
    for revision in revisions():
        await migrations.upgrade(empty_database, revision)
        assert await current(empty_database) == revision
    assert await fingerprint(empty_database) == await fingerprint(database)


async def test_the_tables_that_sqlalchemy_sees_are_the_ones_that_are_there(database: str) -> None:
    def described(_: object, name: str | None, kind: str, *__: object) -> bool:
        return name in metadata.tables if kind == "table" else kind in {"column", "foreign_key_constraint"}

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": described})
        return list(compare_metadata(context, metadata))

    async with migrations._connection(database) as connection:
        assert await connection.run_sync(differences) == []


async def test_many_processes_may_migrate_at_once(empty_database: str) -> None:
    await asyncio.gather(*(migrate(empty_database) for _ in range(8)))
    assert await current(empty_database) == head()
    assert [row["name"] for row in await fetch(empty_database, "select name from project")] == ["default"]


async def test_a_second_migration_changes_nothing_and_takes_no_lock(database: str) -> None:
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        await connection.execute("lock table message, queue, project in access exclusive mode")
        async with asyncio.timeout(20):
            await migrate(database)
    await connection.close()


async def test_a_migration_waits_for_locks_without_holding_up_others_for_long(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(migrations, "_REST_SECONDS", 0.01)
    refusals = 0
    within = migrations._within_transaction

    async def counted(*arguments: object) -> None:
        nonlocal refusals
        try:
            await within(*arguments)  # type: ignore[arg-type]
        except Exception:
            refusals += 1
            if refusals == 3:
                await holder.execute("rollback")
            raise

    monkeypatch.setattr(migrations, "_within_transaction", counted)
    holder = await asyncpg.connect(empty_database)
    await holder.execute("begin")
    await holder.execute("create table alembic_version (version_num text)")
    await migrate(empty_database)
    assert refusals == 3
    assert await current(empty_database) == head()
    await holder.close()


async def test_a_migration_that_gets_no_locks_says_so(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(migrations, "_REST_SECONDS", 0.01)
    monkeypatch.setattr(migrations, "_TRIES", 2)
    holder = await asyncpg.connect(empty_database)
    async with holder.transaction():
        await holder.execute("create table alembic_version (version_num text)")
        with pytest.raises(SchemaMismatch, match="cannot lock"):
            await migrate(empty_database)
    await holder.close()


async def test_a_newer_schema_is_refused_and_left_alone(database: str) -> None:
    await fetch(database, "update alembic_version set version_num = '9999'")
    for verb in (migrate, check):
        with pytest.raises(SchemaMismatch, match="a newer one has migrated it"):
            await verb(database)
    assert await current(database) == "9999"


async def test_a_schema_that_is_behind_is_told_with_what_to_run(empty_database: str) -> None:
    with pytest.raises(SchemaMismatch, match="run `restante migrate`"):
        await check(empty_database)
    await migrate(empty_database)
    await check(empty_database)


async def test_what_fails_leaves_nothing_behind(empty_database: str) -> None:
    untouched = await fingerprint(empty_database)
    await fetch(empty_database, "create table settlement_3 (a int)")
    with pytest.raises(SchemaMismatch, match=r"changed nothing.*already exists"):
        await migrate(empty_database)
    await fetch(empty_database, "drop table settlement_3")
    assert await fingerprint(empty_database) == untouched


async def test_a_server_that_is_too_old_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST_POSTGRES", 99)
    for verb in (migrate, check):
        with pytest.raises(SchemaMismatch, match="too old: 99 or newer"):
            await verb(database)


@pytest.mark.parametrize("kind", ["database", "system_database"])
async def test_bodies_are_never_compressed_by_pglz(kind: str, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue(kind)
    known = (await fetch(database, "select enumvals from pg_settings where name = 'default_toast_compression'"))[0][0]
    column = "select attcompression::text, attstorage::text from pg_attribute"
    row = (await fetch(database, f"{column} where attrelid = 'message'::regclass and attname = 'body'"))[0]
    assert tuple(row) == (("l", "x") if "lz4" in known else ("", "e"))


async def test_the_first_project_has_a_number_of_its_own_in_each_database(database: str, empty_database: str) -> None:
    await migrate(empty_database)
    numbers = {(await fetch(url, "select id from project"))[0][0] for url in (database, empty_database)}
    assert all(0 < number < 2**63 for number in numbers)
    assert len(numbers) == 2
