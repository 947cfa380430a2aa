"""Answering hot operations, whichever way a request found them."""

import time
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Response
from starlette.types import Receive, Scope, Send

from service import model
from service.api.body import read_body, send_answer
from service.api.callers import presented
from service.api.edge import refuse_host
from service.api.exchange import Answer, Exchange, HttpClient
from service.api.operations import OPERATIONS, Operation, request_entry, response_entries
from service.api.problems import problem_of, problem_response
from service.api.protocol import answer_at_once, body_at_once
from service.api.queries import refuse_query
from service.api.quotas import RATE_HEADERS, RateHeaders, admit, limits_on_stored
from service.api.request_id import request_id
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.errors import NotFound, invalid
from service.store.store import Store
from service.telemetry import count_request


class Performer:
    """Answers hot operations on behalf of one process."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def perform(self, operation: Operation, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever comes of it."""
        started = time.perf_counter()
        headers = dict(scope["headers"])
        identity = request_id(headers.get(b"request-id"))
        rate_headers: RateHeaders = []
        scope[RATE_HEADERS] = rate_headers
        try:
            answer = await self._answer(operation, name, scope, headers, receive)
            status, body = answer.status, answer.body
            answer_headers = [*answer.headers, *rate_headers, (b"request-id", identity.encode())]
            if status != 204:
                answer_headers.append((b"content-length", b"%d" % len(body)))
        except Exception as error:  # noqa: BLE001 - the edge: whatever went wrong, the client gets an answer
            # Nothing here keeps the problem: its traceback leads back to here, a ring for the garbage collector.
            with structlog.contextvars.bound_contextvars(request_id=identity):
                status, answer_headers, body = problem_response(problem_of(error), identity)
            answer_headers += rate_headers
        if not answer_at_once(receive, status, answer_headers, body):
            await send_answer(receive, send, status, answer_headers, body)
        count_request(operation.method, operation.path, status, time.perf_counter() - started)

    async def _answer(
        self, operation: Operation, name: str, scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Answer:
        authorization, project = headers.get(b"authorization"), headers.get(b"restante-project")
        if len(headers) < len(scope["headers"]) or b"host" not in headers:
            refuse_host(scope)
            authorization, project = presented(scope["headers"])
        caller = self._keyring.known(authorization, project) or await self._keyring.caller(authorization, project)
        if caller.limits is not None:
            await admit(self._store, caller, scope[RATE_HEADERS])
        require(caller, operation.scope, *operation.also)
        if operation.is_named:
            if not model.is_name(name):
                raise invalid(f"/path/{operation.noun}", "invalid_name", model.NAME_RULE)
            require_queue(caller, name)
        if scope["query_string"]:
            refuse_query(scope["query_string"])
        if operation.scope is model.Scope.SEND and (limits := limits_on_stored(self._store, caller)) is not None:
            await self._store.usage.check(caller.project_id, limits)
        body = b"" if operation.method == "DELETE" else await read_body(headers, receive, body_at_once(receive))
        exchange = Exchange(caller, name, headers, body, HttpClient(receive))
        try:
            return await operation.run(self._store, exchange)
        except NotFound:
            # The root key's project may have been deleted and made anew since it was looked up.
            if not caller.is_operator:
                raise
            exchange.caller = await self._keyring.caller(authorization, project, fresh=True)
            if exchange.caller.project_id == caller.project_id:
                raise
            return await operation.run(self._store, exchange)


class _Performed(Response):
    """A response that is made as it is sent."""

    def __init__(self, operation: Operation, performer: Performer) -> None:
        super().__init__()
        self._operation = operation
        self._performer = performer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        scope["counted"] = True
        name = next(iter(scope["path_params"].values()), "")
        await self._performer.perform(self._operation, name, scope, receive, send)


def add_operations(app: FastAPI, performer: Performer) -> None:
    """Declare every hot operation in FastAPI, with its whole entry in the OpenAPI document."""
    for operation in OPERATIONS:
        app.add_api_route(
            operation.path,
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
