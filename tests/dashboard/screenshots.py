"""Take screenshots of every screen, light and dark, wide and narrow, into build/screenshots.

Run by `make screenshots`. The data comes from examples.py, so that pictures of different days can be compared. Pictures
that the documentation shows (those already in docs/images) are renewed there too.
"""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from playwright.sync_api import Browser, expect, sync_playwright

from service import embedded
from tests.dashboard.browsing import FLAGS, Dashboard, refusal
from tests.dashboard.examples import fill, views
from tests.serving import Serving, serving

_ROOT = Path(__file__).parents[2]
PICTURES = _ROOT / "build" / "screenshots"
SHOWN = _ROOT / "docs" / "images"
PUSH = {"push_http": "1", "push_allow": "127.0.0.0/8"}
# How long messages have been waiting, in minutes.
AGES = {"orders": 7, "orders-dead": 48, "thumbnails": 131}
BUSY = "The database cannot be reached right now. Retry the request."
WIDTHS = {1440: 900, 390: 844}


def main() -> None:
    """Write the screenshots, and remove those of screens that no longer exist."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.running(Path(folder) / "postgres", durable=False) as database,
        serving(Path(folder) / "data", database_url=database, secret_key="s" * 32, **PUSH) as service,
        service.client() as client,
    ):
        fill(client)
        time.sleep(11)  # until the service has written down what was done, and another step has begun
        asyncio.run(remember(database))
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir(parents=True)
        with _browser() as browser:
            for theme, width in itertools.product(("light", "dark"), WIDTHS):
                photograph(browser, service, views(client), theme, width)
    for picture in SHOWN.iterdir():
        shutil.copy(PICTURES / picture.name, picture)


async def remember(database: str) -> None:
    """Write down the activity of an hour in which consumers of `orders` failed for ten minutes."""
    connection = await asyncpg.connect(database)
    for table, owner in (("queue_activity", "queue"), ("project_activity", "project")):
        await connection.execute(
            f"""
            insert into {table} ({owner}_id, at, sent, received, deleted, dead_lettered, growth, attempts, succeeded)
            select
                owner.id, bucket.at, load.sent, load.sent, load.sent - load.failed, load.failed / 3,
                load.failed * 2 / 3, 40, 39
            from {owner} as owner
            cross join generate_series(0, 355) as n
            cross join lateral (
                select to_timestamp(floor(extract(epoch from now()) / 10) * 10 - 10 * n) as at
            ) as bucket
            cross join lateral (
                select (220 + 60 * sin(n / 19.0) + 25 * sin(n * 1.7) + hashint4(n) % 18)::int as sent
            ) as usual
            cross join lateral (
                select usual.sent, case when n between 120 and 180 then usual.sent / 4 else 0 end as failed
            ) as load
            where owner.name in ('orders', 'mail', 'default')
            on conflict do nothing
            """
        )
    for queue, minutes in AGES.items():
        await connection.execute(
            "update message set visible_at = visible_at - make_interval(mins => $2) "
            "from queue where queue.number = message.queue_number and queue.name = $1 and message.lease is null",
            queue,
            minutes,
        )
    await connection.close()


def photograph(browser: Browser, service: Serving, screens: dict[str, str], theme: str, width: int) -> None:
    """Take screenshots of the sign-in form, every screen, the dialogs and the error states."""
    scheme = "dark" if theme == "dark" else "light"
    size = {"width": width, "height": WIDTHS[width]}
    context = browser.new_context(viewport=size, color_scheme=scheme, locale="en-GB", timezone_id="UTC")  # type: ignore[arg-type]
    page = context.new_page()

    def keep(name: str) -> None:
        page.screenshot(path=PICTURES / f"{name}-{theme}-{width}.png")

    page.goto(f"{service.url}/dashboard")
    page.get_by_label("API key").wait_for()
    keep("sign-in")
    dashboard = Dashboard(page, service)
    dashboard.sign_in(service.key)
    for name, view in screens.items():
        dashboard.open(view)
        page.wait_for_timeout(2500 if name in {"queue", "overview"} else 400)
        keep(name)
    for name in dialogs(dashboard):
        keep(name)
        page.keyboard.press("Escape")
    for name in troubles(dashboard):
        keep(name)
        page.unroute_all()
    context.close()


def dialogs(dashboard: Dashboard) -> Iterator[str]:
    """Open one dialog after another, and yield the name of each."""
    page = dashboard.page
    dashboard.open("/queues")
    dashboard.press("Create queue")
    yield "create-queue"
    page.keyboard.press("Control+k")
    page.keyboard.type("or")
    expect(page.get_by_role("option", name="orders-dead")).to_be_visible()
    yield "palette"
    for name in ("orders", "mail"):
        dashboard.row(name).first.get_by_role("checkbox").check()
    dashboard.press("Purge")
    expect(dashboard.dialog().get_by_role("listitem").first).to_contain_text("message")
    yield "purge"
    dashboard.open("/dead-letters")
    dashboard.press("Redrive orders-dead")
    yield "redrive"


def troubles(dashboard: Dashboard) -> Iterator[str]:
    """Cause one error after another, and yield the name of each."""
    page = dashboard.page
    page.route("**/v1/queues?*", lambda _: None)
    page.goto(f"{dashboard.base}/queues")
    expect(page.get_by_label("Loading", exact=True)).to_be_visible()
    yield "loading"
    page.route("**/v1/queues?*", lambda route: route.fulfill(**refusal(503, "unavailable", BUSY)))
    page.goto(f"{dashboard.base}/queues")
    expect(page.get_by_role("alert")).to_be_visible()
    yield "error"
    dashboard.open("/queues")
    page.route("**/v1/**", lambda route: route.abort())
    expect(page.get_by_text("Restante is not responding")).to_be_visible()
    yield "away"
    page.route("**/v1/**", lambda route: route.fulfill(**refusal(401, "unauthenticated")))
    expect(page.get_by_text("Your API key is no longer valid")).to_be_visible()
    yield "expired"


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
