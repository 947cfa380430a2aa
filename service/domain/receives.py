"""Receiving: lease the messages that are ready, or wait in the queue's line until one is."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from typing import Protocol

from service.errors import Problem, QuotaExceeded
from service.message import Via
from service.model import Caller, Queue
from service.store.messaging.receives import Claims
from service.store.messaging.sends import StaleQueue
from service.store.messaging.takers import Taker
from service.store.messaging.waiting import Ask, Claimed
from service.store.resources.queues import queue_not_found
from service.store.store import Store


class ClientAdmission(Protocol):
    """A client's admission, which ends if its key is revoked while it waits."""

    # Done when the admission has ended, with the problem to answer.
    ended: "asyncio.Future[Problem]"

    async def confirm(self) -> bool:
        """Return whether the client may be given messages now. Raises Unavailable if that cannot be determined."""


class Client(Protocol):
    """The client of a receive, which may disconnect or lose its admission while it waits."""

    def has_left(self) -> bool:
        """Return whether the client has disconnected."""

    def leaving(self, leave: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `leave` when the client disconnects within the block, or at once if it has already."""

    def admitted(self) -> AbstractContextManager[ClientAdmission]:
        """Hold the client's admission for as long as it waits."""


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
    """Lease up to `max_messages`, waiting up to `wait` seconds for the first. Returns None if there was no message.

    If no more receives of the project may wait, one more gets the messages that are ready. A client that has
    disconnected by the time there is an answer, or whose key was revoked, gets none, and none stay leased for it.
    Raises NotFound, also if the queue is deleted meanwhile, QuotaExceeded, Unavailable, and the problem that ended the
    admission.
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
    if wait == 0:
        return await attempt(wait=0, admission=None)
    with client.admitted() as admission:
        max_waiting = caller.limits.parked_receives if caller.limits else None
        if max_waiting is None:
            return await attempt(wait=wait, admission=admission)
        if await store.shares.enter(caller.project_id, max_waiting):
            try:
                return await attempt(wait=wait, admission=admission)
            finally:
                store.shares.leave(caller.project_id)
    claimed = await attempt(wait=0, admission=None)
    if claimed is None and not client.has_left():
        detail = "There is no message now, and no more receives may wait. Try again later, or let fewer wait."
        raise QuotaExceeded("parked_receives", max_waiting, detail)
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
    admission: ClientAdmission | None,
) -> Claimed | None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    known = store.directory.known(caller.project_id, queue_name)
    queue = known or await store.directory.find(caller.project_id, queue_name)
    # The queue's id as the database had it since this request began. A cached queue proves nothing: it may have been
    # deleted before the request, and another created under its name.
    there = None if known else queue.id
    taker = Taker(caller.key, via)
    while True:
        timeout = queue.config.visibility_timeout if visibility_timeout is None else visibility_timeout
        ask = store.claims.ask(queue, max_messages, timeout, taker, may_wait=wait > 0)
        try:
            with store.consumers.asks(queue.id, via, caller.key, waits=ask.may_wait):
                claimed = await _answer(store, queue, ask, client, admission=admission, seconds=deadline - loop.time())
        except StaleQueue:
            if ask.waited:
                there = queue.id
            queue = await store.directory.find(caller.project_id, queue_name)
            if there not in (None, queue.id):
                # The queue was deleted and another created under its name, which is for later requests.
                raise queue_not_found(queue_name) from None
            there = queue.id
            continue
        if claimed is not None and not await _may_have(store, claimed, client, admission):
            claimed = None
        if admission is not None and admission.ended.done():
            raise admission.ended.result()
        return claimed


async def _may_have(store: Store, claimed: Claimed, client: Client, admission: ClientAdmission | None) -> bool:
    """Return whether the client is still connected and admitted; if it is not, give the messages back."""
    may = False
    try:
        may = not client.has_left() and (admission is None or await admission.confirm())
    finally:
        if not may:
            await asyncio.shield(store.give_back(claimed))
    return may


async def _answer(
    store: Store, queue: Queue, ask: Ask, client: Client, *, admission: ClientAdmission | None, seconds: float
) -> Claimed | None:
    """Wait for the answer; leave the line when the client disconnects, its admission ends, or the time is over."""
    try:
        if not ask.may_wait or admission is None:
            return await ask.answer
        with _leaving(store.claims, queue, ask, client, admission=admission, seconds=seconds):
            return await ask.answer
    except asyncio.CancelledError:
        store.claims.leave(queue, ask)
        if (claimed := _claimed(ask.answer)) is not None:
            await asyncio.shield(store.give_back(claimed))
        raise


def _claimed(answer: "asyncio.Future[Claimed | None]") -> Claimed | None:
    """Return the messages of an answer that has come and has not failed."""
    has_come = answer.done() and not answer.cancelled() and answer.exception() is None
    return answer.result() if has_come else None


@contextmanager
def _leaving(
    claims: Claims, queue: Queue, ask: Ask, client: Client, *, admission: ClientAdmission, seconds: float
) -> Iterator[None]:
    """Have the ask answered with nothing when its client need not wait any longer."""

    def leave(_ended: object = None) -> None:
        claims.leave(queue, ask)

    timer = asyncio.get_running_loop().call_later(max(seconds, 0), claims.time_over, queue, ask)
    admission.ended.add_done_callback(leave)
    try:
        with client.leaving(leave):
            yield
    finally:
        timer.cancel()
        admission.ended.remove_done_callback(leave)
