"""Messages in the dashboard: sent, browsed, edited and acted on, without leasing any."""

import base64
import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import ORDER, Dashboard

pytestmark = pytest.mark.timeout(240)


def test_a_message_is_made_seen_received_elsewhere_dead_lettered_and_redriven_by_clicking(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    page = dashboard.page
    create(dashboard, "orders-dead")
    create(dashboard, "orders", dead_letter="orders-dead")
    dashboard.press("Send")
    page.get_by_label("Body", exact=True).fill(ORDER)
    dashboard.press("Send", within=dashboard.dialog())
    expect(page.get_by_text("Sent.")).to_be_visible()

    dashboard.tab("Messages")
    expect(dashboard.row("12345678901234567890")).to_contain_text("ready")
    received = client.post("/v1/queues/orders/messages/receive", json={"visibility_timeout": 600}).json()["messages"]
    dashboard.press("Refresh")
    expect(dashboard.row("12345678901234567890")).to_contain_text("leased")

    page.get_by_role("link", name=re.compile("12345678901234567890")).click()
    expect(page.get_by_role("note")).to_contain_text("Not being delivered: the root key holds it")
    expect(page.get_by_text("12345678901234567890")).to_be_visible()
    client.post(f"/v1/receipts/{received[0]['receipt']}/release", json={"error": "card declined"})

    dashboard.go("Overview")
    card = page.get_by_role("region", name="Dead letters")
    expect(card.get_by_role("link", name="orders-dead")).to_be_visible()
    card.get_by_role("link", name="orders-dead").click()
    expect(dashboard.row("card declined")).to_contain_text("max receives")
    dashboard.press("Redrive…")
    dashboard.press("Redrive 1 message", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_text("1 done")).to_be_visible()
    dashboard.press("Close", within=dashboard.dialog().locator("footer"))
    [back] = client.post("/v1/queues/orders/messages/receive").json()["messages"]
    assert (back["id"], back["receive_count"]) == (received[0]["id"], 1)


def create(dashboard: Dashboard, name: str, dead_letter: str = "") -> None:
    dashboard.go("Queues")
    dashboard.press("Create queue")
    dialog = dashboard.dialog()
    dialog.get_by_label("Name").fill(name)
    if dead_letter:
        dialog.get_by_text("Settings").click()
        dialog.get_by_label("Dead-letter queue").fill(dead_letter)
        dialog.get_by_label("Maximum receives").fill("1")
    dashboard.press("Create queue", within=dialog)
    expect(dashboard.page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()


def test_looking_at_messages_takes_none_from_a_consumer(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages/batch", json={"messages": [{"body": n} for n in range(5)]})
    before = client.get("/v1/queues/q/messages").json()["items"]
    dashboard.open("/queues/q/messages?live=1")
    expect(dashboard.page.get_by_role("row")).to_have_count(6)
    dashboard.page.get_by_role("link", name=re.compile("^0 ")).click()
    expect(dashboard.page.get_by_text("It is ready")).to_be_visible()
    assert client.get("/v1/queues/q/messages").json()["items"] == before
    answer = client.post("/v1/queues/q/messages/receive", json={"max_messages": 10}).json()
    assert [message["receive_count"] for message in answer["messages"]] == [1] * 5


def test_each_message_is_shown_with_its_own_body(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q", json={"type": "fifo", "visibility_timeout": 600})
    for body in ("first", "second"):
        client.post("/v1/queues/q/messages", json={"body": body})
    client.post("/v1/queues/q/messages/receive")
    first, second = (item["id"] for item in client.get("/v1/queues/q/messages").json()["items"])
    page = dashboard.page
    dashboard.open(f"/queues/q/messages/{second}")
    expect(page.get_by_text('"second"')).to_be_visible()
    page.get_by_role("link", name=first).click()
    expect(page.get_by_text('"first"')).to_be_visible()
    page.go_back()
    expect(page.get_by_text('"second"')).to_be_visible()
    expect(page.get_by_text('"first"')).to_have_count(0)


def test_of_many_messages_those_that_are_refused_stay_selected_and_the_others_are_done(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages/batch", json={"messages": [{"body": n} for n in range(3)]})
    dashboard.open("/queues/q/messages")
    for box in dashboard.page.get_by_role("checkbox").all():
        box.check()
    [held] = client.post("/v1/queues/q/messages/receive", json={"visibility_timeout": 600}).json()["messages"]
    dashboard.press("Delete", within=dashboard.page.get_by_role("region", name="Selection"))
    dashboard.press("Delete 3 messages", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("message_leased")
    assert [item["id"] for item in client.get("/v1/queues/q/messages").json()["items"]] == [held["id"]]


def test_an_action_on_all_that_match_names_how_many_and_touches_nothing_else(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    for queue in ("q", "elsewhere"):
        client.put(f"/v1/queues/{queue}")
    sent = [{"body": n, "headers": {"shop": "a" if n % 3 else "b"}} for n in range(30)]
    client.post("/v1/queues/q/messages/batch", json={"messages": sent})
    page = dashboard.page
    dashboard.open("/queues/q/messages?header=shop%3Db")
    expect(page.get_by_role("row")).to_have_count(11)
    dashboard.press("Act on all matching…")
    dialog = dashboard.dialog()
    dialog.get_by_label("Action").select_option("Move to another queue")
    dialog.get_by_label("Destination queue").fill("elsewhere")
    dashboard.press("Move 10 messages", within=dialog)
    expect(dialog.get_by_text("10 done")).to_be_visible()
    assert client.get("/v1/queues/q").json()["stats"]["total"] == 20
    assert client.get("/v1/queues/elsewhere").json()["stats"]["total"] == 10
    dashboard.press("Close", within=dialog.locator("footer"))
    dashboard.go("Tasks")
    expect(dashboard.row("move")).to_contain_text("done")


def test_a_priority_is_offered_and_sent_only_where_it_is_taken(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/standard")
    client.put("/v1/queues/fifo", json={"type": "fifo"})
    client.post("/v1/queues/standard/messages", json={"body": 1, "priority": 7})
    [message] = client.get("/v1/queues/standard/messages").json()["items"]
    dashboard.open(f"/queues/standard/messages/{message['id']}")
    dashboard.press("Edit and send again")
    dialog = dashboard.dialog()
    dialog.get_by_text("Delay, group, priority").click()
    priority = dialog.get_by_label("Priority")
    expect(priority).to_have_value("7")
    dialog.get_by_label("Destination queue").fill("fifo")
    expect(priority).to_have_count(0)
    dashboard.press("Send", within=dialog)
    expect(dialog).to_have_count(0)
    assert client.get("/v1/queues/fifo").json()["stats"]["total"] == 1
    dashboard.open("/playground?queue=fifo")
    page = dashboard.page
    page.get_by_text("Delay, group, priority").click()
    expect(page.get_by_label("Deduplication id")).to_be_visible()
    expect(page.get_by_label("Priority")).to_have_count(0)


def test_text_is_edited_as_text_and_bytes_as_bytes(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    for body, kind, shown in (
        ("grüße".encode(), "text", "grüße"),
        (b"\xff\x00", "base64", "/wA="),
    ):
        encoded = base64.b64encode(body).decode()
        sent = {"body_base64": encoded, "content_type": "text/plain"}
        message = client.post("/v1/queues/q/messages", json=sent).json()["id"]
        dashboard.open(f"/queues/q/messages/{message}")
        dashboard.press("Edit and send again")
        dialog = dashboard.dialog()
        expect(dialog.get_by_label("Body format")).to_have_value(kind)
        expect(dialog.get_by_label("Body", exact=True)).to_have_value(shown)
        expect(dialog.get_by_role("option")).to_have_count(3 if kind == "text" else 1)
        dashboard.press("Send", within=dialog)
        expect(dialog).to_have_count(0)
        again = client.get("/v1/queues/q/messages?order=newest&limit=1").json()["items"][0]["id"]
        assert again != message
        whole = client.get(f"/v1/queues/q/messages/{again}").json()
        assert (whole["body_base64"], whole["content_type"]) == (encoded, "text/plain")


def test_what_was_not_answered_is_asked_again_though_it_is_not_renewed(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": "here"})
    page = dashboard.page
    page.route("**/v1/queues/q/messages?*", lambda route: route.abort(), times=2)
    page.goto(f"{dashboard.base}/queues/q/messages")
    expect(dashboard.row("here")).to_be_visible()


def test_a_leased_message_tells_which_key_holds_it_since_when(dashboard: Dashboard, client: httpx.Client) -> None:
    note = dashboard.page.get_by_role("note")
    client.put("/v1/queues/q", json={"visibility_timeout": 600})
    sent = client.post("/v1/queues/q/messages", json={"body": 1}).json()
    made = client.post("/v1/keys", json={"name": "billing-worker", "scopes": ["receive"]}).json()
    client.post("/v1/queues/q/messages/receive", headers={"Authorization": f"Bearer {made['secret']}"})
    dashboard.open(f"/queues/q/messages/{sent['id']}")
    expect(note).to_contain_text("Not being delivered: key billing-worker holds it until")
    expect(note).to_contain_text(re.compile(r"Leased (now|\d+ s ago) by HTTP receive\."))
    # A relative time has the exact time as its tooltip.
    expect(note.locator("time").last).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"))
    client.delete(f"/v1/keys/{made['id']}")
    expect(note).to_contain_text("a revoked key holds it until")
