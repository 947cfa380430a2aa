"""What tests of the dashboard do with a browser."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from playwright.sync_api import Dialog as BrowserDialog

from tests.serving import Serving

# As root, without a screen, and asking nothing of anybody.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A machine may be busy; what is there at once costs no time.
expect.set_options(timeout=20_000)
_AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
# What a page has to keep up with: the browser tells of it as an error, and so does the screen.
_EXPECTED = "Failed to load resource"


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
        """Enter a key, go to a project if that is asked for, and wait for the first screen."""
        self.page.goto(self.base)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        if project is not None:
            self.page.get_by_label("Project", exact=True).select_option(project)
            self.base += f"/project/{project}"
        expect(self.page.get_by_role("navigation", name="Screens")).to_be_visible()
        self.settled()

    def open(self, view: str) -> None:
        """Go to a view of the project by its URL, and wait until nothing of it is still loading."""
        self.page.goto(f"{self.base}{view}")
        self.settled()

    def settled(self) -> None:
        """Wait until the screen shows what it asked for."""
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        expect(self.page.get_by_label("Loading", exact=True)).to_have_count(0)

    def go(self, name: str) -> None:
        """Choose a screen in the navigation."""
        self.page.get_by_role("navigation", name="Screens").get_by_role("link", name=name).click()
        self.settled()

    def tab(self, name: str) -> None:
        """Choose a part of a queue."""
        self.page.get_by_role("navigation", name="Parts").get_by_role("link", name=name, exact=True).click()
        self.settled()

    def press(self, name: str, *, within: Locator | None = None, exact: bool = True) -> None:
        """Press a button."""
        (within or self.page).get_by_role("button", name=name, exact=exact).click()

    def row(self, text: str) -> Locator:
        """Return the row of a table that has this text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def dialog(self) -> Locator:
        """Return the dialog that is open."""
        return self.page.get_by_role("dialog")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def violations(self) -> list[str]:
        """Return what axe finds wrong, each with where."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_AXE.read_text("utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate("axe.run().then((report) => report.violations)")
        return [
            json.dumps([violation["id"], node["target"], node["failureSummary"]])
            for violation in found
            for node in violation["nodes"]
        ]


def refusal(status: int, code: str, detail: str = "Not now.") -> dict[str, Any]:
    """Return what a route is fulfilled with, as the service refuses."""
    problem = {
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r",
    }
    return {"status": status, "content_type": "application/problem+json", "body": json.dumps(problem)}
