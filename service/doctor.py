"""Check an installation for problems, and say how to fix them."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import asyncpg
import httpx

from service import embedded
from service.settings import Settings
from service.store.database import secret_keys
from service.store.database.connections import DISK_FULL, ISOLATION, READ_ONLY
from service.store.database.schema import SchemaMismatch, check, head

_OLDEST_POSTGRES = 150000
_CLOCK_TOLERANCE = timedelta(seconds=1)
_LITTLE_SPACE_BYTES = 1024**3
# The fraction of PostgreSQL's notification queue in use that is reported; normally the queue is empty.
_MUCH_NOTIFICATION = 0.1
_OLDEST_TRANSACTION = """
select pid, coalesce(nullif(application_name, ''), usename, backend_type) as name from pg_stat_activity
where xact_start is not null and pid <> pg_backend_pid() order by xact_start limit 1
"""
_SAFE = ("fsync", "full_page_writes")


class State(StrEnum):
    """The state of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check: one line of output."""

    state: State
    text: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Run all checks and yield their findings."""
    yield Finding(State.OK, f"Python {sys.version.split()[0]}")
    for finding in _data_folder(settings):
        yield finding
    yield await _port(settings)
    if settings.push_opened:
        yield Finding(State.OK, f"Push may also reach {settings.push_opened}")
    url = _database_url(settings)
    if isinstance(url, Finding):
        yield url
        return
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.DiskFullError:
        yield Finding(State.FAIL, DISK_FULL)
        return
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        yield Finding(
            State.FAIL,
            f"The database cannot be reached: {error}. Is it running, and is RESTANTE_DATABASE_URL right?",
        )
        return
    try:
        async for finding in _database(connection):
            yield finding
        schema = await _schema(url)
        yield schema
        if schema.state is State.OK:
            async for finding in _secret_key(connection, _secret_keys(settings)):
                yield finding
    finally:
        await connection.close()


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            State.FAIL, f"The data folder {folder} is not writable: set RESTANTE_DATA_DIR to a writable folder"
        )
        return
    yield Finding(
        State.OK, f"Data folder {folder.absolute()}{'' if folder.exists() else ' (created at the first start)'}"
    )
    free = shutil.disk_usage(place).free
    if settings.database_url is None and free < settings.disk_reserve_bytes:
        text = f"Only {free // 1024**2} MiB of disk space are free, less than RESTANTE_DISK_RESERVE_BYTES"
        yield Finding(State.FAIL, f"{text}, so sends are refused: free space, or let consumers empty the queues")
    elif free < _LITTLE_SPACE_BYTES:
        yield Finding(
            State.WARN, f"Only {free // 1024**2} MiB of disk space are free: free some before the disk is full"
        )


async def _port(settings: Settings) -> Finding:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - replaced, not bound
    url = httpx.URL(scheme="http", host=host, port=settings.port, path="/healthz")
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            answer = await client.get(url)
    except httpx.ConnectError:
        return Finding(State.OK, f"Port {settings.port} is free")
    except httpx.HTTPError as error:
        return Finding(
            State.FAIL,
            f"Port {settings.port} is in use by a program that does not answer HTTP ({error}): set RESTANTE_PORT",
        )
    if answer.headers.get("Request-Id"):
        return Finding(State.OK, f"Restante answers on port {settings.port}")
    return Finding(State.FAIL, f"Port {settings.port} is in use by another service: stop it or set RESTANTE_PORT")


def _database_url(settings: Settings) -> str | Finding:
    """Return the database's URL, or a finding if it cannot be connected to because it is embedded and not running."""
    if settings.database_url is not None:
        if settings.secret_key is None:
            return Finding(
                State.FAIL,
                "RESTANTE_SECRET_KEY is required with RESTANTE_DATABASE_URL: set the same key for all processes",
            )
        return (settings.database_direct_url or settings.database_url).get_secret_value()
    if (pid := embedded.holder(settings.data_dir)) is not None:
        return _running_url(settings.data_dir, pid)
    try:
        binaries = embedded.find_binaries()
    except embedded.CannotStart as error:
        return Finding(State.FAIL, str(error))
    return Finding(State.OK, f"Embedded PostgreSQL {binaries.major}, not running: `restante serve` starts it")


def _running_url(folder: Path, pid: int) -> str | Finding:
    try:
        return embedded.url_of(folder)
    except OSError:
        return Finding(
            State.FAIL, f"Restante runs (pid {pid}) under another account: run `restante doctor` under that account"
        )


async def _database(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    version = (await connection.fetchval("select current_setting('server_version')")).split()[0]
    if await connection.fetchval("select current_setting('server_version_num')::int") < _OLDEST_POSTGRES:
        yield Finding(State.FAIL, f"PostgreSQL {version} is too old: 15 or newer is required")
    else:
        yield Finding(State.OK, f"PostgreSQL {version}")
    unsafe = [name for name in _SAFE if await connection.fetchval("select current_setting($1)", name) != "on"]
    if unsafe:
        yield Finding(State.FAIL, f"{' and '.join(unsafe)} off: a power cut loses acknowledged messages; turn on")
    else:
        yield Finding(State.OK, "Acknowledged messages survive a power cut")
    if await connection.fetchval("select current_setting('synchronous_commit')") == "off":
        yield Finding(State.FAIL, "synchronous_commit is off: a crash loses acknowledged messages; turn it on")
    for finding in await _defaults(connection):
        yield finding
    yield await _clock(connection)
    for finding in await _notifications(connection):
        yield finding


async def _notifications(connection: asyncpg.Connection) -> list[Finding]:
    """Check the usage of the server's notification queue, through which processes wake each other's receives."""
    usage = await connection.fetchval("select pg_notification_queue_usage()")
    if usage < _MUCH_NOTIFICATION:
        return []
    oldest = await connection.fetchrow(_OLDEST_TRANSACTION)
    session = f" The oldest transaction belongs to pid {oldest['pid']} ({oldest['name']})." if oldest else ""
    text = (
        f"PostgreSQL's queue of notifications is {usage * 100:.0f} % full. When it is completely full, receives notice "
        "messages sent through other processes up to a second late. A listening session has a long-running transaction "
        f"open: end it with pg_terminate_backend.{session}"
    )
    return [Finding(State.WARN, text)]


async def _disk(connection: asyncpg.Connection) -> list[Finding]:
    """Check that the server can store data, using a temporary table."""
    try:
        await connection.execute("create temporary table restante_doctor as select n from generate_series(1, 50000) n")
        await connection.execute("drop table restante_doctor")
    except asyncpg.DiskFullError:
        return [Finding(State.FAIL, DISK_FULL)]
    except asyncpg.InsufficientPrivilegeError:
        pass
    return []


async def _defaults(connection: asyncpg.Connection) -> list[Finding]:
    """Check the database's defaults for sessions."""
    findings = []
    if await connection.fetchval("select current_setting('transaction_read_only')") == "on":
        findings.append(Finding(State.FAIL, READ_ONLY))
    else:
        findings += await _disk(connection)
    isolation = await connection.fetchval("select current_setting('default_transaction_isolation')")
    if isolation != ISOLATION.lower():
        text = (
            f"The database's default_transaction_isolation is {isolation}: Restante itself always uses "
            f"{ISOLATION.lower()}, but other clients' statements on its tables may fail and have to be retried"
        )
        findings.append(Finding(State.WARN, text))
    return findings


async def _clock(connection: asyncpg.Connection) -> Finding:
    before = datetime.now(UTC)
    there = await connection.fetchval("select clock_timestamp()")
    after = datetime.now(UTC)
    difference = max(before - there, there - after, timedelta())
    seconds = difference.total_seconds()
    if difference > _CLOCK_TOLERANCE:
        return Finding(
            State.WARN,
            f"The database's clock differs by {seconds:.1f} s from this machine's: synchronize both with NTP",
        )
    return Finding(State.OK, "The clocks agree")


async def _schema(url: str) -> Finding:
    try:
        await check(url)
    except SchemaMismatch as error:
        return Finding(State.FAIL, str(error))
    return Finding(State.OK, f"Schema at revision {head()}")


def _secret_keys(settings: Settings) -> list[bytes]:
    """Return the secret keys that a start would use; an empty list before the first start."""
    kept = settings.data_dir / embedded.SECRET_KEY
    if settings.secret_key is None and not kept.exists():
        return []
    current = settings.secret_key.get_secret_value() if settings.secret_key else embedded.kept(kept)
    return [current.encode(), *(key.get_secret_value().encode() for key in settings.secret_keys_old)]


async def _secret_key(connection: asyncpg.Connection, keys: list[bytes]) -> AsyncIterator[Finding]:
    try:
        await secret_keys.check(connection, keys)
    except secret_keys.WrongSecretKey as error:
        yield Finding(State.FAIL, str(error))
        return
    if keys and (count := await secret_keys.unreadable(connection, keys)):
        yield Finding(
            State.FAIL,
            f"{count} webhooks are encrypted with a key that is neither RESTANTE_SECRET_KEY nor in "
            "RESTANTE_SECRET_KEYS_OLD: add that key, or delete the webhooks and create them again",
        )


def collect(settings: Settings) -> Iterator[Finding]:
    """Yield the findings to a synchronous caller."""
    with asyncio.Runner() as runner:
        findings = examine(settings)
        while (finding := runner.run(anext(findings, None))) is not None:
            yield finding
