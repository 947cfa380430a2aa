"""What a key may see, and what happens when the key expires or the service is down."""

import re
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.browsing import Dashboard, create_key, refusal
from tests.serving import Serving, serving

pytestmark = pytest.mark.timeout(240)


def test_a_wrong_key_is_told_and_never_kept(page: Page, service: Serving) -> None:
    page.goto(f"{service.url}/dashboard")
    page.get_by_label("API key").fill("root_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("unauthenticated")
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]


def test_what_is_no_key_is_told_before_it_is_sent(page: Page, service: Serving) -> None:
    page.goto(f"{service.url}/dashboard")
    field = page.get_by_label("API key")
    for no_key in ("root_schlüssel", "root_\u20ac", "root_a b"):
        field.fill(no_key)
        expect(page.get_by_text("This is not an API key")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in")).to_be_disabled()
    field.fill(f" {service.key} ")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Screens")).to_be_visible()


def test_a_sign_in_that_is_not_answered_promises_nothing(page: Page, service: Serving) -> None:
    page.goto(f"{service.url}/dashboard")
    page.route("**/v1/whoami", lambda route: route.abort())
    page.get_by_label("API key").fill(service.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Restante is not responding")
    expect(page.get_by_text("by itself")).to_have_count(0)


def test_a_key_stays_in_the_tab_and_out_of_every_url(dashboard: Dashboard) -> None:
    asked: list[str] = []
    dashboard.page.on("request", lambda request: asked.append(request.url))
    for screen in ("Queues", "Topics", "Keys"):
        dashboard.go(screen)
    dashboard.page.reload()
    dashboard.settled()
    assert asked
    assert not any(dashboard.service.key in url for url in [*asked, dashboard.page.url])
    assert dashboard.service.key not in dashboard.page.evaluate("JSON.stringify(localStorage) + document.cookie")


def test_a_key_that_ends_leads_to_the_sign_in_and_from_there_back_to_the_same_view(
    page: Page, service: Serving, project: str, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    first, second = create_key(client, "browse"), create_key(client, "browse")
    dashboard = Dashboard(page, service)
    dashboard.sign_in(first["secret"])
    dashboard.open("/queues/q/messages?state=ready&order=newest")
    client.delete(f"/v1/keys/{first['id']}")
    dashboard.page.get_by_role("link", name="Overview").last.click()
    expect(page.get_by_text("Your API key is no longer valid")).to_be_visible(timeout=10_000)
    view = page.url
    page.get_by_label("API key").fill(second["secret"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="q", exact=True)).to_be_visible()
    assert page.url == view
    assert view.startswith(f"{service.url}/dashboard/project/{project}/queues/q")


@pytest.mark.parametrize(
    ("scopes", "screens"),
    [
        (("send",), ["Overview", "Queues", "Dead letters", "Topics", "Playground"]),
        (("browse",), ["Overview", "Queues", "Dead letters", "Topics"]),
        (("manage", "browse"), ["Overview", "Queues", "Dead letters", "Topics", "Webhooks", "Tasks"]),
    ],
)
def test_what_a_key_may_not_do_is_not_offered(
    page: Page, service: Serving, client: httpx.Client, scopes: tuple[str, ...], screens: list[str]
) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": 1})
    dashboard = Dashboard(page, service)
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    dashboard.sign_in(create_key(client, *scopes)["secret"])
    links = page.get_by_role("navigation", name="Screens").get_by_role("link")
    expect(links).to_have_text(screens)
    dashboard.open("/queues/q")
    offered = page.locator("main").get_by_role("button").all_inner_texts()
    assert {"Purge", "Delete", "Pause"} & set(offered) == (
        {"Purge", "Delete", "Pause"} if "manage" in scopes else set()
    )
    assert ("Send" in offered) == ("send" in scopes)
    for name in screens:
        dashboard.go(name)
    assert refused == []
    assert dashboard.complaints == []


def test_a_link_leads_only_where_the_key_may_go(page: Page, service: Serving, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": 1})
    client.put("/v1/queues/q/webhooks/erp", json={"url": "http://127.0.0.1:9/", "enabled": False})
    dashboard = Dashboard(page, service)
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    dashboard.sign_in(create_key(client, "send")["secret"])
    expect(page.get_by_text("1 not working")).to_be_visible()
    expect(page.locator("main").get_by_role("link", name="1 not working")).to_have_count(0)
    page.get_by_role("region", name="Waiting longest").get_by_role("link", name=re.compile("^q")).click()
    expect(page.get_by_role("heading", level=1, name="q", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Messages, live")).to_be_visible()
    dashboard.press("Sign out")
    dashboard.sign_in(create_key(client, "manage")["secret"])
    page.get_by_role("link", name="1 not working").click()
    page.get_by_role("link", name=re.compile("^erp")).click()
    expect(page.get_by_text("It was disabled in its settings.")).to_be_visible()
    dashboard.settled()
    expect(page.get_by_role("region", name="Attempts")).to_have_count(0)
    assert refused == []


def test_a_key_that_is_bound_to_some_queues_sees_those(page: Page, service: Serving, client: httpx.Client) -> None:
    for queue in ("shop-a", "other"):
        client.put(f"/v1/queues/{queue}")
        client.post(f"/v1/queues/{queue}/messages", json={"body": 1})
    dashboard = Dashboard(page, service)
    dashboard.sign_in(create_key(client, "browse", queues=("shop-*",))["secret"])
    expect(page.get_by_role("region", name="Waiting longest").get_by_role("link", name="shop-a")).to_be_visible()
    dashboard.go("Queues")
    expect(dashboard.row("shop-a")).to_be_visible()
    expect(page.get_by_text("other")).to_have_count(0)


def test_a_service_that_is_away_is_told_and_found_again_by_itself(page: Page, data_folder: Path, database: str) -> None:
    settings = {"database_url": database, "secret_key": "s" * 32}
    with serving(data_folder, **settings) as service:
        dashboard = Dashboard(page, service)
        dashboard.sign_in(service.key)
        with service.client() as client:
            client.put("/v1/queues/q")
        dashboard.open("/queues/q")
        port = re.sub(r".*:", "", service.url)
        service.stop()
    expect(page.get_by_text("Restante is not responding.")).to_be_visible()
    expect(page.get_by_role("heading", level=1, name="q")).to_be_visible()
    with serving(data_folder, port=port, root_key=service.key, **settings):
        expect(page.get_by_text("Restante is not responding.")).to_have_count(0, timeout=40_000)
        expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("refused", ["**/v1/whoami", "**/v1/queues/q/messages?*"])
def test_who_asks_too_often_is_told_and_rests_as_long_as_is_asked_for(
    dashboard: Dashboard, client: httpx.Client, refused: str
) -> None:
    client.put("/v1/queues/q")
    client.post("/v1/queues/q/messages", json={"body": "here"})
    page = dashboard.page
    asked: list[float] = []

    def refuse_once(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            return route.continue_()
        return route.fulfill(**refusal(429, "rate_limited"), headers={"Retry-After": "9"})

    page.route(refused, refuse_once)
    page.goto(f"{dashboard.base}/queues/q/messages")
    expect(page.get_by_role("alert")).to_contain_text("Not now.")
    expect(dashboard.row("here")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert asked[1] - asked[0] > 8.9


def test_times_and_theme_are_kept_for_the_next_visit(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/queues/q")
    page = dashboard.page
    page.keyboard.press("?")
    dashboard.dialog().get_by_label("Theme").select_option("Dark")
    dashboard.dialog().get_by_label("Times").select_option("UTC")
    page.keyboard.press("Escape")
    page.reload()
    dashboard.settled()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert "utc" in page.evaluate("localStorage.getItem('restante.preferences')")
