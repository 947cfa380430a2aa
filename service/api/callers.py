"""Who may call an operation: a type in its signature."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.queries import check_query
from service.api.quotas import RATE_HEADERS, RateHeaders, admit
from service.auth.keyring import Keyring
from service.auth.scopes import require
from service.errors import Forbidden, MalformedRequest, Unauthenticated
from service.model import Caller, Scope

Headers = Iterable[tuple[bytes, bytes]]

PROJECT_HEADER = "The project that the root key acts in, `default` if left out. With a project's key: that project."

_bearer = HTTPBearer(
    auto_error=False, scheme_name="key", description="An API key of a project, or the operator's root key."
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_Project = Annotated[
    str | None,
    Header(
        alias="Restante-Project",
        description=PROJECT_HEADER,
    ),
]


async def _caller(request: Request, _credentials: _Credentials, _project: _Project = None) -> Caller:
    """Return who calls. A queue's configuration is not hot: the root key's project is looked up each time."""
    keyring: Keyring = request.app.state.keyring
    caller = await keyring.caller(*presented(request.scope["headers"]), fresh=True)
    await _admit(request, caller)
    check_query(request)
    return caller


async def _admit(request: Request, caller: Caller) -> None:
    """Count the request, once, if its project has limits."""
    headers: RateHeaders = request.scope[RATE_HEADERS]
    if not headers:
        await admit(request.app.state.store, caller, headers)


async def _manager(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    require(caller, Scope.MANAGE)
    return caller


async def _browser(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    require(caller, Scope.BROWSE)
    return caller


async def _receiver(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    require(caller, Scope.RECEIVE)
    return caller


async def _admin(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    require(caller, Scope.ADMIN)
    return caller


async def _operator(request: Request, _credentials: _Credentials) -> None:
    """Let the root key in, which need not name a project here."""
    await authenticate(request)
    keyring: Keyring = request.app.state.keyring
    if not keyring.is_root(_one(request.scope["headers"], b"authorization")):
        raise Forbidden("Projects are the operator's business: this needs the root key.")
    check_query(request)


async def authenticate(request: Request) -> None:
    """Raise Unauthenticated unless there is a valid key, whatever it may do."""
    keyring: Keyring = request.app.state.keyring
    authorization = _one(request.scope["headers"], b"authorization")
    if not keyring.is_root(authorization):
        await _admit(request, await keyring.caller(authorization, None))


def presented(headers: Headers) -> tuple[bytes | None, bytes | None]:
    """Return the key that a request has in its headers, and the project. Raises Unauthenticated, MalformedRequest."""
    _refuse_doubled(headers)
    return _one(headers, b"authorization"), _one(headers, b"restante-project")


def _one(headers: Headers, name: bytes) -> bytes | None:
    """Return the one value of a header."""
    values = [value for header, value in headers if header == name]
    if len(values) > 1:
        raise Unauthenticated
    return values[0] if values else None


def _refuse_doubled(headers: Headers) -> None:
    """Refuse two of a header that means one thing: one of them would pass unseen."""
    seen = set()
    for name, _ in headers:
        if name in seen and (name == b"idempotency-key" or name.startswith(b"restante-")):
            raise MalformedRequest(f"Send {name.decode('latin-1').title()} once.")
        seen.add(name)


AnyCaller = Annotated[Caller, Depends(_caller)]
Manager = Annotated[Caller, Depends(_manager)]
Browser = Annotated[Caller, Depends(_browser)]
Receiver = Annotated[Caller, Depends(_receiver)]
Admin = Annotated[Caller, Depends(_admin)]
Operator = Annotated[None, Depends(_operator)]
