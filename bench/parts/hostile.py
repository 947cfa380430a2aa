"""How much do clients without a key that send endless requests slow down others?"""

import contextlib
import socket
import threading
from collections.abc import Iterator

from bench import scripts, servers
from bench.figures import Figure, at_most, ratio
from bench.load import Load
from bench.parts.waiting import resident
from bench.plan import Plan
from bench.servers import Service

# Far below the capacity of the service, because a busy process is slow for all clients.
CYCLES_PER_SECOND = 200
_CHUNKED = b"POST /v1/queues/q/raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# The bytes that each connection sends first, and then again and again; when it is closed, it starts over.
FLOODS = {
    "a header": (b"GET / HTTP/1.1\r\nX: ", b"a" * 65_536),
    "headers": (b"GET / HTTP/1.1\r\n", b"X-Header: value\r\n" * 4_096),
    "trailers": (_CHUNKED + b"0\r\n", b"X-Trailer: value\r\n" * 4_096),
    "a body": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n", b"a" * 65_536),
}


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare the p99 of cycles alone and beside four hostile connections, in turns, and the memory of the process."""
    alone, beside, troubles, sent = [], [], [], []
    with servers.restante() as service, service.queue("bench"):
        _cycles(service, plan)
        with _flooding(service) as rehearsed:
            _cycles(service, plan)
        before = resident(service.pid)
        for _ in range(plan.rounds):
            alone.append(_cycles(service, plan).cycle["p99"])
            with _flooding(service) as sent_now:
                seen = _cycles(service, plan)
            beside.append(seen.cycle["p99"])
            troubles += seen.troubles("beside")
            sent.append(sum(sent_now) / 2**20 / plan.seconds)
        growth = resident(service.pid) - before
    yield ratio(
        f"cycles beside {len(FLOODS)} hostile connections",
        ("p99 of a cycle beside them, µs", beside),
        ("p99 of a cycle alone, µs", alone),
        at_most(2),
        [f"they sent {min(sent):,.0f} to {max(sent):,.0f} MB a second", *troubles],
    )
    yield Figure(
        name=f"memory after {plan.rounds} rounds of them",
        formula="growth of resident memory since the first round",
        value=growth / 2**20,
        unit="MB",
        bound=at_most(30),
        raw={"MB sent before that": sum(rehearsed) / 2**20},
    )


@contextlib.contextmanager
def _flooding(service: Service) -> Iterator[list[int]]:
    """Run the hostile connections; at the end the list has the number of bytes that each has sent."""
    over, sent = threading.Event(), [0] * len(FLOODS)
    threads = [
        threading.Thread(target=_flood, args=(service.port, flood, over, sent), kwargs={"place": place})
        for place, flood in enumerate(FLOODS.values())
    ]
    for thread in threads:
        thread.start()
    yield sent
    over.set()
    for thread in threads:
        thread.join()


def _flood(port: int, flood: tuple[bytes, bytes], over: threading.Event, sent: list[int], *, place: int) -> None:
    first, piece = flood
    while not over.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(first)
            while not over.is_set():
                sent[place] += client.send(piece)


def _cycles(service: Service, plan: Plan) -> Load:
    return service.load(
        scripts.CYCLE, connections=4, seconds=plan.seconds, rate=CYCLES_PER_SECOND, values={"queue": "bench"}
    )
