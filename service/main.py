"""Composition root: settings → database → app → loops."""

from collections.abc import Awaitable

from starlette.types import Receive, Scope, Send

from service.api.app import build_api
from service.api.docs import rendered
from service.api.express import Express
from service.api.performer import Performer, add_operations
from service.api.socket_io import PATH as SOCKET_IO_PATH
from service.api.socket_io import SocketIo
from service.auth.keyring import Keyring
from service.egress.addresses import Rules
from service.egress.resolver import Resolver
from service.push.dispatcher import Dispatcher
from service.push.sender import Sender
from service.settings import Deployment, Settings
from service.store.store import Store
from service.store.tallies import Tallies
from service.upkeep.chores import chores
from service.upkeep.upkeep import Upkeep


class App:
    """One service process as an ASGI application. Nothing is opened before the server starts it."""

    def __init__(self, deployment: Deployment) -> None:
        self._store = Store(deployment)
        self._keyring = Keyring(self._store, deployment.root_key)
        tallies = Tallies(self._store.engine)
        self._upkeep = Upkeep(chores(self._store, self._keyring, tallies))
        settings = deployment.settings
        resolver = Resolver(Rules(settings.push_allow, settings.push_http))
        self._dispatcher = Dispatcher(self._store, Sender(resolver))
        performer = Performer(self._store, self._keyring)
        self._socket_io = SocketIo(self._store, self._keyring)
        self._api = build_api(self._store, self._keyring, tallies, resolver, deployment)
        self._api.state.test_webhook = self._dispatcher.test
        add_operations(self._api, performer)
        self._front = Express(self._api, performer) if deployment.settings.express else self._api

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        if scope["path"].startswith(SOCKET_IO_PATH):
            return self._socket_io.app(scope, receive, send)
        return self._front(scope, receive, send)

    def drain(self) -> None:
        """Answer all who wait and lease nothing from here on: the server is going to stop."""
        self._api.state.draining = True
        self._store.drain()
        self._dispatcher.drain()

    def openapi(self) -> str:
        """Return the OpenAPI document as it is checked in."""
        return rendered(self._api)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._store.open()
        self._upkeep.open()
        self._dispatcher.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.drain()
        await self._dispatcher.close()
        await self._upkeep.close()
        await self._store.close()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(deployment: Deployment) -> App:
    """Return the application of one service process."""
    return App(deployment)


def openapi_document() -> bytes:
    """Return the OpenAPI document of this version, which is the same whatever the settings."""
    deployment = Deployment(Settings(), "postgresql://nowhere/none", "postgresql://nowhere/none", "0" * 20, b"0" * 32)
    return create_app(deployment).openapi().encode()
