"""Cross-origin requests (CORS, in the Fetch standard): let web pages of allowed origins use the API."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.http.origins import forbidden, tell_refused
from service.api.http.problems import problem_response
from service.api.http.request_id import request_id

_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
# The response headers that a page may read.
_EXPOSED = (
    "ETag",
    "Link",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Request-Id",
    "Retry-After",
    "WWW-Authenticate",
)
_REMEMBERED_SECONDS = 7200


class CrossOrigin(CORSMiddleware):
    """ASGI middleware that applies CORS to `/v1/` for the origins that the operator allows."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=["*"],
            expose_headers=_EXPOSED,
            allow_private_network=True,
            max_age=_REMEMBERED_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights and add CORS headers to responses; requests without an Origin pass through unchanged."""
        from_page = scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"])
        if from_page and scope["path"].startswith("/v1/"):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight. Browsers send it without a key, so it is answered without authentication."""
        identity = request_id(request_headers.get("request-id", "").encode("latin-1"))
        origin = request_headers["origin"]
        if not self.is_allowed_origin(origin):
            tell_refused("preflight", origin)
            return _PreparedAnswer(*problem_response(forbidden(origin), identity))
        response = super().preflight_response(request_headers)
        response.headers["Request-Id"] = identity
        return response


class _PreparedAnswer(Response):
    """A response with ready-made headers."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(body, status)
        self.raw_headers = headers
