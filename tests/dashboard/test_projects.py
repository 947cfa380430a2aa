"""Projects in the dashboard: their limits, and switching from one to another."""

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.browsing import Dashboard, create_key
from tests.serving import Serving

pytestmark = pytest.mark.timeout(240)


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
            expect(dialog.get_by_role("alert")).to_contain_text("precondition_failed")
            dashboard.press("Cancel", within=dialog)
        expect(dialog).to_have_count(0)
    limits = client.get("/v1/projects/limited").json()["limits"]
    assert (limits["queues"], limits["messages"]) == (9, 200)


def test_the_operator_goes_to_another_project_and_sees_only_that(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/projects/acme")
    client.put("/v1/queues/mine")
    client.put("/v1/queues/theirs", headers={"Restante-Project": "acme"})
    dashboard.page.reload()
    dashboard.settled()
    dashboard.go("Queues")
    expect(dashboard.row("mine")).to_be_visible()
    dashboard.page.get_by_label("Project", exact=True).select_option("acme")
    expect(dashboard.row("theirs")).to_be_visible()
    expect(dashboard.page.get_by_text("mine")).to_have_count(0)


def test_a_link_leads_to_its_project_whoever_follows_it(
    page: Page, service: Serving, project: str, client: httpx.Client
) -> None:
    client.put("/v1/queues/q")
    own = create_key(client, "browse", "send")["secret"]
    view = f"{service.url}/dashboard/project/{project}/queues/q?tab=a%2526b"
    for secret in (service.key, own):
        page.goto(view)
        page.get_by_label("API key").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1, name="q")).to_be_visible()
        assert page.url == view
        page.get_by_role("button", name="Sign out").click()
    # A link without a project gets the project added, and keeps the rest.
    page.goto(view.replace(f"/project/{project}", ""))
    page.get_by_label("API key").fill(own)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(view)


def test_a_link_to_a_project_that_is_not_the_key_s_says_so_and_shows_the_way_out(
    page: Page, service: Serving, project: str, client: httpx.Client
) -> None:
    client.put("/v1/projects/foreign")
    dashboard = Dashboard(page, service)
    dashboard.sign_in(create_key(client, "browse")["secret"])
    for elsewhere in ("foreign", "none"):
        page.goto(f"{service.url}/dashboard/project/{elsewhere}/queues")
        expect(page.get_by_role("alert")).to_contain_text("forbidden")
        page.get_by_role("link", name="Go to your key's own project").click()
        page.wait_for_url(f"{service.url}/dashboard/project/{project}/")
        expect(page.get_by_role("alert")).to_have_count(0)


def test_what_is_done_to_many_ends_when_one_goes_to_another_project(dashboard: Dashboard, client: httpx.Client) -> None:
    client.put("/v1/projects/twin")
    names = [f"q{n}" for n in range(10)]
    for name in names:
        client.put(f"/v1/queues/{name}")
        client.put(f"/v1/queues/{name}", headers={"Restante-Project": "twin"})
    page = dashboard.page
    page.reload()
    dashboard.settled()
    dashboard.go("Queues")
    page.get_by_label("Select all loaded queues").check()
    held: list[Route] = []
    page.route("**/v1/queues/q3", lambda route: held.append(route))  # noqa: PLW0108 - Playwright writes to what it calls
    with page.expect_request("**/v1/queues/q3"):
        dashboard.press("Pause", within=page.get_by_role("region", name="Selection"))
    page.get_by_label("Project", exact=True).select_option("twin")
    expect(dashboard.row("q9")).to_be_visible()
    with page.expect_response("**/v1/queues/q3"):
        held[0].continue_()
    expect(page.get_by_text("Paused 4 queues.")).to_be_visible()
    dashboard.go("Overview")
    assert paused(client) == ["q0", "q1", "q2", "q3"]
    assert paused(client, **{"Restante-Project": "twin"}) == []


def paused(client: httpx.Client, **headers: str) -> list[str]:
    return [queue["name"] for queue in client.get("/v1/queues", headers=headers).json()["items"] if queue["paused"]]
