"""The embedded PostgreSQL server: finding its programs, creating the cluster, starting and stopping the server.

The data folder contains `lock` (the process that uses it), `database.password` and `postgres/` (the cluster). The
server listens only on a Unix socket, requires a password there too, and ends with the process that started it.
docs/decisions/0001-embedded-postgresql.md describes the alternatives.
"""

from service.embedded.backup import back_up, restore
from service.embedded.binaries import Binaries, find_binaries, system_binaries, wheel_binaries
from service.embedded.cluster import is_made, running, started, url_of
from service.embedded.failure import CannotStart
from service.embedded.kept import ROOT_KEY, SECRET_KEY, kept
from service.embedded.lock import hold, holder

__all__ = [
    "ROOT_KEY",
    "SECRET_KEY",
    "Binaries",
    "CannotStart",
    "back_up",
    "find_binaries",
    "hold",
    "holder",
    "is_made",
    "kept",
    "restore",
    "running",
    "started",
    "system_binaries",
    "url_of",
    "wheel_binaries",
]
