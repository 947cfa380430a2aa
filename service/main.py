"""Composition root: settings → database → app → loops."""

from starlette.types import Message, Receive, Scope, Send

from service.api.express import Express
from service.api.operations import Performer, add_operations
from service.auth.keyring import Keyring
from service.settings import Deployment
from service.store.store import Store


class App:
    """One service process as an ASGI application. Nothing is opened before the server starts it."""

    def __init__(self, deployment: Deployment) -> None:
        from fastapi import FastAPI
        self._store = Store(deployment)
        self._keyring = Keyring(self._store, deployment.root_key)
        performer = Performer(self._store, self._keyring)
        api = FastAPI()
        add_operations(api, performer)
        self._front = Express(api, performer) if deployment.settings.express else api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._front(scope, receive, send)

    def drain(self) -> None:
        """Answer all who wait and lease nothing from here on: the server is going to stop."""
        self._store.drain()

    async def _live(self, receive: Receive, send: Send) -> None:
        message: Message = await receive()
        await self._store.open()
        await send({"type": "lifespan.startup.complete"})
        message = await receive()
        self.drain()
        await self._store.close()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(deployment: Deployment) -> App:
    """Return the application of one service process."""
    return App(deployment)
