"""A service in the test's own process."""

from collections.abc import AsyncIterator

import pytest

from tests.in_process import Service, in_process


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    async with in_process(database) as service:
        yield service
