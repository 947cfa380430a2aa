"""Descriptions of problem responses for the OpenAPI document."""

from typing import Any

_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

_COMMON = {
    400: "The request is malformed: malformed_request.",
    401: "The request has no valid key: unauthenticated.",
    403: "The key does not permit this operation: forbidden.",
    422: "A field is missing, unknown, of the wrong type or out of range: invalid_request.",
    429: "The project exceeds its requests per second: rate_limited. Retry after Retry-After seconds.",
    503: "The database is unreachable, or the service is stopping: unavailable. Retry the request.",
}
_NO_PROJECT = "The project named in Restante-Project does not exist: project_not_found."
_WITH_BODY = {
    413: "The request body exceeds 8 MiB: payload_too_large.",
    415: "The request body is compressed: unsupported_media_type.",
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The configuration still has the ETag given in If-None-Match."}
}
CHANGED = {412: "The condition in If-Match or If-None-Match is not met: precondition_failed."}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "An error (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Link to a description of the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, for people."},
        "code": {"type": "string", "description": "Stable error code, for programs."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "The invalid fields, on 422 and 413.",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "JSON Pointer into the body, or /path/NAME, /query/NAME, /header/NAME.",
                    },
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def problems(
    more: dict[int, str] | None = None, *, body: bool = False, in_project: bool = True
) -> dict[int | str, dict[str, Any]]:
    """Return the problem responses of an operation, as FastAPI's `responses`.

    These are the problems common to all operations, those of request bodies if it has one, and `more`, by status.
    """
    described = {**_COMMON, **(_WITH_BODY if body else {}), **(more or {})}
    if in_project:
        described[404] = f"{described[404]} {_NO_PROJECT}" if 404 in described else _NO_PROJECT
    return {status: {"description": described[status], "content": _CONTENT} for status in sorted(described)}


def problems_of(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that has only this problem."""
    return {status: {"description": description, "content": _CONTENT}}
