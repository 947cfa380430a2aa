"""The bench's command line."""

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence

from bench import report, servers
from bench.figures import Figure
from bench.machine import Machine
from bench.parts import (
    backlog,
    dashboard,
    deduplication,
    fifo,
    generator,
    held,
    hostile,
    idle,
    latency,
    neighbours,
    peers,
    push,
    queues,
    redrive,
    single,
    stream,
    throughput,
    topics,
    waiting,
)
from bench.plan import Plan

PARTS: dict[str, Callable[[Plan], Iterator[Figure]]] = {
    "generator": generator.measure,
    "throughput": throughput.measure,
    "single": single.measure,
    "latency": latency.measure,
    "waiting": waiting.measure,
    "queues": queues.measure,
    "backlog": backlog.measure,
    "fifo": fifo.measure,
    "deduplication": deduplication.measure,
    "redrive": redrive.measure,
    "neighbours": neighbours.measure,
    "hostile": hostile.measure,
    "push": push.measure,
    "topics": topics.measure,
    "stream": stream.measure,
    "idle": idle.measure,
    "dashboard": dashboard.measure,
    "held": held.measure,
    "peers": peers.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Run the chosen parts; return 1 if a figure is not within its bound."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure Restante beside its peers.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas between: {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see whether it works; not to be quoted")
    parser.add_argument("--no-results", action="store_true", help="print only, write nothing to bench/results/")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    # SIGTERM raises SystemExit, so that the servers are stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    servers.raise_open_files()
    machine = Machine.here()
    plan = Plan.quick() if options.quick else Plan.full()
    figures = [figure for name in chosen for figure in _measure(name, plan)]
    report.show_all(machine, figures)
    if not options.no_results:
        run = f"{'quick' if options.quick else 'full'}, parts {', '.join(chosen)}"
        print(f"written to {report.write(machine, figures, run)}")
    return 0 if all(figure.passed is not False for figure in figures) else 1


def _measure(name: str, plan: Plan) -> Iterator[Figure]:
    """Run one part; its failure is a line in the table, and the others still run."""
    try:
        for figure in PARTS[name](plan):
            report.show(figure)
            yield figure
    except Exception as failure:  # noqa: BLE001 - a part may fail in any way
        traceback.print_exc()
        yield Figure(name=f"{name} failed", formula=str(failure)[:300], value=None)
