"""Objects shared by all operations of a process, as FastAPI dependencies."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from service.api.kit.cursors import Cursors
from service.auth.keyring import Keyring
from service.egress.resolver import Resolver
from service.model import Attempt, Queue, Webhook
from service.store.store import Store
from service.store.views.long_queues import Tallies
from service.store.views.metered import MeteredQueues


async def _store(request: Request) -> Store:
    return request.app.state.store  # type: ignore[no-any-return]


async def _keyring(request: Request) -> Keyring:
    return request.app.state.keyring  # type: ignore[no-any-return]


async def _cursors(request: Request) -> Cursors:
    return request.app.state.cursors  # type: ignore[no-any-return]


async def _tallies(request: Request) -> Tallies:
    return request.app.state.tallies  # type: ignore[no-any-return]


async def _metered(request: Request) -> MeteredQueues:
    return request.app.state.metered  # type: ignore[no-any-return]


async def _resolver(request: Request) -> Resolver:
    return request.app.state.resolver  # type: ignore[no-any-return]


StoreOf = Annotated[Store, Depends(_store)]
KeyringOf = Annotated[Keyring, Depends(_keyring)]
MeteredQueuesOf = Annotated[MeteredQueues, Depends(_metered)]
TalliesOf = Annotated[Tallies, Depends(_tallies)]
TestWebhook = Callable[[Queue, Webhook], Awaitable[Attempt]]


async def _test_webhook(request: Request) -> TestWebhook:
    return request.app.state.test_webhook  # type: ignore[no-any-return]


TestWebhookOf = Annotated[TestWebhook, Depends(_test_webhook)]
ResolverOf = Annotated[Resolver, Depends(_resolver)]
CursorsOf = Annotated[Cursors, Depends(_cursors)]
