"""A receive that is cancelled, as the parts of a stream are when its client leaves, ends and keeps nothing."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.domain.receives import receive
from service.domain.stream import _StreamClient
from service.errors import Unavailable
from service.model import Caller, Scope
from service.store.messaging.sends import StaleQueue
from service.store.messaging.waiting import Ask, Claimed
from tests.in_process import Service

pytestmark = pytest.mark.anyio


CALLER = Caller(0, "default", frozenset({Scope.RECEIVE}))


class Receiving:
    """A receive that waits for a message of the queue `q`."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = service.app._store
        self.far_end = _StreamClient(service.app._keyring.admit(None, None, CALLER))
        self.asked: asyncio.Future[Ask] = asyncio.get_running_loop().create_future()
        self._ask = self.store.claims.ask
        monkeypatch.setattr(self.store.claims, "ask", self._seen)

    def _seen(self, *arguments: Any, **named: Any) -> Ask:
        made = self._ask(*arguments, **named)
        self.asked.set_result(made)
        return made

    async def begin(self, project_id: int) -> "asyncio.Task[Claimed | None]":
        waiting = receive(
            self.store,
            replace(CALLER, project_id=project_id),
            "q",
            self.far_end,
            max_messages=1,
            wait=60,
            visibility_timeout=None,
        )
        task = asyncio.create_task(waiting)
        await self.asked
        # It waits for its answer, or for its client to leave.
        await asyncio.sleep(0)
        return task


async def project_of(service: Service) -> int:
    return int(await service.sql.fetchval("select id from project"))


@pytest.mark.parametrize("failure", [StaleQueue(), Unavailable()])
async def test_it_ends_though_its_claim_fails_in_the_same_moment(
    service: Service, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    await service.queue()
    receiving = Receiving(service, monkeypatch)
    task = await receiving.begin(await project_of(service))
    (await receiving.asked).answer.set_exception(failure)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_it_gives_back_is_given_back_though_it_is_cancelled_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.queue()
    receiving = Receiving(service, monkeypatch)
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    given_back: asyncio.Queue[Claimed] = asyncio.Queue()

    async def slowly(claimed: Claimed) -> None:
        begun.set()
        await may_go_on.wait()
        given_back.put_nowait(claimed)

    monkeypatch.setattr(receiving.store, "give_back", slowly)
    task = await receiving.begin(await project_of(service))
    # The client leaves in the moment in which a message comes, and its stream is ended while that is given back.
    claimed = Claimed(await receiving.store.directory.find(await project_of(service), "q"), 1, [])
    receiving.far_end.leave()
    (await receiving.asked).answer.set_result(claimed)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_go_on.set()
    async with asyncio.timeout(10):
        assert await given_back.get() is claimed
