"""A proxy on which the first four requests of each kind fail."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_CUT = b""
_FAILURES = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 502 Bad Gateway\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n",
    _CUT,
)


@contextlib.contextmanager
def bad_road(far: httpx.Client) -> Iterator[str]:
    """Return the URL of a proxy in front of what the client speaks to."""
    requests: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = f"{self.command} {self.path.rpartition('/')[2] if self.command == 'POST' else ''}"
            failure = _FAILURES[requests[kind]] if requests[kind] < len(_FAILURES) else None
            requests[kind] += 1
            self.close_connection = failure == _CUT
            # A receive is cut off before it is done, a settle when it is done.
            if failure == _CUT and "/receipts/" in self.path:
                far.request(self.command, self.path, content=body)
            if failure is not None:
                self.wfile.write(failure)
                return
            answer = far.request(self.command, self.path, content=body)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_PATCH = do_DELETE = do_POST  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
