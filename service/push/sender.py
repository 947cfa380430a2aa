"""Posting to webhooks: one attempt within its time, whatever the receiver does."""

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

_MOST_READ = 64 * 1024
_KEPT = 1024
# A connection that takes longer than the request may is told a moment earlier, as one that cannot be made.
_MOMENT = 0.05


class Sender:
    """The HTTP client of one process."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the session, inside the event loop."""
        self._session = open_session(self._resolver)

    async def close(self) -> None:
        """Let go of every connection."""
        if self._session is not None:
            await self._session.close()

    async def attempt(self, delivery: Delivery, at: datetime, until: float) -> Outcome:
        """Post once, until this time of the loop at most; what went wrong has a name."""
        try:
            async with asyncio.timeout_at(until):
                return await self._post(delivery, at, until)
        except (aiohttp.ClientError, OSError, Refused, ValueError) as error:
            return Outcome(error=_name(error))
        except Exception:  # noqa: BLE001 - whatever it was, the message is tried again by its schedule
            _log.exception("push_unforeseen", webhook=delivery.webhook.name, queue=delivery.queue)
            return Outcome(error="internal_error")

    async def _post(self, delivery: Delivery, at: datetime, until: float) -> Outcome:
        assert self._session is not None  # noqa: S101 - it is open
        headers, body = request_of(delivery, at)
        target = url_of(parse(delivery.webhook.config.url))
        with on_behalf_of(str(delivery.project_id)):
            # The time of the whole is kept outside.
            connect = max(_MOMENT, until - asyncio.get_running_loop().time() - _MOMENT)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect)
            request = self._session.post(target, data=body, headers=headers, allow_redirects=False, timeout=timeout)
            async with request as answer:
                excerpt = await _beginning(answer)
                pause = pause_of(answer.status, answer.headers, at)
                return Outcome(status=answer.status, excerpt=excerpt, pause=pause)


# The first that fits; TimeoutError is an OSError, and most of aiohttp's are ClientErrors.
_NAMES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.ConnectionTimeoutError,), "connection_error"),
    ((TimeoutError,), "timeout"),
    ((BadUrl, Refused), "address_refused"),
    ((aiohttp.ClientConnectorDNSError,), "dns_error"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "tls_error"),
    ((aiohttp.ClientConnectionError, OSError), "connection_error"),
)


def _name(error: Exception) -> str:
    """Return what an attempt calls it. A closed port and a filtered one are the same to whoever asks."""
    return next((name for kinds, name in _NAMES if isinstance(error, kinds)), "protocol_error")


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Read an answer, no more than may be; what is longer costs it the connection."""
    kept, read = b"", 0
    async for part in answer.content.iter_any():
        read += len(part)
        kept += part[: _KEPT - len(kept)]
        if read > _MOST_READ:
            answer.close()
            break
    return kept
