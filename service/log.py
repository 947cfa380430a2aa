"""The service's log: one line for each event on stderr, as text for people or as JSON for programs."""

import logging
import sys
import time
from collections import Counter
from typing import Any

import structlog

from service.settings import Settings

# Only warnings of these loggers are useful; the service's own events cover the rest.
_OF_CLIENTS = ("socketio", "engineio")
# These loggers write a line for each batch of spans that the collector refuses.
_OF_TRACES = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace.export",
)
_TALKATIVE = ("uvicorn", "sqlalchemy", "alembic", "asyncio", "httpx", *_OF_CLIENTS)

# Tracebacks omit local variables, because these contain keys and messages and can take seconds to print.
_without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)

SELDOM_SECONDS = 60.0
_MOST_KINDS = 20
_SHOWN = 80


class Seldom:
    """An event that clients can cause at will. It is logged at once, then at most once a minute with its counts."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._untold: Counter[str] = Counter()
        self._told_at = -SELDOM_SECONDS

    def tell(self, kind: str, **more: Any) -> None:
        """Count an occurrence of this kind. `more` is added to the log line, if one is written now."""
        self._untold[kind if kind in self._untold or len(self._untold) < _MOST_KINDS else "other"] += 1
        now = time.monotonic()
        if now >= self._told_at + SELDOM_SECONDS:
            structlog.get_logger().warning(self._event, **self._untold, **more)
            self._untold.clear()
            self._told_at = now


class AtMostOnceAMinute(logging.Filter):
    """Replaces a library's log lines by one a minute, for libraries that log the mistakes of anonymous clients."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self._seldom = Seldom(event)

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop a record, and count it by the beginning of its unformatted message."""
        self._seldom.tell(str(record.msg)[:_SHOWN], exc_info=record.exc_info)
        return False


def is_text(settings: Settings) -> bool:
    """Return whether the log is written as text for people."""
    return settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())


def configure(settings: Settings) -> None:
    """Set up logging for this process."""
    level = getattr(logging, settings.log_level.upper())
    text = is_text(settings)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    drawn: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [structlog.processors.ExceptionRenderer(_without_locals), structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *drawn],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *drawn],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _OF_CLIENTS:
        logging.getLogger(name).addFilter(AtMostOnceAMinute("socket_io_failed"))
    for name in _OF_TRACES:
        logging.getLogger(name).addFilter(AtMostOnceAMinute("traces_not_exported"))
