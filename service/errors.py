"""The errors of the API, as one tree of exceptions.

Problem
├── MalformedRequest        400  not JSON, bad UTF-8, bad cursor, bad header
├── Unauthenticated         401  no key, or an unknown, revoked or expired one
├── Forbidden               403  the key lacks a scope, or the name does not match its patterns
├── NotFound                404  NAME_not_found
├── UnknownPath             404
├── MethodNotAllowed        405
├── RequestTimeout          408  the request's headers did not arrive in time
├── LeaseLost               409  the receipt no longer holds the lease of its message
├── MessageLeased           409
├── NoDeadLetterQueue       409  a reject without `drop` would delete the message
├── Conflict                409
├── PreconditionFailed      412
├── PayloadTooLarge         413
├── UnsupportedMediaType    415
├── InvalidRequest          422  lists the invalid fields
├── UpgradeRequired         426  plain HTTP to a WebSocket endpoint
├── QueueFull               429
├── TooManyTests            429  too many webhook tests are running
├── RateLimited             429  the project exceeds its requests per second
├── QuotaExceeded           429  the project exceeds another of its limits
├── HeadTooLarge            431  the request line and headers are too large
├── NotImplementedHere      501  an unsupported method or transfer coding
├── VersionNotSupported     505  neither HTTP/1.1 nor HTTP/1.0
├── StorageFull             507  the database's disk has no room for more messages
└── Unavailable             503  the outcome is unknown; the request can be retried
    └── TooManyToCount      503  counting takes too long; nothing was changed

`code` is stable and meant for programs; `detail` is a sentence for people that says what to do next.
Any layer may raise these; only `service.api` knows how they are written to the client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

# Each noun has its own error code, NOUN_not_found.
Noun = Literal["key", "message", "project", "queue", "receipt", "subscription", "task", "topic", "webhook"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field: a JSON Pointer (RFC 6901) into the request, a stable code and a sentence."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):  # noqa: N818 - named as in RFC 9457
    """An error that is reported to the caller (RFC 9457)."""

    code: ClassVar[str] = "problem"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request failed"

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
    """The request cannot be parsed, or its body did not arrive completely and in time."""

    code = "malformed_request"
    title = "Malformed request"


class Unauthenticated(Problem):
    """The request has no valid key. The response does not reveal whether the key is unknown, revoked or expired."""

    code = "unauthenticated"
    status = 401
    title = "A valid API key is required"

    def __init__(self) -> None:
        super().__init__(
            "Send a valid API key as 'Authorization: Bearer KEY'. "
            "Unknown, revoked and expired keys all get this response.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class Forbidden(Problem):
    """The key is valid but does not permit this operation."""

    code = "forbidden"
    status = 403
    title = "Not permitted"


class NotFound(Problem):
    """The named resource does not exist in the caller's project."""

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
        super().__init__("No operation has this path. GET /openapi.json lists all operations.")


class MethodNotAllowed(Problem):
    """The path exists but does not support this method; the `Allow` header lists the methods that it supports."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"


class RequestTimeout(Problem):
    """The request line and headers did not arrive in time."""

    code = "request_timeout"
    status = 408
    title = "Request timeout"


class LeaseLost(Problem):
    """The receipt is genuine, but its lease is no longer the current lease of the message."""

    code = "lease_lost"
    status = 409
    title = "The lease is lost"

    def __init__(self) -> None:
        super().__init__(
            "This receipt no longer holds the lease of its message: the message was settled, given to another "
            "consumer, purged or has expired. Nothing was changed; receive again and use the new receipt.",
        )


class MessageLeased(Problem):
    """A consumer holds a lease of the message."""

    code = "message_leased"
    status = 409
    title = "The message is leased"


class NoDeadLetterQueue(Problem):
    """The message was rejected without `drop`, and its queue has no dead-letter queue to move it to."""

    code = "no_dead_letter_queue"
    status = 409
    title = "The queue has no dead-letter queue"

    def __init__(self) -> None:
        super().__init__(
            "The queue has no dead-letter queue, so rejecting the message would delete it. Nothing was changed: set "
            'the queue\'s `dead_letter`, or reject with `"drop": true` to delete the message.'
        )


class Conflict(Problem):
    """The request conflicts with the current state of the resource."""

    code = "conflict"
    status = 409
    title = "Conflict with the current state"


class PreconditionFailed(Problem):
    """The condition in `If-Match` or `If-None-Match` is not met."""

    code = "precondition_failed"
    status = 412
    title = "Precondition failed"


class PayloadTooLarge(Problem):
    """A message, a batch or the request exceeds its size limit; `detail` names the limit and the actual size."""

    code = "payload_too_large"
    status = 413
    title = "Payload too large"


class UnsupportedMediaType(Problem):
    """The request body is compressed."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"


class InvalidRequest(Problem):
    """The request is well-formed, but a field is missing, unknown, of the wrong type or out of range."""

    code = "invalid_request"
    status = 422
    title = "The request is invalid"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors), errors=errors)


class UpgradeRequired(Problem):
    """A WebSocket endpoint was requested over plain HTTP, or with a WebSocket version other than 13."""

    code = "upgrade_required"
    status = 426
    title = "WebSocket upgrade required"

    def __init__(self) -> None:
        super().__init__(
            "This path serves WebSocket (version 13): use a WebSocket client. GET …/events streams over plain HTTP.",
            headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
        )


class QueueFull(Problem):
    """The queue already holds `max_length` messages."""

    code = "queue_full"
    status = 429
    title = "The queue is full"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class TooManyTests(Problem):
    """The project, or the whole service, is running the maximum number of webhook tests."""

    code = "too_many_tests"
    status = 429
    title = "Too many webhook tests"

    def __init__(self) -> None:
        super().__init__(
            "Too many webhook tests are running. Wait for them to finish, then test again.",
            headers={"Retry-After": "1"},
        )


class RateLimited(Problem):
    """The project exceeds its `requests_per_second`, counted over all processes."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"

    def __init__(self, limit: int, seconds: int) -> None:
        super().__init__(
            f"This project may make {limit} requests per second (`requests_per_second` in its limits). Wait "
            f"{seconds} s, then send fewer requests or larger batches; the operator can raise the limit.",
            headers={"Retry-After": str(seconds)},
        )


class QuotaExceeded(Problem):
    """The project has reached one of its limits; `name` is the limit's field in the project's `limits`."""

    code = "quota_exceeded"
    status = 429
    title = "The project has reached a limit"

    def __init__(self, name: str, limit: int, detail: str, *, seconds: int = 1) -> None:
        policy = f'"{name}";q={limit};qu="{name.replace("_", "-")}"'
        super().__init__(
            f"This project may have {limit} {name.replace('_', ' ')} (`{name}` in its limits). {detail}",
            headers={
                "Retry-After": str(seconds),
                "RateLimit-Policy": policy,
                "RateLimit": f'"{name}";r=0;t={seconds}',
            },
        )


class HeadTooLarge(Problem):
    """The request line and headers exceed the server's limit on bytes or lines."""

    code = "head_too_large"
    status = 431
    title = "Request headers too large"


class NotImplementedHere(Problem):
    """The server does not implement the request's method or transfer coding."""

    code = "not_implemented"
    status = 501
    title = "Not implemented"


class VersionNotSupported(Problem):
    """The request uses a version of HTTP other than 1.1 and 1.0."""

    code = "http_version_not_supported"
    status = 505
    title = "HTTP version not supported"

    def __init__(self) -> None:
        super().__init__("This server speaks HTTP/1.1 and HTTP/1.0. Put a proxy in front of it for other versions.")


class StorageFull(Problem):
    """The embedded database's disk is down to its reserve, which is kept for receiving and removing messages."""

    code = "storage_full"
    status = 507
    title = "The disk is full"

    def __init__(self) -> None:
        super().__init__(
            "The database's disk is nearly full, so no new messages are stored. Stored messages can still be received, "
            "deleted and purged. Retry after the time in Retry-After; the operator can free disk space.",
            headers={"Retry-After": "10"},
        )


class Unavailable(Problem):
    """The database is unreachable or the service is stopping. The request took effect completely or not at all."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"

    def __init__(self, detail: str = "The database cannot be reached right now. Retry the request.") -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class TooManyToCount(Unavailable):
    """Counting the messages for a dry run took too long."""

    code = "too_many_to_count"
    title = "Too many messages to count"


def pointer_of(*steps: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) that consists of these steps."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def pointed(problem: Problem, pointer: str) -> Problem:
    """Attach the pointer to a problem that has no fields yet, and return it; Unavailable concerns no field."""
    if not problem.errors and not isinstance(problem, Unavailable):
        problem.errors = (FieldError(pointer, problem.problem_code, problem.detail),)
    return problem


def invalid(pointer: str, code: str, detail: str) -> InvalidRequest:
    """Return an InvalidRequest for a single field."""
    return InvalidRequest([FieldError(pointer, code, detail)])
