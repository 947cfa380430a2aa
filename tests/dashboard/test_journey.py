"""What people do with the dashboard, by clicking."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)

ORDER = '{"order": 12345678901234567890, "note": "first"}'


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
    dashboard.press("Renew")
    expect(dashboard.row("12345678901234567890")).to_contain_text("leased")

    page.get_by_role("link", name=re.compile("12345678901234567890")).click()
    expect(page.get_by_role("note")).to_contain_text("Not being delivered: a consumer holds it")
    expect(page.get_by_text("12345678901234567890")).to_be_visible()
    client.post(f"/v1/receipts/{received[0]['receipt']}/release", json={"error": "card declined"})

    dashboard.go("Overview")
    card = page.get_by_role("region", name="Dead letters")
    expect(card.get_by_role("link", name="orders-dead")).to_be_visible()
    card.get_by_role("link", name="orders-dead").click()
    expect(dashboard.row("card declined")).to_contain_text("max receives")
    dashboard.press("Redrive …")
    dashboard.press("Redrive 1 message", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_text("1 done")).to_be_visible()
    dashboard.press("Close", within=dashboard.dialog().locator("footer"))
    [back] = client.post("/v1/queues/orders/messages/receive").json()["messages"]
    assert (back["id"], back["receive_count"]) == (received[0]["id"], 1)


def test_a_redrive_says_how_many_of_how_many_there_are_by_now(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/dead")
    client.put("/v1/queues/q", json={"dead_letter": {"queue": "dead", "max_receives": 1}})
    client.post("/v1/queues/dead/messages", json={"body": 0})
    dashboard.go("Dead letters")
    dashboard.press("Redrive dead")
    dialog = dashboard.dialog()
    expect(dialog).to_contain_text("1 message of dead go back")
    client.post("/v1/queues/dead/messages/batch", json={"messages": [{"body": n} for n in (1, 2)]})
    # Asked for again every five seconds, and less often the longer that takes.
    expect(dialog).to_contain_text("3 messages of dead go back", timeout=60_000)
    dialog.get_by_label("At most").fill("2")
    expect(dialog).to_contain_text("2 of 3 messages of dead go back")
    expect(dialog.get_by_role("button", name="Redrive 2 messages")).to_be_enabled()


def test_all_dead_letter_queues_are_a_click_away_from_the_fullest(dashboard: Dashboard, client: httpx.Client) -> None:
    for name in ("aside", *(f"dead-{n}" for n in range(12))):
        client.put(f"/v1/queues/{name}")
    for n in range(12):
        letter = {"queue": f"dead-{n}", "max_receives": 3}
        client.put(f"/v1/queues/source-{n}", json={"dead_letter": letter}).raise_for_status()
    dashboard.go("Dead letters")
    dashboard.page.get_by_role("link", name="All dead-letter queues").click()
    dashboard.settled()
    table = dashboard.page.get_by_role("table", name="Queues")
    expect(table).to_have_attribute("aria-rowcount", "13")
    expect(dashboard.row("aside")).to_have_count(0)
    dashboard.press("Show all queues")
    expect(table).to_have_attribute("aria-rowcount", "26")


def create(dashboard: Dashboard, name: str, dead_letter: str = "") -> None:
    dashboard.go("Queues")
    dashboard.press("Create queue")
    dialog = dashboard.dialog()
    dialog.get_by_label("Name").fill(name)
    if dead_letter:
        dialog.get_by_text("Settings").click()
        dialog.get_by_label("Dead-letter queue").fill(dead_letter)
        dialog.get_by_label("Receives before it moves there").fill("1")
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


def test_who_takes_messages_is_seen_while_they_wait_and_afterwards(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    secret = client.post("/v1/keys", json={"name": "mailer", "scopes": ["receive"]}).json()["secret"]

    def receive() -> httpx.Response:
        authorization = {"Authorization": f"Bearer {secret}"}
        return client.post("/v1/queues/q/messages/receive", json={"wait": 60}, headers=authorization, timeout=80)

    dashboard.open("/queues/q")
    seen = dashboard.page.get_by_role("region", name="Consumers")
    expect(seen).to_contain_text("Nobody has asked")
    with ThreadPoolExecutor() as pool:
        received = pool.submit(receive)
        # Told every ten seconds at most, and asked for the less often the longer an answer takes.
        waits = seen.get_by_role("row").filter(has_text="mailer")
        expect(waits).to_contain_text("HTTP receive1", timeout=50_000)
        client.post("/v1/queues/q/messages", json={"body": 1})
        assert len(received.result().json()["messages"]) == 1
    expect(waits).to_contain_text("none now", timeout=70_000)


def test_settings_show_what_changes_before_it_does_and_refuse_to_undo_anothers_change(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q/settings")
    page.get_by_label("Delay, s").fill("5")
    changes = page.get_by_role("region", name="What changes")
    expect(changes).to_contain_text("delay")
    expect(changes).to_contain_text("0 → 5")
    client.patch("/v1/queues/q", json={"visibility_timeout": 77})
    dashboard.press("Save 1 change")
    expect(page.get_by_role("alert")).to_contain_text("If-Match does not hold")
    dashboard.press("Undo")
    page.get_by_label("Delay, s").fill("6")
    dashboard.press("Save 1 change")
    expect(page.get_by_text("Saved.")).to_be_visible()
    queue = client.get("/v1/queues/q").json()
    assert (queue["delay"], queue["visibility_timeout"]) == (6, 77)


def test_a_retention_that_is_emptied_is_for_ever_and_an_emptied_number_is_refused(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q/settings")
    page.get_by_label("Retention, s").fill("")
    expect(page.get_by_role("region", name="What changes")).to_contain_text("345600 → null")
    dashboard.press("Save 1 change")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert client.get("/v1/queues/q").json()["retention"] is None
    page.get_by_label("Delay, s").fill("")
    dashboard.press("Save 1 change")
    expect(page.get_by_label("Delay, s")).to_have_attribute("aria-invalid", "true")


def test_labels_that_were_not_changed_are_saved_as_they_were(dashboard: Dashboard, client: httpx.Client) -> None:
    labels = {" k2 ": "v", "sp": " x ", "__proto__": "x"}
    client.put("/v1/queues/q", json={"labels": labels})
    page = dashboard.page
    dashboard.open("/queues/q/settings")
    for saved in (labels, labels | {"team": "payments"}):
        client.patch("/v1/queues/q", json={"labels": saved})
        expect(page.get_by_label("Labels")).to_have_value(re.compile(f": {saved[max(saved)]}(\n|$)"))
        page.get_by_label("Delay, s").fill(str(len(saved)))
        dashboard.press("Save 1 change")
        expect(page.get_by_role("region", name="What changes")).to_have_count(0)
        queue = client.get("/v1/queues/q").json()
        assert (queue["delay"], queue["labels"]) == (len(saved), saved)


def test_what_is_wrong_in_a_closed_part_of_a_form_is_shown(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.go("Queues")
    dashboard.press("Create queue")
    dialog = dashboard.dialog()
    dialog.get_by_label("Name").fill("q")
    dialog.get_by_text("Settings").click()
    delay = dialog.get_by_label("Delay, s")
    delay.focus()
    page.keyboard.type("1e")
    dialog.get_by_text("Settings").click()
    expect(delay).to_be_hidden()
    dashboard.press("Create queue", within=dialog)
    expect(delay).to_be_visible()
    expect(delay).to_be_focused()


def test_a_dialog_begins_in_its_first_field(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q")
    dialog = dashboard.dialog()
    for button, field in (("Send", "Body is"), ("Purge", "Type q to confirm")):
        dashboard.press(button)
        expect(dialog.get_by_label(field)).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    dashboard.go("Queues")
    dashboard.press("Create queue")
    expect(dialog.get_by_label("Name")).to_be_focused()


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


def test_a_field_that_is_refused_says_why_beside_it(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    dashboard.open("/queues/q/settings")
    dashboard.page.get_by_label("Delay, s").fill("-1")
    dashboard.press("Save 1 change")
    expect(dashboard.page.get_by_label("Delay, s")).to_have_attribute("aria-invalid", "true")
    expect(dashboard.page.get_by_role("alert")).to_contain_text("invalid_request")


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
    dashboard.press("Act on all that match …")
    dialog = dashboard.dialog()
    dialog.get_by_label("What to do").select_option("Move them to another queue")
    dialog.get_by_label("To the queue").fill("elsewhere")
    dashboard.press("Move 10 messages", within=dialog)
    expect(dialog.get_by_text("10 done")).to_be_visible()
    assert client.get("/v1/queues/q").json()["stats"]["total"] == 20
    assert client.get("/v1/queues/elsewhere").json()["stats"]["total"] == 10
    dashboard.press("Close", within=dialog.locator("footer"))
    dashboard.go("Tasks")
    expect(dashboard.row("move")).to_contain_text("done")


def test_many_queues_are_paused_and_deleted_at_once_and_the_question_names_them(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    for n in range(4):
        client.put(f"/v1/queues/shop-{n}")
    client.put("/v1/queues/other")
    page = dashboard.page
    dashboard.go("Queues")
    page.get_by_label("Filter by name").fill("SHOP")
    expect(page.get_by_role("row")).to_have_count(5)
    page.get_by_label("Select all that are loaded").check()
    dashboard.press("Pause")
    expect(page.get_by_text("Paused 4 queues.")).to_be_visible()
    assert [item["paused"] for item in client.get("/v1/queues").json()["items"]] == [False] + [True] * 4
    page.get_by_label("Select all that are loaded").check()
    dashboard.press("Delete")
    expect(dashboard.dialog()).to_contain_text("shop-3")
    dashboard.dialog().get_by_label("Type 4 queues to confirm").fill("4 queues")
    dashboard.press("Delete 4 queues", within=dashboard.dialog())
    expect(page.get_by_text("No queue matches")).to_be_visible()
    assert [item["name"] for item in client.get("/v1/queues").json()["items"]] == ["other"]


def test_a_dead_letter_that_is_repaired_goes_back_where_it_came_from(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    for name in ("dead", "other"):
        client.put(f"/v1/queues/{name}")
    client.put("/v1/queues/q", json={"dead_letter": {"queue": "dead", "max_receives": 1}})
    client.post("/v1/queues/q/messages", json={"body": "broken"})
    [message] = client.post("/v1/queues/q/messages/receive").json()["messages"]
    client.post(f"/v1/receipts/{message['receipt']}/reject", json={"error": "no JSON"})
    dashboard.open(f"/queues/dead/messages/{message['id']}")
    dashboard.press("As curl")
    expect(dashboard.page.get_by_text("/v1/queues/q/messages")).to_be_visible()
    dashboard.press("Edit and send again")
    dialog = dashboard.dialog()
    expect(dialog.get_by_label("To the queue")).to_have_value("q")
    dialog.get_by_label("Body", exact=True).fill('"mended"')
    dashboard.press("Send", within=dialog)
    expect(dialog).to_have_count(0)
    [again] = client.get("/v1/queues/q/messages").json()["items"]
    assert again["preview"] == '"mended"'


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
    dialog.get_by_label("To the queue").fill("fifo")
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
        expect(dialog.get_by_label("Body is")).to_have_value(kind)
        expect(dialog.get_by_label("Body", exact=True)).to_have_value(shown)
        expect(dialog.get_by_role("option")).to_have_count(3 if kind == "text" else 1)
        dashboard.press("Send", within=dialog)
        expect(dialog).to_have_count(0)
        again = client.get("/v1/queues/q/messages?order=newest&limit=1").json()["items"][0]["id"]
        assert again != message
        whole = client.get(f"/v1/queues/q/messages/{again}").json()
        assert (whole["body_base64"], whole["content_type"]) == (encoded, "text/plain")


def test_a_blocked_group_says_so_and_leads_to_its_webhook(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q", json={"type": "fifo"})
    hook = {"url": "http://127.0.0.1:9/", "retry": {"delays": []}, "on_exhausted": "block"}
    client.put("/v1/queues/q/webhooks/erp", json=hook).raise_for_status()
    client.post("/v1/queues/q/messages", json={"body": 1, "group": "customer-17"})
    page = dashboard.page
    dashboard.open("/queues/q/groups")
    expect(dashboard.row("customer-17")).to_contain_text("blocked")
    expect(dashboard.row("customer-17")).to_contain_text("a retry")
    page.get_by_role("link", name="blocked").click()
    page.get_by_role("link", name="Retry it there").click()
    expect(dashboard.row("erp")).to_be_visible()


def test_a_webhook_that_was_disabled_says_why_and_is_enabled_by_a_click(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    client.put("/v1/queues/q/webhooks/erp", json={"url": "http://127.0.0.1:9/", "enabled": False})
    dashboard.open("/queues/q/webhooks/erp")
    expect(dashboard.page.get_by_text("It was switched off.")).to_be_visible()
    dashboard.press("Enable")
    expect(dashboard.page.get_by_text("Nothing is pushed now.")).to_have_count(0)
    assert client.get("/v1/queues/q/webhooks/erp").json()["enabled"] is True


def test_the_headers_of_a_webhook_can_be_removed(dashboard: Dashboard, client: httpx.Client) -> None:
    path = "/v1/queues/q/webhooks/erp"
    client.put("/v1/queues/q")
    client.put(path, json={"url": "http://127.0.0.1:9/", "enabled": False, "headers": {"X-Api-Key": "k"}})
    dashboard.open("/queues/q/webhooks/erp")
    dashboard.press("Edit")
    expect(dashboard.dialog()).to_contain_text("Set: X-Api-Key.")
    dashboard.dialog().get_by_label("Remove the headers that are set").check()
    dashboard.press("Save", within=dashboard.dialog())
    expect(dashboard.dialog()).to_have_count(0)
    assert client.get(path).json()["headers"] == {}


def test_what_was_not_answered_is_asked_again_though_it_is_not_renewed(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": "here"})
    page = dashboard.page
    page.route("**/v1/queues/q/messages?*", lambda route: route.abort(), times=2)
    page.goto(f"{dashboard.base}/queues/q/messages")
    expect(dashboard.row("here")).to_be_visible()


def test_a_queue_is_deleted_only_after_its_name_was_typed(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    dashboard.open("/queues/q")
    dashboard.press("Delete")
    button = dashboard.dialog().get_by_role("button", name="Delete the queue")
    expect(button).to_be_disabled()
    dashboard.dialog().get_by_role("textbox").fill("q")
    button.click()
    expect(dashboard.page.get_by_text("No queues yet")).to_be_visible()
    assert client.get("/v1/queues/q").status_code == 404


def test_a_topic_says_who_would_get_a_message_and_why_the_others_would_not(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    for queue in ("mail", "audit"):
        client.put(f"/v1/queues/{queue}")
    page = dashboard.page
    dashboard.go("Topics")
    dashboard.press("Create topic")
    dashboard.dialog().get_by_label("Name").fill("events")
    dashboard.press("Create topic", within=dashboard.dialog())
    for name, text in (("mail", '{"headers": {"kind": ["paid"]}}'), ("audit", "{}")):
        dashboard.press("Subscribe a queue")
        dialog = dashboard.dialog()
        dialog.get_by_label("Name").fill(name)
        dialog.get_by_label("Queue").fill(name)
        dialog.get_by_label("Filter").fill(text)
        dashboard.press("Save", within=dialog)
        expect(dialog).to_have_count(0)
    dashboard.press("Who would get it?")
    expect(page.get_by_text("1 queue would get it")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="does not")).to_contain_text("mail")
    dashboard.press("Publish")
    expect(page.get_by_text("Published to 1 queue.")).to_be_visible()
    dashboard.open("/queues/audit")
    expect(page.get_by_role("region", name="Fed by topics")).to_contain_text("events")


def test_a_filter_that_is_edited_keeps_its_numbers(dashboard: Dashboard, client: httpx.Client) -> None:
    big = "12345678901234567890"
    client.put("/v1/topics/t")
    client.put("/v1/queues/q")
    subscription = f'{{"queue": "q", "filter": {{"body": {{"/n": [{big}, 1.50]}}}}}}'
    client.put("/v1/topics/t/subscriptions/s", content=subscription).raise_for_status()
    dashboard.open("/topics/t")
    expect(dashboard.page.get_by_text(big)).to_be_visible()
    dashboard.press("Edit")
    dashboard.press("Save", within=dashboard.dialog())
    expect(dashboard.dialog()).to_have_count(0)
    assert big in client.get("/v1/topics/t/subscriptions/s").text


def test_a_subscription_is_not_written_over_what_somebody_else_has_set(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    path = "/v1/topics/t/subscriptions/s"
    for name in ("q", "other"):
        client.put(f"/v1/queues/{name}")
    client.put("/v1/topics/t")
    client.put(path, json={"queue": "q"})
    dashboard.open("/topics/t")
    dashboard.press("Edit")
    expect(dashboard.dialog().get_by_label("Filter")).to_have_value("{}")
    client.put(path, json={"queue": "other"})
    dashboard.press("Save", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("precondition_failed")
    page = dashboard.page
    page.keyboard.press("Escape")
    dashboard.press("Subscribe a queue")
    dashboard.dialog().get_by_label("Name").fill("s")
    dashboard.dialog().get_by_label("Queue").fill("q")
    dashboard.press("Save", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("precondition_failed")
    assert client.get(path).json()["queue"] == "other"


def test_limits_are_not_written_over_those_that_somebody_else_has_set(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/projects/limited", json={"limits": {"queues": 5, "messages": 100}})
    dashboard.go("Projects")
    for refused in (True, False):
        dashboard.press("Limits of limited")
        dialog = dashboard.dialog()
        dialog.get_by_label("Queues").fill("9")
        if refused:
            client.patch("/v1/projects/limited", json={"limits": {"messages": 200}})
        dashboard.press("Save", within=dialog)
        if refused:
            expect(dialog.get_by_role("alert")).to_contain_text("If-Match does not hold")
            dashboard.press("Cancel", within=dialog)
        expect(dialog).to_have_count(0)
    limits = client.get("/v1/projects/limited").json()["limits"]
    assert (limits["queues"], limits["messages"]) == (9, 200)
