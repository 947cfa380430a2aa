"""What every test may ask for: a real PostgreSQL for the session, a fresh migrated database for the test."""

import asyncio
import itertools
import os
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest

from service import embedded
from service.log import Seldom
from service.server import allow_connections
from service.store.database import connections
from service.store.database.migrate import migrate
from service.store.store import Store
from tests.in_process import Service, deployment, in_process
from tests.slow_machine import TIMES, give_time

_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 8 * 2**30
_TEMPLATE = "migrated"
_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Keep temporary folders in memory where there is plenty: a database is made there in a tenth of the time."""
    if not _MEMORY.is_dir() or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return
    if min(psutil.virtual_memory().available, shutil.disk_usage(_MEMORY).free) >= _MEMORY_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.fixture(scope="session", autouse=True)
def _no_environment() -> None:
    """Keep the operator's environment out of the tests, and out of what they start."""
    for name in [name for name in os.environ if name.startswith(("RESTANTE_", "PG"))]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _many_connections() -> None:
    """Let the tests have as many clients at once as the service may have."""
    allow_connections()


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Let no request fail because the machine stood still for some seconds."""
    with pytest.MonkeyPatch.context() as patch:
        give_time(patch, TIMES)
        yield


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the service give up after its own time, for tests of just that. Before the service: by `usefixtures`."""
    give_time(monkeypatch, 1)


@pytest.fixture(autouse=True)
def _why_the_database_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test's log say why a request was answered 503, not once a minute for all of them."""
    monkeypatch.setattr(connections, "_unavailable", Seldom("database_unavailable"))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run async tests on the loop that the service runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, _no_environment: None) -> Iterator[str]:
    """Start one embedded PostgreSQL for the session: the URL of its maintenance database."""
    with embedded.running(tmp_path_factory.mktemp("postgres"), durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """Migrate a database once, for the others to be copied from; nobody may be connected to it. Its name."""
    in_postgres(postgres, f"create database {_TEMPLATE}")
    apart(migrate(named(postgres, _TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def database(postgres: str, template: str) -> Iterator[str]:
    """Make a fresh, migrated database: its URL."""
    yield from created(postgres, template)


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """Make a database with nothing in it: its URL."""
    yield from created(postgres)


@pytest.fixture(scope="session")
def system_postgres(tmp_path_factory: pytest.TempPathFactory, _no_environment: None) -> Iterator[str]:
    """Start the system's PostgreSQL, the oldest there is, in a cluster of ours: the URL of its maintenance database."""
    found = embedded.system_binaries()
    if not found:
        pytest.skip("the system has no PostgreSQL")
    with embedded.running(tmp_path_factory.mktemp("system_postgres"), binaries=found[-1], durable=False) as url:
        yield url


@pytest.fixture
def system_database(system_postgres: str) -> Iterator[str]:
    """Make a fresh, migrated database in the system's PostgreSQL: its URL."""
    for url in created(system_postgres):
        apart(migrate(url))
        yield url


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    """Serve in the test's own process."""
    async with in_process(database) as service:
        yield service


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """Make what a process holds of the database, without its lanes."""
    store = Store(deployment(database))
    yield store
    await store.engine.dispose()


@pytest.fixture
async def sql(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect past the service."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet, for an embedded database of the test's own."""
    return tmp_path / "data"


def created(server: str, template: str = "template1") -> Iterator[str]:
    """Make a database, and drop it when done: its URL."""
    name = f"test_{next(_numbers)}"
    # Files are copied in a third of the time that pages take which go through the log.
    in_postgres(server, f"create database {name} template {template} strategy file_copy")
    yield named(server, name)
    in_postgres(server, f"drop database {name} with (force)")


def named(url: str, database: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def in_postgres(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    apart(run())


def apart(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop and thread of its own, whatever loop the test uses."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(coroutine)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
