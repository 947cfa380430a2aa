"""Looks for what is wrong with an installation, and says what to do."""

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
from service.store.migrate import SchemaMismatch, check, head

_OLDEST_POSTGRES = 150000
_CLOCK_TOLERANCE = timedelta(seconds=1)
_LITTLE_SPACE_BYTES = 1024**3
_SAFE = ("fsync", "full_page_writes")


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    state: State
    text: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what is found, one thing after another."""
    yield Finding(State.OK, f"Python {sys.version.split()[0]}")
    for finding in _data_folder(settings.data_dir):
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
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        yield Finding(
            State.FAIL, f"The database cannot be reached: {error}. Is it up, and RESTANTE_DATABASE_URL right?"
        )
        return
    try:
        async for finding in _database(connection):
            yield finding
    finally:
        await connection.close()
    yield await _schema(url)


def _data_folder(folder: Path) -> Iterator[Finding]:
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            State.FAIL, f"The data folder {folder} is closed to you: set RESTANTE_DATA_DIR to one that you may write in"
        )
        return
    yield Finding(State.OK, f"Data folder {folder.absolute()}{'' if folder.exists() else ' (made at the first start)'}")
    free = shutil.disk_usage(place).free
    if free < _LITTLE_SPACE_BYTES:
        yield Finding(State.WARN, f"Only {free // 1024**2} MiB are free there: make room before the database runs full")


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
            State.FAIL, f"Port {settings.port} is taken by something that does not answer ({error}): set RESTANTE_PORT"
        )
    if answer.headers.get("Request-Id"):
        return Finding(State.OK, f"Restante answers on port {settings.port}")
    return Finding(State.FAIL, f"Port {settings.port} is taken by another service: stop it or set RESTANTE_PORT")


def _database_url(settings: Settings) -> str | Finding:
    """Return where to connect; for an embedded database that does not run, what would be started."""
    if settings.database_url is not None:
        if settings.secret_key is None:
            return Finding(
                State.FAIL, "RESTANTE_SECRET_KEY is required with RESTANTE_DATABASE_URL: set it, the same everywhere"
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
        return Finding(State.FAIL, f"Restante runs (pid {pid}) as another account: call the doctor as that one")


async def _database(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    version = connection.get_server_version()
    if await connection.fetchval("select current_setting('server_version_num')::int") < _OLDEST_POSTGRES:
        yield Finding(State.FAIL, f"PostgreSQL {version.major} is too old: 15 or newer is needed")
    else:
        yield Finding(State.OK, f"PostgreSQL {version.major}.{version.minor}")
    unsafe = [name for name in _SAFE if await connection.fetchval("select current_setting($1)", name) != "on"]
    if unsafe:
        yield Finding(State.FAIL, f"{' and '.join(unsafe)} off: a power cut loses messages that were answered; turn on")
    else:
        yield Finding(State.OK, "What was answered survives a power cut")
    if await connection.fetchval("select current_setting('synchronous_commit')") == "off":
        yield Finding(State.FAIL, "synchronous_commit is off: a crash loses messages that were answered; turn it on")
    yield await _clock(connection)


async def _clock(connection: asyncpg.Connection) -> Finding:
    before = datetime.now(UTC)
    there = await connection.fetchval("select clock_timestamp()")
    after = datetime.now(UTC)
    difference = max(before - there, there - after, timedelta())
    seconds = difference.total_seconds()
    if difference > _CLOCK_TOLERANCE:
        return Finding(
            State.WARN, f"The database's clock differs by {seconds:.1f} s from this machine's: let NTP set both"
        )
    return Finding(State.OK, "The clocks agree")


async def _schema(url: str) -> Finding:
    try:
        await check(url)
    except SchemaMismatch as error:
        return Finding(State.FAIL, str(error))
    return Finding(State.OK, f"Schema at revision {head()}")


def collect(settings: Settings) -> Iterator[Finding]:
    """Yield the findings to a caller that is not on a loop."""
    with asyncio.Runner() as runner:
        findings = examine(settings)
        while (finding := runner.run(anext(findings, None))) is not None:
            yield finding
