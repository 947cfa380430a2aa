"""Raw requests that are out of the ordinary, each with the answers that a client must get before the connection ends.

What is refused ends the connection. Behind everything else a last request is sent, which has to be answered as itself:
if what came before was cut at another place than its sender thought, this one shows it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.in_process import ROOT_KEY

KIB = 1024
# What no request of these may do: it stands where a server that misreads a boundary would find a request.
SMUGGLED = (
    "PUT /v1/queues/smuggled HTTP/1.1\r\n"
    f"Host: restante\r\nAuthorization: Bearer {ROOT_KEY}\r\nContent-Length: 0\r\n\r\n"
).encode()
LAST = b"GET /healthz HTTP/1.1\r\nHost: restante\r\nConnection: close\r\n\r\n"

HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {'A' * 22}==",
)


class Form(NamedTuple):
    """Bytes to send, and status and a part of the body of each answer."""

    name: str
    data: bytes
    answers: list[tuple[int, str]]


def head(line: str, *headers: str) -> bytes:
    """Return a head with the root key; what follows is the caller's."""
    lines = [line, "Host: restante", f"Authorization: Bearer {ROOT_KEY}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def refused(name: str, data: bytes, status: int = 400, code: str = "malformed_request") -> Form:
    """Return a form that is refused; whatever follows on the connection is not read."""
    return Form(name, data, [(status, f'"code":"{code}"')])


def served(name: str, data: bytes, *answers: tuple[int, str]) -> Form:
    """Return a form that is served, with the last request behind it."""
    return Form(name, data + LAST, [*answers, (200, '"ok"')])


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return chunks, and what ends them."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


_PUT = "PUT /v1/queues/q HTTP/1.1"
_FIFO = b'{"type":"fifo"}'
_IS_FIFO = (201, '"type":"fifo"')
_LENGTH = f"Content-Length: {len(_FIFO)}"
_CHUNKED = "Transfer-Encoding: chunked"
_RAW = "POST /v1/queues/there/raw HTTP/1.1"
_SENT = (201, '"duplicate":false')


def offers() -> Iterator[Form]:
    """Offers of other protocols are ignored, and the request counts (RFC 9110, section 7.8)."""
    for offer in ("h2c", "H2C", "TLS/1.0", "HTTP/2.0", "IRC/6.9, RTA/x11", "h2c, foo", "websockets", "xwebsocket", ""):
        for connection in ("Upgrade", "Upgrade, HTTP2-Settings", "keep-alive, upgrade"):
            headers = (f"Connection: {connection}", f"Upgrade: {offer}", "HTTP2-Settings: AAMAAABkAAQAAP__")
            yield served(f"{offer!r} with {connection}", head(_PUT, *headers, _LENGTH) + _FIFO, _IS_FIFO)
    h2c = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    yield served("h2c, chunked", head(_PUT, *h2c, _CHUNKED) + chunked(_FIFO[:5], _FIFO[5:]), _IS_FIFO)
    yield served("h2c, raw", head(_RAW, *h2c, "Content-Length: 3") + b"abc", _SENT)
    yield served(
        "h2c twice", head(_PUT, *h2c, _LENGTH) + _FIFO + head(_PUT, *h2c, "Content-Length: 2") + b"{}", _IS_FIFO,
        (200, '"type":"fifo"'),
    )  # fmt: skip
    yield served("h2c without a body", head("GET /v1/queues/there HTTP/1.1", *h2c), (200, '"name":"there"'))
    yield served(
        "h2c with a request in its body", head(_RAW, *h2c, f"Content-Length: {len(SMUGGLED)}") + SMUGGLED, _SENT
    )
    yield served("an offer without Connection", head(_PUT, "Upgrade: websocket", _LENGTH) + _FIFO, _IS_FIFO)


def handshakes() -> Iterator[Form]:
    """A WebSocket handshake is a GET without a body (RFC 6455, section 4.1)."""
    _, _, version, key = offer = HANDSHAKE
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        yield refused(f"{method}", head(f"{method} /v1/queues/there/stream HTTP/1.1", *offer))
        yield refused(f"{method} with a body", head(f"{method} / HTTP/1.1", *offer, "Content-Length: 1") + b"x")
    stream = "GET /v1/queues/there/stream HTTP/1.1"
    yield refused("GET with a length", head(stream, *offer, f"Content-Length: {len(SMUGGLED)}") + SMUGGLED)
    yield refused("GET, chunked", head(stream, *offer, _CHUNKED) + chunked(b"x"))
    yield refused("of HTTP/1.0", head(stream.replace("1.1", "1.0"), *offer))
    yield refused("one of several offers", head(stream, offer[0], "Upgrade: h2c, WebSocket", version, key))
    yield refused("two offers", head(stream, *offer, "Upgrade: h2c"))
    for name, wrong in {
        "no": "X: 1",
        "a short": key[:-4],
        "not base64": key.replace("AA", "!!"),
        "two": f"{key}\r\n{key}",
    }.items():
        yield refused(f"{name} key", head(stream, *offer[:3], wrong))
    for name, wrong in {"no": "X: 1", "an old": "Sec-WebSocket-Version: 8", "two": f"{version}\r\n{version}"}.items():
        yield refused(f"{name} version", head(stream, *offer[:2], wrong, key), 426, "upgrade_required")
    too_large = (431, "head_too_large")
    yield refused("a header of 9 KiB", head(stream, *offer, f"X: {'a' * 9 * KIB}"), *too_large)
    yield refused("a path of 9 KiB", head(f"GET /{'a' * 9 * KIB} HTTP/1.1", *offer), *too_large)
    yield Form("another path", head("GET /healthz HTTP/1.1", *offer), [(404, "not_found")])
    wrong_key = head(stream, *offer).replace(ROOT_KEY.encode(), b"wrong")
    yield Form("a wrong key of the service", wrong_key, [(401, "unauthenticated")])


def versions() -> Iterator[Form]:
    """HTTP/1.1 and HTTP/1.0 are spoken, nothing else (RFC 9110, section 15.6.6)."""
    for version in ("2.0", "0.9"):
        for path in ("/", "/healthz", "/v1/queues"):
            yield refused(f"{version} {path}", head(f"GET {path} HTTP/{version}"), 505, "http_version_not_supported")
    for version in ("1.2", "3.0", "9.9", "1.10", "11", "1", "x"):
        yield refused(version, head(f"GET / HTTP/{version}"))
    yield refused("a simple request", b"GET /healthz\r\n\r\n", 505, "http_version_not_supported")
    yield refused("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    yield refused("another protocol", head("GET / http/1.1"))
    yield refused("a tunnel", head("CONNECT restante:443 HTTP/1.1") + SMUGGLED, 501, "not_implemented")
    yield Form("1.0", head("GET /v1/queues/there HTTP/1.0"), [(200, '"name":"there"')])


def lines() -> Iterator[Form]:
    """A head is lines that end with CR LF, each a name, a colon and a value (RFC 9112, sections 2.2, 5.1, 5.2)."""
    bare = b"GET /healthz HTTP/1.1\nHost: restante\n\n"
    yield refused("bare LF", bare + SMUGGLED)
    for name, broken in {
        "LF after a header": "X: 1\nY: 2",
        "CR in a header": "X: 1\rY: 2",
        "a folded line": "X: 1\r\n more",
        "a line folded by a tab": "X: 1\r\n\tmore",
        "a blank before the colon": "X : 1",
        "a header without colon": "X",
        "a header without name": ": 1",
        "a blank in a name": "X Y: 1",
        "a control character in a name": "X\x01: 1",
        "a delimiter in a name": "X@(): 1",
        "NUL in a value": "X: a\x00b",
        "a control character in a value": "X: a\x01b",
        "DEL in a value": "X: a\x7fb",
        "a smuggled header": "X: a\r\n\r: b",
    }.items():
        yield refused(name, head(_PUT, broken, _LENGTH) + _FIFO)
    yield refused("a first line that is folded", b"GET /healthz HTTP/1.1\r\n Host: restante\r\n\r\n")
    for name, line in {
        "a tab for a blank": "GET\t/healthz HTTP/1.1",
        "a blank at the end": "GET /healthz HTTP/1.1 ",
        "a blank in the target": "GET /heal thz HTTP/1.1",
        "NUL in the target": "GET /heal\x00thz HTTP/1.1",
        "a byte that is not ASCII": "GET /v1/queues/\xfc HTTP/1.1",
        "no target": "GET HTTP/1.1",
        "a target without slash": "GET healthz HTTP/1.1",
        "a method in lower case": "get /healthz HTTP/1.1",
        "a method that does not exist": "FETCH /healthz HTTP/1.1",
        "a method with a colon": "GE:T /healthz HTTP/1.1",
        "nothing but a version": "HTTP/1.1",
    }.items():
        yield refused(name, head(line))
    yield served("empty lines first", b"\r\n\r\n" + head("GET /v1/queues/there HTTP/1.1"), (200, '"name":"there"'))
    yield served("a whole URL", head("GET http://restante/v1/queues/there HTTP/1.1"), (200, '"name":"there"'))
    yield served("blanks around a value", head(_PUT, f"Content-Length:  \t{len(_FIFO)} \t") + _FIFO, _IS_FIFO)
    yield served("no value", head(_PUT, "X:", _LENGTH) + _FIFO, _IS_FIFO)
    yield served("an asterisk", head("OPTIONS * HTTP/1.1"), (404, "not_found"))
    yield served("no host", b"GET /healthz HTTP/1.1\r\n\r\n", (400, "malformed_request"))
    yield served("two hosts", head("GET /healthz HTTP/1.1", "Host: other"), (400, "malformed_request"))


def lengths() -> Iterator[Form]:
    """A body has one length that can be told (RFC 9112, section 6.3)."""
    lengths_of: dict[str, tuple[str, ...]] = {
        "two lengths": ("Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"),
        "the same length twice": ("Content-Length: 3", "Content-Length: 3"),
        "a list of lengths": ("Content-Length: 3, 3",),
        "a sign": ("Content-Length: +3",),
        "a negative length": ("Content-Length: -3",),
        "a length in hex": ("Content-Length: 0x3",),
        "a length with a blank": ("Content-Length: 1 3",),
        "a decimal length": ("Content-Length: 3.0",),
        "an empty length": ("Content-Length:",),
        "a length beyond 64 bits": ("Content-Length: 18446744073709551619",),
        "a length and chunks": ("Content-Length: 3", _CHUNKED),
        "chunks and a length": (_CHUNKED, "Content-Length: 3"),
        "a length and a coding": ("Content-Length: 3", "Transfer-Encoding: gzip"),
    }
    for name, headers in lengths_of.items():
        yield refused(name, head(_RAW, *headers) + b"0\r\n\r\n" + SMUGGLED)
    yield served("a body of a GET", head("GET /v1/queues/there HTTP/1.1", "Content-Length: 3") + b"abc", (200, "there"))
    length = f"Content-Length: {len(SMUGGLED)}"
    yield served("a request in the body of a GET", head("GET /healthz HTTP/1.1", length) + SMUGGLED, (200, "ok"))
    yield served("a request in a body", head(_RAW, length) + SMUGGLED, _SENT)
    yield served(
        "a request in the body of an unknown path", head("POST /x HTTP/1.1", length) + SMUGGLED, (404, "not_found")
    )


def codings() -> Iterator[Form]:
    """`chunked` is the one transfer coding that is read (RFC 9112, section 6.1)."""
    for name, value in {"gzip": "gzip, chunked", "deflate": "deflate,chunked", "two": "gzip, br, chunked"}.items():
        data = head(_RAW, f"Transfer-Encoding: {value}") + chunked(b"abc") + SMUGGLED
        yield refused(name, data, 501, "not_implemented")
    for value in (
        "gzip",
        "identity",
        "chunked, gzip",
        "chunked, chunked",
        "chunked, identity",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        '"chunked"',
        "chunked\x0b",
        "\x0bchunked",
        "cow",
    ):
        yield refused(repr(value), head(_RAW, f"Transfer-Encoding: {value}") + chunked(b"abc") + SMUGGLED)
    yield refused("twice", head(_RAW, _CHUNKED, _CHUNKED) + chunked(b"abc"))
    yield refused("twice, one of them empty", head(_RAW, _CHUNKED, "Transfer-Encoding: identity") + chunked(b"abc"))
    yield refused("a name with a blank", head(_RAW, "Transfer-Encoding : chunked") + chunked(b"abc"))
    yield refused("of HTTP/1.0", head(_RAW.replace("1.1", "1.0"), _CHUNKED) + chunked(b"abc") + SMUGGLED)
    yield served("in capitals", head(_PUT, "Transfer-Encoding: CHUNKED") + chunked(_FIFO), _IS_FIFO)


def chunks() -> Iterator[Form]:
    """A chunked body is chunks with their sizes in hex, each ended by CR LF (RFC 9112, section 7.1)."""
    for name, data in {
        "LF after the size": b"3\nabc\r\n0\r\n\r\n",
        "LF after the data": b"3\r\nabc\n0\r\n\r\n",
        "LF at the end": b"3\r\nabc\r\n0\n\n",
        "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
        "a negative size": b"-3\r\nabc\r\n0\r\n\r\n",
        "a blank after the size": b"3 \r\nabc\r\n0\r\n\r\n",
        "a blank before the size": b" 3\r\nabc\r\n0\r\n\r\n",
        "a size beyond 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        "no size": b"\r\nabc\r\n0\r\n\r\n",
        "not hex": b"g\r\nabc\r\n0\r\n\r\n",
        "more than the size": b"3\r\nabcd\r\n0\r\n\r\n",
        "LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        "CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
        "an extension of 1 MB": b"3;" + b"a" * 1024 * KIB + b"\r\nabc\r\n0\r\n\r\n",
        "an extension's value of 1 MB": b"3;a=" + b"a" * 1024 * KIB + b"\r\nabc\r\n0\r\n\r\n",
        "an extension of 1 MB at the end": b"3\r\nabc\r\n0;" + b"a" * 1024 * KIB + b"\r\n\r\n",
    }.items():
        yield refused(name, head(_RAW, _CHUNKED) + data + SMUGGLED)
    yield served("capitals", head(_RAW, _CHUNKED) + b"A\r\n0123456789\r\n0\r\n\r\n", _SENT)
    yield served("zeros", head(_RAW, _CHUNKED) + b"0003\r\nabc\r\n000\r\n\r\n", _SENT)
    yield served("extensions", head(_RAW, _CHUNKED) + b'3;a;b=c;d="e f"\r\nabc\r\n0;g\r\n\r\n', _SENT)
    yield served("a request in a chunk", head(_RAW, _CHUNKED) + chunked(b"a", SMUGGLED), _SENT)
    yield served("nothing", head(_RAW, _CHUNKED) + chunked(), _SENT)
    many = chunked(*[b"x"] * 5000)
    yield served("5,000 of a byte each", head(_RAW, _CHUNKED) + many, _SENT)


def trailers() -> Iterator[Form]:
    """Trailers are never headers (RFC 9110, section 6.5.1)."""
    without_key = b"PUT /v1/queues/q HTTP/1.1\r\nHost: restante\r\nTransfer-Encoding: chunked\r\n\r\n"
    for trailer in (f"Authorization: Bearer {ROOT_KEY}", f"authorization: bearer {ROOT_KEY}"):
        end = f"0\r\n{trailer}\r\n\r\n".encode()
        yield served(f"{trailer[:13]} in a trailer", without_key + chunked(_FIFO, end=end), (401, "unauthenticated"))
    for trailer in (
        "Host: other",
        "Restante-Project: none",
        "Content-Encoding: gzip",
        "Expect: x",
        "Upgrade: websocket",
    ):
        end = f"0\r\n{trailer}\r\n\r\n".encode()
        yield served(trailer, head(_PUT, _CHUNKED) + chunked(_FIFO, end=end), _IS_FIFO)
    for trailer in ("Content-Length: 100", "Transfer-Encoding: chunked"):
        end = f"0\r\n{trailer}\r\n\r\n".encode()
        yield refused(trailer, head(_PUT, _CHUNKED) + chunked(_FIFO, end=end) + SMUGGLED)
    lines = b"".join(b"X-%d: 1\r\n" % number for number in range(20_000))
    yield refused("20,000 trailers", head(_RAW, _CHUNKED) + chunked(b"abc", end=b"0\r\n" + lines + b"\r\n"))
    long = b"0\r\nX: " + b"a" * 1024 * KIB + b"\r\n\r\n"
    yield refused("a trailer of 1 MB", head(_RAW, _CHUNKED) + chunked(b"abc", end=long))
    yield refused("a trailer that is folded", head(_RAW, _CHUNKED) + chunked(b"abc", end=b"0\r\nX: 1\r\n 2\r\n\r\n"))


def sizes() -> Iterator[Form]:
    """A head has at most 64 KiB and 100 lines, whether it ends or not."""
    too_large = (431, "head_too_large")
    for size in (66 * KIB, 300 * KIB, 1024 * KIB):
        yield refused(f"a header of {size}", head(_PUT, f"X: {'a' * size}", _LENGTH) + _FIFO, *too_large)
        yield refused(f"a header of {size} that does not end", head(_PUT, f"X: {'a' * size}")[:-4], *too_large)
        yield refused(f"a name of {size}", head(_PUT, f"{'a' * size}: 1"), *too_large)
        yield refused(f"a target of {size}", head(f"GET /{'a' * size} HTTP/1.1"), *too_large)
        yield refused(f"a target of {size} that does not end", b"GET /" + b"a" * size, *too_large)
    yield refused("65 headers of 1 KiB", head(_PUT, *[f"X: {'a' * KIB}"] * 65), *too_large)
    for count in (101, 1000, 20_000):
        yield refused(f"{count} headers", head(_PUT, *[f"X-{number}: 1" for number in range(count)]), *too_large)
    yield refused("20,000 empty headers", head(_PUT, *["X:"] * 20_000), *too_large)
    yield refused("blank lines without end", b"\r\n" * 100 * KIB, *too_large)
    yield served("97 more headers", head(_PUT, *[f"X-{number}: 1" for number in range(97)], _LENGTH) + _FIFO, _IS_FIFO)
    yield served("a header of 60 KiB", head(_PUT, f"X: {'a' * 60 * KIB}", _LENGTH) + _FIFO, _IS_FIFO)


def pipelines() -> Iterator[Form]:
    """Requests of one connection are answered in their order, and what cannot be read behind them (RFC 9112, 9.3.2)."""
    there = head("GET /v1/queues/there HTTP/1.1")
    put = head(_PUT, _LENGTH) + _FIFO
    receive = head("POST /v1/queues/empty/messages/receive HTTP/1.1", "Content-Length: 12") + b'{"wait":0.2}'
    yield served("three", there + put + there, (200, "there"), _IS_FIFO, (200, "there"))
    yield served("behind a receive that waits", receive + there, (200, '"messages":[]'), (200, "there"))
    yield Form("nonsense behind", there + b"nonsense\r\n\r\n", [(200, "there"), (400, "malformed_request")])
    yield Form("nonsense behind a wait", receive + b"\x00", [(200, '"messages":[]'), (400, "malformed_request")])
    broken = head(_RAW, _CHUNKED) + b"3\r\nabcd"
    yield Form("a broken body behind", there + broken, [(200, "there"), (400, "malformed_request")])
    handshake = head("GET /v1/queues/there/stream HTTP/1.1", *HANDSHAKE)
    yield Form("a handshake behind a wait", receive + handshake, [(200, '"messages":[]'), (400, "malformed_request")])
    yield served("2,000", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 2000, *[(200, "ok")] * 2000)
    closing = head("GET /v1/queues/there HTTP/1.1", "Connection: close")
    yield Form("behind a last one", closing + SMUGGLED, [(200, "there")])


GROUPS = {
    group.__name__: group
    for group in (offers, handshakes, versions, lines, lengths, codings, chunks, trailers, sizes, pipelines)
}
