"""Everything that can go wrong for a caller, as one tree.

Problem
├── MalformedRequest        400  not JSON, bad UTF-8, bad cursor, bad header
├── Unauthenticated         401  no key, or one that is unknown, revoked or expired
├── Forbidden               403  the key lacks the scope, or the name is outside its patterns
├── NotFound                404  NAME_not_found
├── UnknownPath             404  no operation has this path
├── MethodNotAllowed        405
├── LeaseLost               409  the receipt is no longer the current lease of its message
├── MessageLeased           409
├── Conflict                409
├── PreconditionFailed      412
├── PayloadTooLarge         413
├── UnsupportedMediaType    415
├── InvalidRequest          422  with the fields that are wrong
├── UpgradeRequired         426  a WebSocket, asked for by plain HTTP
├── QueueFull               429
├── RateLimited             429  more requests a second than the project may make
├── QuotaExceeded           429  more of something than the project may have
└── Unavailable             503  unknown whether it was done; may be sent again
    └── TooManyToCount      503  nothing was to be done but a count, and it takes too long

`code` is stable and for programs; `detail` is a sentence for people that says what to do next.
The layers below the edge raise these; the edge alone knows how they look on the wire.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

# What may be missing: each has its own code, NOUN_not_found.
Noun = Literal["key", "message", "project", "queue", "receipt", "subscription", "task", "topic", "webhook"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: a JSON Pointer (RFC 6901) into the request, a stable code, a sentence."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem, and so do we
    """A problem (RFC 9457) that a caller caused or has to know about."""

    code: ClassVar[str] = "problem"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request could not be served"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problem_code = code or self.code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class MalformedRequest(Problem):
    """The request cannot be read at all."""

    code = "malformed_request"
    title = "The request cannot be read"


class Unauthenticated(Problem):
    """There is no valid key; the answer does not tell why."""

    code = "unauthenticated"
    status = 401
    title = "A valid key is needed"

    def __init__(self) -> None:
        super().__init__(
            "Send a valid API key as 'Authorization: Bearer KEY'. "
            "A key that is unknown, revoked or expired gets this same answer.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class Forbidden(Problem):
    """The key is valid but may not do this."""

    code = "forbidden"
    status = 403
    title = "The key does not allow this"


class NotFound(Problem):
    """A named thing does not exist in the caller's project."""

    status = 404
    title = "Not found"

    def __init__(self, noun: Noun, detail: str) -> None:
        super().__init__(detail, code=f"{noun}_not_found")


class UnknownPath(Problem):
    """No operation has this path."""

    code = "not_found"
    status = 404
    title = "Not found"

    def __init__(self) -> None:
        super().__init__("There is nothing at this path. GET /openapi.json describes what there is.")


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"


class LeaseLost(Problem):
    """The receipt is genuine but its lease was superseded."""

    code = "lease_lost"
    status = 409
    title = "The lease is lost"

    def __init__(self) -> None:
        super().__init__(
            "This receipt is no longer the current lease of its message: the message was settled, given to another "
            "consumer, purged or expired. Nothing was changed; receive again and use the new receipt.",
        )


class MessageLeased(Problem):
    """A consumer holds the message."""

    code = "message_leased"
    status = 409
    title = "The message is leased"


class Conflict(Problem):
    """The state of a resource forbids the change."""

    code = "conflict"
    status = 409
    title = "Conflict with the present state"


class PreconditionFailed(Problem):
    """If-Match or If-None-Match does not hold."""

    code = "precondition_failed"
    status = 412
    title = "The precondition does not hold"


class PayloadTooLarge(Problem):
    """A message, a batch or the whole request is over its limit; the detail says which, and both figures."""

    code = "payload_too_large"
    status = 413
    title = "Too large"


class UnsupportedMediaType(Problem):
    """The body comes in a form that is not read here."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"


class InvalidRequest(Problem):
    """Readable, but a field is missing, unknown, of the wrong type or out of range."""

    code = "invalid_request"
    status = 422
    title = "The request is invalid"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors), errors=errors)


class UpgradeRequired(Problem):
    """The path is a WebSocket's, and was asked for by plain HTTP."""

    code = "upgrade_required"
    status = 426
    title = "This is a WebSocket"

    def __init__(self) -> None:
        super().__init__(
            "This path is a WebSocket: connect with a client of those. GET …/events streams over plain HTTP.",
            headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        )


class QueueFull(Problem):
    """The queue holds `max_length` messages."""

    code = "queue_full"
    status = 429
    title = "The queue is full"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class RateLimited(Problem):
    """The project makes more requests a second than it may, over all processes."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"

    def __init__(self, limit: int, seconds: int) -> None:
        super().__init__(
            f"This project may make {limit} requests a second (`requests_per_second` of its limits). Wait "
            f"{seconds} s, then send fewer at a time, or more in each as batches; the operator can raise the limit.",
            headers={"Retry-After": str(seconds)},
        )


class QuotaExceeded(Problem):
    """The project has as much of something as it may; `name` is its field of the project's limits."""

    code = "quota_exceeded"
    status = 429
    title = "The project is at its limit"

    def __init__(self, name: str, limit: int, detail: str, *, seconds: int = 1) -> None:
        policy = f'"{name}";q={limit};qu="{name.replace("_", "-")}"'
        super().__init__(
            f"This project may have {limit} {name.replace('_', ' ')} (`{name}` of its limits). {detail}",
            headers={
                "Retry-After": str(seconds),
                "RateLimit-Policy": policy,
                "RateLimit": f'"{name}";r=0;t={seconds}',
            },
        )


class Unavailable(Problem):
    """The database is out of reach or the service stops: done wholly or not at all, nobody knows which."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"

    def __init__(self, detail: str = "The database is out of reach right now. Send the request again.") -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class TooManyToCount(Unavailable):
    """A count was given up."""

    code = "too_many_to_count"
    title = "Too many to be counted"


def pointer_of(*steps: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) of these steps."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def pointed(problem: Problem, pointer: str) -> Problem:
    """Return a problem that names the member of the request that it is about, if it is about one."""
    if not problem.errors and not isinstance(problem, Unavailable):
        problem.errors = (FieldError(pointer, problem.problem_code, problem.detail),)
    return problem


def invalid(pointer: str, code: str, detail: str) -> InvalidRequest:
    """Return the problem of one wrong field."""
    return InvalidRequest([FieldError(pointer, code, detail)])
