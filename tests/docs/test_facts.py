"""Numbers that pages quote are those of the code."""

import re
from pathlib import Path

from service.store.database.connections import POOL
from service.store.store import SESSIONS

_ROOT = Path(__file__).parents[2]


def _text(page: str) -> str:
    """Return a page as one line."""
    return " ".join((_ROOT / page).read_text("utf-8").split())


def test_pages_say_how_many_connections_a_process_holds() -> None:
    held = SESSIONS - POOL
    how_it_works = _text("docs/concepts/how-it-works.md")
    assert f"A process holds up to {held} connections of its own" in how_it_works
    assert f"share a pool of {POOL}" in how_it_works
    assert f"at most {SESSIONS} connections in each process" in how_it_works
    production = _text("docs/how-to/run-in-production.md")
    assert f"A process holds up to {SESSIONS} connections: {held} of its own and a pool of {POOL}." in production
    assert f"`max_connections` of PostgreSQL to {SESSIONS} for each process" in production
    decision = _text("docs/decisions/0004-held-connections.md")
    assert f"At most {held} connections a process" in decision
    assert f"{held} for each process beside its pool of {POOL}" in decision


def test_a_pooler_is_told_to_have_enough_sessions() -> None:
    [size] = re.findall(r"`default_pool_size` at (\d+) for each process", _text("docs/how-to/run-in-production.md"))
    assert int(size) >= SESSIONS
