"""Webhooks in the dashboard: configuring them, and resuming one that is stopped."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)


def test_a_blocked_group_says_so_and_leads_to_its_webhook(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q", json={"type": "fifo"})
    hook = {"url": "http://127.0.0.1:9/", "retry": {"delays": []}, "on_exhausted": "block"}
    client.put("/v1/queues/q/webhooks/erp", json=hook).raise_for_status()
    client.post("/v1/queues/q/messages", json={"body": 1, "group": "customer-17"})
    page = dashboard.page
    dashboard.open("/queues/q/groups")
    expect(dashboard.row("customer-17")).to_contain_text("blocked")
    expect(dashboard.row("customer-17")).to_contain_text("manual retry")
    page.get_by_role("link", name="blocked").click()
    page.get_by_role("link", name="Retry it from its webhook").click()
    expect(dashboard.row("erp")).to_be_visible()


def test_a_webhook_that_was_disabled_says_why_and_is_enabled_by_a_click(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    client.put("/v1/queues/q/webhooks/erp", json={"url": "http://127.0.0.1:9/", "enabled": False})
    dashboard.open("/queues/q/webhooks/erp")
    expect(dashboard.page.get_by_text("It was disabled in its settings.")).to_be_visible()
    dashboard.press("Enable")
    expect(dashboard.page.get_by_text("Nothing is being pushed.")).to_have_count(0)
    assert client.get("/v1/queues/q/webhooks/erp").json()["enabled"] is True


def test_a_webhook_whose_circuit_is_open_says_why_and_is_resumed_by_a_click(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    hook = {"url": "http://127.0.0.1:9/", "retry": {"delays": [0.01] * 9 + [3600], "jitter": 0}}
    client.put("/v1/queues/q/webhooks/erp", json=hook).raise_for_status()
    client.post("/v1/queues/q/messages", json={"body": 1})
    dashboard.open("/queues/q/webhooks/erp")
    expect(dashboard.page.get_by_text("connection_error”")).to_be_visible()
    dashboard.press("Resume")
    expect(dashboard.page.get_by_text("Resumed erp.")).to_be_visible()
    expect(dashboard.page.get_by_role("button", name="Resume")).to_have_count(0)
    assert client.get("/v1/queues/q/webhooks/erp").json()["state"] == "active"


def test_the_headers_of_a_webhook_can_be_removed(dashboard: Dashboard, client: httpx.Client) -> None:
    path = "/v1/queues/q/webhooks/erp"
    client.put("/v1/queues/q")
    client.put(path, json={"url": "http://127.0.0.1:9/", "enabled": False, "headers": {"X-Api-Key": "k"}})
    dashboard.open("/queues/q/webhooks/erp")
    dashboard.press("Edit")
    expect(dashboard.dialog()).to_contain_text("Currently set: X-Api-Key.")
    dashboard.dialog().get_by_label("Remove all headers").check()
    dashboard.press("Save", within=dashboard.dialog())
    expect(dashboard.dialog()).to_have_count(0)
    assert client.get(path).json()["headers"] == {}


def test_a_webhook_that_drops_messages_is_made_only_after_the_form_has_said_what_is_lost(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    dashboard.open("/queues/q/webhooks")
    dashboard.press("Add webhook")
    dialog = dashboard.dialog()
    dialog.get_by_label("Name").fill("erp")
    dialog.get_by_label("URL").fill("http://127.0.0.1:9/")
    ends = dialog.get_by_label("When all attempts have failed")
    expect(ends).to_have_accessible_description("Without a dead-letter queue, the message is kept until you retry it.")
    ends.select_option("Drop it")
    expect(ends).to_have_accessible_description(re.compile("The message is lost"))
    dashboard.press("Add webhook", within=dialog)
    dashboard.press("I have saved it")
    assert client.get("/v1/queues/q/webhooks/erp").json()["on_exhausted"] == "drop"
