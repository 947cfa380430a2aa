"""uvicorn with a prompt shutdown: the original polls ten times a second for the request to stop, and then sleeps."""

import asyncio
import contextlib
import socket

import uvicorn

_TICK_SECONDS = 1.0
_LOOK_SECONDS = 0.01


class PromptServer(uvicorn.Server):
    """A server that starts to stop at once, and has stopped as soon as the last connection is closed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told_to_stop = asyncio.Event()

    def stop(self) -> None:
        """Stop the server; must be called in the event loop."""
        self.should_exit = True
        self._told_to_stop.set()

    async def main_loop(self) -> None:
        """Update the Date header of responses every second, until `stop` is called."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._told_to_stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, wait a limited time for running requests, then shut down the application."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._all_ended()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _all_ended(self) -> None:
        state = self.server_state
        while (state.connections or state.tasks) and not self.force_exit:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_LOOK_SECONDS)
        for server in self.servers:
            await server.wait_closed()
