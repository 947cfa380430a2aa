"""The schema's revision: the one that a database has, and the one that this version works with.

Alembic, which changes it, is in `migrate`: loading it takes a sixth of a start, and most starts do not need it.
"""

from functools import lru_cache
from importlib import resources

import asyncpg

from service.store.database.connections import CONNECT_SECONDS

OLDEST_POSTGRES = 15


class SchemaMismatch(Exception):  # noqa: N818 - it says what is wrong
    """The database's schema is not the one that this version works with; the message is for the operator."""


async def check(url: str) -> None:
    """Check that the schema is the one that this version works with.

    Raises:
        SchemaMismatch: it is not; the message says what to run.
    """
    found = await current(url)
    refuse_newer(found)
    if found != head():
        message = f"The schema is at revision {found or 'none'}, this version needs {head()}: run `restante migrate`."
        raise SchemaMismatch(message)


async def current(url: str) -> str | None:
    """Return the schema's revision, or None for an empty database."""
    # No statement is prepared by name, so that the connection can go through a pooler.
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        refuse_old_server(connection.get_server_version().major)
        if not await connection.fetchval("select to_regclass('alembic_version') is not null"):
            return None
        found: str | None = await connection.fetchval("select version_num from alembic_version")
        return found
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


@lru_cache
def revisions() -> tuple[str, ...]:
    """Return the revisions that this version knows, the oldest first. A migration's file is named by its revision."""
    files = resources.files("migrations").joinpath("versions").iterdir()
    return tuple(sorted(file.name.partition("_")[0] for file in files if file.name.endswith(".py")))


def head() -> str:
    """Return the revision that this version works with."""
    return revisions()[-1]


def refuse_newer(found: str | None) -> None:
    """Raise SchemaMismatch if this version does not know the revision."""
    if found is not None and found not in revisions():
        message = (
            f"The schema is at revision {found}, which this version of Restante does not know: a newer one has "
            "migrated it. Run that version, or restore a backup made before its migration."
        )
        raise SchemaMismatch(message)


def refuse_old_server(major: int) -> None:
    """Raise SchemaMismatch if this version does not work with a PostgreSQL that old."""
    if major < OLDEST_POSTGRES:
        message = f"PostgreSQL {major} is too old: {OLDEST_POSTGRES} or newer is needed."
        raise SchemaMismatch(message)
