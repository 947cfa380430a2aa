"""What came of requests, while the database cannot hear of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.resources.test_health import counted
from tests.in_process import Service
from tests.push.sink import answers, sink
from tests.push.test_deliveries import Q, left, quiet, send, webhook

pytestmark = pytest.mark.anyio

UNRECORDED = "restante_push_attempts_unrecorded_total"


@contextlib.asynccontextmanager
async def failing(service: Service, event: str, code: str) -> AsyncIterator[None]:
    """Have the database raise an error of this code at an event, and count how often in a sequence."""
    await service.sql.execute(
        f"""
        create sequence failures;
        create function fail() returns trigger language plpgsql as $$
        begin
            perform nextval('failures');
            raise exception 'not now' using errcode = '{code}';
        end $$;
        create trigger failing before {event} for each statement execute function fail();
        """
    )
    try:
        yield
    finally:
        await service.sql.execute("drop function fail() cascade")


async def failures(service: Service, count: int) -> None:
    """Return when so many statements have failed."""
    so_far = "select case when is_called then last_value else 0 end from failures"
    async with asyncio.timeout(10):
        while await service.sql.fetchval(so_far) < count:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_what_was_taken_is_deleted_although_the_server_crashed_in_between(service: Service, kind: str) -> None:
    await service.queue(type=kind)
    async with sink() as target:
        await webhook(service, target)
        # What a server in crash recovery says.
        async with failing(service, "delete on message", "57P02"):
            await send(service)
            await failures(service, 2)
        await left(service, 0)
        await quiet(service)
    assert len(target.posted) == 1


async def test_the_delete_is_given_up_with_the_lease(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.push.dispatcher._AGAIN_SECONDS", 3600)
    await service.queue()
    async with sink() as target:
        await webhook(service, target)
        async with failing(service, "delete on message", "57P02"):
            await send(service)
            await failures(service, 1)
            await quiet(service)
        await service.sql.execute("update message set visible_at = clock_timestamp()")
        await left(service, 0)
    assert len(target.posted) == 2


async def test_attempts_that_cannot_be_written_down_are_counted_and_stop_nothing(service: Service) -> None:
    await service.queue()
    before = await counted(service.root, UNRECORDED)
    async with sink() as target:
        await webhook(service, target)
        async with failing(service, "insert on attempt", "P0001"):
            for number in range(1, 4):
                await send(service)
                await target.wait_for(number)
                await left(service, 0)
            async with asyncio.timeout(10):
                while await counted(service.root, UNRECORDED) != before + 3:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
        await send(service)
        await left(service, 0)
        listed: list[Any] = []
        async with asyncio.timeout(10):
            while not listed:
                listed = (await service.root.get(f"{Q}/webhooks/w/attempts")).json()["items"]
    assert len(listed) == 1


async def test_attempts_wait_for_a_database_that_is_away_a_moment(service: Service) -> None:
    await service.queue()
    async with sink(answers(200)) as target:
        await webhook(service, target)
        async with failing(service, "insert on attempt", "57P02"):
            await send(service)
            await failures(service, 5)
        async with asyncio.timeout(10):
            while not (await service.root.get(f"{Q}/webhooks/w/attempts")).json()["items"]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
    assert len(target.posted) == 1
