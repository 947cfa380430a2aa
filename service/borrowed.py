"""The undocumented parts of libraries that the service uses.

uvicorn, aiohttp, asyncpg and msgspec promise nothing about these names and sentences; another version may change them.
pyproject.toml therefore excludes the minor version after the one that this list was made with, and `check`, which runs
when the application is imported, finds out before the first request what a version lacks.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec

# For each module, its objects with the members that are used: methods called or overridden, parameters, attributes.
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "uvicorn.protocols.http.flow_control": {
        "HIGH_WATER_LIMIT": (),
        "FlowControl": ("pause_reading", "resume_reading", "resume_writing", "read_paused", "write_paused"),
    },
    "uvicorn.protocols.http.httptools_impl": {
        "STATUS_LINE": (),
        "HttpToolsProtocol": (
            *("connection_made", "data_received", "eof_received", "connection_lost", "shutdown"),
            *("pause_writing", "resume_writing"),
            *("on_message_begin", "on_header", "on_body", "on_message_complete", "on_headers_complete"),
            *("on_response_complete", "_start_asgi_task", "handle_websocket_upgrade"),
            *("app", "loop", "logger", "access_logger", "server_state", "connections", "flow", "transport", "cycle"),
            *("pipeline", "scope", "headers", "parser", "url", "timeout_keep_alive"),
        ),
        "RequestResponseCycle": (
            *("receive", "send", "scope", "transport", "flow", "logger", "access_logger", "access_log", "keep_alive"),
            *("default_headers", "message_event", "on_response", "waiting_for_100_continue", "disconnected", "body"),
            *("more_body", "response_started", "response_complete", "chunked_encoding"),
        ),
    },
    "uvicorn.protocols.websockets.websockets_sansio_impl": {
        "WebSocketsSansIOProtocol": (
            *("data_received", "send", "shutdown", "handshake_initiated", "handshake_complete", "conn", "transport"),
            *("loop",),
        ),
    },
    "uvicorn.server": {
        "ServerState": ("total_requests", "connections", "tasks", "default_headers"),
        "Server": (
            *("startup", "main_loop", "on_tick", "shutdown", "capture_signals", "started", "should_exit", "force_exit"),
            *("server_state", "config"),
        ),
    },
    "aiohttp.connector": {
        "TCPConnector": ("_create_connection", "_release", "_factory", "_loop"),
    },
    "aiohttp.client_proto": {"ResponseHandler": ("set_response_params", "feed_data", "set_exception", "transport")},
    "aiohttp.client_reqrep": {"ClientRequest": ("is_ssl",), "ConnectionKey": ()},
    "aiohttp.http": {"HttpProcessingError": (), "RawResponseMessage": ("code",)},
    "aiohttp.streams": {"StreamReader": ()},
    "aiohttp.tracing": {"Trace": ()},
    "asyncpg.connect_utils": {"SessionAttribute": ("read_write", "any")},
    "asyncpg.pgproto.pgproto": {"UUID": ()},
    "asyncpg.connection": {"Connection": ("_introspect_types",)},
}


class _Probe(msgspec.Struct, forbid_unknown_fields=True):
    number: int = 0
    text: str = ""
    kind: str = ""


class _Required(msgspec.Struct):
    needed: int


# msgspec's error messages, which `api.http.exact_json` converts, each with JSON that causes it.
SENTENCES: dict[str, tuple[Any, bytes]] = {
    "Object contains unknown field `other`": (_Probe, b'{"other":1}'),
    "Object missing required field `needed`": (_Required, b"{}"),
    "Expected `int`, got `str` - at `$.number`": (_Probe, b'{"number":"1"}'),
    "Expected `int`, got `float` - at `$.number`": (_Probe, b'{"number":1.5}'),
    "Expected `str`, got `null` - at `$[0].text`": (list[_Probe], b'[{"text":null}]'),
    "Expected `object`, got `array`": (_Probe, b"[]"),
}


def check() -> None:
    """Raise RuntimeError if an installed library lacks one of these parts."""
    missing = [*_missing_names(), *_changed_sentences()]
    if missing:
        message = (
            f"The installed libraries lack parts that Restante uses: {'; '.join(missing)}. "
            "Install the versions of requirements.lock."
        )
        raise RuntimeError(message)


def _missing_names() -> Iterator[str]:
    for module_name, objects in NAMES.items():
        module = import_module(module_name)
        for name, members in objects.items():
            found = getattr(module, name, None)
            if found is None:
                yield f"{module_name}.{name}"
                continue
            known = _members(found)
            yield from (f"{module_name}.{name}.{member}" for member in members if member not in known)


def _members(found: Any) -> set[str]:
    """Return the names of a class's attributes, including those that its methods read or set on an instance."""
    names = set(dir(found)) | set(getattr(found, "__annotations__", ()))
    for kind in getattr(found, "__mro__", ()):
        for member in vars(kind).values():
            names.update(getattr(getattr(member, "__code__", None), "co_names", ()))
    return names


def _changed_sentences() -> Iterator[str]:
    for sentence, (kind, text) in SENTENCES.items():
        try:
            msgspec.json.decode(text, type=kind)
        except msgspec.ValidationError as error:
            if str(error) != sentence:
                yield f"msgspec's sentence {sentence!r}, which is {str(error)!r} now"
        else:
            yield f"msgspec's refusal {sentence!r}"
