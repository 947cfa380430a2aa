"""How a problem looks on the wire: RFC 9457, application/problem+json."""

import json
import logging
from typing import Any

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.errors import Problem, Unavailable
from service.store.connections import AGAIN, LOST

_log = structlog.get_logger()

CONTENT_TYPE = b"application/problem+json"
# A relative reference (RFC 9457 allows it): it leads to this service's own page, whatever host it runs on.
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
    """Return status, headers and body of the answer that tells of a problem."""
    # ASCII only: a detail that quotes what a client sent may hold half a surrogate pair.
    body = json.dumps(problem_document(problem, request_id), separators=(",", ":")).encode("ascii")
    headers = [
        (b"content-type", CONTENT_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"request-id", request_id.encode("ascii")),
    ]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()]
    return problem.status, headers, body


def problem_of(error: BaseException) -> Problem:
    """Return the problem that an error is to a caller. What nobody foresaw is logged and becomes `unavailable`."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig
    if isinstance(error, (*LOST, *AGAIN, PoolTimeout)):
        _log.warning("database_unavailable", error=f"{type(error).__name__}: {error}")
        return Unavailable()
    level = logging.WARNING if isinstance(error, asyncpg.PostgresError) else logging.ERROR
    _log.log(level, "unforeseen_error", exc_info=error)
    return Unavailable("Something unforeseen happened; it was logged under this request_id. Send the request again.")
