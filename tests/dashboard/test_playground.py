"""The playground: send, receive, settle and stream by hand."""

import json

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import ORDER, Dashboard

pytestmark = pytest.mark.timeout(240)


def test_the_playground_sends_receives_and_streams_and_shows_each_as_a_command(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.go("Playground")
    page.get_by_label("Queue", exact=True).fill("q")
    page.get_by_label("Queue", exact=True).press("Enter")
    page.get_by_label("Body", exact=True).fill(ORDER)
    dashboard.press("Send", within=page.get_by_role("region", name="Send"))
    expect(page.get_by_text('"duplicate": false')).to_be_visible()
    receive = page.get_by_role("region", name="Receive")
    expect(receive).to_contain_text("curl http://127.0.0.1")
    dashboard.press("Receive", within=receive)
    expect(receive.get_by_role("listitem")).to_contain_text(ORDER)
    dashboard.press("Delete", within=receive)
    expect(receive.get_by_role("listitem")).to_have_count(0)
    assert client.get("/v1/queues/q").json()["stats"]["total"] == 0

    stream = page.get_by_role("region", name="Stream")
    dashboard.press("Connect", within=stream)
    expect(stream.get_by_text("open", exact=True)).to_be_visible()
    client.post("/v1/queues/q/messages", content=f'{{"body": {ORDER}}}')
    expect(stream.get_by_role("listitem")).to_contain_text(ORDER)
    dashboard.press("Ack", within=stream)
    expect(stream.get_by_role("listitem")).to_have_count(0)
    assert client.get("/v1/queues/q").json()["stats"]["total"] == 0
    # A refused ack does not remove the message.
    client.post("/v1/queues/q/messages", json={"body": 1})
    expect(stream.get_by_role("listitem")).to_have_count(1)
    client.post("/v1/queues/q/purge")
    dashboard.press("Ack", within=stream)
    expect(stream.get_by_role("status")).to_contain_text("lease")
    expect(stream.get_by_role("listitem")).to_have_count(1)


def test_what_was_typed_and_received_in_the_playground_stays_when_another_queue_is_chosen(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    for name in ("q", "other"):
        client.put(f"/v1/queues/{name}")
    client.post("/v1/queues/q/messages", json={"body": "held"})
    page = dashboard.page
    dashboard.open("/playground?queue=q")
    body = page.get_by_label("Body", exact=True)
    body.fill(ORDER)
    receive = page.get_by_role("region", name="Receive")
    dashboard.press("Receive", within=receive)
    expect(receive.get_by_role("listitem")).to_contain_text("held")
    page.get_by_label("Queue", exact=True).fill("other")
    page.wait_for_url("**/playground?queue=q")
    body.focus()
    page.wait_for_url("**/playground?queue=other")
    expect(body).to_have_value(ORDER)
    dashboard.press("Delete", within=receive)
    expect(receive.get_by_role("listitem")).to_have_count(0)
    assert client.get("/v1/queues/q").json()["stats"]["total"] == 0
    dashboard.press("Send", within=page.get_by_role("region", name="Send"))
    expect(page.get_by_text('"duplicate": false')).to_be_visible()
    assert client.get("/v1/queues/other").json()["stats"]["total"] == 1


def test_who_leaves_the_playground_while_it_waits_takes_no_message(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/playground?queue=q")
    with page.expect_request("**/messages/receive"):
        dashboard.press("Receive", within=page.get_by_role("region", name="Receive"))
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/messages/receive")):
        dashboard.go("Overview")
    client.post("/v1/queues/q/messages", json={"body": 1})
    assert len(client.post("/v1/queues/q/messages/receive", json={"wait": 10}).json()["messages"]) == 1


def test_the_stream_shows_each_message_once_and_only_while_it_is_leased(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q", json={"visibility_timeout": 6})
    client.post("/v1/queues/q/messages", json={"body": "again"})
    page = dashboard.page
    dashboard.open("/playground?queue=q")
    stream = page.get_by_role("region", name="Stream")
    stream.get_by_label("Credit").fill("")
    expect(stream).to_contain_text('{"type": "credit", "n": 1}')
    items = stream.get_by_role("listitem")
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    with page.expect_websocket() as opened:
        dashboard.press("Connect", within=stream)
    expect(items).to_have_count(1)
    # One credit allows one delivery, so the list is empty when its lease ends.
    expect(items).to_have_count(0)
    assert '{"type":"credit","n":1}' in sent
    client.patch("/v1/queues/q", json={"visibility_timeout": 600}).raise_for_status()
    stream.get_by_label("Credit").fill("5")
    socket = opened.value
    with socket.expect_event("framereceived", is_message) as first:
        dashboard.press("More credit", within=stream)
    expect(items).to_have_count(1)
    with socket.expect_event("framereceived", is_message) as second:
        receipt = json.loads(str(first.value))["message"]["receipt"]
        client.post(f"/v1/receipts/{receipt}/release", json={}).raise_for_status()
    assert json.loads(str(second.value))["message"]["receipt"] != receipt
    client.post("/v1/queues/q/messages", json={"body": "another"})
    expect(items).to_have_count(2)
    expect(items.filter(has_text="another")).to_have_count(1)


def is_message(frame: str | bytes) -> bool:
    return bool(json.loads(frame)["type"] == "message")
