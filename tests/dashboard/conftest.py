"""A real browser before a real service."""

import itertools
import shutil
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import created
from tests.dashboard.browsing import FLAGS, Dashboard
from tests.serving import Serving, serving

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium. Module-scoped, because its event loop has to end before other tests start theirs."""
    # The first one draws no window, which takes a third off the time of a test.
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no chromium (on Debian: apt install chromium-headless-shell)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="UTC", locale="en-GB")
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def service(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Start a service whose webhooks may reach this machine. The tests of a module share it."""
    settings = {"secret_key": "s" * 32, "push_http": "1", "push_allow": "127.0.0.0/8"}
    for database in created(postgres, template):
        with serving(tmp_path_factory.mktemp("data"), database_url=database, **settings) as service:
            yield service


@pytest.fixture
def project(service: Serving) -> str:
    """Create a project for the test, and return its name."""
    name = f"project-{next(_numbers)}"
    with service.client() as root:
        root.put(f"/v1/projects/{name}").raise_for_status()
    return name


@pytest.fixture
def client(service: Serving, project: str) -> Iterator[httpx.Client]:
    """Return a client with the root key, in the test's project."""
    with service.client() as client:
        client.headers["Restante-Project"] = project
        yield client


@pytest.fixture
def dashboard(service: Serving, project: str, page: Page) -> Iterator[Dashboard]:
    """Sign in with the root key, in the test's project. Errors and warnings in the console fail the test."""
    dashboard = Dashboard(page, service)
    dashboard.sign_in(service.key, project)
    yield dashboard
    assert dashboard.complaints == []
