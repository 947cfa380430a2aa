"""Count connections that are refused before a request can be read, and log them at most once a minute.

Refusals need no key, so with a log line for each of them an anonymous client could fill the log.
"""

from service.log import Seldom
from service.telemetry import REFUSED_REQUESTS

_refused = Seldom("requests_refused")


def count(code: str) -> None:
    """Count a refusal by the code of its problem."""
    REFUSED_REQUESTS.labels(code).inc()
    _refused.tell(code)
