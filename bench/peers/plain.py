"""A queue written in an afternoon: FastAPI, an asyncpg pool, SKIP LOCKED, one statement for each request."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel

SCHEMA = """
create table if not exists plain_message (
    id uuid primary key default gen_random_uuid(),
    queue text not null,
    body text not null,
    visible_at timestamptz not null default now(),
    receive_count integer not null default 0
);
create index if not exists plain_message_ready on plain_message (queue, visible_at);
"""
SEND = "insert into plain_message (queue, body) values ($1, $2) returning id"
RECEIVE = """
update plain_message set visible_at = now() + interval '30 s', receive_count = receive_count + 1
where id in (
    select id from plain_message where queue = $1 and visible_at <= now() order by visible_at limit $2
    for update skip locked
)
returning id, body, receive_count
"""
DELETE = "delete from plain_message where id = $1 returning id"
PURGE = "delete from plain_message where queue = $1"


class Message(BaseModel):
    """A message to send."""

    body: str


class Wanted(BaseModel):
    """A consumer's request for messages."""

    max_messages: int = 1


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool for as long as the service lives."""
    async with asyncpg.create_pool(os.environ["PLAIN_DATABASE_URL"], min_size=10, max_size=10) as pool:
        await pool.execute(SCHEMA)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.put("/v1/queues/{queue}", status_code=201)
async def create_queue(queue: str) -> dict[str, str]:
    """Do nothing, because queues have no row of their own here."""
    return {"name": queue}


@app.delete("/v1/queues/{queue}", status_code=204, response_class=Response)
async def delete_queue(queue: str, request: Request) -> None:
    """Delete all messages of the queue."""
    await request.app.state.pool.execute(PURGE, queue)


@app.post("/v1/queues/{queue}/messages", status_code=201)
async def send(queue: str, message: Message, request: Request) -> dict[str, str]:
    """Store one message."""
    return {"id": str(await request.app.state.pool.fetchval(SEND, queue, message.body))}


@app.post("/v1/queues/{queue}/messages/receive")
async def receive(queue: str, wanted: Wanted, request: Request) -> dict[str, Any]:
    """Lease messages for 30 seconds."""
    rows = await request.app.state.pool.fetch(RECEIVE, queue, wanted.max_messages)
    return {
        "messages": [
            {"receipt": str(row["id"]), "body": row["body"], "receive_count": row["receive_count"]} for row in rows
        ]
    }


@app.delete("/v1/receipts/{receipt}", status_code=204, response_class=Response)
async def delete(receipt: UUID, request: Request) -> None:
    """Delete a consumed message."""
    if await request.app.state.pool.fetchval(DELETE, receipt) is None:
        raise HTTPException(404)


if __name__ == "__main__":
    # As Restante runs it (service/server.py).
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
    )
