"""The yardstick: FastAPI reads a message as a pydantic model, does nothing with it, and answers 201."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Message(BaseModel):
    """The least that a send carries."""

    body: str


@app.post("/messages", status_code=201)
async def send(message: Message) -> dict[str, str]:  # noqa: ARG001 - FastAPI reads it
    """Do nothing."""
    return {}


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
