"""Answer hot operations, for requests that come from their connection (`http.call`) and for those from FastAPI."""

import time
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Response
from starlette.types import Receive, Scope, Send

from service import model
from service.api.http.body import send_answer
from service.api.http.exchange import Answer, AsgiPeer, Exchange, Request
from service.api.http.problems import problem_of, problem_response
from service.api.http.quotas import RateHeaders, admit, limits_on_stored
from service.api.http.request_id import request_id
from service.api.kit.callers import presented
from service.api.kit.paths import routed
from service.api.kit.queries import refuse_query
from service.api.messaging.operations import OPERATIONS, Operation, request_entry, response_entries
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.errors import NotFound, invalid
from service.store.database import patience
from service.store.store import Store
from service.telemetry import count_request


class Performer:
    """Authenticates, runs and answers hot operations."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def respond(self, operation: Operation, name: str, request: Request) -> Answer:
        """Return the complete response to a request; every exception becomes a problem.

        It may run outside of a task (`http.call`).
        """
        started = time.perf_counter()
        identity = request_id(request.headers.get(b"request-id"))
        rate_headers: RateHeaders = []
        try:
            answer = await self._answer(operation, name, request, rate_headers)
            answer.headers = [*answer.headers, *rate_headers, (b"request-id", identity.encode())]
            if answer.status != 204:
                answer.headers.append((b"content-length", b"%d" % len(answer.body)))
        except Exception as error:  # noqa: BLE001 - every error becomes a response
            # No variable may hold the problem: its traceback refers to this frame, which would be a reference cycle.
            with structlog.contextvars.bound_contextvars(request_id=identity):
                status, lines, body = problem_response(problem_of(error), identity)
            answer = Answer(status, body, [*lines, *rate_headers])
        self.count(operation, answer.status, time.perf_counter() - started)
        return answer

    def count(self, operation: Operation, status: int, seconds: float) -> None:
        """Count a request in the metrics."""
        count_request(operation.method, operation.path, status, seconds)

    async def _answer(self, operation: Operation, name: str, request: Request, rate_headers: RateHeaders) -> Answer:
        authorization, project = request.authorization, request.project
        caller = self._keyring.known(authorization, project) or await self._keyring.caller(authorization, project)
        if caller.limits is not None:
            await admit(self._store, caller, rate_headers)
        require(caller, operation.scopes)
        if operation.is_named:
            if not model.is_name(name):
                raise invalid(f"/path/{operation.noun}", "invalid_name", model.NAME_RULE)
            require_queue(caller, name)
        if request.query:
            refuse_query(request.query)
        if operation.scope is model.Scope.SEND and (limits := limits_on_stored(self._store, caller)) is not None:
            await self._store.usage.check(caller.project_id, limits)
        body = request.body
        if body is None:
            body = b"" if operation.method == "DELETE" else await request.read()
        exchange = Exchange(caller, name, body, request, self._keyring)
        try:
            return await operation.run(self._store, exchange)
        except NotFound:
            # The project named with the root key may have been deleted and recreated since it was cached.
            if not caller.is_operator:
                raise
            exchange.caller = await self._keyring.caller(authorization, project, fresh=True)
            if exchange.caller.project_id == caller.project_id:
                raise
            return await operation.run(self._store, exchange)


class _Performed(Response):
    """A FastAPI response that runs the operation when it is sent."""

    def __init__(self, operation: Operation, performer: Performer) -> None:
        super().__init__()
        self._operation = operation
        self._performer = performer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the operation and send its response."""
        # The request's time limit does not apply to hot operations: lanes have their own, and a receive may wait.
        patience.end()
        name = next(iter(scope["path_params"].values()), "")
        headers = scope["headers"]
        request = Request(
            dict(headers), *presented(headers), AsgiPeer(receive), query=scope["query_string"], receive=receive
        )
        scope["counted"] = True
        answer = await self._performer.respond(self._operation, name, request)
        await send_answer(send, answer.status, answer.headers, answer.body)


def add_operations(app: FastAPI, performer: Performer) -> None:
    """Add a FastAPI route for every hot operation, with its entry in the OpenAPI document."""
    for operation in OPERATIONS:
        app.add_api_route(
            routed(operation.path),
            _endpoint(operation, performer),
            methods=[operation.method],
            operation_id=operation.run.__name__,
            name=operation.run.__name__,
            summary=operation.summary,
            description=operation.run.__doc__,
            tags=[operation.tag],
            status_code=operation.status,
            response_class=Response,
            responses=response_entries(operation),
            openapi_extra=request_entry(operation),
        )


def _endpoint(operation: Operation, performer: Performer) -> Callable[[], Awaitable[Response]]:
    async def endpoint() -> Response:
        return _Performed(operation, performer)

    return endpoint
