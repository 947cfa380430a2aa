"""Composition root: settings → database → app → loops."""

import asyncio
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from service import borrowed, tracing
from service.api.app import build_api
from service.api.docs import rendered
from service.api.http.cors import CrossOrigin
from service.api.messaging.express import Express
from service.api.messaging.performer import Performer, add_operations
from service.api.messaging.traced import Traced, TracedPerformer
from service.api.streaming.socket_io import PATH as SOCKET_IO_PATH
from service.api.streaming.socket_io import SocketIo
from service.auth.keyring import Keyring
from service.egress.addresses import Rules
from service.egress.resolver import Resolver
from service.push.dispatcher import Dispatcher
from service.push.sender import Sender
from service.push.traced import TracedSender
from service.settings import Deployment, Settings
from service.store.store import Store
from service.store.views.long_queues import Tallies
from service.store.views.metered import MeteredQueues
from service.upkeep.chores import chores
from service.upkeep.upkeep import Upkeep

# How long to wait at startup for the notifications of other processes, which wake receives. Without a database it takes
# longer, and the process serves anyway.
_LISTENER_SECONDS = 1.0

borrowed.check()


class App:
    """A service process as an ASGI application. It opens nothing until the server starts it."""

    def __init__(self, deployment: Deployment, traces: tracing.Tracing | None) -> None:
        self._store = Store(deployment)
        self._keyring = Keyring(self._store, deployment.root_key)
        tallies = Tallies(self._store.engine)
        metered = MeteredQueues(self._store.engine, tallies)
        self._upkeep = Upkeep(chores(self._store, self._keyring, tallies, metered))
        settings = deployment.settings
        resolver = Resolver(Rules(settings.push_allow, settings.push_http))
        self._dispatcher = Dispatcher(self._store, _sender(resolver, traces))
        performer = _performer(self._store, self._keyring, traces)
        self._socket_io = SocketIo(self._store, self._keyring)
        self._api = build_api(self._store, self._keyring, tallies, resolver, deployment)
        self._api.state.metered = metered
        self._api.state.test_webhook = self._dispatcher.test
        add_operations(self._api, performer)
        api: ASGIApp = self._api if traces is None else Traced(self._api, traces)
        self._front = CrossOrigin(api, settings.allowed_origins) if settings.allowed_origins else api
        # The hot operations, which the connections answer themselves.
        self.find = Express(performer).find if settings.express else None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request, or handle the server's startup and shutdown."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        if scope["path"].startswith(SOCKET_IO_PATH):
            return self._socket_io.app(scope, receive, send)
        return self._front(scope, receive, send)

    def drain(self) -> None:
        """Answer all waiting receives and stop leasing messages, because the server is stopping."""
        self._api.state.draining = True
        self._store.drain()
        self._dispatcher.drain()

    def openapi(self) -> str:
        """Return the OpenAPI document as JSON, in the form of openapi/openapi.json."""
        return rendered(self._api)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._store.open()
        self._upkeep.open()
        self._dispatcher.open()
        await self._store.wakeups.heard(_LISTENER_SECONDS)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.drain()
        await self._dispatcher.close()
        await self._upkeep.close()
        await self._store.close()
        # In a thread, because it may wait for the collector.
        await asyncio.to_thread(tracing.stop)
        await send({"type": "lifespan.shutdown.complete"})


def _performer(store: Store, keyring: Keyring, traces: tracing.Tracing | None) -> Performer:
    return Performer(store, keyring) if traces is None else TracedPerformer(store, keyring, traces)


def _sender(resolver: Resolver, traces: tracing.Tracing | None) -> Sender:
    return Sender(resolver) if traces is None else TracedSender(resolver, traces)


def create_app(deployment: Deployment) -> App:
    """Return the application of a service process."""
    return App(deployment, tracing.start())


def openapi_document() -> bytes:
    """Return the OpenAPI document of this version. It does not depend on the settings."""
    deployment = Deployment(
        settings=Settings(),
        database_url="postgresql://nowhere/none",
        database_direct_url="postgresql://nowhere/none",
        root_key="0" * 20,
        secret_keys=(b"0" * 32,),
    )
    return App(deployment, None).openapi().encode()
