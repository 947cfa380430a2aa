"""A service as the documents' readers have it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Serving, serving


@pytest.fixture
def service(data_folder: Path, database: str) -> Iterator[Serving]:
    with serving(data_folder, database_url=database, secret_key="s" * 32) as service:
        yield service
