"""How much memory and how many database connections does a waiting receive take?"""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from bench import database, scripts, servers
from bench.figures import Figure, at_most
from bench.plan import Plan
from bench.servers import Service

BATCH = 1000
REHEARSAL = 100
SETTLE_SECONDS = 60
ANSWER_SECONDS = 60


def measure(plan: Plan) -> Iterator[Figure]:
    """Let many receives wait on connections of their own, measure the process's memory, then wake all of them."""
    servers.raise_open_files()
    with servers.restante() as service, service.queue("bench") as queue:
        # A rehearsal, because memory that is imported and allocated once does not belong to the receives.
        _wait_and_wake(service, queue, REHEARSAL)
        weight, connections, answered = _wait_and_wake(service, queue, plan.waiting)
    name = f"{plan.waiting:,} waiting receives"
    yield Figure(
        name=f"{name}: database connections",
        formula="client connections of PostgreSQL that were not there before",
        value=connections,
        bound=at_most(0),
    )
    yield Figure(
        name=f"{name}: memory of each",
        formula=f"growth of resident memory ÷ {plan.waiting:,}",
        value=weight / plan.waiting / 1024,
        unit="KB",
        bound=at_most(30),
        raw={"growth MB": weight / 2**20, "answered when messages came": answered},
        notes=() if answered == plan.waiting else (f"only {answered} of {plan.waiting} answered when messages came",),
    )


def _wait_and_wake(service: Service, queue: str, count: int) -> tuple[int, int, int]:
    before, backends = resident(service.pid), database.backends(service.database_url)
    with ExitStack() as stack:
        receives = [stack.enter_context(closing(_receive(service, queue))) for _ in range(count)]
        weight = _settled(service.pid) - before
        held = database.backends(service.database_url) - backends
        service.load(
            scripts.batch_send(min(BATCH, count)),
            connections=1,
            seconds=60,
            warm_up=0,
            cycles=max(1, count // BATCH),
            values={"queue": queue},
        )
        return weight, held, _answered(receives)


def _receive(service: Service, queue: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", service.port))
    body = b'{"wait":60}'
    head = [f"POST /v1/queues/{queue}/messages/receive HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    connection.sendall("\r\n".join([*head, *service.headers, "", ""]).encode() + body)
    return connection


def _answered(receives: list[socket.socket]) -> int:
    """Count the receives that answer with a message."""
    waiting = {receive.fileno(): receive for receive in receives}
    poll = select.poll()
    for number in waiting:
        poll.register(number, select.POLLIN)
    answered, deadline = 0, time.monotonic() + ANSWER_SECONDS
    while waiting and time.monotonic() < deadline:
        for number, _ in poll.poll(1000):
            answered += b'"receipt"' in waiting.pop(number).recv(65536)
            poll.unregister(number)
    return answered


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    message = f"process {pid} is gone"
    raise RuntimeError(message)


def _settled(pid: int) -> int:
    """Wait until the process has stopped growing, because all receives are waiting; return its memory."""
    deadline, last = time.monotonic() + SETTLE_SECONDS, -1
    while time.monotonic() < deadline:
        now = resident(pid)
        if now == last:
            return now
        last = now
        time.sleep(1)
    return last
