"""Photograph every screen, light and dark, wide and narrow, into docs/images.

Run by `make screenshots`. What is shown is made by examples.py, so that the pictures stay comparable.
"""

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

from tests.dashboard.browsing import FLAGS, Dashboard
from tests.dashboard.examples import fill, views
from tests.serving import Serving, serving

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTHS = {1440: 900, 390: 844}


def main() -> None:
    """Write the pictures; those of screens that are gone are removed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "data", push_http="1", push_allow="127.0.0.0/8") as service,
        service.client() as client,
        _browser() as browser,
    ):
        fill(client)
        trade(client, seconds=45)
        shutil.rmtree(IMAGES, ignore_errors=True)
        IMAGES.mkdir(parents=True)
        for theme, width in itertools.product(("light", "dark"), WIDTHS):
            photograph(browser, service, views(client), theme, width)


def trade(client: httpx.Client, seconds: int) -> None:
    """Have producers and consumers at work for a while, so that charts have something to show."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        client.post("/v1/queues/mail/messages/batch", json={"messages": [{"body": n} for n in range(20)]})
        received = client.post("/v1/queues/mail/messages/receive", json={"max_messages": 18}).json()["messages"]
        items = [{"receipt": message["receipt"], "action": "delete"} for message in received]
        client.post("/v1/receipts/batch", json={"items": items})
        time.sleep(0.05)


def photograph(browser: Browser, service: Serving, screens: dict[str, str], theme: str, width: int) -> None:
    """Take a picture of the sign-in and of every screen."""
    scheme = "dark" if theme == "dark" else "light"
    size = {"width": width, "height": WIDTHS[width]}
    context = browser.new_context(viewport=size, color_scheme=scheme, locale="en-GB", timezone_id="UTC")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{service.url}/dashboard")
    page.get_by_label("API key").wait_for()
    page.screenshot(path=IMAGES / f"sign-in-{theme}-{width}.png")
    dashboard = Dashboard(page, service)
    dashboard.sign_in(service.key)
    for name, view in screens.items():
        dashboard.open(view)
        page.wait_for_timeout(2500 if name in {"queue", "overview"} else 400)
        page.screenshot(path=IMAGES / f"{name}-{theme}-{width}.png")
    context.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
