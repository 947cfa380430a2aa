"""A browser for tests of the dashboard, and helpers that several of them use."""

import json
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from playwright.sync_api import Dialog as BrowserDialog

from tests.serving import Serving

# Chromium runs as root, without a screen and without requests of its own.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# No double can hold this number, so the tests notice if a body is parsed and written again.
ORDER = '{"order": 12345678901234567890, "note": "first"}'
# Long enough for a busy machine. An assertion that holds at once does not wait.
expect.set_options(timeout=20_000)
_AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
# The browser logs failed requests as errors. The screens show them themselves.
_EXPECTED = "Failed to load resource"

_TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .slice(0, 6)
    .map((element) => `${element.tagName} ${element.className}`)"""
_OVERLAPS = Path(__file__).with_name("overlaps.js").read_text("utf-8")


class Dashboard:
    """The dashboard of a service in one page."""

    def __init__(self, page: Page, service: Serving) -> None:
        self.page = page
        self.service = service
        self.base = f"{service.url}/dashboard"
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dismiss)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and _EXPECTED not in message.text:
            self.complaints.append(message.text)

    def _dismiss(self, dialog: BrowserDialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def sign_in(self, key: str, project: str | None = None) -> None:
        """Sign in with a key, switch to a project if one is given, and wait for the first screen."""
        self.page.goto(self.base)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        if project is not None:
            self.page.get_by_label("Project", exact=True).select_option(project)
            self.base += f"/project/{project}"
        expect(self.page.get_by_role("navigation", name="Screens")).to_be_visible()
        self.settled()

    def open(self, view: str) -> None:
        """Open a view of the project by its URL, and wait until it has loaded."""
        self.page.goto(f"{self.base}{view}")
        self.settled()

    def settled(self) -> None:
        """Wait until the screen has loaded its data."""
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        expect(self.page.get_by_label("Loading", exact=True)).to_have_count(0)

    def go(self, name: str) -> None:
        """Open a screen from the navigation."""
        self.page.get_by_role("navigation", name="Screens").get_by_role("link", name=name).click()
        self.settled()

    def tab(self, name: str) -> None:
        """Open a tab of a queue."""
        self.page.get_by_role("navigation", name="Parts").get_by_role("link", name=name, exact=True).click()
        self.settled()

    def press(self, name: str, *, within: Locator | None = None, exact: bool = True) -> None:
        """Press a button."""
        (within or self.page).get_by_role("button", name=name, exact=exact).click()

    def row(self, text: str) -> Locator:
        """Return the table row that contains this text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def dialog(self) -> Locator:
        """Return the dialog that is open."""
        return self.page.get_by_role("dialog")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def resize(self, width: int, height: int) -> None:
        """Resize the window, and wait until the page has been drawn again."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def too_wide(self) -> list[str]:
        """Return the elements beyond the window's right edge, for the report of a test."""
        found: list[str] = self.page.evaluate(_TOO_WIDE)
        return found

    def overlaps(self) -> list[str]:
        """Return which texts and buttons overlap, and which texts are cut off without an ellipsis."""
        found: list[str] = self.page.evaluate(_OVERLAPS)
        return found

    def violations(self) -> list[str]:
        """Return the violations that axe finds, each with its element."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_AXE.read_text("utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate("axe.run().then((report) => report.violations)")
        return [
            json.dumps([violation["id"], node["target"], node["failureSummary"]])
            for violation in found
            for node in violation["nodes"]
        ]


def create_key(client: httpx.Client, *scopes: str, queues: tuple[str, ...] = ("*",)) -> dict[str, str]:
    """Create a key, and return it with its secret."""
    key: dict[str, str] = client.post("/v1/keys", json={"name": "k", "scopes": scopes, "queues": queues}).json()
    return key


def refusal(status: int, code: str, detail: str = "Not now.") -> dict[str, Any]:
    """Return the arguments for fulfilling a route with a problem."""
    problem = {
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r",
    }
    return {"status": status, "content_type": "application/problem+json", "body": json.dumps(problem)}
