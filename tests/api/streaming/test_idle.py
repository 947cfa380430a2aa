"""A stream on which nothing happens costs next to nothing, and what streams hold is looked at in one go."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from service.domain.stream import Session
from service.store.messaging import receipts
from tests.api.streaming.test_events import events
from tests.api.streaming.test_socket_io import NEVER, connected
from tests.api.streaming.test_websocket import send, settled
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def test_a_stream_that_holds_nothing_renews_nothing_and_asks_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.domain.stream._RENEW_SECONDS", 0.01)
    monkeypatch.setattr("service.upkeep.rounds._REST_OF_WATCHED", timedelta(seconds=0.01))
    done: list[str] = []

    async def renew(_session: Session) -> None:
        done.append("renewed")

    async def held(*_: Any) -> set[int]:
        done.append("asked")
        return set()

    monkeypatch.setattr(Session, "_renew", renew)
    monkeypatch.setattr(receipts, "held", held)
    await service.queue()
    async with events(service.root), connected(service) as client:
        await client.ask("subscribe", queue="q")
        async with asyncio.timeout(10):
            while service.app._store.claims.waiting < 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        # Thirty times as long as it takes for what is not to happen.
        await asyncio.sleep(0.3)
    assert done == []


async def test_what_others_have_settled_is_found_by_one_look_for_all_streams(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.queue(visibility_timeout=300)
    looked: list[int] = []
    held = receipts.held

    async def noted(engine: Any, leases: Sequence[Any]) -> set[int]:
        looked.append(len(leases))
        return await held(engine, leases)

    monkeypatch.setattr(receipts, "held", noted)
    async with events(service.root, credit=3) as stream, connected(service, answer=NEVER) as client:
        await client.ask("subscribe", queue="q", credit=3)
        await send(service, *range(6))
        await settled(service, 0, 6)
        assert len([await stream.next() for _ in range(3)]) == len([await client.next() for _ in range(3)])
        looked.clear()
        async with asyncio.timeout(10):
            while len(looked) < 2:  # noqa: ASYNC110 - a chore tells nobody
                await asyncio.sleep(0.01)
        assert set(looked) == {6}
        # Past the service, as another process does it.
        await service.sql.execute("delete from message")
        await send(service, *range(6))
        assert {(await stream.next())["body"] for _ in range(3)} < set(range(6))
        assert {(await client.next())["body"] for _ in range(3)} < set(range(6))
