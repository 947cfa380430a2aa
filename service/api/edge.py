"""What every request meets first: its id, the count of it, and an answer whatever happens."""

import time

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.body import send_answer
from service.api.problems import problem_of, problem_response
from service.api.quotas import RATE_HEADERS, RateHeaders
from service.api.request_id import request_id
from service.errors import MalformedRequest, Problem, invalid
from service.telemetry import count_request

# In the scope of a GET that is a HEAD.
HEAD = "restante.head"
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """A pure ASGI middleware. Operations that count themselves say so in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; pass on anything else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        identity = request_id(HTTPConnection(scope).headers.get("request-id", "").encode("latin-1"))
        scope["request_id"] = identity
        method, scope = scope["method"], _readable(scope)
        rate_headers: RateHeaders = []
        scope[RATE_HEADERS] = rate_headers
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not _has(message, b"request-id"):
                    message["headers"] = [*message["headers"], (b"request-id", identity.encode("ascii"))]
                # An ETag stands for a configuration alone: who kept the answer by it would see counts of long ago.
                if scope["path"].startswith("/v1/") and not _has(message, b"cache-control"):
                    message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
                if rate_headers:
                    message["headers"] = [*message["headers"], *rate_headers]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                refuse_host(scope)
                _refuse_slash(scope)
                await self._app(scope, receive, answer)
            except Exception as error:
                if status:
                    raise
                await send_problem(problem_of(error), identity, receive, answer)
        if "counted" not in scope:
            known = method if method in _METHODS else "other"
            count_request(known, _template(scope), status, time.perf_counter() - started)


async def send_problem(problem: Problem, identity: str, receive: Receive, send: Send) -> None:
    """Answer with a problem."""
    status, headers, body = problem_response(problem, identity)
    await send_answer(receive, send, status, headers, body)


def _readable(scope: Scope) -> Scope:
    """Return what is answered: a HEAD as a GET (RFC 9110, section 9.3.2). The server itself leaves out the body."""
    return {**scope, "method": "GET", HEAD: True} if scope["method"] == "HEAD" else scope


def refuse_host(scope: Scope) -> None:
    """Raise MalformedRequest unless a request names its host, and once (RFC 9112, section 3.2)."""
    hosts = sum(name == b"host" for name, _ in scope["headers"])
    if hosts > 1 or (hosts == 0 and scope["http_version"] == "1.1"):
        raise MalformedRequest("A request has one header Host.")


def _refuse_slash(scope: Scope) -> None:
    """Refuse a name with an encoded slash: decoded, its parts would be taken for another operation's path."""
    if b"%2f" in scope.get("raw_path", b"").lower():
        raise invalid("/path", "invalid_name", "No name or receipt has a slash, not even an encoded one.")


def _has(message: Message, header: bytes) -> bool:
    return any(name == header for name, _ in message["headers"])


def _template(scope: Scope) -> str:
    """Return the path's template; one label for all that has none."""
    return getattr(scope.get("route"), "path_format", None) or "unmatched"
