"""Two services on one database, as behind a load balancer."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import created
from tests.serving import Serving, serving

SHARED = {"secret_key": "s" * 32, "root_key": "r" * 20}


@pytest.fixture
def services(database: str, tmp_path: Path) -> Iterator[list[Serving]]:
    """Start two services that know of each other by the database alone; the test may do with them what it likes."""
    with two_on(database, tmp_path) as services:
        yield services


@pytest.fixture(scope="module")
def standing_services(
    postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Serving]]:
    """Start two such services for all tests of a module, which leave them standing."""
    for database in created(postgres, template):
        with two_on(database, tmp_path_factory.mktemp("standing")) as services:
            yield services


@contextmanager
def two_on(database: str, folder: Path) -> Iterator[list[Serving]]:
    """Start two services on one database."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(folder / name, database_url=database, **SHARED)) for name in "ab"]
