"""Build the FastAPI application."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service import __version__
from service.api import docs
from service.api.http.edge import Edge, send_problem
from service.api.http.problems import problem_of
from service.api.kit.cursors import Cursors
from service.api.kit.validation import invalid_request
from service.api.resources import (
    activity,
    attempts,
    browse,
    consumers,
    dashboard,
    dead_letters,
    defaults,
    health,
    keys,
    limits,
    overview,
    projects,
    queues,
    root,
    stored_messages,
    subscriptions,
    tasks,
    topics,
    webhook_verbs,
    webhooks,
)
from service.api.streaming import events, websocket
from service.auth.keyring import Keyring
from service.egress.resolver import Resolver
from service.errors import MalformedRequest, MethodNotAllowed, Problem, UnknownPath
from service.settings import Deployment
from service.store.store import Store
from service.store.views.long_queues import Tallies

_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


def build_api(store: Store, keyring: Keyring, tallies: Tallies, resolver: Resolver, deployment: Deployment) -> FastAPI:
    """Return the application. The caller opens and closes `store`."""
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
    app.state.cursors = Cursors(*deployment.secret_keys)
    app.state.resolver = resolver
    app.state.draining = False
    app.state.documents = {}
    app.add_middleware(Edge)
    # Before the routes that would refuse a WebSocket handshake as an unknown path.
    app.include_router(websocket.router)
    app.mount("/dashboard/assets", dashboard.assets())
    of_queues = (queues, activity, overview, consumers, browse, dead_letters, stored_messages, tasks, webhooks)
    of_projects = (projects, keys, limits, defaults)
    nouns = (*of_queues, webhook_verbs, attempts, topics, subscriptions, *of_projects, events, health, docs)
    for noun in (*nouns, dashboard, root):
        app.include_router(noun.router)
    return app


class _ProblemResponse(Response):
    """A response that writes a problem, with the request id, when it is sent."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(status_code=problem.status)
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI requires it
        await send_problem(self._problem, scope["request_id"], send)


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
        return MethodNotAllowed(f"This path supports {allowed}.", headers={"Allow": allowed})
    return MalformedRequest(str(error.detail))


def _allowed(request: Request) -> list[str]:
    """Return the methods that the operations of this path support."""
    allowed = [method for method in _METHODS if _answers(request, method)]
    return ["GET", "HEAD", *allowed[1:]] if allowed[:1] == ["GET"] else allowed


def _answers(request: Request, method: str) -> bool:
    scope: dict[str, Any] = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)
