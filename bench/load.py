"""Building and running the load generator (load.c)."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scripts import PAYLOAD

HERE = Path(__file__).parent
BUILD = HERE / ".build"
WARM_UP = 0.5


@dataclass(frozen=True)
class Load:
    """The results of one run of the load generator. Latencies are in microseconds."""

    rate: float
    client_cpu: float
    broken: int
    per_second: list[int]
    cycle: dict[str, float]
    steps: dict[str, dict[str, float]]
    seconds: float
    # Processor seconds of the server's process per second.
    server_cpu: float = 0

    def values_per_second(self, step: str) -> float:
        """Return how many values per second the step took from answers."""
        return self.steps[step]["values"] / self.seconds

    def troubles(self, what: str) -> list[str]:
        """Return a sentence for everything that did not go as it should."""
        found = [f"{what}: {self.broken} connections ended before an answer"] if self.broken else []
        for name, step in self.steps.items():
            found += [f"{what}: {step[kind]:.0f} of {name} {kind}" for kind in ("unexpected", "empty") if step[kind]]
        return found


def build(source: str) -> Path:
    """Compile one of the C programs here, unless it is already built from this source."""
    BUILD.mkdir(exist_ok=True)
    code, program = HERE / f"{source}.c", BUILD / source
    if not program.exists() or program.stat().st_mtime < code.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", program, code], check=True)
    return program


@dataclass(frozen=True)
class Running:
    """A load generator that is running."""

    process: subprocess.Popen[str]

    def finish(self) -> Load:
        """Wait for its end, and read its report, which is one line of JSON."""
        report, _ = self.process.communicate()
        if self.process.returncode:
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        seen: dict[str, Any] = json.loads(report)
        return Load(**{name: seen[name] for name in Load.__dataclass_fields__ if name in seen})


def begin(
    script: str,
    *,
    port: int,
    connections: int,
    seconds: float,
    warm_up: float = WARM_UP,
    cycles: int = 0,
    rate: float = 0,
    spread: int = 1,
    headers: tuple[str, ...] = (),
    values: dict[str, str] | None = None,
) -> Running:
    """Put load on a server for some seconds or, if it is not 0, for a number of cycles.

    `rate`: cycles per second; 0: as many as possible.
    """
    command: list[str | Path] = [build("load"), "--port", str(port), "--connections", str(connections)]
    command += ["--seconds", str(seconds), "--warm-up", str(warm_up), "--cycles", str(cycles), "--range", str(spread)]
    command += ["--rate", str(rate)]
    for header in headers:
        command += ["--header", header]
    for name, value in ({"payload": PAYLOAD} | (values or {})).items():
        command += ["--set", f"{name}={value}"]
    process = subprocess.Popen([*command, "/dev/stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(script)
    process.stdin.close()
    # Otherwise communicate() would flush the closed file.
    process.stdin = None
    return Running(process)
