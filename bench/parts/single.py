"""How much longer is a send over one HTTP connection than the INSERT that it needs at least?"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median
from uuid import uuid4

import uvloop

from bench import database, scripts, servers
from bench.figures import Figure, at_most, ratio
from bench.plan import Plan

TABLE = """
create table bench_message (
    queue_number bigint not null,
    id uuid not null,
    visible_at timestamptz not null default clock_timestamp(),
    body bytea not null,
    primary key (queue_number, id)
);
create index bench_message_ready on bench_message (queue_number, visible_at, id);
"""
INSERT = "insert into bench_message (queue_number, id, body) values (1, $1, $2)"


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare the p50 of a send over HTTP and of a prepared INSERT over the same PostgreSQL socket, in turns."""
    sends, inserts = [], []
    with servers.restante() as service, service.queue("bench") as queue:
        asyncio.run(_make_table(service.database_url))
        for _ in range(plan.rounds):
            inserts.append(uvloop.run(_insert(service.database_url, plan.seconds)))
            seen = service.load(scripts.SEND, connections=1, seconds=plan.seconds, values={"queue": queue})
            sends.append(seen.steps["send"]["p50"])
    yield ratio("one connection", ("p50 of a send, µs", sends), ("p50 of a prepared INSERT, µs", inserts), at_most(3))


async def _make_table(url: str) -> None:
    async with database.connected(url) as connection:
        await connection.execute(TABLE)


async def _insert(url: str, seconds: float) -> float:
    body = f'"{scripts.PAYLOAD}"'.encode()
    async with database.connected(url) as connection:
        insert = await connection.prepare(INSERT)
        taken: list[float] = []
        deadline = time.perf_counter() + seconds
        while (began := time.perf_counter()) < deadline:
            await insert.fetch(uuid4(), body)
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e6
