"""The table: on the terminal, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.machine import Machine

RESULTS = Path(__file__).parent / "results"
VERDICTS = {True: "yes", False: "NO", None: ""}
HEADINGS = ("figure", "must be", "is", "spread", "holds", "from")


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def _row(figure: Figure) -> tuple[str, ...]:
    spread = "" if figure.low is None else f"{_number(figure.low)} to {_number(figure.high)}"
    raw = ", ".join(f"{name}: {_number(value)}" for name, value in figure.raw.items())
    value = f"{_number(figure.value)} {figure.unit}".strip()
    bound = f"{figure.bound} {figure.unit}".strip() if figure.bound else ""
    return (figure.name, bound, value, spread, VERDICTS[figure.passed], raw or figure.formula)


def show(figure: Figure) -> None:
    """Print one figure as soon as it is known."""
    name, bound, value, spread, verdict, raw = _row(figure)
    asked = f" (must be {bound}: {verdict})" if bound else ""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{name}: {value}{asked}  {raw}" + (f"; {spread}" if spread else ""))
    for note in figure.notes:
        console.print(f"    {note}")


def show_all(machine: Machine, figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(*HEADINGS, title=_title(machine))
    for figure in figures:
        table.add_row(*_row(figure))
    Console(width=180).print(table)


def _title(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb} GB, Linux {machine.kernel}, {machine.filesystem}, "
        f"PostgreSQL {machine.postgresql}, Python {machine.python}, commit {machine.commit}"
    )


def _markdown(machine: Machine, figures: Sequence[Figure], run: str) -> str:
    lines = [
        "# Benchmark",
        "",
        f"{_title(machine)}; {machine.measured_at}, load before: {machine.load_before}. Run: {run}.",
        "",
    ]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(_row(figure))} |" for figure in figures]
    for figure in figures:
        lines += ["", f"**{figure.name}** = {figure.formula}"] + [f"- {note}" for note in figure.notes]
    return "\n".join(lines) + "\n"


def write(machine: Machine, figures: Sequence[Figure], run: str) -> Path:
    """Write the run to bench/results/, as JSON and as Markdown."""
    RESULTS.mkdir(exist_ok=True)
    stamp = machine.measured_at[:16].replace(":", "").replace("-", "")
    path = RESULTS / f"{stamp}-{machine.commit}"
    document = {
        "machine": asdict(machine),
        "run": run,
        "figures": [asdict(figure) | {"passed": figure.passed} for figure in figures],
    }
    path.with_suffix(".json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(_markdown(machine, figures, run))
    return path.with_suffix(".md")
