"""The OpenAPI document, and the HTML pages generated from it, which load no external resources."""

import asyncio
import json
from collections.abc import Callable
from functools import cache
from html import escape
from typing import Any, get_args

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from service import errors
from service.api.kit.documented import PROBLEM_SCHEMA
from service.api.messaging.operations import OPERATIONS, REF
from service.api.streaming.frames import KINDS
from service.errors import Problem

router = APIRouter(include_in_schema=False)

TAGS = [
    {"name": "queues", "description": "Queues and their configuration."},
    {"name": "messages", "description": "Sending to a queue and receiving from it."},
    {"name": "receipts", "description": "Settling received messages: delete, extend, release or reject."},
    {"name": "browse", "description": "Looking at messages without receiving them."},
    {"name": "activity", "description": "What happened in the last hour, and which queues need attention."},
    {"name": "webhooks", "description": "Delivering a queue's messages to a URL by HTTP POST."},
    {"name": "topics", "description": "Publishing a message to every subscribed queue."},
    {"name": "streams", "description": "Receiving messages over a long-lived connection."},
    {"name": "tasks", "description": "Background operations on many messages."},
    {"name": "transactions", "description": "Settling and sending messages atomically."},
    {"name": "projects", "description": "Managing projects (tenants). Requires the root key."},
    {"name": "keys", "description": "Managing a project's API keys."},
    {"name": "limits", "description": "The limits in force."},
    {"name": "operations", "description": "Health checks and metrics for operators; no key required."},
]
_DESCRIPTION = """\
Queues over HTTP: send a message, receive it under a lease, delete it. Every response has a `Request-Id` header. Errors
are `application/problem+json` with a stable `code`. Times are RFC 3339 in UTC; durations are numbers of seconds.
"""


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=_DESCRIPTION,
            routes=app.routes,
            tags=TAGS,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            servers=[{"url": "/"}],
        )
        schemas = document["components"]["schemas"] | _schemas_of_operations() | {"Problem": PROBLEM_SCHEMA}
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        document["components"]["headers"] = _HEADERS
        for operations in document["paths"].values():
            for operation in operations.values():
                _complete(operation)
        app.openapi_schema = _whole_numbers(document)
    return app.openapi_schema


def _schemas_of_operations() -> dict[str, Any]:
    """Return the JSON Schemas used by the hot operations and by the frames of streams."""
    types = [kind for operation in OPERATIONS for kind in (operation.request, operation.answer) if kind is not None]
    _, components = msgspec.json.schema_components([*types, *KINDS], ref_template=REF)
    return components


_HEADERS = {
    "ETag": {
        "description": "Identifies the version of the configuration; counts do not change it.",
        "schema": {"type": "string"},
    },
    "Link": {"description": 'The next page: <...>; rel="next".', "schema": {"type": "string"}},
    "RateLimit": {
        "description": "If the project has a request limit: the requests left (r) for the next t seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "If the project has a request limit: q requests per w seconds.",
        "schema": {"type": "string"},
    },
    "Request-Id": {
        "description": "The id that the client sent in Request-Id, or a new one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait before retrying.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}},
}
_MORE_HEADERS = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
# The operations whose response has an ETag.
_TAGGED = {f"{verb}_{noun}" for verb in ("put", "patch", "get") for noun in ("queue", "webhook", "topic", "project")}


def _complete(operation: dict[str, Any]) -> None:
    """Add the headers that all operations share, and simplify what FastAPI generated."""
    for parameter in operation.get("parameters", []):
        # A header or query parameter can be absent but not null.
        kinds = parameter["schema"].pop("anyOf", [{}])
        parameter["schema"] = {**kinds[0], **parameter["schema"]}
        parameter["schema"].pop("description", None)
    responses = dict(sorted(operation["responses"].items()))
    for status, response in responses.items():
        names = ["Request-Id", *_MORE_HEADERS.get(status, ())]
        if "429" in responses and status != "401":
            names += ["RateLimit", "RateLimit-Policy"]
        if status in {"200", "201", "304"}:
            names += ["ETag"] * (operation["operationId"] in _TAGGED) + ["Link"] * operation["operationId"].startswith(
                "list_"
            )
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        if (events := response.get("content", {}).get("text/event-stream")) is not None:
            # FastAPI describes events with itemSchema, which OpenAPI 3.1 does not have.
            events.pop("itemSchema", None)
            events["schema"] = {"type": "string"}
        if response["description"] == "Successful Response":
            response["description"] = "Success."
    operation["responses"] = responses


def _whole_numbers(part: Any) -> Any:
    """Replace floats without a fraction by integers, so that 30.0 is written as 30."""
    if isinstance(part, dict):
        return {name: _whole_numbers(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_whole_numbers(value) for value in part]
    return int(part) if isinstance(part, float) and part.is_integer() else part


def rendered(app: FastAPI) -> str:
    """Return the OpenAPI document as JSON, in the form of openapi/openapi.json."""
    return json.dumps(openapi(app), indent=2, ensure_ascii=False) + "\n"


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(await _made(request.app, _compact), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return an HTML page that describes every operation."""
    return _page("Restante: the HTTP interface", await _made(request.app, _operations))


async def _made(app: FastAPI, make: Callable[[FastAPI], str]) -> str:
    """Return the cached result of `make(app)`; the first request computes it in a thread.

    Generating the document takes about a second and would block the event loop for all requests.
    """
    made: dict[Any, asyncio.Task[str]] = app.state.documents
    if make not in made:
        made[make] = asyncio.create_task(asyncio.to_thread(make, app))
    return await asyncio.shield(made[make])


def _compact(app: FastAPI) -> str:
    return json.dumps(openapi(app), separators=(",", ":"))


@router.get("/docs/problems")
async def problems() -> Response:
    """Return an HTML page that describes every problem code; the `type` of a problem links to it."""
    return _page("Restante: problems", _problems())


_STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{overflow:auto;padding:.6rem;border:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:4px;margin:.4rem 0;padding:.4rem .8rem}summary{cursor:pointer}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;
vertical-align:top}b.m{display:inline-block;min-width:4.2rem}:target{background:#fd05}
"""
_SECURE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def _page(title: str, content: str) -> Response:
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f'<p><a href="/docs">Operations</a> · <a href="/docs/problems">Problems</a> · '
        f'<a href="/openapi.json">openapi.json</a></p>{content}</html>'
    )
    return Response(html, media_type="text/html; charset=utf-8", headers=_SECURE)


def _operations(app: FastAPI) -> str:
    document = openapi(app)
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method.upper(), path, operation))
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    sections = [
        f"<h2>{escape(tag)}</h2><p>{escape(described.get(tag, ''))}</p>{''.join(by_tag[tag])}" for tag in by_tag
    ]
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return f"<p>{escape(document['info']['description'])}</p>{''.join(sections)}<h2>Schemas</h2>{schemas}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape(parameter['in'])}"
        f"<td>{escape(parameter.get('description', ''))}"
        for parameter in operation.get("parameters", [])
    )
    responses = "".join(
        f"<tr><td>{escape(status)}<td>{escape(response['description'])}<td>{_content(response.get('content', {}))}"
        for status, response in operation["responses"].items()
    )
    body = _content(operation.get("requestBody", {}).get("content", {}))
    title = f'<b class="m">{method}</b> <code>{escape(path)}</code> {escape(operation.get("summary", ""))}'
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>{title}</summary>'
        f"<p>{escape(operation.get('description', ''))}</p>"
        + (f"<table><tr><th>parameter<th>in<th>{parameters}</table>" if parameters else "")
        + (f"<p>Body: {body}</p>" if body else "")
        + f"<table><tr><th>status<th><th>{responses}</table></details>"
    )


def _content(content: dict[str, Any]) -> str:
    return ", ".join(
        f"{escape(media_type)} {_reference(entry.get('schema', {}))}" for media_type, entry in content.items()
    )


def _reference(schema: dict[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>' if name else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
    return (
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>'
    )


@cache
def _problems() -> str:
    kinds = sorted(
        (
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, Problem) and kind is not Problem
        ),
        key=lambda kind: (kind.status, kind.code),
    )
    rows = [(code, kind) for kind in kinds for code in _codes(kind)]
    lines = "".join(_problem(code, kind) for code, kind in rows)
    return f"<table><tr><th>code<th>status<th>{lines}</table>"


def _problem(code: str, kind: type[Problem]) -> str:
    text = escape(f"{kind.title}. {kind.__doc__}")
    return f'<tr id="{code}"><td><code>{code}</code><td>{kind.status}<td>{text}'


def _codes(kind: type[Problem]) -> list[str]:
    """Return the codes of a class of problem; NotFound has one for each noun."""
    if kind is not errors.NotFound:
        return [kind.code]
    return [f"{noun}_not_found" for noun in get_args(errors.Noun)]
