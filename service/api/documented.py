"""How operations say in the OpenAPI document which problems they may answer with."""

from typing import Any

_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

_COMMON = {
    400: "The request cannot be read: malformed_request.",
    401: "There is no valid key: unauthenticated.",
    403: "The key does not allow this: forbidden.",
    422: "A field is missing, unknown or out of range: invalid_request.",
    429: "The project makes more requests a second than it may: rate_limited. Wait Retry-After seconds.",
    503: "The database is out of reach, or the service stops: unavailable. Send it again.",
}
_NO_PROJECT = "There is no project of the name in Restante-Project: project_not_found."
_WITH_BODY = {
    413: "The request has over 8 MiB: payload_too_large.",
    415: "The request's body is compressed: unsupported_media_type.",
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The configuration still has the ETag of If-None-Match."}
}
CHANGED = {412: "The configuration is not what If-Match or If-None-Match asks for: precondition_failed."}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to a description of the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people: what is wrong, and what to do."},
        "code": {"type": "string", "description": "Stable; programs match on it."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "The wrong fields, with 422 and 413.",
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
    """Return the `responses` of an operation: what every one may answer, what one with a body may, and `more`."""
    described = {**_COMMON, **(_WITH_BODY if body else {}), **(more or {})}
    if in_project:
        described[404] = f"{described[404]} {_NO_PROJECT}" if 404 in described else _NO_PROJECT
    return {status: {"description": described[status], "content": _CONTENT} for status in sorted(described)}


def problems_of(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that has just this problem."""
    return {status: {"description": description, "content": _CONTENT}}
