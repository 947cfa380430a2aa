"""Authentication and scopes, as types in a route's signature: a `Manager` is a caller with the scope `manage`."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.http.quotas import RATE_HEADERS, RateHeaders, admit
from service.api.kit.queries import check_query
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.errors import Forbidden, MalformedRequest, Unauthenticated
from service.model import Caller, Scope

RawHeaders = Iterable[tuple[bytes, bytes]]

PROJECT_HEADER = "The root key's project, `default` if omitted. With a project's own key it can only name that project."

# The path parameters that a key's patterns can restrict.
_NAMED = ("queue", "topic")

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
    """Authenticate the caller. The project named with the root key is always read from the database."""
    keyring: Keyring = request.app.state.keyring
    caller = await keyring.caller(*presented(request.scope["headers"]), fresh=True)
    await _admit(request, caller)
    check_query(request)
    return caller


async def _admit(request: Request, caller: Caller) -> None:
    """Count the request against its project's rate limit, unless it has been counted already."""
    headers: RateHeaders = request.scope[RATE_HEADERS]
    if not headers:
        await admit(request.app.state.store, caller, headers)


def _with_scope(*scopes: Scope) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency: a caller with these scopes, whose key covers the queue or topic that the path names."""

    async def caller_with_scope(request: Request, caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        require(caller, scopes)
        for noun in _NAMED:
            if (name := request.path_params.get(noun)) is not None:
                require_queue(caller, name)
        return caller

    return caller_with_scope


async def _operator(request: Request, _credentials: _Credentials) -> None:
    """Accept only the root key; no project has to be named."""
    await authenticate(request)
    keyring: Keyring = request.app.state.keyring
    if not keyring.is_root(_one(request.scope["headers"], b"authorization")):
        raise Forbidden("Only the operator can manage projects. Use the root key.")
    check_query(request)


async def authenticate(request: Request) -> None:
    """Raise Unauthenticated unless the request has a valid key, of any scope."""
    keyring: Keyring = request.app.state.keyring
    authorization = _one(request.scope["headers"], b"authorization")
    if not keyring.is_root(authorization):
        await _admit(request, await keyring.caller(authorization, None))


def presented(headers: RawHeaders) -> tuple[bytes | None, bytes | None]:
    """Return the Authorization and Restante-Project headers. Raises Unauthenticated, MalformedRequest."""
    _refuse_doubled(headers)
    return _one(headers, b"authorization"), _one(headers, b"restante-project")


def _one(headers: RawHeaders, name: bytes) -> bytes | None:
    """Return the value of a header, or None. Raises Unauthenticated if the header occurs more than once."""
    values = [value for header, value in headers if header == name]
    if len(values) > 1:
        raise Unauthenticated
    return values[0] if values else None


def _refuse_doubled(headers: RawHeaders) -> None:
    """Refuse a duplicate header of the service, because one of its values would be ignored."""
    seen = set()
    for name, _ in headers:
        if name in seen and (name == b"idempotency-key" or name.startswith(b"restante-")):
            raise MalformedRequest(f"Send the header {name.decode('latin-1').title()} only once.")
        seen.add(name)


AnyCaller = Annotated[Caller, Depends(_with_scope())]
Manager = Annotated[Caller, Depends(_with_scope(Scope.MANAGE))]
Browser = Annotated[Caller, Depends(_with_scope(Scope.BROWSE))]
ReceivingCaller = Annotated[Caller, Depends(_with_scope(Scope.RECEIVE))]
Granter = Annotated[Caller, Depends(_with_scope(Scope.GRANT))]
Admin = Annotated[Caller, Depends(_with_scope(Scope.ADMIN))]
Operator = Annotated[None, Depends(_operator)]
