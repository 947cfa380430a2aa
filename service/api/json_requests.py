"""JSON requests: read as JSON whatever Content-Type says, after the caller is known."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.api.body import read_body
from service.api.callers import authenticate
from service.api.exact_json import check_depth, malformed, utf8

# Python refuses to convert longer ones, and no field takes them.
_INTEGER_DIGITS = 400


def read_json(data: bytes) -> Any:
    """Return the JSON value of a request; an empty body counts as an empty object.

    Raises MalformedRequest when it is not JSON, InvalidRequest when it nests too deep.
    """
    if not data:
        return {}
    text = utf8(data)
    check_depth(text)
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_refuse_constant)
    except ValueError as error:
        raise malformed(text, str(error)) from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _INTEGER_DIGITS else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _JsonRequest(Request):
    """A request whose body was read and understood."""

    def __init__(self, request: Request, body: bytes) -> None:
        rest = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        headers = [*rest, (b"content-type", b"application/json")]
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._read = body or b"{}"
        self._value = read_json(body)

    async def body(self) -> bytes:
        return self._read

    async def json(self) -> Any:
        return self._value


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which knows the caller before it reads the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            await authenticate(request)
            body = await read_body(dict(request.scope["headers"]), request.receive)
            return await handle(_JsonRequest(request, body))

        return handle_json
