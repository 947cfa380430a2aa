"""The machine and the versions that the figures were measured with."""

import os
import platform
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from bench import database, servers


@dataclass(frozen=True)
class Machine:
    """The facts that have to be quoted with a figure."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    filesystem: str
    python: str
    postgresql: str
    commit: str
    measured_at: str
    load_before: float

    @classmethod
    def here(cls) -> Self:
        """Return the facts of this machine and checkout."""
        with servers.restante() as service:
            postgresql = database.version(service.database_url)
        return cls(
            cpu=_field("/proc/cpuinfo", "model name"),
            cores=os.cpu_count() or 0,
            memory_gb=round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
            kernel=platform.release(),
            filesystem=_run("stat", "--file-system", "--format=%T", tempfile.gettempdir()),
            python=platform.python_version(),
            postgresql=postgresql,
            commit=_commit(),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            load_before=round(os.getloadavg()[0], 2),
        )


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _commit() -> str:
    changed = _run("git", "status", "--porcelain", "--untracked-files=no", "--", "service", "migrations", "bench")
    return _run("git", "rev-parse", "--short=12", "HEAD") + ("-changed" if changed else "")
