"""The secret key that a database belongs to. With another key, receipts, cursors and webhooks cannot be read."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import asyncpg

from service.store.database.connections import connect
from service.store.database.sealing import Sealing, WrongKey

_FOUND = "select fingerprint from secret_key"
_NOTE = "insert into secret_key (fingerprint) values ($1) on conflict do nothing"
_MOVE = "insert into secret_key (fingerprint) values ($1) on conflict (only_row) do update set fingerprint = $1"
_SEALED = "select id, sealed from webhook order by id for update"
_RESEAL = "update webhook set sealed = $2 where id = $1"
_DISABLE = "update webhook set enabled = false where id = any($1)"


class WrongSecretKey(Exception):  # noqa: N818 - it says what is wrong
    """The database belongs to another secret key; the message is for the operator."""

    def __init__(self) -> None:
        super().__init__(
            "RESTANTE_SECRET_KEY (or secret.key in the data folder) is not the key that this database was used with: "
            "receipts, cursors and webhooks could not be read. Set the former key again. To change it, keep the former "
            "key in RESTANTE_SECRET_KEYS_OLD. If it is lost, run `restante adopt-key`."
        )


def fingerprint(secret_key: bytes) -> bytes:
    """Return a hash that identifies a key without revealing it."""
    return blake2b(secret_key, digest_size=16, person=b"restante-print").digest()


async def claim(url: str, keys: Sequence[bytes]) -> None:
    """Check that the database belongs to one of these keys, and make it the first one's.

    Any number of processes may do so at once.

    Raises:
        WrongSecretKey: it belongs to another key.
    """
    connection = await connect(url, "restante-start", writable=False)
    try:
        await check(connection, keys)
        # While the server accepts no writes, the fingerprint is left for a later start.
        if await connection.fetchval("show transaction_read_only") == "off":
            async with connection.transaction():
                await _claim(connection, keys)
    finally:
        await connection.close()


async def check(connection: asyncpg.Connection, keys: Iterable[bytes]) -> None:
    """Raise WrongSecretKey if the database belongs to a key that is not among these. A new database has no key yet."""
    if not is_one_of(await connection.fetchval(_FOUND), keys):
        raise WrongSecretKey


def is_one_of(found: bytes | None, keys: Iterable[bytes]) -> bool:
    """Return whether the database's fingerprint is that of one of the keys, or is missing."""
    return found is None or found in map(fingerprint, keys)


async def adopt(url: str, keys: Sequence[bytes]) -> int:
    """Make the database the first key's; disable the webhooks that cannot be read, and return their number."""
    connection = await connect(url, "restante-adopt")
    try:
        async with connection.transaction():
            await connection.execute(_MOVE, fingerprint(keys[0]))
            lost = await _reseal(connection, keys)
            await connection.execute(_DISABLE, lost)
            return len(lost)
    finally:
        await connection.close()


async def unreadable(connection: asyncpg.Connection, keys: Sequence[bytes]) -> int:
    """Return how many webhooks cannot be read with these keys."""
    sealing = Sealing(*keys)
    return sum(not _opens(sealing, row) for row in await connection.fetch("select id, sealed from webhook"))


async def _claim(connection: asyncpg.Connection, keys: Sequence[bytes]) -> None:
    await connection.execute(_NOTE, fingerprint(keys[0]))
    # A process that starts at the same time waits here, and then sees the fingerprint that the first one stored.
    found = await connection.fetchval(f"{_FOUND} for update")
    if not is_one_of(found, keys):
        raise WrongSecretKey
    if found != fingerprint(keys[0]):
        await connection.execute(_MOVE, fingerprint(keys[0]))
    if len(keys) > 1:
        # After that, the former keys are needed only as long as receipts and cursors live.
        await _reseal(connection, keys)


async def _reseal(connection: asyncpg.Connection, keys: Sequence[bytes]) -> list[int]:
    """Encrypt webhooks that are under another key with the first one; return the ids of those that are unreadable."""
    current, every = Sealing(keys[0]), Sealing(*keys)
    resealed, lost = [], []
    for row in await connection.fetch(_SEALED):
        if _opens(current, row):
            continue
        try:
            resealed.append((row["id"], current.seal(row["id"], every.open(row["id"], row["sealed"]))))
        except WrongKey:
            lost.append(row["id"])
    await connection.executemany(_RESEAL, resealed)
    return lost


def _opens(sealing: Sealing, row: asyncpg.Record) -> bool:
    try:
        sealing.open(row["id"], row["sealed"])
    except WrongKey:
        return False
    return True
