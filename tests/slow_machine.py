"""Time for requests on a machine that stands still for some seconds, which is no fault of the service."""

import pytest

from service.api.resources import health
from service.domain import sends
from service.store.database import connections, migrate, patience, reads, schema, transaction

TIMES = 6
_BOUNDS = [
    (module, name, getattr(module, name))
    for module, name in (
        (patience, "REQUEST_SECONDS"),
        (transaction, "DEADLINE_SECONDS"),
        (connections, "STATEMENT_SECONDS"),
        (connections, "CONNECT_SECONDS"),
        (migrate, "CONNECT_SECONDS"),
        (schema, "CONNECT_SECONDS"),
        (reads, "_PATIENCE_SECONDS"),
        (sends, "_TRY_SECONDS"),
        (health, "PROBE_SECONDS"),
    )
]
_SETTINGS = [
    (settings, name, int(settings[name]))
    for settings in (connections._OWN, connections._INDEX_ONLY)
    for name in ("statement_timeout", "lock_timeout")
]


def give_time(patch: pytest.MonkeyPatch, times: int) -> None:
    """Bound what a request may take by so many times the service's own bounds."""
    for module, name, seconds in _BOUNDS:
        patch.setattr(module, name, seconds * times)
    for settings, name, milliseconds in _SETTINGS:
        patch.setitem(settings, name, str(milliseconds * times))
