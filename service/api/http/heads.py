"""Checks of a request's head (request line and headers), made before authentication (RFC 9110, RFC 9112).

The parser (llhttp in strict mode) has already refused bare LF, folded lines, duplicate lengths, and a length beside a
transfer coding.
"""

import re
from collections.abc import Iterator, Sequence

from service.errors import HeadTooLarge, MalformedRequest, NotImplementedHere, UpgradeRequired, VersionNotSupported

HeadLines = Sequence[tuple[bytes, bytes]]

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADER_LINES = 100

# A colon, a space, CR and LF.
_LINE_OVERHEAD = 4
# The websockets library accepts lines of up to 8192 bytes.
_MAX_HANDSHAKE_LINE = 8000

_is_handshake_key = re.compile(rb"[A-Za-z0-9+/]{22}==").fullmatch


def check_head(method: bytes, version: str, url: bytes, headers: HeadLines, *, upgrade: bool) -> None:
    """Raise a Problem if no request with this head can be served.

    `upgrade`: the head has both `Upgrade` and `Connection: upgrade`.
    """
    if version not in {"1.0", "1.1"}:
        raise VersionNotSupported
    if method == b"CONNECT":
        raise NotImplementedHere("CONNECT is not supported: this server is not a proxy.")
    codings = list(_tokens(headers, b"transfer-encoding"))
    if codings:
        _check_transfer(version, codings)
    if upgrade and asks_for_websocket(headers):
        _check_handshake(method, version, url, headers)


def check_size(url: bytes, headers: HeadLines) -> None:
    """Raise HeadTooLarge if the head exceeds MAX_HEAD_BYTES."""
    if len(url) + sum(len(name) + len(value) + _LINE_OVERHEAD for name, value in headers) > MAX_HEAD_BYTES:
        raise HeadTooLarge(f"The request line and headers may have at most {MAX_HEAD_BYTES} bytes. Send shorter ones.")


def asks_for_websocket(headers: HeadLines) -> bool:
    """Return whether an `Upgrade` header offers WebSocket; other protocols are ignored (RFC 9110, section 7.8)."""
    return b"websocket" in _tokens(headers, b"upgrade")


def _check_transfer(version: str, codings: list[bytes]) -> None:
    """Refuse a body without a detectable end, or with a coding besides chunked (RFC 9112, sections 6.1 and 6.3)."""
    if version == "1.0" or codings[-1] != b"chunked":
        raise MalformedRequest("The end of the body is unknown. Send Content-Length, or `chunked` last in HTTP/1.1.")
    if codings != [b"chunked"]:
        raise NotImplementedHere("The only supported Transfer-Encoding is `chunked`. Send the body unencoded.")


def _check_handshake(method: bytes, version: str, url: bytes, headers: HeadLines) -> None:
    """Refuse an invalid WebSocket handshake (RFC 6455, section 4.2.1)."""
    has_body = any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
    )
    if method != b"GET" or version != "1.1" or has_body or [*_tokens(headers, b"upgrade")] != [b"websocket"]:
        raise MalformedRequest("A WebSocket handshake must be an HTTP/1.1 GET without a body, for `websocket` only.")
    if max(len(url), *(len(name) + len(value) for name, value in headers)) > _MAX_HANDSHAKE_LINE:
        raise HeadTooLarge(f"Each line of a WebSocket handshake may have at most {_MAX_HANDSHAKE_LINE} bytes.")
    if [*_tokens(headers, b"sec-websocket-version")] != [b"13"]:
        raise UpgradeRequired
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_handshake_key(keys[0]):
        raise MalformedRequest("A WebSocket handshake must have exactly one Sec-WebSocket-Key: 16 bytes in base64.")


def _tokens(headers: HeadLines, wanted: bytes) -> Iterator[bytes]:
    for name, value in headers:
        if name == wanted:
            yield from (token for part in value.lower().split(b",") if (token := part.strip()))
