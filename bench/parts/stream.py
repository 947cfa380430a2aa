"""How many messages does one WebSocket carry, compared with one HTTP connection, and how soon does a message arrive?"""

import asyncio
import json
import time
from collections.abc import Iterator
from statistics import median, quantiles

from websockets.asyncio.client import ClientConnection, connect

from bench import scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.plan import Plan
from bench.servers import Service

# The number of messages in progress at the same time, with the bound of the ratio to cycles over one HTTP connection.
CREDITS = {1: None, 100: at_least(3)}
_RATE = 100


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare send, delivery and acknowledgement over one WebSocket with cycles over one HTTP connection, in turns."""
    with servers.restante() as service, service.queue("bench"):
        for credit, bound in CREDITS.items():
            streamed, cycles = [], []
            for _ in range(plan.rounds):
                streamed.append(asyncio.run(_streamed(service, credit, plan.seconds)))
                seen = service.load(scripts.CYCLE, connections=1, seconds=plan.seconds, values={"queue": "bench"})
                cycles.append(seen.rate)
            yield ratio(
                f"messages through one WebSocket, credit {credit}",
                ("sent, delivered and acknowledged a second", streamed),
                ("cycles a second over one HTTP connection", cycles),
                bound,
            )
        service.ask("POST", "/v1/queues/bench/purge")
        took = [asyncio.run(_latencies(service, plan.seconds)) for _ in range(plan.rounds)]
        for name, place in (("p50", 49), ("p99", 98)):
            each = [quantiles(one, n=100)[place] * 1000 for one in took]
            yield Figure(
                name=f"delivery over WebSocket, {name}",
                formula="from the start of a send by HTTP to the message's frame",
                value=median(each),
                unit="ms",
                low=min(each),
                high=max(each),
            )


def _open(service: Service) -> connect:
    headers = dict(header.split(": ", 1) for header in service.headers)
    url = f"ws://127.0.0.1:{service.port}/v1/queues/bench/stream"
    return connect(url, additional_headers=headers, subprotocols=["restante.v1"], compression=None, proxy=None)  # type: ignore[list-item]


async def _streamed(service: Service, credit: int, seconds: float) -> float:
    """Keep `credit` messages in progress; return how many per second are sent, delivered and acknowledged."""
    async with _open(service) as connection:
        await connection.recv()
        await connection.send(f'{{"type":"credit","n":{credit}}}')
        for _ in range(credit):
            await _send(connection)
        done, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            frame = json.loads(await connection.recv())
            if frame["type"] == "message":
                receipt = frame["message"]["receipt"]
                await connection.send(f'{{"type":"ack","receipt":"{receipt}","ref":"a"}}')
            elif frame.get("ref") == "a":
                done += 1
                await connection.send('{"type":"credit","n":1}')
                await _send(connection)
        return done / (time.monotonic() - began)


async def _send(connection: ClientConnection) -> None:
    await connection.send(f'{{"type":"send","message":{{"body":"{scripts.PAYLOAD}"}}}}')


async def _latencies(service: Service, seconds: float) -> list[float]:
    """Send by HTTP at an even pace; return how many seconds each message took to arrive."""
    took: list[float] = []
    async with _open(service) as connection:
        await connection.recv()
        await connection.send('{"type":"credit","n":1000}')
        count, began = int(seconds * _RATE), time.monotonic()
        for place in range(count):
            await asyncio.sleep(max(0.0, began + place / _RATE - time.monotonic()))
            sent = time.monotonic()
            sending = asyncio.create_task(
                asyncio.to_thread(service.ask, "POST", "/v1/queues/bench/messages", {"body": 1})
            )
            frame = json.loads(await connection.recv())
            took.append(time.monotonic() - sent)
            await connection.send(f'{{"type":"ack","receipt":"{frame["message"]["receipt"]}"}}')
            await connection.recv()
            await connection.send('{"type":"credit","n":1}')
            await sending
    return took
