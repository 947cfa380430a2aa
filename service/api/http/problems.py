"""Problems as responses: application/problem+json (RFC 9457)."""

import json
import logging
from typing import Any

import structlog

from service.errors import Problem, Unavailable
from service.store.database.transaction import cause, database_lost, is_database_error

_log = structlog.get_logger()

CONTENT_TYPE = b"application/problem+json"
# A relative reference, which RFC 9457 allows, points to the service's own page on any host.
TYPE_PREFIX = "/docs/problems#"


def problem_document(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return the members of the problem document."""
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.problem_code,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.problem_code,
        "request_id": request_id,
    }
    if problem.errors:
        document["errors"] = [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in problem.errors
        ]
    return document


def problem_response(problem: Problem, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the response for a problem."""
    # Escaped to ASCII, because a detail that quotes the request may contain an unpaired surrogate.
    body = json.dumps(problem_document(problem, request_id), separators=(",", ":")).encode("ascii")
    headers = [
        (b"content-type", CONTENT_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"request-id", request_id.encode("ascii")),
    ]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()]
    return problem.status, headers, body


def problem_of(error: BaseException) -> Problem:
    """Return the problem that is reported to the caller. An unexpected error is logged and becomes `unavailable`."""
    if isinstance(error, Problem):
        return error
    error = cause(error)
    if (lost := database_lost(error)) is not None:
        return lost
    _log.log(logging.WARNING if is_database_error(error) else logging.ERROR, "unforeseen_error", exc_info=error)
    return Unavailable("An unexpected error occurred; it was logged with this request_id. Retry the request.")
