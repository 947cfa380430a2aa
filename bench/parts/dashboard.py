"""How long do the dashboard's screens take to load, with many queues and many messages?"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Browser, expect, sync_playwright

from bench import database, scripts, servers
from bench.figures import Figure, at_most
from bench.plan import Plan
from bench.servers import Service

SCREENS = {
    "overview": "",
    "queues": "/queues",
    "a queue": "/queues/deep",
    "messages": "/queues/deep/messages",
    "dead letters": "/dead-letters",
}
# Records when the page has its heading and nothing is loading any more.
WATCH = """
sessionStorage.setItem("restante.key", "%s");
new MutationObserver(() => {
    const whole = document.querySelector("h1") && !document.querySelector('[aria-label="Loading"]');
    window.whole = whole ? (window.whole ?? performance.now()) : undefined;
}).observe(document, { attributes: true, childList: true, subtree: true });
"""


def measure(plan: Plan) -> Iterator[Figure]:
    """Open each screen in a browser with an empty cache, until it is complete."""
    size = f"{plan.queues:,} queues and {plan.backlog:,} messages"
    with servers.restante() as service:
        _fill(service, plan)
        overview = service.load(scripts.OVERVIEW, connections=1, seconds=plan.seconds).steps["overview"]
        yield Figure(
            name=f"the overview's request, {size}",
            formula="p50 of a request",
            value=overview["p50"] / 1000,
            unit="ms",
            bound=at_most(500),
            raw={"p50 ms": overview["p50"] / 1000, "p99 ms": overview["p99"] / 1000},
        )
        with _browser() as browser:
            for name, path in SCREENS.items():
                seen = [_view(service, browser, path) for _ in range(plan.rounds)]
                yield _figure(f"first view of {name}, {size}", seen)


def _fill(service: Service, plan: Plan) -> None:
    """Create many queues, some of which hold half of the messages together; one more queue holds the other half."""
    service.ask("PUT", "/v1/queues/deep", {})
    service.ask("PUT", "/v1/queues/source", {"dead_letter": {"queue": "deep", "max_receives": 3}})
    service.fill("deep", plan.backlog // 2)
    several = scripts.batch_send(100).replace("$queue", "many-$random")
    for script, cycles, spread in (
        (scripts.CREATE_MANY, plan.queues, 1),
        (several, plan.backlog // 200, plan.queues // 20),
    ):
        seen = service.load(script, connections=8, seconds=600, warm_up=0, cycles=cycles, spread=spread)
        if troubles := seen.troubles("filling"):
            raise RuntimeError(troubles)
    database.quiet(service.database_url)


def _view(service: Service, browser: Browser, path: str) -> float:
    """Return the milliseconds from requesting a screen until it is complete."""
    key = service.headers[0].rpartition(" ")[2]
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        context.add_init_script(WATCH % key)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{service.port}/dashboard/project/default{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_label("Loading", exact=True)).to_have_count(0)
        return float(page.evaluate("window.whole"))


def _figure(name: str, seen: list[float]) -> Figure:
    return Figure(
        name=name,
        formula="milliseconds until nothing is loading",
        value=median(seen),
        unit="ms",
        bound=at_most(1000),
        low=min(seen),
        high=max(seen),
    )


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()
