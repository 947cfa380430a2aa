"""Lists of any length, and panels that send no needless requests."""

import httpx
import pytest
from playwright.sync_api import Locator, Request, Route, expect

from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)


def test_a_long_list_draws_the_rows_in_sight_and_fetches_the_next_page_at_its_end(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    for start in range(0, 2500, 500):
        batch = [{"body": {"n": n}} for n in range(start, start + 500)]
        client.post("/v1/queues/q/messages/batch", json={"messages": batch}).raise_for_status()
    page = dashboard.page
    dashboard.open("/queues/q/messages")
    rows = page.get_by_role("row")
    table = page.get_by_role("table", name="Messages")
    for loaded in (200, 300, 400):
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(table).to_have_attribute("aria-rowcount", str(loaded + 1))
    expect(page.get_by_text('{"n":299}', exact=True)).to_be_visible()
    assert rows.count() < 60
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_text('{"n":0}', exact=True)).to_be_visible()
    assert rows.count() < 60


def test_the_live_tail_shows_what_is_sent_and_rests_while_the_tab_is_hidden(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": "first"})
    page = dashboard.page
    dashboard.open("/queues/q/messages")
    dashboard.press("Live tail")
    client.post("/v1/queues/q/messages", json={"body": "second"})
    expect(page.get_by_role("row").nth(1)).to_contain_text("second")

    asked: list[str] = []
    _turn(dashboard, "hidden")
    page.wait_for_timeout(500)  # for requests in progress
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert asked == []
    _turn(dashboard, "visible")
    client.post("/v1/queues/q/messages", json={"body": "third"})
    expect(page.get_by_role("row").nth(1)).to_contain_text("third")


def _turn(dashboard: Dashboard, state: str) -> None:
    """Make the page believe that its tab is visible or hidden."""
    dashboard.page.evaluate(
        "state => { for (const [name, value] of [['visibilityState', state], ['hidden', state === 'hidden']])"
        " Object.defineProperty(document, name, {value, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange', {bubbles: true})) }",
        state,
    )


def test_a_panel_never_asks_again_before_it_was_answered(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    under_way: list[str] = []
    twice: list[str] = []

    asked = 0

    def begins(request: Request) -> None:
        nonlocal asked
        asked += request.url.endswith("/v1/queues/q")
        if request.url in under_way:
            twice.append(request.url)
        under_way.append(request.url)

    def answer_late(route: Route) -> None:
        page.wait_for_timeout(3000 if asked > 1 else 0)
        route.continue_()

    def ends(request: Request) -> None:
        if request.url in under_way:
            under_way.remove(request.url)

    page.on("request", begins)
    page.on("requestfinished", ends)
    page.on("requestfailed", ends)
    page.route("**/v1/queues/q", answer_late)
    dashboard.open("/queues/q")
    # The panel refreshes every two seconds if the response is fast. The second one is slow.
    with page.expect_request_finished(
        lambda request: asked == 2 and request.url.endswith("/v1/queues/q"), timeout=60_000
    ):
        pass
    page.wait_for_timeout(2000)
    assert asked == 2
    assert twice == []


def test_queues_are_found_and_sorted_by_the_service_however_many_there_are(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    for n in range(230):
        client.put(f"/v1/queues/tenant-{n:03}")
    client.post("/v1/queues/tenant-222/messages", json={"body": 1})
    page = dashboard.page
    dashboard.open("/queues")
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("tenant-000")
    dashboard.press("Oldest")
    expect(rows.nth(1)).to_contain_text("tenant-222")
    dashboard.press("Ready")
    note = page.get_by_text("Sorted among the 200 queues loaded so far.")
    expect(note).to_be_visible()
    assert is_above(note, page.get_by_role("table", name="Queues"))
    page.get_by_label("Filter by name").fill("NT-11")
    expect(rows).to_have_count(11)


def is_above(one: Locator, other: Locator) -> bool:
    """Return whether one element is above another."""
    upper, lower = one.bounding_box(), other.bounding_box()
    return upper is not None and lower is not None and upper["y"] < lower["y"]


def test_a_long_list_says_above_its_rows_that_they_are_from_before(dashboard: Dashboard, client: httpx.Client) -> None:
    for n in range(12):
        client.put(f"/v1/queues/q-{n:02}")
    page = dashboard.page
    page.route("**/v1/queues?limit=200*", three_at_a_time)
    dashboard.open("/queues")
    table = page.get_by_role("table", name="Queues")
    expect(table).to_have_attribute("aria-rowcount", "13")
    note = page.get_by_text("Long lists are not refreshed automatically.")
    expect(note).to_be_visible()
    assert is_above(note, table)
    client.post("/v1/queues/q-11/messages", json={"body": 1})
    dashboard.press("Refresh")
    expect(dashboard.row("q-11").get_by_role("cell").nth(3)).to_have_text("1")


def three_at_a_time(route: Route) -> None:
    """Make the service return short pages."""
    route.continue_(url=route.request.url.replace("limit=200", "limit=3"))


def test_every_subscription_can_be_reached_from_its_topic_and_from_its_queue(
    dashboard: Dashboard, client: httpx.Client
) -> None:
    many = [f"n-{n:03}" for n in range(201)]
    client.put("/v1/queues/q")
    client.put("/v1/topics/t")
    for name in many:
        filter_ = f'{{"body": {{"/n": [123456789012345678{name[2:]}]}}}}'
        client.put(f"/v1/queues/{name}")
        client.put(f"/v1/topics/{name}")
        for path, queue in ((f"t/subscriptions/{name}", name), (f"{name}/subscriptions/s", "q")):
            content = f'{{"queue": "{queue}", "filter": {filter_}}}'
            client.put(f"/v1/topics/{path}", content=content).raise_for_status()
    page = dashboard.page
    for view, label in (("/topics/t", "Subscriptions"), ("/queues/q", "Topic subscriptions")):
        dashboard.open(view)
        card = page.get_by_role("region", name=label)
        items = card.get_by_role("listitem")
        more = card.get_by_role("button", name="Load more")
        expect(items.first).to_contain_text("n-000")
        while more.count():
            before = items.count()
            more.click()
            expect(items.nth(before)).to_be_visible()
        expect(items).to_have_count(201)
        expect(items.last).to_contain_text("123456789012345678200")


@pytest.mark.parametrize("back", ["link", "browser"])
def test_coming_back_from_a_message_leads_to_the_same_place_of_the_same_list(
    dashboard: Dashboard, client: httpx.Client, back: str
) -> None:
    page = dashboard.page
    client.put("/v1/queues/q")
    batch = [{"body": n, "headers": {"kind": "a"}} for n in range(300)]
    client.post("/v1/queues/q/messages/batch", json={"messages": batch}).raise_for_status()
    dashboard.open("/queues/q/messages?header=kind%3Da")
    page.evaluate("scrollTo(0, 90 * 52)")
    expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", "201")
    page.evaluate("scrollTo(0, 180 * 52)")
    expect(page.get_by_role("row").filter(has=page.get_by_text("180", exact=True))).to_be_visible()
    top = page.evaluate("scrollY")
    page.get_by_role("link").filter(has=page.get_by_text("180", exact=True)).click()
    expect(page.get_by_text("Details")).to_be_visible()
    if back == "link":
        page.get_by_role("link", name="Messages of q").click()
    else:
        page.go_back()
    expect(page.get_by_role("row").filter(has=page.get_by_text("180", exact=True))).to_be_in_viewport()
    assert page.url.endswith("?header=kind%3Da")
    assert page.evaluate("scrollY") == top
