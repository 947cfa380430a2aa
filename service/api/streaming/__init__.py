"""Streams: WebSocket, Socket.IO and server-sent events."""
