"""The memory of spent receipts and of transactions: four slots of five minutes, written in turn."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.transactions import transaction

# Any number, the same in every process: one of them empties the slot.
_LOCK = 5_119_623_900_221_774

# Near the turn of a slot the next one may become the current one before it is emptied: then leave it alone.
_NEXT = text(
    "select (slot + 1) % 4 as slot, turn_in from ("
    "  select (seconds / 300) % 4 as slot, 300 - seconds % 300 as turn_in"
    "  from (select extract(epoch from clock_timestamp())::bigint as seconds) as clock"
    ") as slots where turn_in between 5 and 295 and pg_try_advisory_xact_lock(:lock)"
)


_TABLES = ("settlement", "transaction_answer")


async def _holds_rows(connection: AsyncConnection, table: str) -> bool:
    exists = text(f"select exists (select from {table})")  # noqa: S608 - a name of ours
    return bool((await connection.execute(exists)).scalar_one())


async def empty_next_slot(engine: AsyncEngine) -> bool:
    """Truncate the slot that is written next, unless it is empty or somebody else is at it; tell whether it was done.

    Raises:
        Unavailable: somebody reads the slot right now; whoever comes after us waits no longer than 100 ms.
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
