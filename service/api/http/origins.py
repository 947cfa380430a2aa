"""Decide which web pages may use the service from a browser, by their origin (RFC 6454)."""

from urllib.parse import urlsplit

from service.errors import Forbidden
from service.log import Seldom
from service.settings import Settings

_refused = Seldom("origins_refused")
# How many characters of an origin the log shows.
_SHOWN = 200


def may_connect(way: str, origin: str, host: str, settings: Settings) -> bool:
    """Return whether a page of this origin may open a stream; log a refusal.

    The service's own pages and those of the allowed origins may. `way` is the kind of stream, for the log.
    """
    try:
        may = origin in settings.allowed_origins or urlsplit(origin).netloc == host
    except ValueError:
        may = False
    if not may:
        tell_refused(way, origin)
    return may


def forbidden(origin: str) -> Forbidden:
    """Return the problem for a page whose origin is not allowed."""
    return Forbidden(f"Pages of {origin} may not connect. The operator can allow it with RESTANTE_ALLOWED_ORIGINS.")


def tell_refused(way: str, origin: str) -> None:
    """Log, at most once a minute, that a page was refused, with the setting that would allow it."""
    _refused.tell(way, origin=origin[:_SHOWN], setting="RESTANTE_ALLOWED_ORIGINS")
