"""Posting to webhooks: one attempt within its time, whatever the receiver does."""

import asyncio
import ssl
from datetime import datetime

import aiohttp
import structlog
from yarl import URL

from service.egress.addresses import RefusedError
from service.egress.gate import Gate
from service.egress.urls import UrlError, read_url
from service.push.outcomes import Outcome, pause_of
from service.push.requests import Delivery, request_of

_log = structlog.get_logger()

_MOST_READ = 64 * 1024
_KEPT = 1024
_MOST_HEADER_BYTES = 8190


class Sender:
    """The HTTP client of one process."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def open(self) -> None:
        """Make the sessions, inside the event loop: one for https, one for http."""
        self._sessions = {encrypted: self._session(encrypted=encrypted) for encrypted in (True, False)}

    def _session(self, *, encrypted: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._gate.connector(encrypted=encrypted),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
        )

    async def close(self) -> None:
        """Let go of every connection."""
        for session in self._sessions.values():
            await session.close()

    async def attempt(self, delivery: Delivery, at: datetime, until: float) -> Outcome:
        """Post once, until this time of the loop at most; what went wrong has a name."""
        try:
            async with asyncio.timeout_at(until):
                return await self._post(delivery, at)
        except (aiohttp.ClientError, OSError, RefusedError, ValueError) as error:
            return Outcome(error=_name(error))
        except Exception:  # noqa: BLE001 - whatever it was, the message is tried again by its schedule
            _log.exception("push_unforeseen", webhook=delivery.webhook.name, queue=delivery.queue)
            return Outcome(error="internal_error")

    async def _post(self, delivery: Delivery, at: datetime) -> Outcome:
        headers, body = request_of(delivery, at)
        url = read_url(delivery.webhook.config.url)
        self._gate.check_literal(url)
        session = self._sessions[url.encrypted]
        # As it was registered, character by character.
        target = URL(url.text, encoded=True)
        async with session.post(target, data=body, headers=headers, allow_redirects=False) as answer:
            excerpt = await _beginning(answer)
            pause = pause_of(answer.status, answer.headers, at)
            return Outcome(status=answer.status, excerpt=excerpt, pause=pause)


# The first that fits; TimeoutError is an OSError, and most of aiohttp's are ClientErrors.
_NAMES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((TimeoutError,), "timeout"),
    ((UrlError, RefusedError), "address_refused"),
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
