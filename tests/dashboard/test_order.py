"""Late, failed and missing responses, and impatient users: no action is repeated, misdirected or unreported."""

import re

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.dashboard.browsing import Dashboard, refusal

pytestmark = pytest.mark.timeout(120)


def test_what_was_refused_is_tried_again_and_nothing_else(dashboard: Dashboard, client: httpx.Client) -> None:
    page = dashboard.page
    for name in ("a", "b"):
        client.put(f"/v1/queues/{name}")
        client.post(f"/v1/queues/{name}/messages", json={"body": 1})
    dashboard.open("/queues")
    page.get_by_label("Select all loaded queues").check()
    page.route("**/v1/queues/b/purge", lambda route: route.fulfill(**refusal(429, "rate_limited")), times=1)
    dashboard.press("Purge")
    expect(dashboard.dialog().get_by_role("listitem").first).to_contain_text("1 message")
    confirm = dashboard.dialog().get_by_label(re.compile("to confirm"))
    confirm.fill("2 queues")
    dashboard.press("Purge 2 queues", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("Not now.")
    client.post("/v1/queues/a/messages", json={"body": "came since"})
    confirm.fill("1 queue")
    dashboard.press("Purge 1 queue", within=dashboard.dialog())
    expect(dashboard.dialog()).to_have_count(0)
    totals = [client.get(f"/v1/queues/{name}").json()["stats"]["total"] for name in ("a", "b")]
    assert totals == [1, 0]


def test_enter_takes_what_was_typed_and_not_what_was_found_before(dashboard: Dashboard, client: httpx.Client) -> None:
    for name in ("orders", "orders-dead"):
        client.put(f"/v1/queues/{name}")
    page = dashboard.page
    page.keyboard.press("Control+k")
    page.keyboard.type("ord")
    expect(page.get_by_role("option", name="orders Queue", exact=True)).to_be_visible()
    page.keyboard.type("ers-dead")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="orders-dead")).to_be_visible()


def test_a_secret_is_shown_whatever_was_pressed_while_it_was_made(dashboard: Dashboard) -> None:
    held: list[Route] = []
    page = dashboard.page
    dashboard.go("Keys")
    dashboard.press("Create key")
    dashboard.dialog().get_by_label("Name").fill("worker")
    dashboard.dialog().get_by_label("send", exact=True).check()
    page.route("**/v1/keys", lambda route: held.append(route))  # noqa: PLW0108 - playwright takes no built-in
    dashboard.press("Create key", within=dashboard.dialog())
    expect(dashboard.dialog().get_by_role("button", name="Create key")).to_be_disabled()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(dashboard.dialog()).to_be_visible()
    held[0].continue_()
    expect(dashboard.dialog()).to_contain_text("rk_")


def test_what_cannot_be_renewed_stands_there_and_says_so(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues")
    page.route("**/v1/queues?*", lambda route: route.fulfill(**refusal(503, "unavailable")))
    expect(page.get_by_role("alert")).to_contain_text("Not now.")
    expect(dashboard.row("q")).to_be_visible()
    page.unroute("**/v1/queues?*")
    expect(page.get_by_role("alert")).to_have_count(0, timeout=60_000)


def test_what_is_typed_into_a_filter_is_left_as_it_is_typed(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q/messages?live=1")
    group = page.get_by_label("Group")
    group.press_sequentially("big customer ")
    page.wait_for_url(re.compile(r"group=big[+ %20]+customer"))
    with page.expect_request_finished(lambda request: "group=" in request.url):
        pass
    expect(group).to_have_value("big customer ")
    dashboard.open("/queues/q/messages?group=other")
    expect(group).to_have_value("other")


def test_a_filter_stays_as_its_link_has_it_until_somebody_types(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q", json={"type": "fifo"})
    for group in ("a", " a ") * 3:
        client.post("/v1/queues/q/messages", json={"body": group, "group": group})
    page = dashboard.page
    dashboard.open("/queues/q/groups")
    with page.expect_request("**/messages?*group=*") as listed:
        page.get_by_role("link", name='" a "').click()
    assert httpx.URL(listed.value.url).params["group"] == " a "
    link = f"{dashboard.base}/queues/q/messages?group=%20a%20&before=2999-01-01T02:00:00.123456Z"
    page.goto(link)
    expect(page.get_by_role("row")).to_have_count(4)
    # Longer than the pause after which typed text is committed.
    page.wait_for_timeout(400)
    assert page.url == link
    dashboard.press("Act on all matching…")
    expect(dashboard.dialog()).to_contain_text('" a "')
    dashboard.press("Delete 3 messages", within=dashboard.dialog())
    expect(dashboard.dialog()).to_contain_text("3 done")
    left = client.get("/v1/queues/q/messages").json()["items"]
    assert {item["group"] for item in left} == {"a"}


def test_a_time_that_cannot_be_read_is_told_and_not_left_out(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": "here"})
    page = dashboard.page
    page.goto(f"{dashboard.base}/queues/q/messages?after=garbage")
    expect(page.get_by_role("alert")).to_contain_text("/query/sent_after")
    dashboard.press("Act on all matching…")
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("/filter/sent_after")
    expect(dashboard.dialog().get_by_role("button", name="Delete all matching messages")).to_be_disabled()
    expect(dashboard.row("here")).to_have_count(0)


def test_a_time_can_be_changed_key_by_key(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q/messages?after=2026-11-28T10%3A00%3A00.000Z&live=1")
    field = page.get_by_label("Sent after")
    field.focus()
    for key in "11272025":
        page.keyboard.press(key)
        page.wait_for_timeout(200)
    page.wait_for_url(re.compile("after=2025-11-2[678]"))
    expect(field).to_have_value(re.compile("^2025-11-27T"))


def test_a_double_click_sends_one_message(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.go("Playground")
    page.get_by_label("Queue", exact=True).fill("q")
    page.get_by_label("Queue", exact=True).press("Enter")
    page.get_by_label("Body", exact=True).fill("1")
    send = page.get_by_role("region", name="Send")
    send.get_by_role("button", name="Send", exact=True).dblclick()
    expect(page.get_by_text('"duplicate": false')).to_be_visible()
    assert client.get("/v1/queues/q").json()["stats"]["total"] == 1


def test_a_test_message_is_sent_once_whatever_becomes_of_it(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    client.put("/v1/queues/q/webhooks/erp", json={"url": "http://127.0.0.1:9/"})
    page = dashboard.page
    page.clock.install()
    dashboard.open("/queues/q/webhooks/erp")
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        route.fulfill(**refusal(503, "unavailable"))

    page.route("**/webhooks/erp/test", refuse)
    dashboard.press("Send a test")
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("Not now.")
    page.clock.run_for(120_000)
    expect(dashboard.dialog().get_by_role("alert")).to_contain_text("Not now.")
    assert len(asked) == 1


@pytest.mark.parametrize(("code", "enabled"), [("unavailable", False), ("too_many_to_count", True)])
def test_what_could_not_be_counted_is_acted_on_only_if_there_are_too_many(
    dashboard: Dashboard, client: httpx.Client, code: str, *, enabled: bool
) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    dashboard.open("/queues/q/messages")
    page.route("**/messages/actions", lambda route: route.fulfill(**refusal(503, code)))
    dashboard.press("Act on all matching…")
    dialog = dashboard.dialog()
    expect(dialog.get_by_text("There are too many messages to count")).to_have_count(int(enabled))
    expect(dialog.get_by_role("alert")).to_have_count(int(not enabled))
    delete = dialog.get_by_role("button", name="Delete all matching messages")
    expect(delete).to_be_disabled()
    dialog.get_by_label("Type q to confirm").fill("q")
    expect(delete).to_be_enabled(enabled=enabled)


def test_a_message_that_has_gone_is_not_said_to_wait_and_can_be_sent_again(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    message = client.post("/v1/queues/q/messages", json={"body": "lost"}).json()["id"]
    page = dashboard.page
    dashboard.open(f"/queues/q/messages/{message}")
    expect(page.get_by_role("note")).to_contain_text("It is ready")
    client.delete(f"/v1/queues/q/messages/{message}").raise_for_status()
    expect(page.get_by_role("note")).to_contain_text("It is gone")
    expect(page.get_by_text("ready", exact=True)).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    dashboard.press("Edit and send again")
    dashboard.press("Send", within=dashboard.dialog())
    expect(dashboard.dialog()).to_have_count(0)
    [again] = client.get("/v1/queues/q/messages").json()["items"]
    assert again["preview"] == '"lost"'


def test_a_queue_that_has_gone_is_told_once(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    dashboard.open("/queues/q")
    client.delete("/v1/queues/q").raise_for_status()
    expect(dashboard.page.get_by_text("There is no queue")).to_be_visible()
    expect(dashboard.page.get_by_role("alert")).to_have_count(1)


@pytest.mark.parametrize(
    ("view", "path", "button"),
    [("/queues/q", "queues/q", "Pause"), ("/queues/q/webhooks/erp", "queues/q/webhooks/erp", "Enable")],
)
def test_a_button_that_is_refused_says_why_and_asks_once_however_often_it_is_pressed(
    dashboard: Dashboard, client: httpx.Client, view: str, path: str, button: str
) -> None:
    client.put("/v1/queues/q")
    client.put("/v1/queues/q/webhooks/erp", json={"url": "http://127.0.0.1:9/", "enabled": False})
    held: list[Route] = []
    page = dashboard.page
    dashboard.open(view)
    page.route(
        f"**/v1/{path}", lambda route: held.append(route) if route.request.method == "PATCH" else route.continue_()
    )
    with page.expect_request(lambda request: request.method == "PATCH"):
        page.get_by_role("button", name=button).dblclick()
    expect(page.get_by_role("button", name=button)).to_be_disabled()
    assert len(held) == 1
    held[0].fulfill(**refusal(503, "unavailable"))
    expect(page.get_by_role("alert")).to_contain_text("unavailable · request r")
    expect(page.get_by_role("button", name=button)).to_be_enabled()


def test_rows_of_another_filter_cannot_be_ticked(dashboard: Dashboard, client: httpx.Client) -> None:
    for name in ("a", "b"):
        client.put(f"/v1/queues/{name}")
    held: list[Route] = []
    page = dashboard.page
    dashboard.open("/queues")
    page.get_by_label("Select a", exact=True).check()
    page.route("**/v1/queues?*search=b*", lambda route: held.append(route))  # noqa: PLW0108 - as above
    page.get_by_label("Filter by name").fill("b")
    expect(page.get_by_label("Select a", exact=True)).to_be_disabled()
    expect(page.get_by_role("region", name="Selection")).to_have_count(0)
    held[0].continue_()
    expect(page.get_by_label("Select a", exact=True)).to_have_count(0)
    expect(page.get_by_label("Select b", exact=True)).to_be_enabled()


def test_what_was_typed_is_saved_after_one_has_seen_what_was_changed_elsewhere(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    webhook, subscription = "/v1/queues/q/webhooks/erp", "/v1/topics/t/subscriptions/s"
    limits = f"/v1/projects/{client.headers['Restante-Project']}-of-another"
    for path, content in {
        "/v1/queues/q": {},
        "/v1/queues/other": {},
        "/v1/topics/t": {},
        webhook: {"url": "http://127.0.0.1:9/", "enabled": False},
        subscription: {"queue": "q"},
        limits: {"limits": {"queues": 5}},
    }.items():
        client.put(path, json=content).raise_for_status()

    dashboard.open("/queues/q/webhooks/erp")
    dashboard.press("Edit")
    dashboard.dialog().get_by_label("Timeout (s)").fill("20")
    client.patch(webhook, json={"max_concurrency": 3}).raise_for_status()
    saved_again(dashboard, "max_concurrency10 → 3")
    found = client.get(webhook).json()
    assert (found["timeout"], found["max_concurrency"]) == (20, 3)

    dashboard.open("/topics/t")
    dashboard.press("Edit")
    dashboard.dialog().get_by_label("Filter").fill('{"headers": {"kind": ["paid"]}}')
    client.put(subscription, json={"queue": "other"}).raise_for_status()
    saved_again(dashboard, "queueq → other")
    found = client.get(subscription).json()
    assert (found["queue"], found["filter"]) == ("other", {"headers": {"kind": ["paid"]}})

    dashboard.go("Projects")
    dashboard.press(f"Limits of {limits.removeprefix('/v1/projects/')}")
    dashboard.dialog().get_by_label("Messages", exact=True).fill("100")
    client.patch(limits, json={"limits": {"queues": 6}}).raise_for_status()
    saved_again(dashboard, "queues5 → 6")
    found = client.get(limits).json()["limits"]
    assert (found["queues"], found["messages"]) == (6, 100)


def saved_again(dashboard: Dashboard, elsewhere: str) -> None:
    """Save, see what was changed elsewhere, and save the edited fields again."""
    dialog = dashboard.dialog()
    dashboard.press("Save", within=dialog)
    expect(dialog.get_by_role("alert")).to_contain_text("precondition_failed")
    expect(dialog.get_by_role("region", name="Changed elsewhere")).to_contain_text(elsewhere)
    dashboard.press("Save", within=dialog)
    expect(dialog).to_have_count(0)
