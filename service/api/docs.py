"""The OpenAPI document, and pages for people that are made from it. They load nothing from anywhere."""

import json
from functools import cache
from html import escape
from typing import Any, get_args

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from service import errors
from service.api.documented import PROBLEM_SCHEMA
from service.api.operations import component_schemas
from service.errors import Problem

router = APIRouter(include_in_schema=False)

TAGS = [
    {"name": "queues", "description": "Queues and their configuration."},
    {"name": "messages", "description": "Sending to a queue and receiving from it."},
    {"name": "receipts", "description": "Settling what was received."},
    {"name": "browse", "description": "Looking at messages without taking them."},
    {"name": "activity", "description": "What was done in the last hour, and what needs somebody's attention."},
    {"name": "webhooks", "description": "Having a queue's messages posted to a URL."},
    {"name": "topics", "description": "Copies of a message in every queue that wants one."},
    {"name": "streams", "description": "Messages as soon as there are any, on one connection."},
    {"name": "tasks", "description": "Work on many messages that goes on after its request was answered."},
    {"name": "transactions", "description": "Settling and sending in one step."},
    {"name": "projects", "description": "Tenants. For the root key alone."},
    {"name": "keys", "description": "API keys of a project."},
    {"name": "limits", "description": "The limits in force."},
    {"name": "operations", "description": "For those who run the service; without a key."},
]
_DESCRIPTION = """\
Queues over HTTP: send a message, receive it under a lease, delete it. Every answer carries a `Request-Id`; every
problem is `application/problem+json` with a stable `code`. Times are RFC 3339 in UTC, durations are numbers of seconds.
"""


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of everything that the application answers."""
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
        schemas = document["components"]["schemas"] | component_schemas() | {"Problem": PROBLEM_SCHEMA}
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        document["components"]["headers"] = _HEADERS
        for operations in document["paths"].values():
            for operation in operations.values():
                _complete(operation)
        app.openapi_schema = _whole_numbers(document)
    return app.openapi_schema


_HEADERS = {
    "ETag": {"description": "Stands for the configuration alone.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page: <...>; rel="next".', "schema": {"type": "string"}},
    "RateLimit": {
        "description": "If the project has a limit: requests left (r) until so many seconds have passed (t).",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "If the project has a limit: so many requests (q) in so many seconds (w).",
        "schema": {"type": "string"},
    },
    "Request-Id": {"description": "The client's own, or a fresh one.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}},
}
_MORE_HEADERS = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
# Those that carry a configuration, and those that carry a page.
_TAGGED = {f"{verb}_{noun}" for verb in ("put", "patch", "get") for noun in ("queue", "webhook", "topic", "project")}


def _complete(operation: dict[str, Any]) -> None:
    """Add what is the same everywhere, and say plainly what FastAPI says in a roundabout way."""
    for parameter in operation.get("parameters", []):
        # A header or query parameter is there or not; it is never null.
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
            # FastAPI describes each event in a word (itemSchema) of OpenAPI 3.2; this is a document of 3.1.
            events.pop("itemSchema", None)
            events["schema"] = {"type": "string"}
        if response["description"] == "Successful Response":
            response["description"] = "Done."
    operation["responses"] = responses


def _whole_numbers(part: Any) -> Any:
    """Write 30.0 as 30."""
    if isinstance(part, dict):
        return {name: _whole_numbers(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_whole_numbers(value) for value in part]
    return int(part) if isinstance(part, float) and part.is_integer() else part


def rendered(app: FastAPI) -> str:
    """Return the OpenAPI document as it is checked in."""
    return json.dumps(openapi(app), indent=2, ensure_ascii=False) + "\n"


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(json.dumps(openapi(request.app), separators=(",", ":")), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show every operation."""
    return _page("Restante: the HTTP interface", _operations(openapi(request.app)))


@router.get("/docs/problems")
async def problems() -> Response:
    """Show every code that a problem may have; the `type` of a problem leads here."""
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


def _operations(document: dict[str, Any]) -> str:
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
    """Return the codes of a kind of problem; a missing thing's has its noun in it."""
    if kind is not errors.NotFound:
        return [kind.code]
    return [f"{noun}_not_found" for noun in get_args(errors.Noun)]
