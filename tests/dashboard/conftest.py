"""A real browser before a real service."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.dashboard.browsing import FLAGS, Dashboard
from tests.serving import Serving, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium. Of the module: its loop must be gone before other tests run theirs."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no chromium (on Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="UTC", locale="en-GB")
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def service(data_folder: Path, database: str) -> Iterator[Serving]:
    """Serve, and let push go to this machine's own receivers."""
    settings = {"database_url": database, "secret_key": "s" * 32, "push_http": "1", "push_allow": "127.0.0.0/8"}
    with serving(data_folder, **settings) as service:
        yield service


@pytest.fixture
def client(service: Serving) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def dashboard(service: Serving, page: Page) -> Iterator[Dashboard]:
    """Sign in with the root key; whatever the page complains of fails the test."""
    dashboard = Dashboard(page, service)
    dashboard.sign_in(service.key)
    yield dashboard
    assert dashboard.complaints == []
