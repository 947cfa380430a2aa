"""Queues in the dashboard: created, configured, paused and deleted, one or many at a time."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)


def test_who_takes_messages_is_seen_while_they_wait_and_afterwards(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    secret = client.post("/v1/keys", json={"name": "mailer", "scopes": ["receive"]}).json()["secret"]

    def receive() -> httpx.Response:
        authorization = {"Authorization": f"Bearer {secret}"}
        return client.post("/v1/queues/q/messages/receive", json={"wait": 60}, headers=authorization, timeout=80)

    dashboard.open("/queues/q")
    seen = dashboard.page.get_by_role("region", name="Consumers")
    expect(seen).to_contain_text("No consumer has asked")
    with ThreadPoolExecutor() as pool:
        received = pool.submit(receive)
        # The service updates consumers every ten seconds, and the panel refreshes less often when responses are slow.
        waits = seen.get_by_role("row").filter(has_text="mailer")
        expect(waits).to_contain_text("HTTP receive1", timeout=50_000)
        client.post("/v1/queues/q/messages", json={"body": 1})
        assert len(received.result().json()["messages"]) == 1
    expect(waits).to_contain_text("none", timeout=70_000)


def test_settings_show_what_changes_before_it_does_and_refuse_to_undo_anothers_change(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q/settings")
    page.get_by_label("Delay (s)").fill("5")
    changes = page.get_by_role("region", name="Changes to save")
    expect(changes).to_contain_text("delay")
    expect(changes).to_contain_text("0 → 5")
    client.patch("/v1/queues/q", json={"visibility_timeout": 77})
    dashboard.press("Save 1 change")
    expect(page.get_by_role("alert")).to_contain_text("precondition_failed")
    dashboard.press("Discard")
    page.get_by_label("Delay (s)").fill("6")
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
    page.get_by_label("Retention (s)").fill("")
    expect(page.get_by_role("region", name="Changes to save")).to_contain_text("345600 → null")
    dashboard.press("Save 1 change")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert client.get("/v1/queues/q").json()["retention"] is None
    page.get_by_label("Delay (s)").fill("")
    dashboard.press("Save 1 change")
    expect(page.get_by_label("Delay (s)")).to_have_attribute("aria-invalid", "true")


def test_labels_that_were_not_changed_are_saved_as_they_were(dashboard: Dashboard, client: httpx.Client) -> None:
    labels = {" k2 ": "v", "sp": " x ", "__proto__": "x"}
    client.put("/v1/queues/q", json={"labels": labels})
    page = dashboard.page
    dashboard.open("/queues/q/settings")
    for saved in (labels, labels | {"team": "payments"}):
        client.patch("/v1/queues/q", json={"labels": saved})
        expect(page.get_by_label("Labels")).to_have_value(re.compile(f": {saved[max(saved)]}(\n|$)"))
        page.get_by_label("Delay (s)").fill(str(len(saved)))
        dashboard.press("Save 1 change")
        expect(page.get_by_role("region", name="Changes to save")).to_have_count(0)
        queue = client.get("/v1/queues/q").json()
        assert (queue["delay"], queue["labels"]) == (len(saved), saved)


def test_a_form_sends_what_was_typed_and_shows_the_defaults_of_the_service(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    page = dashboard.page
    sent: list[object] = []
    page.on("request", lambda request: sent.append(request.post_data_json) if request.method == "PUT" else None)

    def with_less_room(route: Route) -> None:
        defaults = route.fetch().json()
        route.fulfill(json=defaults | {"queue": defaults["queue"] | {"max_message_bytes": 2000}})

    page.route("**/v1/defaults", with_less_room)
    dashboard.go("Queues")
    dashboard.press("Create queue")
    dialog = dashboard.dialog()
    dialog.get_by_label("Name").fill("q")
    dialog.get_by_text("Settings").click()
    expect(dialog.get_by_label("Maximum size (bytes)")).to_have_value("2000")
    dialog.get_by_label("Delete when unused for (s)").fill("3600")
    dashboard.press("Create queue", within=dialog)
    expect(page.get_by_role("heading", level=1, name="q", exact=True)).to_be_visible()
    assert client.get("/v1/queues/q").json()["expires_after"] == 3600
    dashboard.tab("Webhooks")
    dashboard.press("Add webhook")
    dialog.get_by_label("Name").fill("w")
    dialog.get_by_label("URL").fill("http://127.0.0.1:9/w")
    expect(dialog.get_by_label("Timeout (s)")).to_have_value("15")
    dashboard.press("Add webhook", within=dialog)
    expect(dialog.get_by_text("it is not shown again")).to_be_visible()
    assert sent == [{"expires_after": 3600}, {"url": "http://127.0.0.1:9/w"}]


def test_what_is_wrong_in_a_closed_part_of_a_form_is_shown(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.go("Queues")
    dashboard.press("Create queue")
    dialog = dashboard.dialog()
    dialog.get_by_label("Name").fill("q")
    dialog.get_by_text("Settings").click()
    delay = dialog.get_by_label("Delay (s)")
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
    for button, field in (("Send", "Body format"), ("Purge", "Type q to confirm")):
        dashboard.press(button)
        expect(dialog.get_by_label(field)).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    dashboard.go("Queues")
    dashboard.press("Create queue")
    expect(dialog.get_by_label("Name")).to_be_focused()


def test_a_field_that_is_refused_says_why_beside_it(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    dashboard.open("/queues/q/settings")
    dashboard.page.get_by_label("Delay (s)").fill("-1")
    dashboard.press("Save 1 change")
    expect(dashboard.page.get_by_label("Delay (s)")).to_have_attribute("aria-invalid", "true")
    expect(dashboard.page.get_by_role("alert")).to_contain_text("invalid_request")


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
    page.get_by_label("Select all loaded queues").check()
    dashboard.press("Pause")
    expect(page.get_by_text("Paused 4 queues.")).to_be_visible()
    assert [item["paused"] for item in client.get("/v1/queues").json()["items"]] == [False] + [True] * 4
    page.get_by_label("Select all loaded queues").check()
    dashboard.press("Delete")
    expect(dashboard.dialog()).to_contain_text("shop-3")
    dashboard.dialog().get_by_label("Type 4 queues to confirm").fill("4 queues")
    dashboard.press("Delete 4 queues", within=dashboard.dialog())
    expect(page.get_by_text("No queues match")).to_be_visible()
    assert [item["name"] for item in client.get("/v1/queues").json()["items"]] == ["other"]


def test_a_queue_is_deleted_only_after_its_name_was_typed(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    dashboard.open("/queues/q")
    dashboard.press("Delete")
    button = dashboard.dialog().get_by_role("button", name="Delete queue")
    expect(button).to_be_disabled()
    dashboard.dialog().get_by_role("textbox").fill("q")
    button.click()
    expect(dashboard.page.get_by_text("No queues yet")).to_be_visible()
    assert client.get("/v1/queues/q").status_code == 404
