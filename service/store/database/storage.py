"""The free space of the embedded database's disk. Requests that store are refused while removing still has room."""

import shutil
from pathlib import Path

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import StorageFull
from service.settings import Settings
from service.telemetry import STORAGE_FULL

_log = structlog.get_logger()

# Free space beyond the reserve before messages are stored again. Without it, the state would change all the time.
_MARGIN = 1 / 8


class Storage:
    """The disk of the data folder. The disk of a database that the operator provides is not looked at."""

    def __init__(self, settings: Settings) -> None:
        self._folder: Path | None = None if settings.database_url else settings.data_dir
        self._reserve = settings.disk_reserve_bytes
        self.is_full = False

    def look(self) -> None:
        """Look how much space is left."""
        if self._folder is None:
            return
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            # The error says nothing about the free space.
            return
        is_full = free < self._reserve * (1 + _MARGIN * self.is_full)
        if is_full != self.is_full:
            _log.warning("storage_full" if is_full else "storage_has_room", free=free, reserve=self._reserve)
        self.is_full = is_full
        STORAGE_FULL.set(is_full)

    def check(self) -> None:
        """Raise StorageFull if nothing may be stored."""
        if self.is_full:
            raise StorageFull


async def checkpoint(connection: AsyncConnection) -> None:
    """Make the server write its changes to the tables, so that files of its write-ahead log can be removed."""
    await connection.execute(text("checkpoint"))
