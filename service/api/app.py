"""The FastAPI application: every operation but the hot ones, which are added to it."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service import __version__
from service.api import (
    activity,
    attempts,
    browse,
    consumers,
    dashboard,
    dead_letters,
    docs,
    events,
    health,
    keys,
    limits,
    overview,
    projects,
    queues,
    stored_messages,
    stream,
    subscriptions,
    tasks,
    topics,
    webhooks,
)
from service.api.cursors import Cursors
from service.api.edge import Edge, send_problem
from service.api.problems import problem_of
from service.api.validation import invalid_request
from service.auth.keyring import Keyring
from service.egress.resolver import Resolver
from service.errors import MalformedRequest, MethodNotAllowed, Problem, UnknownPath
from service.settings import Deployment
from service.store.store import Store
from service.store.tallies import Tallies

_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


def build_api(store: Store, keyring: Keyring, tallies: Tallies, resolver: Resolver, deployment: Deployment) -> FastAPI:
    """Return the application. It opens nothing; `store` is opened and closed by whoever made it."""
    app = FastAPI(
        title="Restante",
        version=__version__,
        summary="Mail held until called for: queues over HTTP.",
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            RequestValidationError: _answer_problem,
            HTTPException: _answer_problem,
            Problem: _answer_problem,
        },
    )
    app.state.store = store
    app.state.keyring = keyring
    app.state.tallies = tallies
    app.state.cursors = Cursors(deployment.secret_key)
    app.state.resolver = resolver
    app.state.draining = False
    app.add_middleware(Edge)
    # Ahead of all that knows nothing of WebSockets.
    app.include_router(stream.router)
    app.mount("/dashboard/assets", dashboard.assets())
    of_queues = (queues, activity, overview, consumers, browse, dead_letters, stored_messages, tasks, webhooks)
    nouns = (*of_queues, attempts, topics, subscriptions, projects, keys, limits, events, health, docs)
    for noun in (*nouns, dashboard):
        app.include_router(noun.router)
    return app


class _ProblemResponse(Response):
    """A problem, as a response that is made when it is sent."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(status_code=problem.status)
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_problem(self._problem, scope["request_id"], receive, send)


async def _answer_problem(request: Request, error: Exception) -> Response:
    return _ProblemResponse(_problem(request, error))


def _problem(request: Request, error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        return invalid_request(error.errors())
    if not isinstance(error, HTTPException):
        return problem_of(error)
    if error.status_code == 404:
        return UnknownPath()
    if error.status_code == 405:
        allowed = ", ".join(_allowed(request))
        return MethodNotAllowed(f"This path takes {allowed}.", headers={"Allow": allowed})
    return MalformedRequest(str(error.detail))


def _allowed(request: Request) -> list[str]:
    """Return the methods that some operation of this path takes."""
    allowed = [method for method in _METHODS if _answers(request, method)]
    return ["GET", "HEAD", *allowed[1:]] if allowed[:1] == ["GET"] else allowed


def _answers(request: Request, method: str) -> bool:
    scope: dict[str, Any] = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)
