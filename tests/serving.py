"""The service as its users start it: `restante serve` in a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

RESTANTE = Path(sys.executable).with_name("restante")


@dataclass(frozen=True)
class Serving:
    """A running service."""

    process: subprocess.Popen[str]
    banner: str
    url: str
    key: str

    def client(self) -> httpx.Client:
        """Return a client that is the operator."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    def workers(self) -> list[psutil.Process]:
        """Return the service's processes of RESTANTE_PROCESSES."""
        return [child for child in psutil.Process(self.process.pid).children() if _is_worker(child)]

    def stop(self, seconds: float = 30) -> int:
        """Tell it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        # It has died since it was listed, or is a zombie, which is a kind of this.
        return False


def environment(data_folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment with these settings (`port="0"`) and nothing of ours but the path."""
    chosen = {"data_dir": str(data_folder), "port": "0", "log_format": "text"} | settings
    return {"PATH": os.defpath, **{f"RESTANTE_{name.upper()}": value for name, value in chosen.items()}}


@contextlib.contextmanager
def serving(data_folder: Path, **settings: str) -> Iterator[Serving]:
    """Start a service on a free port, and end it if the test has not."""
    process = subprocess.Popen(
        [RESTANTE, "serve"], env=environment(data_folder, **settings), stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            banner = _read_banner(process)
            [url] = re.findall(r"answers at (\S+)", banner)
            key = settings.get("root_key") or (data_folder / "root.key").read_text().strip()
            yield Serving(process, banner, url, key)
        finally:
            process.terminate()
            try:
                process.wait(35)
            finally:
                process.kill()


def refused(data_folder: Path, **settings: str) -> str:
    """Return what a service says that does not start."""
    told = subprocess.run(
        [RESTANTE, "serve"],
        env=environment(data_folder, **settings),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert told.returncode == 1
    return told.stderr


def _read_banner(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "-X DELETE" in line:
            return "".join(lines)
    message = "the service ended before it answered"
    raise AssertionError(message)
