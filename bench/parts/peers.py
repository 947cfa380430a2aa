"""How fast are other queues over HTTP? They are measured in turns with Restante."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from bench import database, scripts, servers
from bench.figures import Figure, ratio
from bench.plan import Plan
from bench.servers import Server


@dataclass(frozen=True)
class Peer:
    """A queue server with the scripts for its API."""

    title: str
    server: Server
    send: str
    cycle: str
    prepare: Callable[[Server], dict[str, str]]

    def rate(self, script: str, connections: int, seconds: float) -> float:
        """Measure one script on a new or emptied queue."""
        return self.server.load(script, connections=connections, seconds=seconds, values=self.prepare(self.server)).rate


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare sends and cycles at the busiest number of connections."""
    with ExitStack() as stack:
        service = stack.enter_context(servers.restante())
        restante = Peer("Restante", service, scripts.SEND, scripts.CYCLE, _recreated)
        plain = stack.enter_context(servers.plain(service.database_url))
        moto, ministack = stack.enter_context(servers.moto()), stack.enter_context(servers.ministack())
        for peer in (
            Peer("a plain FastAPI queue, durable", plain, scripts.SEND, scripts.CYCLE, _recreated),
            Peer("MiniStack's SQS, in memory", ministack, scripts.SQS_SEND, scripts.SQS_CYCLE, _sqs_queue),
            Peer("moto's SQS, in memory", moto, scripts.SQS_SEND, scripts.SQS_CYCLE, _sqs_queue),
        ):
            yield from _compare(plan, service, restante, peer)


def _compare(plan: Plan, service: servers.Service, restante: Peer, peer: Peer) -> Iterator[Figure]:
    for connections in plan.connections:
        for what in ("send", "cycle"):
            pairs = []
            for _ in range(plan.rounds):
                database.quiet(service.database_url)
                pairs.append([one.rate(getattr(one, what), connections, plan.seconds) for one in (peer, restante)])
            theirs, mine = (list(rates) for rates in zip(*pairs, strict=True))
            yield ratio(
                f"{what}, {connections} connections: {peer.title}",
                (f"Restante {what}s/s", mine),
                (f"its {what}s/s", theirs),
                None,
            )


def _recreated(server: Server) -> dict[str, str]:
    """Empty the queue by creating it again."""
    server.request("DELETE", "/v1/queues/bench")
    server.request("PUT", "/v1/queues/bench", {})
    return {"queue": "bench"}


def _sqs_queue(server: Server) -> dict[str, str]:
    def call(action: str, **arguments: str) -> dict[str, str]:
        target = Server(server.name, server.port, server.pid, (*server.headers, f"X-Amz-Target: AmazonSQS.{action}"))
        status, answer = target.request("POST", "/", arguments)
        if status != 200:
            message = f"{action} answered {status}: {answer}"
            raise RuntimeError(message)
        return answer or {}

    # A new queue each time, because a purge is allowed only once a minute.
    return {"queue_url": call("CreateQueue", QueueName=f"bench-{secrets.token_hex(4)}")["QueueUrl"]}
