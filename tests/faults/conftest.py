"""Two services on one database, as behind a load balancer."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving import Serving, serving

SHARED = {"secret_key": "s" * 32, "root_key": "r" * 20}


@pytest.fixture
def services(database: str, tmp_path: Path) -> Iterator[list[Serving]]:
    """Start two services that know of each other by the database alone."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(tmp_path / name, database_url=database, **SHARED)) for name in "ab"]
