"""A server that has nothing under way is gone as soon as it is told to stop."""

import asyncio
import time

import pytest

from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio


async def test_a_stop_does_not_rest(database: str) -> None:
    seconds = []
    for _ in range(5):
        async with in_process(database) as service:
            assert (await service.root.get("/healthz")).status_code == 200
            began = time.monotonic()
        seconds.append(time.monotonic() - began)
    # uvicorn's own took a tenth of a second at least; what is more than that is the machine's.
    assert min(seconds) < 0.1, seconds


async def test_the_date_of_the_answers_is_renewed(service: Service) -> None:
    first = (await service.root.get("/healthz")).headers["date"]
    async with asyncio.timeout(15):
        while (await service.root.get("/healthz")).headers["date"] == first:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)
