"""The memory of spent receipts and of transactions' answers: four slots of five minutes, written in turn."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.database.transaction import transaction

# An arbitrary number, the same in every process, so that one of them empties the slot.
_LOCK = 5_119_623_900_221_774

# Near the end of a slot the next one may become current before it is emptied, so it is skipped.
_NEXT = text(
    "select (slot + 1) % 4 as slot, turn_in from ("
    "  select (seconds / 300) % 4 as slot, 300 - seconds % 300 as turn_in"
    "  from (select extract(epoch from clock_timestamp())::bigint as seconds) as clock"
    ") as slots where turn_in between 5 and 295 and pg_try_advisory_xact_lock(:lock)"
)


_TABLES = ("settlement", "transaction_answer")


async def _holds_rows(connection: AsyncConnection, table: str) -> bool:
    exists = text(f"select exists (select from {table})")  # noqa: S608 - a name from this module
    return bool((await connection.execute(exists)).scalar_one())


async def empty_next_slot(engine: AsyncEngine) -> bool:
    """Truncate the slot that is written next, unless it is empty or another process does so; return whether it was.

    Raises:
        Unavailable: a statement was reading the slot. Statements behind this one wait for 100 ms at most.
    """

    async def work(connection: AsyncConnection) -> bool:
        slot = (await connection.execute(_NEXT, {"lock": _LOCK})).scalar_one_or_none()
        if slot is None:
            return False
        await connection.execute(text("set local lock_timeout = '100ms'"))
        full = [f"{table}_{int(slot)}" for table in _TABLES if await _holds_rows(connection, f"{table}_{int(slot)}")]
        if full:
            await connection.execute(text(f"truncate {', '.join(full)}"))
        return bool(full)

    return await transaction(engine, work)
