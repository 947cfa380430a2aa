"""Hostile messages, names and responses are shown as text and have no other effect."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)

MARK = "window.hostile=(window.hostile||0)+1"
_SCRIPTS = [
    f"<script>{MARK}</script>",
    f"<img src=x onerror='{MARK}'>",
    f'"><svg onload="{MARK}">',
    f"'-{MARK}-'",
    f"javascript:{MARK}",
    f"${{{MARK}}}",
    f"{{{{constructor.constructor('{MARK}')()}}}}",
    f"</textarea><script>{MARK}</script>",
    f"</title></style></noscript><iframe srcdoc='<script>parent.{MARK}</script>'>",
    f'<a href="javascript:{MARK}">x</a>',
    f"<math><mtext><table><mglyph><style><img src=x onerror={MARK}>",
    f"<form action=javascript:{MARK}><button>x</button></form>",
    f"<body onload={MARK}>",
    f"<details open ontoggle={MARK}>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{display:none}</style>",
    "__proto__",
    "constructor",
]
_LAYOUT = [
    "x" * 4000,
    "\u202e gnirts desrever",
    "Z\u0351\u036b\u0343" * 300,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 200,
    "\uff41" * 500,
    "\u200b" * 2000,
    " " * 3000 + "end",
]
_DEEP = [f"{'[' * 500}{']' * 500}", '{"a":' * 300 + "1" + "}" * 300]
_WIDE = [
    # A few hundred kilobytes that grow to hundreds of megabytes when each item is indented on its own line.
    "[" * 800 + ",".join("0" for _ in range(110_000)) + "]" * 800,
    "[" + ",".join("0" for _ in range(60_000)) + "]",
    '{"__proto__": 1, "__proto__": 2, "toString": 3}',
]
TEXTS = _SCRIPTS + _LAYOUT
# Each text as a body, a name in a body, a header, a group and an error: more than a hundred.
HOSTILE = 5 * len(TEXTS) + len(_DEEP) + len(_WIDE)


@pytest.fixture
def receiver() -> Iterator[str]:
    """Answer webhooks with markup."""
    page = f"<html><script>{MARK}</script><img src=x onerror={MARK}>{'y' * 3000}".encode()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(500)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def harmless(dashboard: Dashboard) -> None:
    """Fail if a script has run, or if the page is wider than its window or does not respond."""
    assert dashboard.page.evaluate("window.hostile") is None
    made = "#app :is(script, iframe, base, img, style, meta, link, math, [onerror], [onload], [href^='javascript:'])"
    assert dashboard.page.locator(made).count() == 0
    assert dashboard.overflow() <= 0


def test_hostile_bodies_headers_groups_and_errors_are_only_shown(dashboard: Dashboard, client: httpx.Client) -> None:
    assert HOSTILE > 100
    client.put("/v1/queues/dead", json={"type": "fifo"})
    client.put("/v1/queues/q", json={"type": "fifo", "dead_letter": {"queue": "dead", "max_receives": 1}})
    sent = [{"body": {text: text}, "headers": {"x": header(text)}, "group": group(text) or "g"} for text in TEXTS]
    client.post("/v1/queues/q/messages/batch", json={"messages": sent}).raise_for_status()
    for text in TEXTS:
        [message] = client.post("/v1/queues/q/messages/receive").json()["messages"]
        client.post(f"/v1/receipts/{message['receipt']}/reject", json={"error": short(text)}).raise_for_status()
    client.post("/v1/queues/q/messages/batch", json={"messages": sent}).raise_for_status()
    for raw in (*_DEEP, *_WIDE):
        answer = client.post("/v1/queues/q/messages", content=f'{{"body": {raw}}}')
        answer.raise_for_status()

    views = [
        *(
            "/queues/q/messages",
            "/queues/q/groups",
            "/queues/dead/dead-letters",
            "/queues/dead/messages",
            "/dead-letters",
        ),
        *(
            f"/queues/q/messages/{item['id']}"
            for item in client.get("/v1/queues/q/messages?limit=1000").json()["items"]
        ),
        *(f"/queues/dead/messages/{item['id']}" for item in client.get("/v1/queues/dead/messages").json()["items"]),
    ]
    for view in views:
        dashboard.open(view)
        harmless(dashboard)
    # The last ones are deep and wide, so show them as text too.
    for item in client.get("/v1/queues/q/messages?limit=1000").json()["items"][-len(_DEEP + _WIDE) :]:
        dashboard.open(f"/queues/q/messages/{item['id']}")
        for view in ("Text", "Hex", "Tree"):
            dashboard.press(view)
            harmless(dashboard)
    dashboard.page.set_viewport_size({"width": 390, "height": 844})
    for view in views[:8]:
        dashboard.open(view)
        harmless(dashboard)


def short(text: str) -> str:
    return text.encode()[:4000].decode(errors="ignore")


def header(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:2000]


def group(text: str) -> str:
    return text[:128]


def test_a_hostile_message_survives_edit_and_send_again_and_its_views(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    body = f'{{"n": 1e400, "big": 12345678901234567890, "s": "{_SCRIPTS[0]}\\u0000\\ud800", "s": 2}}'
    client.post("/v1/queues/q/messages", content=f'{{"body": {body}}}').raise_for_status()
    octets = bytes(range(256)) * 40
    client.post("/v1/queues/q/messages", json={"body_base64": base64.b64encode(octets).decode()}).raise_for_status()
    first, second = client.get("/v1/queues/q/messages").json()["items"]
    page = dashboard.page
    dashboard.open(f"/queues/q/messages/{second['id']}")
    expect(page.get_by_text("00000010")).to_be_visible()
    dashboard.press("Text")
    dashboard.open(f"/queues/q/messages/{first['id']}")
    dashboard.press("As curl")
    expect(page.get_by_text("12345678901234567890").first).to_be_visible()
    for view in ("Text", "Hex", "Tree"):
        dashboard.press(view)
    harmless(dashboard)
    dashboard.press("Edit and send again")
    dashboard.press("Send", within=dashboard.dialog())
    expect(page.get_by_text("Sent.")).to_be_visible()
    again = client.get("/v1/queues/q/messages").json()["items"][2]
    assert body in client.get(f"/v1/queues/q/messages/{again['id']}").text


def test_hostile_labels_key_names_and_webhook_answers_are_only_shown(
    dashboard: Dashboard, client: httpx.Client, receiver: str
) -> None:
    labels = {f"l{n}": text[:100] for n, text in enumerate(_SCRIPTS)}
    client.put("/v1/queues/q", json={"labels": labels}).raise_for_status()
    client.put("/v1/queues/" + "q" * 128).raise_for_status()
    for text in _SCRIPTS:
        client.post("/v1/keys", json={"name": text[:100], "scopes": ["send"]}).raise_for_status()
    hook = {"url": receiver, "retry": {"delays": []}, "on_exhausted": "block"}
    client.put("/v1/queues/q/webhooks/w", json=hook).raise_for_status()
    page = dashboard.page
    dashboard.open("/queues/q/webhooks/w")
    dashboard.press("Send a test")
    expect(dashboard.dialog()).to_contain_text("Answered 500")
    expect(dashboard.dialog()).to_contain_text("<script>")
    harmless(dashboard)
    client.post("/v1/queues/q/messages", json={"body": 1})
    dashboard.open("/queues/q/webhooks/w")
    expect(dashboard.row("500")).to_contain_text("failed")
    page.get_by_role("button", name="500").click()
    expect(dashboard.dialog()).to_contain_text("onerror")
    harmless(dashboard)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for view in ("/queues", "/queues/q", "/queues/q/settings", f"/queues/{'q' * 128}", "/keys", "/webhooks"):
            dashboard.open(view)
            harmless(dashboard)
