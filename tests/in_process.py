"""The service inside the test's own process: real sockets and a real database, and its inside within reach."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import structlog
import uvicorn

from service.main import App, create_app
from service.prompt_server import PromptServer
from service.server import protocols
from service.settings import Deployment, Settings

structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)

ROOT_KEY = "root-key-of-the-tests"
_BARE = {"http": "httptools", "ws": "websockets-sansio"}
SECRET_KEY = b"secret-key-of-the-tests-32-bytes"


@dataclass(frozen=True)
class Service:
    """A running service. `root` is the operator in project `default`; `sql` is a connection of the test's own."""

    app: App
    url: str
    root: httpx.AsyncClient
    sql: asyncpg.Connection

    @contextlib.asynccontextmanager
    async def client(self, secret: str | None, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client that presents this key."""
        authorization = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        async with _client(self.url, authorization | headers) as client:
            yield client

    async def key(self, *scopes: str, **fields: Any) -> str:
        """Make a key of project `default`; return its secret."""
        answer = await self.root.post("/v1/keys", json={"name": "test", "scopes": list(scopes), **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])

    async def queue(self, name: str = "q", **fields: Any) -> int:
        """Make a queue; return its number."""
        answer = await self.root.put(f"/v1/queues/{name}", json=fields)
        assert answer.status_code in {200, 201}, answer.text
        return int(await self.sql.fetchval("select number from queue where name = $1", name))


def deployment(database: str, **settings: Any) -> Deployment:
    """Return what a service on this database is built from."""
    return Deployment(
        settings=Settings(**({"push_allow": "127.0.0.0/8,::1"} | settings)),
        database_url=database,
        database_direct_url=database,
        root_key=ROOT_KEY,
        secret_keys=(SECRET_KEY,),
    )


@contextlib.asynccontextmanager
async def in_process(database: str, *, port: int = 0, bare: bool = False, **settings: Any) -> AsyncIterator[Service]:
    """Run the service on a port of 127.0.0.1, a free one unless it is given.

    `bare`: under uvicorn's own protocols, as under any other ASGI server.
    """
    async with served(deployment(database, **settings), port=port, bare=bare) as service:
        yield service


@contextlib.asynccontextmanager
async def served(built_from: Deployment, *, port: int = 0, bare: bool = False) -> AsyncIterator[Service]:
    """Run a service that is built from this."""
    app = create_app(built_from)
    async with (
        _served(app, port, protocols(built_from.settings, app.find) | (_BARE if bare else {})) as url,
        _client(url, {"Authorization": f"Bearer {ROOT_KEY}"}) as root,
    ):
        sql = await asyncpg.connect(built_from.database_url)
        try:
            yield Service(app, url, root, sql)
        finally:
            await sql.close()


def _client(url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    # Reading the authorities' certificates for each client would take longer than most tests.
    return httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=40, verify=False)


class _Server(PromptServer):
    """A server that leaves signals to the test runner."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _served(app: App, port: int, spoken: dict[str, Any]) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = _Server(uvicorn.Config(app, **spoken, log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not serving.done(), "the service did not start"
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            app.drain()
            server.stop()
            await serving


async def bare_queue(sql: asyncpg.Connection, number: int) -> None:
    """Make a queue past the service, its id and version known."""
    await sql.execute(
        """
        insert into queue (
            id, project_id, name, number, type, visibility_timeout, delay, max_message_bytes, paused, labels,
            created_at, updated_at
        )
        select $1, id, 'q', $1, 'standard', '30 s', '0', 1000, false, '{}', now(), now() from project
        """,
        number,
    )


async def messages(sql: asyncpg.Connection, number: int, count: int = 1, **columns: str) -> None:
    """Store messages past the service, with SQL expressions for what is not to be as a send makes it."""
    values = {
        # Of our century, by what its first octets say.
        "id": "overlay(gen_random_uuid()::text placing '01' from 1)::uuid",
        "visible_at": "clock_timestamp()",
        "first_visible_at": "clock_timestamp()",
        "size": "1",
        "is_json": "true",
        "body": "'1'::bytea",
    } | columns
    names, expressions = ", ".join(values), ", ".join(values.values())
    await sql.execute(
        f"insert into message (queue_number, {names}) select $1, {expressions} from generate_series(1, $2::int) as n",
        number,
        count,
    )
