"""Topics in the dashboard: their subscriptions, and testing a message against the filters."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)


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
    dashboard.press("Find matching queues")
    expect(page.get_by_text("1 queue would receive it")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="does not match")).to_contain_text("mail")
    dashboard.press("Publish")
    expect(page.get_by_text("Published to 1 queue.")).to_be_visible()
    dashboard.open("/queues/audit")
    expect(page.get_by_role("region", name="Topic subscriptions")).to_contain_text("events")


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
