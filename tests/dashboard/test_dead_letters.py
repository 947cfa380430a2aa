"""Dead letters in the dashboard: shown with their source queue, redriven, moved and deleted."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def letters(client: httpx.Client) -> None:
    """Reject six messages of `orders`, four of them for errors that differ by a number, and two of `mail`."""
    client.put("/v1/queues/dead")
    for queue, errors in (
        ("orders", ["timeout after 1 s", "timeout after 2 s", "timeout after 3 s", "timeout after 4 s", "odd", "odd"]),
        ("mail", ["no such box", "no such box"]),
    ):
        client.put(f"/v1/queues/{queue}", json={"dead_letter": {"queue": "dead", "max_receives": 5}})
        batch = [{"body": n} for n, _ in enumerate(errors)]
        client.post(f"/v1/queues/{queue}/messages/batch", json={"messages": batch})
        taken = client.post(f"/v1/queues/{queue}/messages/receive", json={"max_messages": 100}).json()["messages"]
        for message, error in zip(taken, errors, strict=True):
            client.post(f"/v1/receipts/{message['receipt']}/reject", json={"error": error}).raise_for_status()


def total(client: httpx.Client, queue: str) -> int:
    count: int = client.get(f"/v1/queues/{queue}").json()["stats"]["total"]
    return count


def act(dashboard: Dashboard, action: str, done: int) -> None:
    """Press the button of the dialog, and wait until the task is done."""
    dialog = dashboard.dialog()
    dashboard.press(action, within=dialog)
    expect(dialog.get_by_text(f"{done} done")).to_be_visible()
    dashboard.press("Close", within=dialog.locator("footer"))


@pytest.mark.usefixtures("letters")
def test_a_queue_shows_what_came_from_it_in_its_dead_letter_queue(dashboard: Dashboard, client: httpx.Client) -> None:
    dashboard.open("/queues/orders/dead-letters")
    expect(dashboard.page.get_by_text("From this queue, in dead")).to_be_visible()
    expect(dashboard.page.get_by_text("No dead letters here")).to_have_count(0)
    expect(dashboard.row("timeout after # s")).to_contain_text("4")
    expect(dashboard.row("no such box")).to_have_count(0)
    dashboard.press("Redrive…")
    act(dashboard, "Redrive 6 messages", 6)
    assert (total(client, "orders"), total(client, "dead")) == (6, 2)


@pytest.mark.usefixtures("letters")
def test_a_group_a_selection_and_a_single_one_are_redriven_moved_and_deleted(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    page, dialog = dashboard.page, dashboard.dialog()
    client.put("/v1/queues/elsewhere")
    dashboard.open("/queues/dead/dead-letters")
    dashboard.press("Act on rejected: timeout after # s")
    expect(dialog.get_by_label("Action")).to_have_value("redrive")
    act(dashboard, "Redrive 4 messages", 4)
    expect(dashboard.row("timeout after # s")).to_have_count(0)
    assert total(client, "orders") == 4
    dashboard.tab("Messages")
    for n in (1, 2):
        page.get_by_role("row").nth(n).get_by_role("checkbox").check()
    dashboard.press("Move…")
    dialog.get_by_label("Destination queue").fill("elsewhere")
    act(dashboard, "Move 2 messages", 2)
    assert total(client, "elsewhere") == 2
    page.get_by_role("row").nth(1).get_by_role("link").click()
    dashboard.press("Redrive…")
    act(dashboard, "Redrive 1 message", 1)
    assert (total(client, "mail"), total(client, "dead")) == (1, 1)


@pytest.mark.usefixtures("letters")
def test_all_of_a_dead_letter_queue_is_redriven_unless_its_name_is_typed_to_delete_it(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    dialog = dashboard.dialog()
    dashboard.open("/queues/dead/messages")
    dashboard.press("Act on all matching…")
    expect(dialog.get_by_role("button", name="Redrive 8 messages")).to_be_enabled()
    dialog.get_by_label("Action").select_option("Delete")
    expect(dialog.get_by_role("button", name="Delete 8 messages")).to_be_disabled()
    dialog.get_by_label("Type dead to confirm").fill("dead")
    act(dashboard, "Delete 8 messages", 8)
    assert total(client, "dead") == 0


def test_a_redrive_says_how_many_of_how_many_there_are_by_now(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/dead")
    client.put("/v1/queues/q", json={"dead_letter": {"queue": "dead", "max_receives": 1}})
    client.post("/v1/queues/dead/messages", json={"body": 0})
    dashboard.go("Dead letters")
    dashboard.press("Redrive dead")
    dialog = dashboard.dialog()
    expect(dialog).to_contain_text("This redrives 1 message in dead")
    client.post("/v1/queues/dead/messages/batch", json={"messages": [{"body": n} for n in (1, 2)]})
    # The count is refreshed every five seconds, or less often if the response is slow.
    expect(dialog).to_contain_text("This redrives 3 messages in dead", timeout=60_000)
    dialog.get_by_label("Maximum messages").fill("2")
    expect(dialog).to_contain_text("This redrives 2 of 3 messages in dead")
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
    expect(dialog.get_by_label("Destination queue")).to_have_value("q")
    dialog.get_by_label("Body", exact=True).fill('"mended"')
    dashboard.press("Send", within=dialog)
    expect(dialog).to_have_count(0)
    [again] = client.get("/v1/queues/q/messages").json()["items"]
    assert again["preview"] == '"mended"'
