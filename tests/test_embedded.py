"""The embedded database starts anywhere, is durable, and leaves nothing behind."""

from pathlib import Path

import asyncpg
import pytest

from service import embedded

pytestmark = pytest.mark.anyio


async def test_a_fresh_database_is_migrated_and_empty(database: str) -> None:
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("select name from project") == "default"
    assert await connection.fetchval("select count(*) from message") == 0
    await connection.close()


async def test_a_second_start_on_the_same_folder_says_who_runs(data_folder: Path) -> None:
    with (
        embedded.running(data_folder, durable=False),
        pytest.raises(embedded.CannotStart, match=r"already running .*pid \d+"),
        embedded.running(data_folder),
    ):
        pass
