"""The consumer of a stream that the documents show goes on when it loses its connection."""

import json
import re
import subprocess
import sys
import threading
from http import HTTPStatus
from pathlib import Path

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.serving import Serving

_PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "stream.md").read_text("utf-8")
_DRIVER = """
import asyncio, os
import consumer

async def work(message):
    print(message["body"], flush=True)
    assert message["body"] != "bad"

consumer.work = work
consumer.random.uniform = lambda low, high: low
asyncio.run(consumer.consume(os.environ["URL"], os.environ["KEY"], "orders"))
"""


def _consume(folder: Path, url: str, key: str) -> "subprocess.Popen[str]":
    """Start the page's consumer."""
    [block] = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    (folder / "consumer.py").write_text(block, "utf-8")
    # By default `websockets` waits for seconds before its second attempt.
    environment = {"URL": url, "KEY": key, "NO_PROXY": "127.0.0.1"}
    environment |= {"WEBSOCKETS_BACKOFF_INITIAL_DELAY": "0.01", "WEBSOCKETS_BACKOFF_MIN_DELAY": "0.01"}
    command = [sys.executable, "-c", _DRIVER]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def test_the_python_consumer_connects_again_after_the_service_has_closed(service: Serving, tmp_path: Path) -> None:
    with service.client() as client:
        client.put("/v1/queues/orders").raise_for_status()
        with _consume(tmp_path, service.url.replace("http", "ws"), service.key) as consumer:
            assert consumer.stdout is not None
            for body in ("before", "after"):
                client.post("/v1/queues/orders/messages", json={"body": body}).raise_for_status()
                assert consumer.stdout.readline() == f"{body}\n"
                # Its connections end, until there is a queue again.
                client.delete("/v1/queues/orders").raise_for_status()
                client.put("/v1/queues/orders").raise_for_status()
            consumer.kill()


def test_the_python_consumer_survives_a_429_and_repeats_each_settle_until_it_is_answered(tmp_path: Path) -> None:
    refusals = [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY]
    said: list[dict[str, object]] = []
    answered = threading.Event()

    def refuse(connection: ServerConnection, _: Request) -> Response | None:
        return connection.respond(refusals.pop(), "") if refusals else None

    def stream(connection: ServerConnection) -> None:
        said.append(json.loads(connection.recv()))
        for body in ("good", "bad"):
            message = {"receipt": body, "body": body, "receive_count": 1}
            connection.send(json.dumps({"type": "message", "message": message}))
            for status in ("unavailable", "ok"):
                said.append(json.loads(connection.recv()))
                connection.send(json.dumps({"type": "result", "ref": body, "status": status}))
            said.append(json.loads(connection.recv()))
        answered.set()

    with serve(stream, "127.0.0.1", 0, process_request=refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with _consume(tmp_path, f"ws://127.0.0.1:{server.socket.getsockname()[1]}", "key") as consumer:
            assert answered.wait(30)
            consumer.kill()
        server.shutdown()
    more = {"type": "credit", "n": 1}
    ack = {"type": "ack", "receipt": "good", "ref": "good"}
    release = {"type": "release", "receipt": "bad", "ref": "bad", "delay": 2, "error": "AssertionError()"}
    assert said == [more | {"n": 10}, ack, ack, more, release, release, more]
