"""Receiving: lease what is there, or wait in the queue's line until something is."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from functools import partial
from typing import Protocol

from service.errors import QuotaExceeded
from service.model import Caller, Queue
from service.store.consumers import Via
from service.store.directory import queue_not_found
from service.store.lines import Ask, Claimed
from service.store.sends import StaleQueue
from service.store.store import Store


class Client(Protocol):
    """Who asks, as far as one may leave while waiting."""

    def left(self) -> Awaitable[None]:
        """Return when the client has gone."""

    def has_left(self) -> bool:
        """Tell whether the client has gone."""


async def receive(
    store: Store,
    caller: Caller,
    queue_name: str,
    client: Client,
    *,
    via: Via = Via.RECEIVE,
    max_messages: int,
    wait: float,
    visibility_timeout: timedelta | None,
) -> Claimed | None:
    """Lease up to so many messages, waiting up to `wait` seconds for the first. None: nothing came.

    Where no more receives of the project may wait, one more gets what is there. A client that has left by the time
    there is an answer gets nothing, and nothing stays leased for it.
    Raises NotFound, also when the queue is deleted meanwhile, QuotaExceeded and Unavailable.
    """
    attempt = partial(
        _receive,
        store,
        caller,
        queue_name,
        client,
        via=via,
        max_messages=max_messages,
        visibility_timeout=visibility_timeout,
    )
    max_parked = caller.limits.parked_receives if caller.limits else None
    if wait == 0 or max_parked is None:
        return await attempt(wait=wait)
    if await store.shares.enter(caller.project_id, max_parked):
        try:
            return await attempt(wait=wait)
        finally:
            store.shares.leave(caller.project_id)
    claimed = await attempt(wait=0)
    if claimed is None and not client.has_left():
        detail = "There is no message now, and no more may wait. Try again later, or let fewer receives wait."
        raise QuotaExceeded("parked_receives", max_parked, detail)
    return claimed


async def _receive(
    store: Store,
    caller: Caller,
    queue_name: str,
    client: Client,
    *,
    via: Via,
    max_messages: int,
    wait: float,
    visibility_timeout: timedelta | None,
) -> Claimed | None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    known = store.directory.known(caller.project_id, queue_name)
    queue = known or await store.directory.find(caller.project_id, queue_name)
    # The queue that was there since we asked. One that is only remembered may have been another's predecessor by then.
    there = None if known else queue.id
    while True:
        timeout = queue.config.visibility_timeout if visibility_timeout is None else visibility_timeout
        ask = store.claims.ask(queue, max_messages, timeout, patient=wait > 0)
        try:
            with store.consumers.asks(queue.id, via, caller.key, waits=ask.patient):
                claimed = await _answer(store, queue, ask, client, deadline - loop.time())
        except StaleQueue:
            if ask.waited:
                there = queue.id
            queue = await store.directory.find(caller.project_id, queue_name)
            if there not in (None, queue.id):
                # Deleted, and made anew before we looked: another queue, for whoever asks from now on.
                raise queue_not_found(queue_name) from None
            there = queue.id
            continue
        if claimed is not None and client.has_left():
            await asyncio.shield(store.give_back(claimed))
            return None
        return claimed


async def _answer(store: Store, queue: Queue, ask: Ask, client: Client, seconds: float) -> Claimed | None:
    """Wait for the answer; leave the line when the client or the time has gone."""
    try:
        if ask.patient:
            await _first_of(ask.answer, client, seconds)
            if ask.answer.done() or client.has_left():
                store.claims.leave(queue, ask)
            else:
                store.claims.time_over(queue, ask)
        return await ask.answer
    except asyncio.CancelledError:
        store.claims.leave(queue, ask)
        if (claimed := _claimed(ask.answer)) is not None:
            await asyncio.shield(store.give_back(claimed))
        raise


def _claimed(answer: "asyncio.Future[Claimed | None]") -> Claimed | None:
    """Return what an answer has brought, if it has come and is none that failed."""
    has_come = answer.done() and not answer.cancelled() and answer.exception() is None
    return answer.result() if has_come else None


async def _first_of(answer: "asyncio.Future[Claimed | None]", client: Client, seconds: float) -> None:
    """Return at the answer, when the client leaves, or after so many seconds."""
    left = asyncio.ensure_future(client.left())
    try:
        await asyncio.wait((answer, left), timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
