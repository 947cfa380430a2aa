"""A PostgreSQL of our own, beside the service: found, made, started and ended here.

The data folder holds `lock` (who runs), `database.password` and `postgres/` (the cluster). The server listens on a Unix
socket alone, asks for a password even there, and ends with the process that started it.
docs/decisions/0001-embedded-postgresql.md tells what was tried.
"""

from service.embedded.binaries import Binaries, find_binaries, system_binaries, wheel_binaries
from service.embedded.cluster import running, started, url_of
from service.embedded.failure import CannotStart
from service.embedded.kept import kept
from service.embedded.lock import hold, holder

__all__ = [
    "Binaries",
    "CannotStart",
    "find_binaries",
    "hold",
    "holder",
    "kept",
    "running",
    "started",
    "system_binaries",
    "url_of",
    "wheel_binaries",
]
