"""JSON request bodies: read after authentication, and parsed as JSON regardless of Content-Type."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.api.http.body import read_body
from service.api.http.exact_json import check_depth, integer, is_absent, malformed, number, utf8
from service.api.kit.callers import authenticate


def read_json(data: bytes) -> Any:
    """Parse a request body. An empty body and `null` count as an empty object.

    Raises MalformedRequest if it is not JSON, InvalidRequest if it is nested too deep.
    """
    if is_absent(data):
        return {}
    text = utf8(data)
    check_depth(text)
    try:
        return json.loads(text, parse_int=integer, parse_float=number, parse_constant=_refuse_constant)
    except ValueError as error:
        raise malformed(text, str(error)) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _JsonRequest(Request):
    """A request with its parsed body."""

    def __init__(self, request: Request, body: bytes) -> None:
        rest = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        headers = [*rest, (b"content-type", b"application/json")]
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._read = b"{}" if is_absent(body) else body
        self._value = read_json(body)

    async def body(self) -> bytes:
        return self._read

    async def json(self) -> Any:
        return self._value


class JsonRoute(APIRoute):
    """A route whose request body, if any, is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return a handler that authenticates the caller before it reads the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            await authenticate(request)
            body = await read_body(dict(request.scope["headers"]), request.receive)
            return await handle(_JsonRequest(request, body))

        return handle_json
