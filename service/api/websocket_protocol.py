"""uvicorn's WebSocket protocol, which knows a handshake that was refused for one that was answered."""

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """What the service speaks WebSocket with."""

    async def send(self, message: "ASGISendEvent") -> None:
        """Send what the application says."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # Else uvicorn logs an error for each refusal: whoever has no key could fill the log.
            self.handshake_complete = True
