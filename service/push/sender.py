"""The HTTP client for webhooks, which limits the time and the size of the response."""

import asyncio
import ssl
from datetime import datetime

import aiohttp
import structlog

from service.egress.addresses import Refused
from service.egress.connector import on_behalf_of, open_session, url_of
from service.egress.resolver import Resolver
from service.egress.urls import BadUrl, parse
from service.push.outcomes import Outcome, pause_of
from service.push.requests import Delivery, request_of

_log = structlog.get_logger()

_MAX_RESPONSE_BYTES = 64 * 1024
_EXCERPT_BYTES = 1024
# Connecting times out this much before the whole request, so that it is reported as a connection error.
_CONNECT_MARGIN_SECONDS = 0.05


class Sender:
    """The HTTP client of one process."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the session; must be called in the event loop."""
        self._session = open_session(self._resolver)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def attempt(self, delivery: Delivery, at: datetime, until: float) -> Outcome:
        """Post once. `until`: the deadline, in the event loop's time. Errors become named outcomes."""
        try:
            async with asyncio.timeout_at(until):
                return await self._post(delivery, at, until)
        except (aiohttp.ClientError, OSError, Refused, ValueError) as error:
            return Outcome(error=_name(error))
        except Exception:  # noqa: BLE001 - the message is retried after any error
            _log.exception("push_unforeseen", webhook=delivery.webhook.name, queue=delivery.queue)
            return Outcome(error="internal_error")

    async def _post(self, delivery: Delivery, at: datetime, until: float) -> Outcome:
        assert self._session is not None  # noqa: S101 - the sender is open
        headers, body = request_of(delivery, at)
        target = url_of(parse(delivery.webhook.config.url))
        with on_behalf_of(str(delivery.project_id)):
            # The total time is limited by the caller.
            connect = max(_CONNECT_MARGIN_SECONDS, until - asyncio.get_running_loop().time() - _CONNECT_MARGIN_SECONDS)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect)
            request = self._session.post(target, data=body, headers=headers, allow_redirects=False, timeout=timeout)
            async with request as answer:
                excerpt = await _read_excerpt(answer)
                pause = pause_of(answer.status, answer.headers, at)
                return Outcome(status=answer.status, excerpt=excerpt, pause=pause)


# The first match counts; TimeoutError is an OSError, and most of aiohttp's errors are ClientErrors.
_NAMES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.ConnectionTimeoutError,), "connection_error"),
    ((TimeoutError,), "timeout"),
    ((BadUrl, Refused), "address_refused"),
    ((aiohttp.ClientConnectorDNSError,), "dns_error"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "tls_error"),
    ((aiohttp.ClientConnectionError, OSError), "connection_error"),
)


def _name(error: Exception) -> str:
    """Return the name of an error. A closed port and a filtered one have the same name, to prevent port scans."""
    return next((name for kinds, name in _NAMES if isinstance(error, kinds)), "protocol_error")


async def _read_excerpt(answer: aiohttp.ClientResponse) -> bytes:
    """Return the first _EXCERPT_BYTES of a response. Beyond _MAX_RESPONSE_BYTES, close the connection."""
    kept, read = b"", 0
    async for part in answer.content.iter_any():
        read += len(part)
        kept += part[: _EXCERPT_BYTES - len(kept)]
        if read > _MAX_RESPONSE_BYTES:
            answer.close()
            break
    return kept
