"""The outermost middleware: assigns request ids, counts requests, and turns every exception into a problem."""

import time
from collections.abc import Iterable

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.body import send_answer
from service.api.http.problems import problem_of, problem_response
from service.api.http.quotas import RATE_HEADERS, RateHeaders
from service.api.http.request_id import request_id
from service.errors import MalformedRequest, Problem, invalid
from service.store.database import patience
from service.telemetry import count_request

# Set in the scope of a HEAD request, which is routed as a GET.
HEAD = "restante.head"
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The middleware. Operations that count their own requests set `counted` in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request; pass WebSocket and lifespan events on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        patience.begin()
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
                # An ETag covers only the configuration; a cached response could show outdated counts.
                if scope["path"].startswith("/v1/") and not _has(message, b"cache-control"):
                    message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
                if rate_headers:
                    message["headers"] = [*message["headers"], *rate_headers]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                refuse_hosts(scope["headers"], scope["http_version"])
                _refuse_slash(scope)
                await self._app(scope, receive, answer)
            except Exception as error:
                if status:
                    raise
                await send_problem(problem_of(error), identity, answer)
        if "counted" not in scope:
            known = method if method in _METHODS else "other"
            count_request(known, _template(scope), status, time.perf_counter() - started)


async def send_problem(problem: Problem, identity: str, send: Send) -> None:
    """Send a problem as the response."""
    status, headers, body = problem_response(problem, identity)
    await send_answer(send, status, headers, body)


def _readable(scope: Scope) -> Scope:
    """Return the scope with HEAD turned into GET (RFC 9110, section 9.3.2). uvicorn omits the response body."""
    return {**scope, "method": "GET", HEAD: True} if scope["method"] == "HEAD" else scope


def refuse_hosts(headers: Iterable[tuple[bytes, bytes]], version: str = "1.1") -> None:
    """Raise MalformedRequest unless the request has exactly one Host header (RFC 9112, section 3.2)."""
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise MalformedRequest("The request must have exactly one Host header.")


def _refuse_slash(scope: Scope) -> None:
    """Refuse an encoded slash in the path: after decoding, the path could match another operation."""
    if b"%2f" in scope.get("raw_path", b"").lower():
        raise invalid("/path", "invalid_name", "Names and receipts cannot contain a slash, not even an encoded one.")


def _has(message: Message, header: bytes) -> bool:
    return any(name == header for name, _ in message["headers"])


def _template(scope: Scope) -> str:
    """Return the template of the request's path, or `unmatched` if no route matched."""
    return getattr(scope.get("route"), "path_format", None) or "unmatched"
