"""A profile of the service under load."""

import argparse
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench import scripts, servers
from bench.load import BUILD

SCRIPTS = {"send": scripts.SEND, "cycle": scripts.CYCLE, "batch": scripts.batch_cycle(10), "noop": scripts.NOOP}
SAMPLES_PER_SECOND = 200
LINES = 30


def main(arguments: Sequence[str]) -> None:
    """Start the service, put load on it, sample it, and print the functions with the most time of their own."""
    parser = argparse.ArgumentParser(prog="bench/profile", description="Profile the service under load.")
    parser.add_argument(
        "--script", choices=SCRIPTS, default="cycle", help="what the load does; noop: measure the yardstick"
    )
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=BUILD / "profile.txt", help="the stacks, for flame graphs")
    options = parser.parse_args(arguments)
    if options.script == "noop":
        with servers.noop() as server:
            _record(server, options, {})
    else:
        with servers.restante() as server, server.queue("bench") as queue:
            _record(server, options, {"queue": queue})
    _print(options.output)


def _record(server: servers.Server, options: argparse.Namespace, values: dict[str, str]) -> None:
    seconds = options.seconds + 3  # py-spy needs a moment to begin
    script = SCRIPTS[options.script]
    under_load = server.begin_load(script, connections=options.connections, seconds=seconds, values=values)
    how = f"--format raw --native --threads --rate {SAMPLES_PER_SECOND} --duration {options.seconds}"
    py_spy: list[str | Path] = [servers.environment("bench").parent / "py-spy", "record", *how.split()]
    py_spy += ["--output", options.output, "--pid", str(server.pid)]
    subprocess.run(py_spy, check=True, capture_output=True)
    seen = under_load.finish()
    print(f"{options.script}: {seen.rate:,.0f}/s while sampled, {options.connections} connections")
    for trouble in seen.troubles(options.script):
        print(f"  {trouble}")


def _print(stacks: Path) -> None:
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        # Threads that wait in a read, such as the one that follows PostgreSQL's log, look busy to py-spy.
        if "MainThread" not in stack:
            continue
        # Samples of different lines of one function are added up.
        functions = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")[1:]]
        own[functions[-1]] += int(samples)
        for function in set(functions):
            within[function] += int(samples)
    total = own.total() or 1
    print(f"{total} samples, stacks in {stacks}\n\n   own  within  function")
    for function, count in own.most_common(LINES):
        print(f"{count / total:6.1%} {within[function] / total:7.1%}  {function}")
