"""uvicorn's WebSocket protocol, with fixes for connections that stay open and for errors in the log."""

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

# A client that does not answer the close frame in this time is disconnected, so that the process can exit.
_CLOSE_SECONDS = 5.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """The WebSocket protocol of a connection."""

    def data_received(self, data: bytes) -> None:
        """Process received data. The first call has the complete handshake, which `protocol.Protocol` has checked."""
        super().data_received(data)
        if not self.handshake_initiated:
            # The library refused the handshake; uvicorn then neither sends its response nor closes.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: "ASGISendEvent") -> None:
        """Send an event of the application."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # Otherwise uvicorn logs an error for every refusal, and an anonymous client could fill the log.
            self.handshake_complete = True

    def shutdown(self) -> None:
        """Close the connection, because the server is stopping."""
        super().shutdown()
        self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)
