"""A queue's screen says in one sentence why its oldest message is not being delivered, and offers a remedy."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.dashboard.browsing import Dashboard, refusal
from tests.dashboard.long_names import NAME
from tests.dashboard.test_layout import SIZES

pytestmark = pytest.mark.timeout(240)

# There is no receiver on this port, so each attempt fails at once.
HOOK: dict[str, Any] = {"url": "http://127.0.0.1:9/", "retry": {"delays": [], "jitter": 0}}


@pytest.fixture
def note(dashboard: Dashboard, client: httpx.Client) -> Locator:
    """Create a queue `q`, and return the note on its screen."""
    client.put("/v1/queues/q").raise_for_status()
    return dashboard.page.get_by_role("note")


@pytest.fixture
def busy_receiver() -> Iterator[str]:
    """Start a receiver that asks for a pause of an hour, and return its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503)
            self.send_header("Retry-After", "3600")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def send(client: httpx.Client, **fields: object) -> str:
    """Send a message to `q`, and return its id."""
    answer = client.post("/v1/queues/q/messages", json={"body": 1, **fields}).raise_for_status()
    return str(answer.json()["id"])


def push(client: httpx.Client, **fields: object) -> None:
    """Add the webhook `shop` to `q`."""
    client.put("/v1/queues/q/webhooks/shop", json=HOOK | fields).raise_for_status()


def until_it_rests(client: httpx.Client) -> None:
    """Wait until the webhook `shop` takes no messages, so that the screen shows the final state."""
    ends = time.monotonic() + 20
    while client.get("/v1/queues/q/webhooks/shop").json()["state"] == "active":
        assert time.monotonic() < ends, "the webhook goes on"
        time.sleep(0.02)


def receive(client: httpx.Client, most: int = 1) -> list[str]:
    """Lease messages of `q` for an hour, and return their receipts."""
    asked = {"max_messages": most, "visibility_timeout": 3600}
    answer = client.post("/v1/queues/q/messages/receive", json=asked).raise_for_status()
    return [message["receipt"] for message in answer.json()["messages"]]


def test_a_paused_queue_says_so_and_is_resumed_from_there(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    client.patch("/v1/queues/q", json={"paused": True})
    push(client)
    send(client, delay=600)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("Nothing is being delivered: the queue is paused. The oldest message was sent")
    dashboard.press("Resume", within=note)
    expect(note).not_to_contain_text("paused")
    assert client.get("/v1/queues/q").json()["paused"] is False


def test_an_open_circuit_names_the_last_failure_though_the_oldest_message_waits_for_its_retry(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    push(client, retry={"delays": [0.01] * 9 + [3600], "jitter": 0})
    send(client)
    until_it_rests(client)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("Nothing is being delivered: webhook shop has an open circuit. The last ten attempts")
    expect(note).to_contain_text("connection_error”")
    dashboard.press("Resume", within=note)
    expect(note).to_contain_text("The oldest message is waiting: it is delayed until")
    assert client.get("/v1/queues/q/webhooks/shop").json()["state"] == "active"


def test_a_receivers_retry_after_is_named_with_its_end(
    dashboard: Dashboard, client: httpx.Client, note: Locator, busy_receiver: str
) -> None:
    push(client, url=busy_receiver)
    send(client)
    until_it_rests(client)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("webhook shop is paused. Its receiver asked for a pause. Deliveries resume at")
    expect(note.get_by_role("button", name="Resume")).to_be_visible()


def test_a_disabled_webhook_is_enabled_from_there(dashboard: Dashboard, client: httpx.Client, note: Locator) -> None:
    push(client, enabled=False, on_exhausted="block")
    send(client)
    dashboard.open("/queues/q")
    expect(note).to_contain_text(
        "Nothing is being delivered: webhook shop is disabled. It was disabled in its settings."
    )
    dashboard.press("Enable", within=note)
    expect(note).not_to_contain_text("disabled")
    assert client.get("/v1/queues/q/webhooks/shop").json()["enabled"] is True


def test_of_several_webhooks_that_rest_the_one_that_is_free_first_is_named(
    dashboard: Dashboard, client: httpx.Client, note: Locator, busy_receiver: str
) -> None:
    push(client, url=busy_receiver)
    client.put("/v1/queues/q/webhooks/archive", json=HOOK | {"enabled": False}).raise_for_status()
    send(client)
    until_it_rests(client)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("none of its 2 webhooks is taking messages. Webhook shop is paused.")


def test_a_message_that_its_webhook_keeps_is_the_only_one_that_waits(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    push(client, on_exhausted="block")
    send(client)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("The oldest message is waiting: its last attempt failed")
    expect(note.get_by_role("button")).to_have_count(0)
    note.get_by_role("link", name="Retry it from its webhook").click()
    expect(dashboard.row("shop")).to_be_visible()


def test_a_delayed_message_waits_while_others_are_being_delivered(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    send(client, delay=600)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("The oldest message is waiting: it is delayed until")
    expect(note).not_to_contain_text("Other messages")
    send(client)
    receive(client)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("Other messages are being delivered.")


def test_a_group_is_held_by_another_message_or_by_the_oldest_itself(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    client.delete("/v1/queues/q").raise_for_status()
    client.put("/v1/queues/q", json={"type": "fifo"}).raise_for_status()
    send(client, group="customer-17")
    holder = send(client, group="customer-17")
    first, _ = receive(client, 2)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("The oldest message is waiting: the root key holds it until")
    expect(note).to_contain_text("by HTTP receive.")
    expect(note).to_contain_text("Its group is waiting for it.")
    client.post(f"/v1/receipts/{first}/release", json={}).raise_for_status()
    dashboard.open("/queues/q")
    expect(note).to_contain_text(f"The oldest message is waiting: its group is held by {holder}. Other messages")


def test_a_queue_that_no_consumer_asks_says_so_though_the_oldest_message_is_delayed(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    send(client, delay=600)
    send(client)
    asked = {"key_id": None, "key_name": None, "via": "receive", "waiting": 0, "last_asked_at": "2026-01-01T00:00:00Z"}
    dashboard.open("/queues/q")
    expect(note).to_contain_text(
        "Nothing is being delivered: no consumer is asking for messages. There were no requests"
    )
    dashboard.page.route("**/v1/queues/q/consumers", lambda route: route.fulfill(json={"items": [asked]}))
    dashboard.open("/queues/q")
    expect(note).to_contain_text("The last request was")


def test_a_key_that_may_only_browse_is_told_the_reason_and_offered_nothing(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    key = client.post("/v1/keys", json={"name": "viewer", "scopes": ["browse"]}).raise_for_status().json()["secret"]
    send(client)
    push(client, enabled=False)
    dashboard.page.evaluate("sessionStorage.clear()")
    dashboard.sign_in(key)
    dashboard.open("/queues/q")
    expect(note).to_contain_text("Nothing is being delivered: its webhook is disabled.")
    expect(note.get_by_role("button")).to_have_count(0)
    client.delete("/v1/queues/q/webhooks/shop").raise_for_status()
    dashboard.open("/queues/q")
    expect(note).to_contain_text("This key may not see whether the queue has webhooks.")


def test_a_message_that_goes_while_it_is_looked_for_is_no_trouble(
    dashboard: Dashboard, client: httpx.Client, note: Locator
) -> None:
    send(client, delay=600)
    page = dashboard.page
    dashboard.open("/queues/q")
    expect(note).to_contain_text("The oldest message is waiting")
    page.route("**/v1/queues/q/messages/*", lambda route: route.fulfill(**refusal(404, "message_not_found")))
    expect(note).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("config", [{"paused": True}, {}])
def test_the_sentence_and_its_button_fit_beside_the_longest_names(
    dashboard: Dashboard, client: httpx.Client, note: Locator, config: dict[str, bool]
) -> None:
    client.put(f"/v1/queues/{NAME}", json=config).raise_for_status()
    client.put(f"/v1/queues/{NAME}/webhooks/{NAME}", json=HOOK | {"enabled": False}).raise_for_status()
    message = client.post(f"/v1/queues/{NAME}/messages", json={"body": 1}).raise_for_status().json()["id"]
    for view in ("", f"/messages/{message}"):
        dashboard.open(f"/queues/{NAME}{view}")
        expect(note.get_by_role("button")).to_be_visible()
        assert faults(dashboard) == []
        assert dashboard.violations() == []


def faults(dashboard: Dashboard) -> list[str]:
    """Return the faults in the layout at every width."""
    found = []
    for width, height in SIZES.items():
        dashboard.resize(width, height)
        found += [f"too wide at {width}"] * (dashboard.overflow() > 0) + dashboard.overlaps()
    return found


def test_the_form_of_a_webhook_fits_with_what_it_says_of_dropping(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put(f"/v1/queues/{NAME}").raise_for_status()
    dashboard.open(f"/queues/{NAME}/webhooks")
    dashboard.press("Add webhook")
    dialog = dashboard.dialog()
    dialog.get_by_label("When all attempts have failed").select_option("Drop it")
    expect(dialog).to_contain_text("The message is lost")
    for width, height in SIZES.items():
        dashboard.resize(width, height)
        assert dialog.evaluate("dialog => dialog.scrollWidth - dialog.clientWidth") == 0
        assert dashboard.overflow() == 0
